package migrations

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

type addCheck struct {
	plain
	*spec.AddCheck
}

func (o addCheck) rank() int { return rankConstraint }

func (o addCheck) form() any {
	c := *o.AddCheck
	c.Range = hcl.Range{}
	return c
}

func (o addCheck) late(l *lowering) late {
	return late{
		table: o.Table, lock: AccessExclusive, loose: true, at: o.Range,
		also:       l.next.Table(o.Table).family(o.Table, AccessExclusive),
		constraint: checkOf(o.AddCheck),
	}
}

// checkOf is a check as the catalog will have it.
func checkOf(o *spec.AddCheck) Constraint {
	definition := "CHECK " + parenthesized(o.Expression)
	return Constraint{Name: o.Name, Kind: Check, Definition: definition, Columns: usedColumns(definition)}
}

// usedColumns are those that the definition of a constraint names.
func usedColumns(definition string) []string {
	return slices.Sorted(maps.Keys(spec.UsedColumns(definition)))
}

func (o addCheck) check(l *lowering) bool {
	if l.table(o.Table, o.Range) == nil {
		return false
	}
	if err := checkExpression(o.Expression); err != nil {
		l.problem(o.Range, "Invalid check", fmt.Sprintf("%q cannot be used: %v.", o.Expression, err))
		return false
	}
	return true
}

func (o addCheck) ask(l *lowering) {
	l.askCheck(o.late(l).id("constraint"), l.next.Table(o.Table), o.AddCheck)
}

func (o addCheck) expand(l *lowering) bool {
	if o.check(l) {
		o.ask(l)
		o.late(l).expand(l)
	}
	return true
}

func (o addCheck) contract(l *lowering, _ int) bool {
	if o.check(l) {
		o.ask(l)
		o.late(l).contract(l)
	}
	return true
}

func (o addCheck) unexpand(l *lowering)           { l.next.Table(o.Table).removeConstraint(o.Name) }
func (o addCheck) settle(l *lowering)             { o.late(l).settle(l) }
func (o addCheck) uncontract(l *lowering)         { l.next.Table(o.Table).removeConstraint(o.Name) }
func (o addCheck) takeAway(l *lowering, to Phase) { o.late(l).takeAway(l, to) }
