package migrations

import (
	"fmt"
	"slices"

	"pleat/spec"
)

// partitionsInTheWay is what a swap of names in a table and all its partitions does
// not carry over.
func partitionsInTheWay(t *Table, c *Column) []string {
	if t.Partitioned == "" {
		return nil
	}
	var found []string
	for _, p := range t.Partitions {
		if p.Unlike != "" {
			found = append(found, "partition "+p.Table+" ("+p.Unlike+")")
		}
		if p.Detaching {
			found = append(found, "partition "+p.Table+" (it is on its way out)")
		}
		for _, own := range p.Own {
			if own.Column == c.Name {
				found = append(found, own.Object+" of partition "+p.Table)
			}
		}
	}
	for _, k := range t.References {
		if k.Partitioned && slices.Contains(k.Referenced, c.Name) {
			found = append(found, fmt.Sprintf("constraint %s of %s, which is partitioned as well", k.Name, k.Table))
		}
	}
	return found
}

// keysInTheWay are the foreign keys to the column that no copy can be made of.
func keysInTheWay(t *Table, c *Column) []string {
	var found []string
	for _, k := range t.References {
		for _, p := range k.Partitions {
			if p.Unlike != "" && slices.Contains(k.Referenced, c.Name) {
				found = append(found, fmt.Sprintf("constraint %s of %s, of which partition %s cannot have its own (%s)", k.Name, k.Table, p.Table, p.Unlike))
			}
		}
	}
	return found
}

// lockPartitions has the units of a table declare what their statements lock besides:
// each of them is about its partitions as well.
func (l *lowering) lockPartitions(t spec.Table) {
	live := l.live.Table(t)
	if live == nil || len(live.Partitions) == 0 {
		return
	}
	first := spec.ParseTable(live.Partitions[0].Table)
	declares := func(locks []TableLock) bool {
		return slices.ContainsFunc(locks, func(k TableLock) bool { return k.Table == first })
	}
	for _, units := range [][]Unit{l.program.Expand, l.program.Validate, l.program.Hide, l.program.Drop} {
		for i := range units {
			u := &units[i]
			if u.Table != t {
				continue
			}
			if u.Lock != "" && !declares(u.Also) {
				u.Also = append(slices.Clone(u.Also), live.family(t, u.Lock)...)
			}
			if u.UndoLock != "" && !declares(u.UndoAlso) {
				u.UndoAlso = append(slices.Clone(u.UndoAlso), live.family(t, u.UndoLock)...)
			}
		}
	}
}
