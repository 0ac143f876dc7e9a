package migrations

import (
	"fmt"

	"pleat/spec"
)

// partitioned builds the index of a partitioned table, which Postgres cannot
// do concurrently: the parent's alone and at once, each partition's
// concurrently, and then they are put together. A partition that is made
// meanwhile gets its own with the parent's. Whatever of it was done already is
// done once.
func (o createIndex) partitioned(l *lowering, t *Table, part string) []Unit {
	index := spec.Table{Schema: o.Table.Schema, Name: o.Name}
	live := l.live.Table(o.Table).index(o.Name)
	whole := live != nil && live.Valid || l.next.Former[index.String()]
	parent := Unit{
		ID: "index." + index.String() + ".parent", Title: "index " + index.String() + " on only " + o.Table.String(), Mode: InTransaction,
		Table: o.Table, Lock: ShareRowExclusive, UndoLock: AccessExclusive,
		Statements: []string{indexSQL(o.CreateIndex, Ident(o.Name)+" ON ONLY "+tableIdent(o.Table))},
		Undo:       []string{"DROP INDEX IF EXISTS " + tableIdent(index)},
		UndoTitle:  "drop index",
		Also:       t.family(o.Table, ShareRowExclusive), UndoAlso: t.family(o.Table, AccessExclusive),
		Applied: live != nil || whole, Visible: true, Source: o.Range,
	}
	attach := Unit{
		ID: "index." + index.String(), Title: "index " + index.String() + " on " + o.Table.String(), Mode: InTransaction,
		Table: o.Table, Lock: ShareUpdateExclusive, UndoLock: AccessExclusive,
		Undo: parent.Undo, UndoTitle: "drop index",
		Also: t.family(o.Table, ShareUpdateExclusive), UndoAlso: parent.UndoAlso,
		Applied: whole, Visible: true, Source: o.Range,
	}
	units := []Unit{missingUnless(parent, "index "+index.String())}
	for _, p := range t.Partitions {
		on := spec.ParseTable(p.Table)
		own := *o.CreateIndex
		own.Table, own.Name = on, shorten(on.Name+"_"+part)
		u := buildUnit(l, &own)
		if whole {
			u.Applied, u.missing = true, nil
		}
		units = append(units, u)
		attach.Statements = append(attach.Statements, fmt.Sprintf("ALTER INDEX %s ATTACH PARTITION %s", tableIdent(index), tableIdent(u.Index)))
	}
	return append(units, missingUnless(attach, "index "+index.String()))
}

// partitionedRemoval drops the index with its parts, which Postgres does not do
// concurrently, and with nothing left there is no short way back: a run that
// fails leaves the table without it.
func partitionedRemoval(u Unit, on *Table) Unit {
	u.Mode, u.Lock, u.UndoLock = InTransaction, AccessExclusive, ""
	u.Statements = []string{"DROP INDEX IF EXISTS " + tableIdent(u.Index)}
	u.Also = on.family(u.Table, AccessExclusive)
	u.Does = []string{"no way back in this run: create_index builds it again, without keeping anybody waiting"}
	return u
}
