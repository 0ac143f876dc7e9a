package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

func (l *lowering) checkDropColumn(o *spec.DropColumn, position int) {
	if o.Hide < 0 {
		l.problem(o.Range, "Negative hide", "hide is how long the column stays hidden before it is dropped.")
	}
	t := l.next.Table(o.Table)
	if t == nil {
		l.table(o.Table, o.Range)
		return
	}
	if slices.Contains(t.PrimaryKey, o.Column) {
		l.problem(o.Range, "Column is in the primary key", fmt.Sprintf(
			"Column %s is part of the primary key of %s; dropping it would drop the key.", o.Column, o.Table))
	}
	switch c := t.Column(o.Column); {
	case l.typed(o.Range, o.Table, t):
	case c != nil && c.Inherited:
		l.inherited(o.Range, o.Table, o.Column)
	case t.PartitionOf != "":
		l.problem(o.Range, "Column of a partition", fmt.Sprintf(
			"%s is a partition of %s, which has the columns. Drop it there.", o.Table, t.PartitionOf))
	case mentions(t.Partitioned, o.Column) || mentions(t.Partitioned, HiddenName(o.Column)):
		l.problem(o.Range, "Column tells partitions apart", fmt.Sprintf(
			"%s is partitioned by %s, and Postgres drops no column of that.", o.Table, t.Partitioned))
	}
	for _, g := range t.Triggers {
		if g.isAuthors() && slices.Contains(g.Says, o.Column) && !slices.Contains(g.Names, o.Column) {
			l.warn(o.Range, "Trigger may read the column by its name", fmt.Sprintf(
				"What the trigger %s of %s runs has the word %s in it. If that is the column, writes fail once it is hidden: have the function do without it before.", g.Name, o.Table, o.Column))
		}
	}
	for _, i := range t.Indexes {
		if i.Identity && (slices.Contains(i.Key, o.Column) || slices.Contains(i.Key, HiddenName(o.Column))) {
			l.identifies(o.Range, o.Table, i)
		}
	}
	shown := slices.ContainsFunc(t.Dependents, func(d Dependent) bool {
		return d.served() && (d.Column == o.Column || d.Column == HiddenName(o.Column))
	})
	if shown {
		l.checkServed(o, o.Table)
	}
	l.checkDependents(t, position, o, func(d Dependent) bool {
		return !d.served() && (d.Column == o.Column || d.Column == HiddenName(o.Column))
	})
}

// typed refuses to change the columns of a table that has them from a type. What SQL
// does with the table that is to run before is not known.
func (l *lowering) typed(at hcl.Range, table spec.Table, t *Table) bool {
	if t.Typed == "" || l.live.spokenOf(table.Name) {
		return false
	}
	l.problem(at, "Columns of a type", fmt.Sprintf(
		"%[1]s has the columns of the type %[2]s (CREATE TABLE … OF), and Postgres changes them there only. In an sql block of a change before this one: ALTER TABLE %[1]s NOT OF.", tableIdent(table), t.Typed))
	return true
}

// inherited refuses what Postgres does with a column only where it comes from.
func (l *lowering) inherited(at hcl.Range, table spec.Table, column string) {
	l.problem(at, "Inherited column", fmt.Sprintf(
		"Column %s of %s comes from a table that this one inherits from: Postgres renames it and drops it there, for all tables at once, and not here.", column, table))
}

// inside is what of the table itself would stop the drop of a column, apart from its
// rules. gone are the columns that go before it.
func (t *Table) inside(column string, gone []string) []Dependent {
	var all []Dependent
	for _, other := range t.Columns {
		if other.Generated != "" && !slices.Contains(gone, other.Name) && mentions(other.Default, column) {
			all = append(all, Dependent{Column: column, Object: "generated column " + other.Name})
		}
	}
	for _, g := range t.naming(column) {
		all = append(all, Dependent{Column: column, Object: "trigger " + g.Name})
	}
	return all
}

// own tells a rule of the table itself, which goes with it.
func (d Dependent) own() bool { return strings.HasPrefix(d.Object, "rule ") }

func (l *lowering) checkDropTable(o *spec.DropTable, position int) {
	t := l.live.Table(o.Table)
	if t == nil {
		return
	}
	l.checkDependents(t, position, o, func(d Dependent) bool { return !d.own() })
	before := l.change.Contract.Operations[:position]
	if slices.ContainsFunc(before, func(op spec.Operation) bool { _, says := op.(*spec.SQL); return says }) {
		return
	}
	for _, child := range t.Children {
		if !dropsTable(before, spec.ParseTable(child)) {
			l.problem(o.Range, "Something else needs it", fmt.Sprintf(
				"Table %s inherits from %s, so Postgres would refuse the drop. Drop it before this one, or have it inherit no more (ALTER TABLE … NO INHERIT) in an sql block.", child, o.Table))
		}
	}
}

func dropsTable(operations []spec.Operation, t spec.Table) bool {
	return slices.ContainsFunc(operations, func(op spec.Operation) bool {
		drop, ok := op.(*spec.DropTable)
		return ok && drop.Table == t
	})
}

// goesBefore tells whether what depends is part of a table that is dropped earlier.
func (d Dependent) goesBefore(operations []spec.Operation) bool {
	return slices.ContainsFunc(operations, func(op spec.Operation) bool {
		drop, ok := op.(*spec.DropTable)
		return ok && strings.HasSuffix(d.Object, " table "+drop.Table.Schema+"."+drop.Table.Name)
	})
}

// checkDependents says at plan time what the server would say at the last
// step (2BP01). The author's SQL before it may take care of them.
func (l *lowering) checkDependents(t *Table, position int, op spec.Operation, concerns func(Dependent) bool) {
	for _, before := range l.change.Contract.Operations[:position] {
		if _, ok := before.(*spec.SQL); ok {
			return
		}
	}
	all := t.Dependents
	if o, ok := op.(*spec.DropColumn); ok {
		var gone []string
		for _, d := range l.droppedColumns(o.Table) {
			if d == o {
				break
			}
			gone = append(gone, d.Column, HiddenName(d.Column))
		}
		all = slices.Concat(all, t.inside(o.Column, gone), t.inside(HiddenName(o.Column), gone))
	}
	for _, d := range all {
		if concerns(d) && !d.goesBefore(l.change.Contract.Operations[:position]) {
			l.problem(op.Source(), "Something else needs it", fmt.Sprintf(
				"The %s depends on it, so Postgres would refuse the drop. Take it away in an sql block before this one.", d.Object))
		}
	}
}
