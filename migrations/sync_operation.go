package migrations

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

type syncOperation struct {
	plain
	*spec.Sync
}

func (o syncOperation) rank() int { return rankSync }

func (o syncOperation) form() any { return []any{o.Table, o.Forward, o.Backward} }

func (o syncOperation) unexpand(l *lowering) {
	t, name := l.next.Table(o.Table), TriggerName(l.change.Name)
	if g := t.trigger(name); g != nil {
		t.Aside = append(slices.Clone(t.Aside), *g)
	}
	t.removeTrigger(name)
}

func (o syncOperation) expand(l *lowering) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || !l.checkSync(o.Sync, t) {
		return true
	}
	s := l.shapes(o.Sync)
	first := len(syncUnits(l.program.Expand)) == 0
	u := Unit{
		ID:        "sync." + o.Table.String(),
		Title:     syncTitle(o.Sync),
		Mode:      InTransaction,
		Table:     o.Table,
		Lock:      ShareRowExclusive,
		UndoLock:  AccessExclusive,
		Undo:      s.remove(),
		UndoTitle: "drop trigger",
		Applied:   l.installed(s),
		Visible:   true,
		Source:    o.Range,
	}
	u.Statements = slices.Concat(s.check(), createSequence(l.change.Name), s.install())
	if !u.Applied {
		u.missing = []string{"trigger " + TriggerName(l.change.Name) + " on " + o.Table.String()}
		u.waits = cmp.Or(l.inTurn(o.Table), l.chained(o.Sync), l.keyFirst(o.Table))
	}
	if first {
		// Undone last of all syncs: no trigger counts with it any more.
		u.Undo = append(u.Undo, dropSequence(l.change.Name))
	}
	if former := l.live.Table(o.Table).trigger(TriggerName(l.change.Name)); former != nil && !u.Applied {
		u.replaces(o.Table, former, s.anew)
	}
	l.program.Expand = append(l.program.Expand, u)
	l.askAssigned(expression{unit: u.ID, at: o.Range, table: o.Table, of: t}, o.At, "forward", o.Forward)
	l.askAssigned(expression{unit: u.ID, at: o.Range, table: o.Table, of: t}, o.At, "backward", o.Backward)
	if t.trigger(TriggerName(l.change.Name)) == nil {
		t.Triggers = append(t.Triggers, s.trigger())
	}
	return true
}

// inTurn says which other change replaces a column that this one replaces too, and
// has not come to its end. Their columns beside it have one name, and so have the
// hidden ones.
func (l *lowering) inTurn(t spec.Table) Wait {
	for _, r := range l.replaced(t) {
		for _, g := range l.live.Table(t).syncsBut(l.change.Name) {
			if g.handles(carriedName(r.Column)) || g.handles(HiddenName(r.Column)) {
				return l.live.keeping(g, t)
			}
		}
	}
	return Wait{}
}

// chained says which other change's trigger sets a column that this sync is about.
// What the second of two triggers sets the first does not see, and a write in the
// shape of either has to reach the other: no order of the two does that.
func (l *lowering) chained(o *spec.Sync) Wait {
	for _, g := range l.live.Table(o.Table).syncsBut(l.change.Name) {
		for _, columns := range []map[string]string{o.Forward, o.Backward} {
			for c := range columns {
				if strings.Contains(g.Function, "new."+Ident(c)) {
					return l.live.keeping(g, o.Table)
				}
			}
		}
	}
	return Wait{}
}

// anothers tells whether the column that is to take over a name is there for
// another change that does the same.
func (l *lowering) anothers(t spec.Table, column string) bool {
	r := l.replacedBy(t, column)
	return r != nil && column == carriedName(r.Column) && l.live.Table(t).trigger(TriggerName(l.change.Name)) == nil && l.inTurn(t) != (Wait{})
}

// replaces makes the undo put back the trigger that is there: releases live
// with what it does. Where the catalog does not tell how it was made, there is
// no way back to it.
func (u *Unit) replaces(table spec.Table, former *Trigger, anew bool) {
	if anew {
		u.Lock = AccessExclusive
	}
	u.all = &reverse{statements: u.Undo, loses: u.Loses}
	u.Undo, u.UndoTitle = former.restore(table, anew), "put the former trigger back"
}

func (t *Trigger) restore(table spec.Table, anew bool) []string {
	definition, ok := strings.CutPrefix(t.Definition, "CREATE TRIGGER ")
	if !ok || t.Function == "" {
		return nil
	}
	comment := fmt.Sprintf("COMMENT ON TRIGGER %s ON %s IS %s", Ident(t.Name), tableIdent(table), commentLiteral(t.Comment))
	return slices.Concat([]string{t.Function}, putTrigger(table, t.Name, definition, anew), []string{comment})
}

func syncUnits(units []Unit) []Unit {
	return slices.DeleteFunc(slices.Clone(units), func(u Unit) bool { return !strings.HasPrefix(u.ID, "sync.") })
}

func syncTitle(o *spec.Sync) string {
	return fmt.Sprintf("%s: %s <-> %s", o.Table,
		strings.Join(slices.Sorted(maps.Keys(o.Backward)), ", "),
		strings.Join(slices.Sorted(maps.Keys(o.Forward)), ", "))
}

// shapes is the sync before anything is hidden.
func (l *lowering) shapes(o *spec.Sync) shapes {
	s := shapes{
		change: l.change.Name, sync: o, anyWrite: l.next.Table(o.Table).hasOtherBefore(),
		always: map[string]bool{}, anew: !l.live.atLeast(14),
	}
	if t := l.next.Table(o.Table); t != nil {
		s.moves = t.Partitioned != ""
		for _, c := range t.Columns {
			s.always[c.Name] = c.Identity == "ALWAYS"
		}
		s.images = l.imagesOf(o, t)
	}
	return s
}

// hiding is the sync once the contract's columns are hidden.
func (l *lowering) hiding(o *spec.Sync) shapes {
	s := l.shapes(o)
	s.hidden = map[string]string{}
	for _, d := range l.droppedColumns(o.Table) {
		if _, synced := o.Backward[d.Column]; synced {
			s.hidden[d.Column] = HiddenName(d.Column)
		}
	}
	if replaced := l.replaced(o.Table); len(replaced) > 0 {
		s.swapped = map[string]string{}
		for _, r := range replaced {
			s.hidden[r.Column] = HiddenName(r.Column)
			if !r.Keep {
				s.swapped[r.By] = r.Column
			}
		}
		s.columns = l.swappedColumns(o.Table, replaced)
	}
	return s
}

// installed tells whether the trigger that is there does what the spec says,
// in either of its phases.
func (l *lowering) installed(s shapes) bool {
	trigger := l.live.Table(s.sync.Table).trigger(TriggerName(s.change))
	if trigger == nil {
		return false
	}
	return trigger.Comment == s.marker() || trigger.Comment == l.hiding(s.sync).marker()
}

// trigger is the one that install leaves in the catalog.
func (s shapes) trigger() Trigger {
	return Trigger{Name: TriggerName(s.change), Definition: "CREATE TRIGGER " + s.triggerDefinition(), Function: s.createFunction(), BeforeRow: true, Comment: s.marker()}
}

func (l *lowering) checkSync(o *spec.Sync, t *Table) bool {
	before := len(l.diags)
	if len(o.Forward) == 0 || len(o.Backward) == 0 {
		l.problem(o.Range, "Sync needs both directions",
			"forward computes the new columns from the old ones, backward the old ones from the new.")
	}
	if v, ok := l.served(o.Table); ok {
		l.problem(o.Range, "Table is in the middle of another change", fmt.Sprintf(
			"Columns of %s get other names once the change of the %s is contracted, and the trigger would look for the former ones. Sync once that change is contracted.", o.Table, viewObject(v.by.View())))
	}
	l.checkExpressions(o.Forward, o.Range)
	l.checkExpressions(o.Backward, o.Range)
	for _, c := range slices.Sorted(maps.Keys(o.Forward)) {
		l.checkForward(o, t, c)
	}
	for _, c := range slices.Sorted(maps.Keys(o.Backward)) {
		l.checkBackward(o, t, c)
	}
	l.warnLateTriggers(o, t)
	return !l.diags[before:].HasErrors()
}

func (l *lowering) checkExpressions(expressions map[string]string, at hcl.Range) {
	for _, c := range slices.Sorted(maps.Keys(expressions)) {
		if err := checkExpression(expressions[c]); err != nil {
			l.problem(at, "Invalid expression", fmt.Sprintf("The expression for %s cannot be used: %v.", c, err))
		}
	}
}

// checkForward refuses defaults: with one, an INSERT of the old release looks
// like one of the new.
func (l *lowering) checkForward(o *spec.Sync, t *Table, column string) {
	if _, both := o.Backward[column]; both {
		l.problem(o.Range, "Column in both directions",
			fmt.Sprintf("Column %s of %s cannot be of the old shape and of the new one.", column, o.Table))
		return
	}
	if r := l.replacedBy(o.Table, column); r != nil && swapState(t, r) != original {
		return // it has what the other had by now
	}
	c := t.Column(column)
	if c == nil {
		l.unknownColumn(o.Range, o.Table, t, column)
		return
	}
	if c.Default != "" {
		l.problem(o.Range, "Synced column has a default", fmt.Sprintf(
			"With a default on %s.%s, an INSERT of the old release looks like one of the new. Take the default away; "+
				"the sync fills the column.", o.Table, column))
	}
}

func (l *lowering) checkBackward(o *spec.Sync, t *Table, column string) {
	if t.state(column) == original {
		return
	}
	for _, d := range l.droppedColumns(o.Table) {
		if d.Column == column {
			return // hidden or gone by this change itself
		}
	}
	for _, r := range l.replaced(o.Table) {
		if r.Column == column {
			return // hidden or gone, or checked as what is replaced
		}
	}
	l.unknownColumn(o.Range, o.Table, t, column)
}

func (l *lowering) unknownColumn(at hcl.Range, name spec.Table, t *Table, column string) {
	l.problem(at, "Unknown column", noSuchColumn(name, t, column))
}

func (l *lowering) warnLateTriggers(o *spec.Sync, t *Table) {
	for _, other := range t.Triggers {
		if other.isOtherBefore() && other.Name > TriggerName(l.change.Name) {
			l.warn(o.Range, "Trigger fires after the sync", fmt.Sprintf(
				"Trigger %s of %s comes after %s in Postgres's order by name: what it changes is not synced.",
				other.Name, o.Table, TriggerName(l.change.Name)))
		}
	}
}
