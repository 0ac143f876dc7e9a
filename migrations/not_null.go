package migrations

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// notNull is NOT NULL on its way to a column of a table with rows. A check
// that is not valid yet holds for what is written; its validation reads the
// rows while everybody goes on; and NOT NULL believes a valid check (servers
// from 12 on), so that it is there at once.
type notNull struct {
	table  spec.Table
	column string
	live   *Table
	now    *Column // as it is, under whatever name; nil where it is not there
	source hcl.Range
	// settled are further statements of the last unit, and what takes them back.
	settled, unsettled []string
	shown              bool // the catalog shows the effect of settled
}

func (l *lowering) notNull(t spec.Table, column string, at hcl.Range) notNull {
	live := l.live.Table(t)
	return notNull{table: t, column: column, live: live, now: live.Column(column), source: at, shown: true}
}

func notNullCheck(column string) string { return shorten("pleat_not_null_" + column) }

func (n notNull) name() string { return n.table.String() + "." + n.column }

func (n notNull) alter() string { return "ALTER TABLE " + tableIdent(n.table) + " " }

func (n notNull) addCheck() string {
	return fmt.Sprintf("%sADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID", n.alter(), Ident(notNullCheck(n.column)), Ident(n.column))
}

func (n notNull) dropCheck() string {
	return n.alter() + "DROP CONSTRAINT IF EXISTS " + Ident(notNullCheck(n.column))
}

func (n notNull) validation() string {
	return n.alter() + "VALIDATE CONSTRAINT " + Ident(notNullCheck(n.column))
}

func (n notNull) set() string { return n.alter() + "ALTER COLUMN " + Ident(n.column) + " SET NOT NULL" }

func (n notNull) drop() string {
	return n.alter() + "ALTER COLUMN " + Ident(n.column) + " DROP NOT NULL"
}

// there tells whether the column is NOT NULL, whatever is left of the way.
func (n notNull) there() bool { return n.now != nil && n.now.NotNull }

func (n notNull) check() *Constraint { return n.live.Constraint(notNullCheck(n.column)) }

// enforce holds for what is written from its commit on.
func (n notNull) enforce() Unit {
	return Unit{
		ID: "enforce." + n.name(), Title: n.name() + " not null, for what is written", Mode: InTransaction,
		Table: n.table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{n.addCheck()}, Undo: []string{n.dropCheck()}, UndoTitle: "drop check",
		Applied: n.there() || n.check() != nil, Visible: true, Source: n.source,
	}
}

// validate is taken back only after settle was, and then NOT NULL goes: a way
// back that goes back itself has a valid check again before NOT NULL is there.
func (n notNull) validate() Unit {
	return Unit{
		ID: "validate." + n.name(), Title: n.name() + " not null, for the rows that are there", Mode: InTransaction,
		Table: n.table, Lock: ShareUpdateExclusive, UndoLock: AccessExclusive,
		Statements: []string{n.validation()}, Undo: []string{n.drop()}, UndoTitle: "drop not null",
		Applied: n.there() || n.check() != nil && n.check().Valid, Visible: true, Source: n.source,
	}
}

// settle has two statements: in one, the server drops the check first, has
// nothing left to believe and reads the table.
func (n notNull) settle() Unit {
	u := Unit{
		ID: "settle." + n.name(), Title: n.name() + " NOT NULL", Mode: InTransaction,
		Table: n.table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: append([]string{n.set(), n.dropCheck()}, n.settled...),
		Undo:       append(slices.Clone(n.unsettled), n.addCheck()), UndoTitle: "add the check again",
		Applied: n.there() && n.check() == nil && n.shown, Visible: true, Source: n.source,
	}
	if !u.Applied {
		u.missing = []string{"NOT NULL of " + n.name()}
	}
	return u
}

func (n notNull) units() []Unit { return []Unit{n.enforce(), n.validate(), n.settle()} }

// kept are the units of a column that may have been NOT NULL before: then none
// of them does anything, and the way back leaves it so.
func (n notNull) kept() []Unit {
	units := n.units()
	if !n.there() {
		return units
	}
	for i := range units {
		units[i].ByRecord = units[0].ID
	}
	return units
}

// remember is how the column looks to what comes after.
func (t *Table) remember(column string, notNull bool) {
	if c := t.Column(column); c != nil {
		c.NotNull = notNull
		t.removeConstraint(notNullCheck(column))
	}
}

func (t *Table) enforced(column string) {
	t.remember(column, false)
	t.Constraints = append(t.Constraints, Constraint{
		Name: notNullCheck(column), Definition: "CHECK ((" + Ident(column) + " IS NOT NULL)) NOT VALID",
		Kind: Check, Columns: []string{column},
	})
}

type setNotNull struct {
	plain
	*spec.SetNotNull
}

func (o setNotNull) rank() int { return rankConstraint }

func (o setNotNull) form() any { return []any{o.Table, o.Column} }

func (o setNotNull) expand(l *lowering) bool {
	t := l.column(o.Table, o.Column, o.Range)
	if t == nil {
		return true
	}
	units := l.notNull(o.Table, o.Column, o.Range).kept()
	l.program.Expand = append(l.program.Expand, units[0])
	l.program.Validate = append(l.program.Validate, units[1:]...)
	t.enforced(o.Column)
	return true
}

func (o setNotNull) settle(l *lowering) { l.next.Table(o.Table).remember(o.Column, true) }

func (o setNotNull) unexpand(l *lowering) { l.next.Table(o.Table).remember(o.Column, false) }

// contract enforces where hiding is, because it is taken back like that: when a
// release comes back that may write nulls.
func (o setNotNull) contract(l *lowering, _ int) bool {
	if l.column(o.Table, o.Column, o.Range) == nil {
		return true
	}
	units := l.notNull(o.Table, o.Column, o.Range).kept()
	enforce, validate, settle := units[0], units[1], units[2]
	enforce.Verb, validate.Verb, settle.Verb = "enforce", "validate", "set"
	if o.Fill != "" && !validate.Applied {
		validate.Fill = l.fillAgain(o.SetNotNull)
	}
	l.program.Hide = append(l.program.Hide, enforce)
	l.program.Drop = append(l.program.Drop, validate, settle)
	return true
}

// fillAgain is for rows that were written without a value after the back-fill and before
// the check. What the contract hides has another name by then.
func (l *lowering) fillAgain(o *spec.SetNotNull) *Backfill {
	hidden := map[string]string{}
	for _, op := range l.change.Contract.Operations {
		if d, ok := op.(*spec.DropColumn); ok && d.Table == o.Table {
			hidden[d.Column] = HiddenName(d.Column)
		}
	}
	again := spec.Backfill{Table: o.Table, Range: o.Range}
	if i := slices.IndexFunc(l.change.Backfills, func(b *spec.Backfill) bool { return b.Table == o.Table }); i >= 0 {
		again = *l.change.Backfills[i]
	}
	b := l.backfillOf(&again, l.next.Table(o.Table), map[string]string{o.Column: spec.RenameColumns(o.Filled(), hidden)}, nil)
	b.ID += "." + o.Column
	return &b
}

func (o setNotNull) uncontract(l *lowering) { l.next.Table(o.Table).remember(o.Column, false) }

func (o setNotNull) takeAway(l *lowering, to Phase) {
	t := l.next.Table(o.Table)
	if t == nil {
		return
	}
	t.enforced(o.Column)
	if to == Contracted {
		t.remember(o.Column, true)
	}
}

type dropNotNull struct {
	plain
	*spec.DropNotNull
}

func (o dropNotNull) form() any { return []any{o.Table, o.Column} }

// expand has two units that only a way back of its own goes through: NOT NULL
// comes back by way of a check. A run that fails puts the check there, which
// refuses the same, and nobody waits for a scan.
func (o dropNotNull) expand(l *lowering) bool {
	t := l.column(o.Table, o.Column, o.Range)
	if t == nil {
		return true
	}
	if slices.Contains(t.PrimaryKey, o.Column) || t.Column(o.Column) != nil && t.Column(o.Column).Identity != "" {
		l.problem(o.Range, "Column cannot be null", fmt.Sprintf(
			"Column %s of %s is in the primary key or an identity column, and those are never null.", o.Column, o.Table))
		return true
	}
	n := l.notNull(o.Table, o.Column, o.Range)
	settle, validate := n.settle(), n.validate()
	u := Unit{
		ID: "nullable." + n.name(), Title: n.name() + " may be null", Mode: InTransaction,
		Table: o.Table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{n.drop(), n.dropCheck()}, Undo: []string{n.addCheck()}, UndoTitle: "refuse nulls by a check",
		Applied: !n.there() && n.check() == nil, Visible: true, Source: o.Range, takes: true,
	}
	if !u.Applied {
		u.missing = []string{"the nullable column " + n.name()}
	}
	for _, back := range []Unit{wayBackOnly(settle), wayBackOnly(validate), u} {
		back.ByRecord = u.ID
		l.program.Expand = append(l.program.Expand, back)
	}
	t.remember(o.Column, false)
	return true
}

func (o dropNotNull) unexpand(l *lowering) { l.next.Table(o.Table).remember(o.Column, true) }

// wayBackOnly is a unit that does nothing on the way there, and what the given
// one does when the change as a whole is taken back.
func wayBackOnly(u Unit) Unit {
	return Unit{
		ID: "back." + u.ID, Title: u.Title, Mode: InTransaction, Table: u.Table, Lock: u.Lock, UndoLock: u.Lock,
		Undo: []string{}, UndoTitle: "make", Applied: true, Visible: true, Source: u.Source,
		Restored: u.Applied, all: &reverse{statements: u.Statements},
	}
}

// column finds the table of a column that is there, and says so where there is
// none.
func (l *lowering) column(t spec.Table, column string, at hcl.Range) *Table {
	table := l.table(t, at)
	if table == nil || table.has(column) {
		return table
	}
	l.unknownColumn(at, t, table, column)
	return nil
}
