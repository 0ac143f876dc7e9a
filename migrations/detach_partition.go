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
// the way back reads no row under the locks of ATTACH; and one on the default
// partition, so that it gets no rows that would be in the way. They go at the end.
func (o detachPartition) contract(l *lowering, _ int) bool {
	j, ok := l.joining(o.Table, o.Partition, o.Range)
	if !ok || !o.check(l, j) {
		return true
	}
	proofs := map[spec.Table]string{o.Partition.Table: j.fits()}
	proved := []spec.Table{o.Partition.Table}
	if rest, ok := j.rest(); ok {
		proofs[rest] = "NOT " + parenthesized(j.fits())
		proved = append(proved, rest)
	}
	for _, t := range proved {
		l.program.Hide = append(l.program.Hide, o.prepare(l, j, t, proofs[t])...)
	}
	l.program.Hide = append(l.program.Hide, o.detach(l, j))
	for _, t := range proved {
		l.program.Drop = append(l.program.Drop, o.conclude(l, j, t, proofs[t]))
	}
	return true
}

// prepare proves a table before the partition leaves.
func (o detachPartition) prepare(l *lowering, j joining, t spec.Table, condition string) []Unit {
	live := l.live.Table(t)
	check := live.Constraint(boundCheck(o.Partition.Table))
	units := j.proof(t, condition, live)
	for i, u := range units {
		u.Verb, u.missing = "prepare", nil
		if u.Visible {
			valid := u.Lock != ShareUpdateExclusive || check != nil && check.Valid
			u.Applied = !j.there || check != nil && valid
			u = missingUnless(u, u.Title)
		}
		units[i] = u
	}
	return units
}

// conclude ends the proof of a table.
func (o detachPartition) conclude(l *lowering, j joining, t spec.Table, condition string) Unit {
	live, name := l.live.Table(t), boundCheck(o.Partition.Table)
	u := Unit{
		ID: "drop." + name + "." + t.String(), Title: "check of the bound of " + o.Partition.Table.String(), Mode: InTransaction,
		Table: t, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{dropConstraintSQL(t, name)},
		Undo:       []string{addConstraintSQL(t, name, "CHECK "+parenthesized(condition)+" NOT VALID")}, UndoTitle: "add it again",
		Applied: live != nil && !j.there && live.Constraint(name) == nil, Visible: live != nil, Source: o.Range,
	}
	if t != o.Partition.Table {
		u.Title += " on " + t.String()
	}
	if u.Visible {
		u = missingUnless(u, u.Title)
	}
	return u
}

// detach runs alone where the server can, which is not beside a default
// partition, and then locks no reader or writer of the table out; an interrupted
// one is finished by whoever comes next.
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
	if _, beside := j.rest(); beside || !l.live.atLeast(14) {
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
	if j.fits() == "" && !j.parent.whole() {
		l.problem(o.Range, "Way back would read all rows", fmt.Sprintf(
			"No check can tell Postgres that the rows of %s fit. It can where %s.", of, provable))
		return false
	}
	return true
}

func (o detachPartition) uncontract(l *lowering) {
	o.unproved(l)
	if t := l.next.Table(o.Table); t != nil {
		joining{table: o.Table, parent: t, partition: o.Partition}.join(l)
	}
}

// unproved takes the checks away, and gives the tables that had one.
func (o detachPartition) unproved(l *lowering) []*Table {
	all := []*Table{l.next.Table(o.Partition.Table)}
	if parent := l.next.Table(o.Table); parent != nil {
		if rest, ok := (joining{parent: parent, partition: o.Partition}).rest(); ok {
			all = append(all, l.next.Table(rest))
		}
	}
	for _, t := range all {
		t.removeConstraint(boundCheck(o.Partition.Table))
	}
	return all
}

// takeAway has the checks stay for as long as there is a way back.
func (o detachPartition) takeAway(l *lowering, to Phase) {
	l.leave(o.Table, o.Partition.Table)
	for _, t := range o.unproved(l) {
		if t != nil && to == Hidden {
			t.Constraints = append(t.Constraints, Constraint{Name: boundCheck(o.Partition.Table), Kind: Check, Valid: true})
		}
	}
}
