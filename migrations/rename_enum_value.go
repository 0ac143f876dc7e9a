package migrations

import (
	"fmt"
	"slices"

	"pleat/spec"
)

type renameEnumValue struct {
	plain
	*spec.RenameEnumValue
}

func (o renameEnumValue) form() any { return []any{o.Enum, o.Value, o.To} }

// contract is the only place: an old release sends the old word, and no moment
// knows both. It has a way back to the end, as no row is written.
func (o renameEnumValue) contract(l *lowering, _ int) bool {
	values := l.enum(o.Enum, o.Range)
	if values == nil || !o.check(l, values) {
		return true
	}
	u := Unit{
		ID:    "rename.enum." + o.Enum.String() + "." + o.Value,
		Title: "value " + o.Value + " of enum " + o.Enum.String() + " to " + o.To, Mode: InTransaction,
		Statements: []string{o.statement(o.Value, o.To)},
		Undo:       []string{o.statement(o.To, o.Value)}, UndoTitle: "rename it back",
		Applied: slices.Contains(l.live.Enum(o.Enum), o.To), Visible: true, Verb: "rename", Source: o.Range,
	}
	l.program.Drop = append(l.program.Drop, missingUnless(u, "value "+o.To+" of enum "+o.Enum.String()))
	return true
}

func (o renameEnumValue) check(l *lowering, values []string) bool {
	old, renamed := slices.Contains(values, o.Value), slices.Contains(values, o.To)
	switch {
	case len(values) == 0:
		return true
	case old && renamed:
		l.problem(o.Range, "Value is there already", fmt.Sprintf(
			"Enum %s has the value %s; %s cannot be renamed to it. Move the rows to %[2]s by a backfill.", o.Enum, o.To, o.Value))
	case !old && !renamed:
		l.unknownEnumValue(o.Range, o.Enum, o.Value, values)
	}
	return old != renamed
}

func (o renameEnumValue) statement(from, to string) string {
	return fmt.Sprintf("ALTER TYPE %s RENAME VALUE %s TO %s", tableIdent(o.Enum), Literal(from), Literal(to))
}

func (o renameEnumValue) uncontract(l *lowering) { o.exchange(l, o.To, o.Value) }

func (o renameEnumValue) takeAway(l *lowering, to Phase) {
	if to == Contracted {
		o.exchange(l, o.Value, o.To)
	}
}

func (o renameEnumValue) exchange(l *lowering, from, to string) {
	values := slices.Clone(l.next.Enum(o.Enum))
	if i := slices.Index(values, from); i >= 0 {
		values[i] = to
		l.next.setEnum(o.Enum, values)
	}
}
