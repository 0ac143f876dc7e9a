package migrations

import (
	"fmt"
	"strings"

	"pleat/spec"
)

type renameConstraint struct {
	plain
	*spec.RenameConstraint
}

func (o renameConstraint) form() any { return []any{o.Table, o.Name, o.To} }

func (o renameConstraint) expand(l *lowering) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || !o.check(l, t) {
		return true
	}
	u := Unit{
		ID:    "rename.constraint." + o.Table.String() + "." + o.Name,
		Title: constraintTitle(o.Table, o.Name) + " to " + o.To, Mode: InTransaction,
		Table: o.Table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{o.rename(o.Name, o.To)}, Undo: []string{o.rename(o.To, o.Name)}, UndoTitle: "rename it back",
		Applied: !o.live(l).named(o.Name), Visible: true, Source: o.Range, takes: true,
	}
	u.Also = t.family(o.Table, AccessExclusive)
	u.UndoAlso = u.Also
	if o.keyed(o.live(l)) {
		u = o.byIndex(u, t)
	}
	l.program.Expand = append(l.program.Expand, missingUnless(u, constraintTitle(o.Table, o.To)))
	t.rename(o.Name, o.To)
	return true
}

func (o renameConstraint) live(l *lowering) *Table { return l.live.Table(o.Table) }

// keyed tells a constraint with an index, under either name.
func (o renameConstraint) keyed(t *Table) bool { return t.keyed(o.Name) || t.keyed(o.To) }

// byIndex has the constraint follow its index, whose new name readers and
// writers do not wait for; ALTER TABLE would stop them.
func (o renameConstraint) byIndex(u Unit, t *Table) Unit {
	u.Lock, u.UndoLock = ShareUpdateExclusive, ShareUpdateExclusive
	u.Also = t.family(o.Table, ShareUpdateExclusive)
	u.UndoAlso = u.Also
	u.Statements = []string{renameIndexSQL(spec.Table{Schema: o.Table.Schema, Name: o.Name}, o.To)}
	u.Undo = []string{renameIndexSQL(spec.Table{Schema: o.Table.Schema, Name: o.To}, o.Name)}
	return u
}

func (o renameConstraint) rename(from, to string) string {
	return fmt.Sprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", tableIdent(o.Table), Ident(from), Ident(to))
}

func (o renameConstraint) check(l *lowering, t *Table) bool {
	live := o.live(l)
	switch {
	case t.whole():
		return true
	case live.named(o.Name) && live.named(o.To):
		l.problem(o.Range, "Name is taken", fmt.Sprintf("Table %s has a constraint %s already.", o.Table, o.To))
	case !live.named(o.Name) && !live.named(o.To):
		l.unknownConstraint(o.Range, o.Table, t, o.Name)
	default:
		return true
	}
	return false
}

func (o renameConstraint) unexpand(l *lowering) { l.next.Table(o.Table).rename(o.To, o.Name) }

// named tells whether the table has a constraint of that name, its primary key
// included.
func (t *Table) named(constraint string) bool {
	return t != nil && (t.Constraint(constraint) != nil || constraint != "" && t.PrimaryKeyName == constraint)
}

func (t *Table) keyed(constraint string) bool {
	if t != nil && constraint != "" && t.PrimaryKeyName == constraint {
		return true
	}
	c := t.Constraint(constraint)
	return c != nil && (c.Kind == Unique || c.Kind == Exclusion)
}

// rename gives a constraint another name, with the index that it may have, as
// Postgres does.
func (t *Table) rename(from, to string) {
	if !t.named(from) || t.named(to) {
		return
	}
	if t.PrimaryKeyName == from {
		t.PrimaryKeyName = to
	}
	if c := t.Constraint(from); c != nil {
		c.Name = to
	}
	if i := t.index(from); i != nil && i.Constraint == from {
		i.rename(to)
		i.Constraint = to
	}
}

func (i *Index) rename(to string) {
	for _, name := range []string{i.Name, Ident(i.Name)} {
		i.Definition = strings.Replace(i.Definition, "INDEX "+name+" ON", "INDEX "+Ident(to)+" ON", 1)
	}
	i.Name = to
}
