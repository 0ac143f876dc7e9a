package migrations

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// nameFree says that the name of a table or an index which a unit is to make belongs to
// something else of the schema, as long as the unit has not run. What SQL before it does
// is not known.
func (l *lowering) nameFree(u Unit, name spec.Table) {
	has := l.holder(name)
	if u.Applied || has == "" || l.live.remade(name) || l.live.spokenOf(name.Name) {
		return
	}
	l.program.inquiries = append(l.program.inquiries, inquiry{unit: u.ID, why: refused(u.Source, "Name is taken", fmt.Sprintf(
		"The %s has the name %s already, and tables, indexes, views and sequences of a schema share their names. Give this one another.", has, name))})
}

// holder is what has a name among tables, indexes, views and sequences; "" = nothing
// that is known.
func (l *lowering) holder(name spec.Table) string {
	if l.live.Table(name) != nil {
		return "table " + name.String()
	}
	if on, t := l.live.tableOfIndex(name); t != nil && t.index(name.Name).Valid {
		return fmt.Sprintf("index %s of table %s", name, on)
	}
	if l.live == nil {
		return ""
	}
	return l.live.Others[name.String()]
}

// dotted refuses to make again, or to put together, what hangs on a table and cannot be
// named: a text has one dot, behind the schema.
func (l *lowering) dotted(at hcl.Range, name spec.Table, t *Table) bool {
	var found []string
	add := func(name string) {
		if l.live.Dotted[name] {
			found = append(found, fmt.Sprintf("%q", name))
		}
	}
	for _, v := range t.Views {
		add(v.Name)
	}
	for _, k := range t.References {
		add(k.Table)
		addPartitions(k.Partitions, add)
	}
	for _, k := range t.Constraints {
		add(k.References)
	}
	for _, s := range t.Statistics {
		add(s.Name)
	}
	for _, c := range t.Columns {
		add(c.Sequence)
	}
	addPartitions(t.Partitions, add)
	if len(found) == 0 {
		return false
	}
	l.problem(at, "Name with a dot in it", fmt.Sprintf(
		"What hangs on %s has a dot in its name, by which pleat tells a schema from what is in it: %s. Give it another name by ALTER … RENAME before.", name, strings.Join(found, ", ")))
	return true
}

func addPartitions(partitions []Partition, add func(name string)) {
	for _, p := range partitions {
		add(p.Table)
	}
}
