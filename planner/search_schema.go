package planner

import (
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

func (k *knot) expandAll(w world) []move {
	var moves []move
	reverted := set(k.goal.Revert)
	for _, c := range k.changes {
		if w.phases[c.Name] != migrations.Absent || reverted[c.Name] || k.waits(c) || !mayExpand(w, c) {
			continue
		}
		w.phases[c.Name] = k.through(c, migrations.Expanded)
		moves = append(moves, move{kind: moveExpand, change: c})
	}
	return moves
}

// mayExpand tells whether what comes before the change is there and what it
// wants gone is gone. No release is ever in the way of an expand.
func mayExpand(w world, c *spec.Change) bool {
	for _, before := range c.After {
		if !w.phases[before.Name].AtLeast(migrations.Expanded) {
			return false
		}
	}
	for _, r := range c.RequiresAbsent {
		if w.mix[r.Service.Name][r.Version] && !w.down[r.Service.Name] {
			return false
		}
	}
	return true
}

// backfillAll back-fills what is wanted and may be.
func (k *knot) backfillAll(w world, wanted func(*spec.Change) bool) []move {
	var moves []move
	for _, c := range k.changes {
		if w.phases[c.Name] != migrations.Expanded || !wanted(c) || !k.keeps(c) && len(k.careless(w, c)) > 0 {
			continue
		}
		w.phases[c.Name] = k.through(c, migrations.Backfilled)
		moves = append(moves, move{kind: moveBackfill, change: c})
	}
	return moves
}

// synced tells whether every table that the change back-fills is kept in step,
// whoever writes: by a trigger, or because nobody makes rows to be filled.
func synced(c *spec.Change) bool {
	kept := map[spec.Table]bool{}
	for _, op := range c.Expand {
		if s, ok := op.(*spec.Sync); ok {
			kept[s.Table] = true
		}
	}
	for _, b := range c.Backfills {
		if !b.Kept && !kept[b.Table] {
			return false
		}
	}
	return true
}

// keeps is synced, or assumed to be.
func (k *knot) keeps(c *spec.Change) bool { return synced(c) || k.assumed.synced == c.Name }

// careless lists the releases that write the table without keeping the new
// shape, while no sync does it for them.
func (p *planning) careless(w world, c *spec.Change) []releaseKey {
	if synced(c) {
		return nil
	}
	var out []releaseKey
	for _, k := range w.running() {
		if d := p.declared[k]; p.uses(k.service, c.Database.Name) && (d == nil || !d.knows[c.Name]) {
			out = append(out, k)
		}
	}
	return out
}

// schemaDone tells whether nothing but contract is left to do for the schema.
func (k *knot) schemaDone(w world) bool {
	reverted := set(k.goal.Revert)
	for _, c := range k.changes {
		if reverted[c.Name] && w.phases[c.Name] != migrations.Absent {
			return false
		}
		if !k.goal.Rollback && !reverted[c.Name] && !k.waits(c) && !w.phases[c.Name].AtLeast(migrations.Verified) {
			return false
		}
	}
	for _, d := range k.directories {
		if !k.goal.Rollback && following(d, w.versions[d.Name]) != nil {
			return false
		}
	}
	return true
}

// revertAll takes expanded changes back where the goal says so, the last
// first.
func (k *knot) revertAll(w world) []move {
	var moves []move
	reverted := set(k.goal.Revert)
	for i := len(k.changes) - 1; i >= 0; i-- {
		c := k.changes[i]
		if !reverted[c.Name] || w.reverted[c.Name] || !k.begun(c) || len(k.blocked(w, c, migrations.Absent)) > 0 {
			continue
		}
		w.phases[c.Name], w.reverted[c.Name] = migrations.Absent, true
		moves = append(moves, move{kind: moveRevert, change: c})
	}
	return moves
}

// unhideAll brings back what a target release does not know to be gone, the
// last first: two changes may have taken one name after another.
func (k *knot) unhideAll(w world) []move {
	var moves []move
	for _, c := range slices.Backward(k.changes) {
		if w.phases[c.Name] != migrations.Hidden || !k.missed(c) || len(k.dropped(c)) > 0 {
			continue
		}
		w.phases[c.Name] = migrations.Verified
		moves = append(moves, move{kind: moveUnhide, change: c})
	}
	return moves
}

// missed tells whether a target cannot live with the change being hidden.
func (k *knot) missed(c *spec.Change) bool {
	for _, s := range k.services {
		if k.meet(releaseKey{s.Name, k.target(s)}, c, migrations.Hidden) != nil {
			return true
		}
	}
	return false
}

// begun tells whether anything of a change's expand is there.
func (p *planning) begun(c *spec.Change) bool {
	units := p.programs[c.Name].Expand
	return len(unapplied(units, p.recorded(c))) < len(units)
}

func (k *knot) verifyAll(w world) []move {
	var moves []move
	for _, c := range k.changes {
		if w.phases[c.Name] == migrations.Backfilled {
			w.phases[c.Name] = migrations.Verified
			moves = append(moves, move{kind: moveVerify, change: c})
		}
	}
	return moves
}
