package planner

import (
	"cmp"
	"maps"

	"pleat/spec"
)

// moveKind is one edge of the search. The order is that in which knots take
// turns.
type moveKind int

const (
	moveUnhide moveKind = iota + 1
	moveExpand
	moveMigrate
	moveDown
	moveRoll
	moveRevert
	moveBackfill
	moveVerify
	moveRetire
	moveHide
	moveDrop
)

// move is one edge: a change that goes on by a phase, a directory that goes on
// by a version, or a service that goes to a release.
type move struct {
	kind      moveKind
	change    *spec.Change
	directory *spec.Migrations
	file      *spec.Migration
	service   *spec.Service
	version   string
	kept      []string // the releases that a service keeps no longer
	reason    string   // why a service goes to another release first
	section   string
	deferred  deferral // why it cannot run now
}

// forward takes legal moves, in the order of the design, until there is none.
// It is no straight way where services that had arrived were stopped again.
func (k *knot) forward(w world) (moves []move, straight bool) {
	stopped := false
	for {
		n := len(moves)
		moves = append(moves, k.prepare(w, k.pending(w))...)
		moves = append(moves, k.migrateAll(w)...)
		if rolled := k.rollOne(w); rolled != nil {
			moves = append(moves, *rolled)
			continue
		}
		moves = append(moves, k.complete(w)...)
		if len(moves) == n {
			moves = append(moves, k.giveWay(w)...)
		}
		if len(moves) == n && !stopped && !k.arrived(w) {
			// Once: what has arrived would come up again at once.
			stopped, moves = true, append(moves, k.stopAll(w, true)...)
		}
		if len(moves) == n {
			return moves, !stopped
		}
	}
}

// giveWay takes away what still runs and is in the way of the rest: releases
// that are kept, then what has to go offline.
func (k *knot) giveWay(w world) []move {
	if moves := k.retireAll(w); len(moves) > 0 {
		return moves
	}
	return k.stopAll(w, false)
}

// prepare takes the schema as far as it should be before these releases come.
func (k *knot) prepare(w world, coming []releaseKey) []move {
	if k.goal.Rollback {
		return k.unhideAll(w)
	}
	awaited := map[string]bool{}
	for _, r := range coming {
		d := k.declared[r]
		if d == nil {
			continue
		}
		for c := range d.needsBackfill {
			awaited[c] = true
		}
		for _, step := range k.byName[r.service].Strategy.Steps {
			for _, q := range step.Verifies { // rows that are not filled would be found wrong
				if q.Change == nil {
					continue
				}
				awaited[q.Change.Name] = awaited[q.Change.Name] || d.knows[q.Change.Name]
			}
		}
	}
	moves := k.expandAll(w)
	return append(moves, k.backfillAll(w, func(c *spec.Change) bool { return awaited[c.Name] || !k.keeps(c) })...)
}

// complete does what is left for the schema alone.
func (k *knot) complete(w world) []move {
	moves := k.revertAll(w)
	if k.goal.Rollback {
		return moves
	}
	moves = append(moves, k.backfillAll(w, func(*spec.Change) bool { return true })...)
	return append(moves, k.verifyAll(w)...)
}

// migrateAll takes every directory as far as what runs lets it.
func (k *knot) migrateAll(w world) []move {
	var moves []move
	for _, d := range k.directories {
		for m := k.migrate(w, d); m != nil; m = k.migrate(w, d) {
			moves = append(moves, *m)
		}
	}
	return moves
}

// migrate takes a directory to its next version, if everything that runs lives
// with that.
func (k *knot) migrate(w world, d *spec.Migrations) *move {
	f := following(d, w.versions[d.Name])
	if f == nil || k.goal.Rollback || len(k.inTheWay(w, d, f.Version)) > 0 {
		return nil
	}
	w.versions[d.Name] = f.Version
	return &move{kind: moveMigrate, directory: d, file: f}
}

// pending are the releases that have yet to come, as far as they are known.
func (k *knot) pending(w world) []releaseKey {
	var out []releaseKey
	for _, s := range k.services {
		if !k.rolledOut(w, s) {
			out = append(out, k.next(w, s))
		}
	}
	return out
}

// rollOne rolls out the first service, by name, that may go to where it has to.
func (k *knot) rollOne(w world) *move {
	for _, to := range k.pending(w) {
		if !k.may(w, to) {
			continue
		}
		reason := k.reason(w, to)
		m := k.roll(w, to)
		m.reason = reason
		return &m
	}
	return nil
}

// may tells whether a release can be rolled out as things are.
func (k *knot) may(w world, to releaseKey) bool {
	return k.hindrance(w, to) == "" && len(k.unfit(w, to)) == 0
}

// roll rolls a release out. Only the last one that a service goes to keeps
// those before it.
func (k *knot) roll(w world, to releaseKey) move {
	s := k.byName[to.service]
	m := move{kind: moveRoll, service: s, version: to.version}
	if k.keepsPrevious(s) && !k.offline(s) && to.version == k.wanted(s) {
		w.rollKeeping(to.service, to.version)
		return m
	}
	w.roll(to.service, to.version)
	return m
}

// keepsPrevious tells whether the release before stays up for a while.
func (p *planning) keepsPrevious(s *spec.Service) bool {
	return s.Strategy.KeepPrevious > 0 && !p.goal.Rollback
}

// postpone defers what cannot run yet because releases are kept for longer than
// a run waits, and all that comes behind it.
func (k *knot) postpone(moves []move) []move {
	why, off := deferral{}, map[*spec.Service]bool{}
	for i, m := range moves {
		moves[i].deferred = why
		if m.kind == moveRetire && !off[m.service] { // it waits for its own time alone
			moves[i].deferred = deferral{why: k.stillKept(m.service, m.kept)}
			why = cmp.Or(why, moves[i].deferred)
		}
		if m.service != nil && moves[i].deferred != (deferral{}) {
			off[m.service] = true
		}
	}
	return moves
}

// keep makes the world at the end of a plan one in which releases still run
// that the plan does not stop yet.
func (p *planning) keep(moves []move, end world) {
	for _, m := range moves {
		if m.kind != moveRetire || m.deferred == (deferral{}) {
			continue
		}
		mix := maps.Clone(end.mix[m.service.Name])
		for _, version := range m.kept {
			mix[version] = true
		}
		kept := set(m.kept)
		maps.Copy(kept, end.kept[m.service.Name])
		end.mix[m.service.Name], end.kept[m.service.Name] = mix, kept
	}
}

// retireAll stops the releases that are kept.
func (k *knot) retireAll(w world) []move {
	var moves []move
	for _, s := range k.services {
		if kept := sortedKeys(w.kept[s.Name]); len(kept) > 0 && k.stays(w, s) != "" {
			moves = append(moves, move{kind: moveRetire, service: s, version: k.stays(w, s), kept: kept})
			w.retire(s.Name)
		}
	}
	return moves
}

// stopAll takes the services down whose strategy is to be offline: those that
// have not arrived, or all.
func (k *knot) stopAll(w world, arrived bool) []move {
	var moves []move
	for _, s := range k.services {
		if arrived || !k.finished(w, s) {
			moves = append(moves, k.stopOne(w, s)...)
		}
	}
	return moves
}

// stopOne takes one service down, if its strategy is to be offline and anything
// of it runs.
func (k *knot) stopOne(w world, s *spec.Service) []move {
	if !k.offline(s) || k.isLate(s) || w.down[s.Name] || len(w.mix[s.Name]) == 0 {
		return nil
	}
	w.down[s.Name] = true
	return []move{{kind: moveDown, service: s}}
}

func (k *knot) offline(s *spec.Service) bool {
	return s.Strategy.Kind == spec.Offline || k.assumed.offline == s.Name
}

// arrived tells whether nothing but contract is left to do.
func (k *knot) arrived(w world) bool {
	for _, s := range k.services {
		if !k.finished(w, s) {
			return false
		}
	}
	return k.schemaDone(w)
}

// finished tells whether the service runs its target and nothing else. One that
// does not come to it yet is left as it is, but for what it keeps.
func (p *planning) finished(w world, s *spec.Service) bool {
	if p.isLate(s) {
		return len(w.kept[s.Name]) == 0 || p.stays(w, s) == ""
	}
	return w.at(s.Name, p.target(s))
}

// rolledOut tells whether the service runs its target, be it beside releases
// that are kept, or does not come to it yet.
func (p *planning) rolledOut(w world, s *spec.Service) bool {
	if p.isLate(s) {
		return true
	}
	if w.down[s.Name] {
		return false
	}
	serving := w.serving(s.Name)
	return len(serving) == 1 && serving[p.target(s)]
}

// target is the release that a service goes to: the one that is wanted, or in place
// of that one which does not come yet another on the way.
func (p *planning) target(s *spec.Service) string { return firstOf(p.via[s], p.wanted(s)) }

// wanted is the release that the goal or the spec wants.
func (p *planning) wanted(s *spec.Service) string {
	if v, ok := p.goal.Releases[s.Name]; ok {
		return v
	}
	return s.Release.Version
}
