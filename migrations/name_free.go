package migrations

import (
	"fmt"

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
