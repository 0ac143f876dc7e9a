package migrations

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

func (l *lowering) contract() {
	if l.change.Contract == nil {
		return
	}
	for place, op := range kindsOf(l.change.Contract.Operations) {
		l.lowered(op, func() {
			if !op.contract(l, place) {
				l.problem(op.Source(), "Operation belongs in expand", "The contract block only takes things away.")
			}
		})
	}
	l.endSyncs()
	l.program.Drop = append(l.program.Drop, l.types...)
}

type dropColumn struct {
	plain
	*spec.DropColumn
}

func (o dropColumn) form() any { return []any{o.Table, o.Column} }

// contract takes the columns of one table together, at the first of them.
func (o dropColumn) contract(l *lowering, place int) bool {
	l.checkDropColumn(o.DropColumn, place)
	if l.droppedColumns(o.Table)[0] == o.DropColumn {
		l.dropColumns(o.DropColumn)
	}
	return true
}

func (o dropColumn) uncontract(l *lowering) { l.next.Table(o.Table).unhide(o.Column, o.DropColumn) }

func (o dropColumn) takeAway(l *lowering, to Phase) {
	t := l.next.Table(o.Table)
	if t == nil {
		return
	}
	if to == Contracted {
		t.remove(o.Column)
		return
	}
	if c := t.Column(o.Column); c != nil {
		c.Name = HiddenName(o.Column)
	}
}

type dropTable struct {
	plain
	*spec.DropTable
}

func (o dropTable) form() any { return o.Table }

func (o dropTable) uncontract(l *lowering) { l.next.unhide(o.Table) }

func (o dropTable) takeAway(l *lowering, to Phase) {
	t := l.next.Table(o.Table)
	delete(l.next.Tables, o.Table.String())
	if to == Hidden && t != nil {
		l.next.Tables[hiddenTable(o.Table).String()] = t
	}
}

// droppedColumns are the contract's, of one table, in the author's order.
func (l *lowering) droppedColumns(t spec.Table) []*spec.DropColumn {
	if l.change.Contract == nil {
		return nil
	}
	var all []*spec.DropColumn
	for _, op := range l.change.Contract.Operations {
		if d, ok := op.(*spec.DropColumn); ok && d.Table == t {
			all = append(all, d)
		}
	}
	return all
}

// dropColumns takes all columns of one table together: one transaction hides
// them and has the sync follow, one drops them and ends the sync.
func (l *lowering) dropColumns(first *spec.DropColumn) {
	t := first.Table
	hide := Unit{
		ID: "hide." + t.String(), Mode: InTransaction, Table: t,
		Lock: AccessExclusive, UndoLock: AccessExclusive,
		UndoTitle: "un-hide", Applied: true, Visible: true, Source: first.Range,
	}
	drop := Unit{
		ID: "drop." + t.String(), Mode: InTransaction, Table: t,
		Lock: AccessExclusive, Applied: true, Visible: true, Source: first.Range,
	}
	sync := l.syncOf(t)
	for _, d := range l.droppedColumns(t) {
		l.hideColumn(&hide, d, sync)
		if hide.other == nil {
			hide.other = l.misspeltColumn(d)
		}
		l.dropColumn(&drop, d)
	}
	drop.Loses = "what is in " + drop.Title
	if sync != nil && l.next.Table(t) != nil {
		hide.Statements = append(hide.Statements, l.hiding(sync).install()...)
		hide.Undo = append(hide.Undo, l.shapes(sync).install()...)
		l.endSync(&drop, sync)
	}
	var columns []string
	for _, d := range l.droppedColumns(t) {
		columns = append(columns, d.Column)
	}
	l.hideServed(&hide, t, columns)
	l.program.Hide = append(l.program.Hide, hide)
	l.program.Drop = append(l.program.Drop, drop)
}

func (l *lowering) hideColumn(u *Unit, d *spec.DropColumn, sync *spec.Sync) {
	t, at := l.next.Table(d.Table), tableIdent(d.Table)
	name, away := Ident(d.Column), Ident(HiddenName(d.Column))
	u.Title = joined(u.Title, d.Table.String()+"."+d.Column)
	u.Undo = append(u.Undo, fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", at, away, name))
	column := t.Column(d.Column)
	if column != nil {
		u.Applied = false
		u.missing = append(u.missing, "column "+d.Table.String()+"."+d.Column)
		u.Statements = append(u.Statements, fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", at, name, away))
	}
	if column == nil {
		column = t.Column(HiddenName(d.Column))
	}
	if column == nil || synced(sync, d.Column) {
		// The trigger goes on filling it, so NOT NULL may stay: the way back
		// then needs no scan under a strong lock.
		return
	}
	l.relax(u, d, *column)
}

func synced(s *spec.Sync, column string) bool {
	if s == nil {
		return false
	}
	_, ok := s.Backward[column]
	return ok
}

// relaxed begins the comment of a hidden column that was NOT NULL; what the
// author had there follows.
const relaxed = "pleat:not_null:"

// relax lets the new releases insert rows without the hidden column.
func (l *lowering) relax(u *Unit, d *spec.DropColumn, c Column) {
	comment, was := strings.CutPrefix(c.Comment, relaxed)
	checked := l.next.Table(d.Table).Constraint(notNullCheck(d.Column)) != nil
	if fillsItself := c.Default != "" || c.Identity != ""; !was && (fillsItself || !c.NotNull && !checked) {
		return
	}
	at, away := tableIdent(d.Table), Ident(HiddenName(d.Column))
	if !was {
		u.Statements = append(u.Statements,
			fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", at, away),
			fmt.Sprintf("COMMENT ON COLUMN %s.%s IS %s", at, away, Literal(relaxed+comment)))
	}
	if checked {
		u.Statements = append(u.Statements, fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", at, Ident(notNullCheck(d.Column))))
	}
	u.Undo = append(u.Undo,
		fmt.Sprintf("COMMENT ON COLUMN %s.%s IS %s", at, Ident(d.Column), commentLiteral(comment)),
		restoreNotNull(d.Table, d.Column))
}

func commentLiteral(comment string) string {
	if comment == "" {
		return "NULL"
	}
	return Literal(comment)
}

// readAtOnce is how many bytes of a table are read under a strong lock: they
// take some hundredths of a second.
const readAtOnce = 16 << 20

// restoreNotNull must not fail the way back, nor read a large table under its
// lock: where that would be so, or rows without a value were written meanwhile,
// a constraint holds for those to come.
func restoreNotNull(t spec.Table, column string) string {
	body := fmt.Sprintf(`
begin
  if (select coalesce(sum(pg_catalog.pg_relation_size(p.relid)), pg_catalog.pg_relation_size(%[4]s)) from pg_catalog.pg_partition_tree(%[4]s) p) <= %[5]d then
    begin
      alter table %[1]s alter column %[2]s set not null;
      return;
    exception when not_null_violation then
    end;
  end if;
  alter table %[1]s add constraint %[3]s check (%[2]s is not null) not valid;
end
`, tableIdent(t), Ident(column), Ident(notNullCheck(column)), Literal(tableIdent(t)), readAtOnce)
	return do(body)
}

func (l *lowering) dropColumn(u *Unit, d *spec.DropColumn) {
	u.Title = joined(u.Title, d.Table.String()+"."+d.Column)
	u.HideFor = max(u.HideFor, d.Hide)
	u.Drops = append(u.Drops, d.Table.String()+"."+d.Column)
	u.Statements = extended(u.Statements, d.Table, "DROP COLUMN IF EXISTS "+Ident(HiddenName(d.Column)))
	if l.next.Table(d.Table).state(d.Column) != gone {
		u.Applied = false
		u.missing = append(u.missing, "column "+d.Table.String()+"."+d.Column)
	}
}

// endSync puts the end of the sync before the columns go that it writes.
func (l *lowering) endSync(u *Unit, sync *spec.Sync) {
	u.Statements = append(l.shapes(sync).remove(), u.Statements...)
	if l.live.Table(sync.Table).trigger(TriggerName(l.change.Name)) != nil {
		u.Applied = false
	}
}

// endSyncs removes the triggers on tables of which nothing is dropped, and at
// the end what all of them counted with.
func (l *lowering) endSyncs() {
	last := -1
	for _, op := range l.change.Expand {
		s, ok := op.(*spec.Sync)
		if !ok || l.next.Table(s.Table) == nil {
			continue
		}
		if !l.drops(s.Table) {
			l.program.Drop = append(l.program.Drop, l.endSyncAlone(s))
		}
		last = max(last, slices.IndexFunc(l.program.Drop, func(u Unit) bool { return u.ID == "drop."+s.Table.String() }))
	}
	if last >= 0 {
		u := &l.program.Drop[last]
		u.Statements = append(u.Statements, dropSequence(l.change.Name))
	}
}

// endSyncAlone can be taken back. A missing trigger looks the same before
// expand and after contract, so only the record can tell.
func (l *lowering) endSyncAlone(o *spec.Sync) Unit {
	s := l.shapes(o)
	return Unit{
		ID:         "drop." + o.Table.String(),
		Title:      "sync " + syncTitle(o),
		Mode:       InTransaction,
		Table:      o.Table,
		Lock:       AccessExclusive,
		UndoLock:   ShareRowExclusive,
		Statements: s.remove(),
		Undo:       slices.Concat(createSequence(l.change.Name), s.install()),
		UndoTitle:  "install the trigger again",
		Loses:      "the agreement of what is written without it",
		Source:     o.Range,
	}
}

// drops tells whether the contract takes a table or columns of it away: the
// sync on it ends with them.
func (l *lowering) drops(t spec.Table) bool {
	return len(l.droppedColumns(t)) > 0 || len(l.replaced(t)) > 0 || slices.ContainsFunc(l.change.Contract.Operations, func(op spec.Operation) bool {
		o, ok := op.(*spec.DropTable)
		return ok && o.Table == t
	})
}

func (o dropTable) contract(l *lowering, place int) bool {
	l.checkDropTable(o.DropTable, place)
	state := l.next.state(o.Table)
	away := hiddenTable(o.Table)
	hide := Unit{
		ID: "hide." + o.Table.String(), Title: "table " + o.Table.String(), Mode: InTransaction, Table: o.Table,
		Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{renameTable(o.Table, away)},
		Undo:       []string{renameTable(away, o.Table)},
		UndoTitle:  "un-hide", Applied: state != original, Visible: true, Source: o.Range,
	}
	drop := Unit{
		ID: "drop." + o.Table.String(), Title: "table " + o.Table.String(), Mode: InTransaction, Table: away,
		Lock:       AccessExclusive,
		Statements: []string{"DROP TABLE IF EXISTS " + tableIdent(away)},
		Loses:      "every row of " + o.Table.String(), Drops: []string{o.Table.String()},
		Applied: state == gone, Visible: true, HideFor: o.Hide, Source: o.Range,
	}
	if sync := l.syncOf(o.Table); sync != nil {
		drop.Statements = append(drop.Statements, fmt.Sprintf("DROP FUNCTION IF EXISTS %s()", l.shapes(sync).function()))
	}
	if !hide.Applied {
		hide.missing = []string{hide.Title}
	}
	if !drop.Applied {
		drop.missing = []string{drop.Title}
	} else {
		l.askDropped(drop, o.Table, "table")
	}
	l.program.Hide = append(l.program.Hide, hide)
	l.program.Drop = append(l.program.Drop, drop)
	return true
}

func renameTable(from, to spec.Table) string {
	return fmt.Sprintf("ALTER TABLE %s RENAME TO %s", tableIdent(from), Ident(to.Name))
}
