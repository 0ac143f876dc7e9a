package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// joining is a partition on its way into its table. Proof by a check, validated
// while nobody waits, spares ATTACH the scan under its locks.
type joining struct {
	table     spec.Table
	parent    *Table
	partition spec.Partition
	at        hcl.Range
	there     bool
}

func (l *lowering) joining(table spec.Table, p spec.Partition, at hcl.Range) (joining, bool) {
	t := l.table(table, at)
	if t == nil {
		return joining{}, false
	}
	j := joining{table: table, parent: t, partition: p, at: at, there: l.live.Table(table).partition(p.Table) != nil}
	if t.whole() {
		return j, true
	}
	by, _, _ := strings.Cut(strings.ToLower(t.Partitioned), " ")
	switch {
	case by == "":
		l.problem(at, "Table is not partitioned", fmt.Sprintf("Table %s has its rows itself; only create_table makes a partitioned one.", table))
	case p.By() != "" && p.By() != by:
		l.problem(at, "Bound of another kind", fmt.Sprintf("The bound is one by %s, and %s is partitioned by %s.", p.By(), table, by))
	case !l.checkBound(j):
	default:
		return j, true
	}
	return j, false
}

// partition gives the partition of that name, or nil; also of a nil table.
func (t *Table) partition(name spec.Table) *Partition {
	if t == nil {
		return nil
	}
	for i := range t.Partitions {
		if t.Partitions[i].Table == name.String() {
			return &t.Partitions[i]
		}
	}
	return nil
}

// rest is the default partition, unless it is the one that joins.
func (j joining) rest() (spec.Table, bool) {
	for _, p := range j.parent.Partitions {
		if p.Bound == "DEFAULT" && p.Table != j.partition.Table.String() {
			return spec.ParseTable(p.Table), true
		}
	}
	return spec.Table{}, false
}

func (l *lowering) checkBound(j joining) bool {
	p := j.partition
	for _, text := range slices.Concat(p.From, p.To, p.In) {
		if err := checkExpression(text); err != nil {
			l.problem(j.at, "Invalid bound", fmt.Sprintf("%q of partition %s cannot be used: %v.", text, p.Table, err))
			return false
		}
	}
	return true
}

// proof is the check on a table, made and validated. Of the default partition,
// which the change does not name, no catalog shows it, and the record counts.
func (j joining) proof(t spec.Table, condition string, live *Table) []Unit {
	name := boundCheck(j.partition.Table)
	there := live.Constraint(name)
	what := "bound of " + j.partition.Table.String() + " on " + t.String()
	add := Unit{
		ID: "bound." + j.partition.Table.String() + "." + t.String(), Title: what, Mode: InTransaction,
		Table: t, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{dropConstraintSQL(t, name), addConstraintSQL(t, name, "CHECK "+parenthesized(condition)+" NOT VALID")},
		Undo:       []string{dropConstraintSQL(t, name)}, UndoTitle: "drop check",
		Applied: j.there || there != nil, Visible: live != nil, Source: j.at,
	}
	validate := Unit{
		ID: "validate." + add.ID, Title: what + ", all rows", Mode: InTransaction,
		Table: t, Lock: ShareUpdateExclusive,
		Statements: []string{validateSQL(t, name)}, Undo: []string{}, UndoTitle: "-",
		Applied: j.there || there != nil && there.Valid, Visible: live != nil, Source: j.at,
	}
	return []Unit{missingUnless(add, what), missingUnless(validate, what)}
}

// boundCheck names the check for as long as it is needed.
func boundCheck(partition spec.Table) string { return shorten("pleat_bound_" + partition.Name) }

// proveRest shows that the default partition has no row of the bound. It is
// false where that cannot be shown.
func (j joining) proveRest(l *lowering) bool {
	rest, ok := j.rest()
	if !ok || j.there {
		return true
	}
	condition := j.fits()
	if condition == "" {
		l.problem(j.at, "Default partition would be read", fmt.Sprintf(
			"Postgres would read all of %s, the default partition, while nobody can use it. That is spared where %s.", rest, provable))
		return false
	}
	l.program.Expand = append(l.program.Expand, j.proof(rest, "NOT "+parenthesized(condition), l.live.Table(rest))...)
	return true
}

// locks are those that ATTACH and DETACH take besides: on the other side of
// foreign keys, and on the default partition.
func (j joining) locks(parent, other Lock) []TableLock {
	all := []TableLock{{Table: j.table, Lock: parent, Only: true}}
	var others []string
	for _, c := range j.parent.Constraints {
		if c.Kind == Foreign {
			others = append(others, c.References)
		}
	}
	for _, f := range j.parent.References {
		others = append(others, f.Table)
	}
	slices.Sort(others)
	for _, name := range slices.Compact(others) {
		if name != j.table.String() && name != j.partition.Table.String() {
			all = append(all, TableLock{Table: spec.ParseTable(name), Lock: other})
		}
	}
	if rest, ok := j.rest(); ok {
		all = append(all, TableLock{Table: rest, Lock: AccessExclusive})
	}
	return all
}

// attach are the statements that end with the partition in its table, and
// without the checks that led there.
func (j joining) attach(proved ...spec.Table) []string {
	p := j.partition
	all := []string{fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s %s", tableIdent(j.table), tableIdent(p.Table), bound(p.By(), p))}
	if rest, ok := j.rest(); ok {
		proved = append(proved, rest)
	}
	for _, t := range proved {
		all = append(all, dropConstraintSQL(t, boundCheck(p.Table)))
	}
	return all
}

// join shows the partition in the catalog to come.
func (j joining) join(l *lowering) {
	if j.parent.partition(j.partition.Table) != nil {
		return
	}
	added := Partition{Table: j.partition.Table.String(), Bound: bound(j.partition.By(), j.partition)}
	j.parent.Partitions = append(slices.Clone(j.parent.Partitions), added)
	if t := l.next.Table(j.partition.Table); t != nil {
		t.PartitionOf = j.table.String()
	}
}

// leave is the reverse of join.
func (l *lowering) leave(table, partition spec.Table) {
	if t := l.next.Table(table); t != nil {
		t.Partitions = slices.DeleteFunc(slices.Clone(t.Partitions), func(p Partition) bool { return p.Table == partition.String() })
	}
	if t := l.next.Table(partition); t != nil {
		t.PartitionOf = ""
	}
}
