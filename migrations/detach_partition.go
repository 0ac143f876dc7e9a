package migrations

import (
	"fmt"

	"pleat/spec"
)

type detachPartition struct {
	plain
	*spec.DetachPartition
}

func (o detachPartition) form() any { return []any{o.Table, o.Partition} }

// contract has the check of the bound on the partition before it leaves, so that
// the way back reads no row under the locks of ATTACH. It goes at the end.
func (o detachPartition) contract(l *lowering, _ int) bool {
	j, ok := l.joining(o.Table, o.Partition, o.Range)
	if !ok || !o.check(l, j) {
		return true
	}
	of := o.Partition.Table
	check := l.live.Table(of).Constraint(boundCheck(of))
	for _, u := range j.proof(of, j.fits(), l.live.Table(of)) {
		u.Applied, u.Visible = !j.there || check != nil, true
		if u.Lock == ShareUpdateExclusive {
			u.Applied = !j.there || check != nil && check.Valid
		}
		u.Verb = "prepare"
		l.program.Hide = append(l.program.Hide, missingUnless(u, u.Title))
	}
	l.program.Hide = append(l.program.Hide, o.detach(l, j))
	name := boundCheck(of)
	drop := Unit{
		ID: "drop." + name + "." + of.String(), Title: "check of the bound of " + of.String(), Mode: InTransaction,
		Table: of, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{dropConstraintSQL(of, name)},
		Undo:       []string{addConstraintSQL(of, name, "CHECK "+parenthesized(j.fits())+" NOT VALID")}, UndoTitle: "add it again",
		Applied: !j.there && check == nil, Visible: true, Source: o.Range,
	}
	l.program.Drop = append(l.program.Drop, missingUnless(drop, drop.Title))
	return true
}

// detach runs alone where the server can, and then locks no reader or writer of
// the table out; an interrupted one is finished by whoever comes next.
func (o detachPartition) detach(l *lowering, j joining) Unit {
	of := o.Partition.Table
	u := Unit{
		ID: "detach." + of.String(), Title: of.String() + " from " + o.Table.String(), Mode: Alone, UndoMode: InTransaction,
		Table: of, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Also: j.locks(ShareUpdateExclusive, ShareRowExclusive), UndoAlso: j.locks(ShareUpdateExclusive, AccessExclusive),
		Statements: []string{fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s CONCURRENTLY", tableIdent(o.Table), tableIdent(of))},
		Undo:       j.attach()[:1], UndoTitle: "attach it again",
		Applied: !j.there, Visible: true, Verb: "detach", Source: o.Range,
	}
	if !l.live.atLeast(14) {
		u.Mode, u.Also = InTransaction, j.locks(AccessExclusive, ShareRowExclusive)
		u.Statements = []string{fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s", tableIdent(o.Table), tableIdent(of))}
	}
	return missingUnless(u, "partition "+of.String()+" of "+o.Table.String())
}

func (o detachPartition) check(l *lowering, j joining) bool {
	of := o.Partition.Table
	if l.table(of, o.Range) == nil {
		return false
	}
	if rest, ok := j.rest(); ok {
		l.problem(o.Range, "Rows would go to the default partition", fmt.Sprintf(
			"Once %s is detached, rows of its bound are written to %s, and it cannot be attached again; Postgres does not detach concurrently either. Use an sql block.", of, rest))
		return false
	}
	if j.fits() == "" && !j.parent.whole() {
		l.problem(o.Range, "Way back would read all rows", fmt.Sprintf(
			"No check can tell Postgres that the rows of %s fit. It can where the table is partitioned by one column and the bound is made of numbers and quoted texts.", of))
		return false
	}
	return true
}

func (o detachPartition) uncontract(l *lowering) {
	l.next.Table(o.Partition.Table).removeConstraint(boundCheck(o.Partition.Table))
	if t := l.next.Table(o.Table); t != nil {
		joining{table: o.Table, parent: t, partition: o.Partition}.join(l)
	}
}

// takeAway has the check stay for as long as there is a way back.
func (o detachPartition) takeAway(l *lowering, to Phase) {
	l.leave(o.Table, o.Partition.Table)
	t, name := l.next.Table(o.Partition.Table), boundCheck(o.Partition.Table)
	if t.removeConstraint(name); t != nil && to == Hidden {
		t.Constraints = append(t.Constraints, Constraint{Name: name, Kind: Check, Valid: true})
	}
}
