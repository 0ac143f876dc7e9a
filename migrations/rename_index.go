package migrations

import (
	"fmt"

	"pleat/spec"
)

type renameIndex struct {
	plain
	*spec.RenameIndex
}

func (o renameIndex) form() any { return []any{o.Schema, o.Name, o.To} }

func (o renameIndex) from() spec.Table { return spec.Table{Schema: o.Schema, Name: o.Name} }
func (o renameIndex) to() spec.Table   { return spec.Table{Schema: o.Schema, Name: o.To} }

func (o renameIndex) expand(l *lowering) bool {
	table, from := l.live.tableOfIndex(o.from())
	on, to := l.live.tableOfIndex(o.to())
	if !o.check(l, from, to) {
		return true
	}
	if from == nil {
		table = on
	}
	u := Unit{
		ID: "rename.index." + o.from().String(), Title: "index " + o.from().String() + " to " + o.To, Mode: InTransaction,
		Table: table, Lock: ShareUpdateExclusive, UndoLock: ShareUpdateExclusive,
		Statements: []string{renameIndexSQL(o.from(), o.To)}, Undo: []string{renameIndexSQL(o.to(), o.Name)}, UndoTitle: "rename it back",
		Applied: from == nil, Visible: true, Source: o.Range, takes: true,
	}
	u.Also = l.live.Table(table).family(table, ShareUpdateExclusive)
	u.UndoAlso = u.Also
	l.program.Expand = append(l.program.Expand, missingUnless(u, "index "+o.to().String()))
	l.next.renameIndex(o.from(), o.to())
	return true
}

func (o renameIndex) check(l *lowering, from, to *Table) bool {
	switch {
	case from != nil && to != nil:
		l.problem(o.Range, "Name is taken", fmt.Sprintf("There is an index %s already.", o.to()))
	case from == nil && to == nil && !l.live.Former[o.from().String()] && !l.live.Former[o.to().String()]:
		l.problem(o.Range, "Unknown index", fmt.Sprintf("There is no index %s.", o.from()))
	default:
		return true
	}
	return false
}

func (o renameIndex) unexpand(l *lowering) { l.next.renameIndex(o.to(), o.from()) }

func renameIndexSQL(from spec.Table, to string) string {
	return fmt.Sprintf("ALTER INDEX %s RENAME TO %s", tableIdent(from), Ident(to))
}

// renameIndex has the constraint of the index follow, as Postgres does.
func (c *Catalog) renameIndex(from, to spec.Table) {
	if c.Former[from.String()] {
		delete(c.Former, from.String())
		c.Former[to.String()] = true
	}
	_, t := c.tableOfIndex(from)
	i := t.index(from.Name)
	switch {
	case i == nil:
	case i.Constraint == from.Name:
		t.rename(from.Name, to.Name)
	default:
		i.rename(to.Name)
	}
}
