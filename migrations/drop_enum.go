package migrations

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

type dropEnum struct {
	plain
	*spec.DropEnum
}

func (o dropEnum) form() any { return o.Enum }

// contract comes last, whatever the author's order. It can be taken back for as
// long as the catalog tells the values: no row goes with a type that none has.
func (o dropEnum) contract(l *lowering, place int) bool {
	o.check(l, place)
	values := l.live.Enum(o.Enum)
	u := Unit{
		ID: "drop.enum." + o.Enum.String(), Title: "enum " + o.Enum.String(), Mode: InTransaction,
		Statements: []string{dropEnumSQL(o.Enum)},
		Applied:    values == nil, Visible: true, Source: o.Range,
	}
	if values != nil {
		u.Undo, u.UndoTitle = []string{createEnumSQL(o.Enum, values)}, "make it again"
	}
	l.types = append(l.types, missingUnless(u, u.Title))
	return true
}

// check says at plan time what the server would say at the last step (2BP01).
// The author's SQL before it may take care of it.
func (o dropEnum) check(l *lowering, place int) {
	if slices.ContainsFunc(l.change.Contract.Operations[:place], func(op spec.Operation) bool {
		_, ok := op.(*spec.SQL)
		return ok
	}) {
		return
	}
	var left []string
	for _, use := range l.live.TypeUses[o.Enum.String()] {
		if !l.endsUse(use) {
			left = append(left, use.Object)
		}
	}
	if len(left) > 0 {
		l.problem(o.Range, "Something else needs it", fmt.Sprintf(
			"Postgres would refuse to drop enum %s, which is used by: %s. Drop them in this contract, give the columns another type by change_type in this change, or take them away in an sql block before this one.",
			o.Enum, strings.Join(left, "; ")))
	}
}

// endsUse tells whether the contract takes away what uses a type.
func (l *lowering) endsUse(use TypeUse) bool {
	taken := func(t spec.Table) bool { return t.String() == use.Table || hiddenTable(t).String() == use.Table }
	column := func(name string) bool {
		return slices.Contains(use.Columns, name) || slices.Contains(use.Columns, HiddenName(name))
	}
	return slices.ContainsFunc(l.change.Contract.Operations, func(op spec.Operation) bool {
		switch o := op.(type) {
		case *spec.DropTable:
			return taken(o.Table)
		case *spec.DropColumn:
			return taken(o.Table) && column(o.Column)
		case *spec.ReplaceColumn:
			return taken(o.Table) && column(o.Column)
		}
		return false
	})
}

// uncontract brings it back without its values, which nobody tells.
func (o dropEnum) uncontract(l *lowering) {
	if l.next.Enum(o.Enum) == nil {
		l.next.setEnum(o.Enum, []string{})
	}
}

func (o dropEnum) takeAway(l *lowering, to Phase) {
	if to == Contracted {
		delete(l.next.Enums, o.Enum.String())
	}
}
