package migrations

import (
	"fmt"
	"slices"
	"strconv"
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
func (l *lowering) dotted(at hcl.Range, name spec.Table, made []string) bool {
	var found []string
	for _, other := range made {
		if l.live.Dotted[other] && !slices.Contains(found, strconv.Quote(other)) {
			found = append(found, strconv.Quote(other))
		}
	}
	if len(found) == 0 {
		return false
	}
	l.problem(at, "Name with a dot in it", fmt.Sprintf(
		"What hangs on %s has a dot in its name, by which pleat tells a schema from what is in it: %s. Give it another name by ALTER … RENAME before.", name, strings.Join(found, ", ")))
	return true
}

// madeAgain are the names of what is made again, beside what is there, for a column
// that is replaced.
func (t *Table) madeAgain(c *Column) []string {
	var names []string
	for _, v := range t.ShownBy([]string{c.Name}) {
		names = append(names, v.Name)
	}
	parts := slices.ContainsFunc(t.Indexes, func(i Index) bool { return mentions(i.Definition, c.Name) })
	for _, k := range t.References {
		if slices.Contains(k.Referenced, c.Name) {
			names, parts = append(append(names, k.Table), partitionNames(k.Partitions)...), true
		}
	}
	for _, k := range t.Constraints {
		if k.Kind == Foreign && slices.Contains(k.Columns, c.Name) {
			names, parts = append(names, k.References), true
		}
	}
	for _, s := range t.Statistics {
		if mentions(s.Definition, c.Name) {
			names = append(names, s.Name)
		}
	}
	if names = append(names, c.Sequence); parts {
		names = append(names, partitionNames(t.Partitions)...)
	}
	return names
}

func partitionNames(partitions []Partition) []string {
	names := make([]string, len(partitions))
	for i, p := range partitions {
		names[i] = p.Table
	}
	return names
}
