package migrations

import (
	"fmt"
	"slices"

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

func (l *lowering) checkDropTable(o *spec.DropTable, position int) {
	if t := l.live.Table(o.Table); t != nil {
		l.checkDependents(t, position, o, func(Dependent) bool { return true })
	}
}

// checkDependents says at plan time what the server would say at the last
// step (2BP01). The author's SQL before it may take care of them.
func (l *lowering) checkDependents(t *Table, position int, op spec.Operation, concerns func(Dependent) bool) {
	for _, before := range l.change.Contract.Operations[:position] {
		if _, ok := before.(*spec.SQL); ok {
			return
		}
	}
	for _, d := range t.Dependents {
		if concerns(d) {
			l.problem(op.Source(), "Something else needs it", fmt.Sprintf(
				"The %s depends on it, so Postgres would refuse the drop. Take it away in an sql block before this one.", d.Object))
		}
	}
}
