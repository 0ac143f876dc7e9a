package migrations

import (
	"fmt"
	"slices"

	"pleat/spec"
)

type createPartition struct {
	plain
	*spec.CreatePartition
}

func (o createPartition) rank() int { return rankPartition }

func (o createPartition) form() any { return []any{o.Table, o.Partition} }

// expand makes a table and attaches it: CREATE TABLE … PARTITION OF would keep
// readers of the partitioned table waiting (ACCESS EXCLUSIVE).
func (o createPartition) expand(l *lowering) bool {
	j, ok := l.joining(o.Table, o.Partition, o.Range)
	if !ok || !o.check(l, j) || !j.proveRest(l) {
		return true
	}
	of := o.Partition.Table
	u := Unit{
		ID: "partition." + of.String(), Title: "partition " + of.String() + " of " + o.Table.String(), Mode: InTransaction,
		Table: of, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Also: j.locks(ShareUpdateExclusive, ShareRowExclusive), UndoAlso: j.locks(AccessExclusive, AccessExclusive),
		Statements: append([]string{o.statement()}, j.attach()...),
		Undo:       []string{"DROP TABLE IF EXISTS " + tableIdent(of)}, UndoTitle: "drop partition",
		Loses: "every row of " + of.String(), Applied: j.there, Visible: true, Source: o.Range,
	}
	l.program.Expand = append(l.program.Expand, missingUnless(u, u.Title))
	if l.next.Table(of) == nil {
		l.next.Tables[of.String()] = j.parent.like()
	}
	j.join(l)
	return true
}

func (o createPartition) check(l *lowering, j joining) bool {
	if j.there || l.live.Table(o.Partition.Table) == nil {
		return true
	}
	l.problem(o.Range, "Name is taken", fmt.Sprintf(
		"Table %s exists and is no partition of %s. attach_partition makes it one.", o.Partition.Table, o.Table))
	return false
}

// statement leaves indexes, keys and triggers to ATTACH, which makes those of
// the partitioned table.
func (o createPartition) statement() string {
	return fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE)",
		tableIdent(o.Partition.Table), tableIdent(o.Table))
}

// like is a new table of the same columns.
func (t *Table) like() *Table {
	return &Table{Columns: slices.Clone(t.Columns), PrimaryKey: slices.Clone(t.PrimaryKey)}
}

func (o createPartition) unexpand(l *lowering) {
	l.leave(o.Table, o.Partition.Table)
	delete(l.next.Tables, o.Partition.Table.String())
}
