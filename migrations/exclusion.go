package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// addExclusion is the one constraint that no server adds in steps: it is
// neither NOT VALID nor made of an index that is there.
type addExclusion struct {
	plain
	*spec.AddExclusion
}

func (o addExclusion) rank() int { return rankConstraint }

func (o addExclusion) form() any {
	c := *o.AddExclusion
	c.Range, c.Allow = hcl.Range{}, nil
	return c
}

// definition is as pg_get_constraintdef() writes it.
func (o addExclusion) definition() string {
	sql := fmt.Sprintf("EXCLUDE USING %s (%s)", o.Method, strings.Join(o.Elements, ", "))
	if o.Where != "" {
		sql += " WHERE " + parenthesized(o.Where)
	}
	return sql + deferralSQL(o.Deferral)
}

func (o addExclusion) check(l *lowering) bool {
	t := l.table(o.Table, o.Range)
	if t == nil {
		return false
	}
	before := len(l.diags)
	for _, code := range UnknownHazards(o.Allow) {
		l.problem(o.Range, "Unknown hazard", fmt.Sprintf("There is no hazard %q to allow in SQL. `pleat explain` lists them.", code))
	}
	for _, e := range o.Elements {
		o.checkElement(l, e)
	}
	if err := checkExpression(o.Where); o.Where != "" && err != nil {
		l.problem(o.Range, "Invalid condition", fmt.Sprintf("%q cannot be used: %v.", o.Where, err))
	}
	if t.Partitioned != "" {
		l.problem(o.Range, "Exclusion constraint of a partitioned table", fmt.Sprintf(
			"Rows of different partitions of %s are not compared. Add the constraint to each partition.", o.Table))
	}
	return len(l.diags) == before
}

func (o addExclusion) checkElement(l *lowering, element string) {
	tokens := lex(element)
	compares := slices.ContainsFunc(tokens, func(t token) bool { return t.kind == wordToken && t.text == "with" })
	switch err := checkExpression(element); {
	case err != nil:
		l.problem(o.Range, "Invalid element", fmt.Sprintf("%q cannot be used: %v.", element, err))
	case !compares:
		l.problem(o.Range, "Invalid element", fmt.Sprintf("%q does not say how it is compared. Write it such as: during WITH &&", element))
	}
}

// ask leaves operators to the server that makes the constraint.
func (o addExclusion) ask(l *lowering, u Unit) {
	t := l.next.Table(o.Table)
	l.nameFree(u, spec.Table{Schema: o.Table.Schema, Name: o.Name})
	for i, element := range o.Elements {
		e := expression{
			unit: u.ID, at: o.At.Of(spec.Element("elements", i), o.Range), table: o.Table, of: t,
			what: "an element of " + o.Name, kind: "element", sql: element,
		}
		l.askElement(e)
		_, e.sql = leading(element)
		l.askClass(e, o.Method, strings.TrimPrefix(element, e.sql))
	}
	if o.Where != "" {
		l.askExpression(expression{
			unit: u.ID, at: o.At.Of("where", o.Range), table: o.Table, of: t, what: "the condition of " + o.Name, kind: "condition", sql: o.Where, test: true,
		})
	}
}

func (o addExclusion) id() string {
	return "constraint." + o.Table.String() + "." + o.Name + "." + mark(o.definition())[:8]
}

func (o addExclusion) unit(l *lowering) Unit {
	live := l.live.Table(o.Table).Constraint(o.Name)
	u := Unit{
		ID: o.id(), Title: constraintTitle(o.Table, o.Name), Mode: InTransaction,
		Table: o.Table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{addConstraintSQL(o.Table, o.Name, o.definition())},
		Undo:       []string{dropConstraintSQL(o.Table, o.Name)}, UndoTitle: "drop constraint",
		Applied: live != nil, Visible: true, Source: o.Range,
	}
	if live != nil && live.Definition != "" && !sameDefinition(live.Definition, o.definition()) {
		u.unlike, u.like = live.Definition, o.definition()
	}
	if live == nil && l.populated(o.Table) {
		o.warn(l, &u)
	}
	return missingUnless(u, u.Title)
}

// warn has the risk on the step unless it is allowed, and says how large the
// table is in either case: what the plan is identified by has no sizes in it.
func (o addExclusion) warn(l *lowering, u *Unit) {
	const code = "exclusion_constraint"
	t := l.live.Table(o.Table)
	l.warn(o.Range, "Nobody reads or writes the table while an index is built", fmt.Sprintf(
		"Postgres adds an exclusion constraint only under ACCESS EXCLUSIVE. Table %s has about %d rows in %d kB.", o.Table, t.Rows, t.Bytes/1024))
	if !slices.Contains(o.Allow, code) {
		u.Hazards = []Hazard{NewHazard(code, "nobody reads or writes %s until the index is built", o.Table)}
	}
}

func (o addExclusion) expand(l *lowering) bool {
	if o.check(l) {
		u := o.unit(l)
		l.program.Expand = append(l.program.Expand, u)
		o.ask(l, u)
		o.appear(l)
	}
	return true
}

// contract can take it back until the end.
func (o addExclusion) contract(l *lowering, _ int) bool {
	if o.check(l) {
		u := o.unit(l)
		u.Verb = "enforce"
		l.program.Hide = append(l.program.Hide, u)
		o.ask(l, u)
	}
	return true
}

func (o addExclusion) appear(l *lowering) {
	t := l.next.Table(o.Table)
	if t == nil || t.Constraint(o.Name) != nil {
		return
	}
	t.Constraints = append(t.Constraints, Constraint{Name: o.Name, Kind: Exclusion, Definition: o.definition(), Columns: usedColumns(o.definition()), Valid: true})
}

func (o addExclusion) unexpand(l *lowering) {
	l.next.Table(o.Table).removeConstraint(o.Name)
	l.next.Table(o.Table).removeIndex(o.Name)
}

func (o addExclusion) uncontract(l *lowering)         { o.unexpand(l) }
func (o addExclusion) takeAway(l *lowering, to Phase) { o.appear(l) }
