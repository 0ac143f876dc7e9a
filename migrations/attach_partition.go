package migrations

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

type attachPartition struct {
	plain
	*spec.AttachPartition
}

// rank is the last: indexes and constraints that the partition needs may come
// from the same change.
func (o attachPartition) rank() int { return rankPartition }

func (o attachPartition) form() any { return []any{o.Table, o.Partition} }

func (o attachPartition) expand(l *lowering) bool {
	j, ok := l.joining(o.Table, o.Partition, o.Range)
	if !ok || !o.check(l, j) || !j.proveRest(l) {
		return true
	}
	of := o.Partition.Table
	l.program.Expand = append(l.program.Expand, j.proof(of, j.fits(), l.live.Table(of))...)
	// The keys of the partition become parts of those of the table, and what they
	// had on the other side goes (ACCESS EXCLUSIVE).
	u := Unit{
		ID: "attach." + of.String(), Title: of.String() + " to " + o.Table.String(), Mode: InTransaction,
		Table: of, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Also: j.locks(ShareUpdateExclusive, AccessExclusive), UndoAlso: j.locks(AccessExclusive, ShareRowExclusive),
		Statements: j.attach(of),
		Undo:       []string{fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s", tableIdent(o.Table), tableIdent(of))}, UndoTitle: "detach",
		Applied: j.there, Visible: true, Source: o.Range,
	}
	l.program.Expand = append(l.program.Expand, missingUnless(u, "partition "+of.String()+" of "+o.Table.String()))
	j.join(l)
	return true
}

func (o attachPartition) unexpand(l *lowering) { l.leave(o.Table, o.Partition.Table) }

// check refuses what Postgres would, and what it would make up for by reading
// all rows under the locks of ATTACH.
func (o attachPartition) check(l *lowering, j joining) bool {
	t := l.table(o.Partition.Table, o.Range)
	switch {
	case t == nil:
		return false
	case j.there || t.whole() || j.parent.whole():
		return true
	case t.PartitionOf != "":
		l.problem(o.Range, "Partition of another table", fmt.Sprintf("Table %s is a partition of %s.", o.Partition.Table, t.PartitionOf))
		return false
	case t.Partitioned != "" || len(t.Children) > 0:
		l.problem(o.Range, "Partition has partitions itself", fmt.Sprintf("Table %s has its rows in other tables. Attach it in an sql block.", o.Partition.Table))
		return false
	case j.fits() == "":
		l.problem(o.Range, "Rows would be read under a lock", fmt.Sprintf(
			"No check can tell Postgres that the rows of %s fit. It can where %s.%s", o.Partition.Table, provable, j.collated()))
		return false
	}
	if lacks := lacking(t, j.parent); len(lacks) > 0 {
		l.problem(o.Range, "Partition is not like its table", fmt.Sprintf(
			"Before %s can be attached to %s it needs: %s.", o.Partition.Table, o.Table, strings.Join(lacks, "; ")))
		return false
	}
	return true
}

// lacking is what a table needs to become a partition of another one.
func lacking(t, parent *Table) []string {
	var lacks []string
	for _, c := range parent.Columns {
		own := t.Column(c.Name)
		switch {
		case own == nil || own.Type != c.Type:
			lacks = append(lacks, "a column "+c.Name+" of type "+c.Type)
		case c.NotNull && !own.NotNull:
			lacks = append(lacks, "NOT NULL of "+c.Name)
		}
	}
	for _, c := range t.Columns {
		if parent.Column(c.Name) == nil {
			lacks = append(lacks, "no column "+c.Name)
		}
	}
	for _, c := range parent.Constraints {
		if (c.Kind == Check || c.Kind == Foreign) && !slices.ContainsFunc(t.Constraints, func(own Constraint) bool {
			return own.Kind == c.Kind && own.Valid && (c.Kind == Foreign || own.Name == c.Name) && sameDefinition(own.Definition, c.Definition)
		}) {
			lacks = append(lacks, "a constraint "+c.Name+" "+c.Definition)
		}
	}
	for _, i := range parent.Indexes {
		if !slices.ContainsFunc(t.Indexes, i.serves) {
			lacks = append(lacks, "an index like "+i.Name)
		}
	}
	return lacks
}

// serves tells whether an index of a partition can be the part of this one.
func (i Index) serves(own Index) bool {
	_, want, _ := strings.Cut(i.Definition, " USING ")
	_, have, _ := strings.Cut(own.Definition, " USING ")
	return own.Valid && own.Unique == i.Unique && (own.Constraint != "") == (i.Constraint != "") && sameDefinition(have, want)
}
