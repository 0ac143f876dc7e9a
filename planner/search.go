package planner

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

// dead is a knot that has no way to the goal, and where the search stuck.
type dead struct {
	*knot
	world world
	moves []move // that led there
}

// search finds the order of moves, knot by knot, and then the contracts. A
// knot without a way is in the second result.
func (p *planning) search() ([]move, []dead) {
	p.delay()
	knots := p.knots()
	for _, k := range knots {
		k.checkTogether()
	}
	moves, stuck := p.arrange(knots)
	p.via = nil
	return moves, stuck
}

// arrange finds the order of moves while services are late, by releases in between
// where they would wait for ever.
func (p *planning) arrange(knots []*knot) ([]move, []dead) {
	var roads [][]move
	var stuck []dead
	end := p.start.clone()
	for _, k := range knots {
		w := k.world()
		moves, ok := k.solve(w)
		if !ok {
			d := dead{k, w, moves}
			if slices.ContainsFunc(k.services, p.comesLater) {
				d = k.insist()
			}
			stuck = append(stuck, d)
			continue
		}
		roads = append(roads, k.postpone(k.sections(moves)))
		end.become(w)
	}
	if len(stuck) > 0 {
		return nil, stuck
	}
	parts := slices.ContainsFunc(roads, inParts)
	moves := merge(roads)
	moves = p.reconcile(moves)
	p.keep(moves, end)
	if barring := p.barring(end); len(barring) > 0 {
		if p.detour(barring) {
			return p.arrange(knots)
		}
		return nil, p.locked(knots)
	}
	taken, later := p.contract(end), p.later(end)
	if parts {
		title(moves, "besides · what has nothing to do with these parts")
		title(taken, "at the end · what nothing needs any more is taken away")
		title(later, "later · what has to wait for a change to come to its end")
	}
	return slices.Concat(moves, taken, later), nil
}

// reconcile adds a visit to the services that run their release already: their
// counts, or a rollout that was cut short, may still leave something to do. It
// is made before the services go that come after them, else at the end.
func (p *planning) reconcile(moves []move) []move {
	rolled := map[string]bool{}
	for _, m := range moves {
		if m.kind == moveRoll {
			rolled[m.service.Name] = true
		}
	}
	for _, s := range p.spec.Services {
		if rolled[s.Name] || p.isLate(s) {
			continue
		}
		visit := move{kind: moveRoll, service: s, version: p.target(s)}
		next := slices.IndexFunc(moves, func(m move) bool {
			return (m.kind == moveRoll || m.kind == moveDown) && comesAfter(m.service, s)
		})
		if next < 0 {
			moves = append(moves, visit)
			continue
		}
		visit.section = moves[next].section
		moves = slices.Insert(moves, next, visit)
	}
	return moves
}

// comesAfter tells whether a service waits for another one, by itself or by those
// in between.
func comesAfter(s, other *spec.Service) bool {
	return slices.ContainsFunc(s.After, func(before *spec.Service) bool {
		return before == other || comesAfter(before, other)
	})
}

// solve moves w to the goal. The direct way is tried first: expanding early
// takes no way from any release, so taking the first legal move is only wrong
// where a service must go to another release in between, or go back to one, or
// where a directory must wait. Those ways are then searched for, the ones with
// the fewest rollouts first; a knot that is too large for that is levelled
// before. Without a way, w and the moves are where the direct one stuck.
func (k *knot) solve(w world) ([]move, bool) {
	direct := w.clone()
	moves, straight := k.forward(direct)
	arrived := k.arrived(direct)
	if arrived && straight {
		w.become(direct)
		return moves, true
	}
	if !k.small() {
		levelled := w.clone()
		if moves, ok := k.level(levelled); ok {
			w.become(levelled)
			return moves, true
		}
	}
	if way, found := k.shortest(w); found {
		return k.replay(w, k.late(w, way)), true
	}
	w.become(direct)
	return moves, arrived
}

// turning is an edge of the search that takes a way from somebody, or costs
// something: a rollout, or one of the kinds that may come early or late.
type turning struct {
	kind      moveKind
	to        releaseKey       // of a rollout
	directory *spec.Migrations // of a migration
	service   *spec.Service    // that has arrived and is stopped all the same; nil: those that have not
}

// trail is a world and the way that led to it.
type trail struct {
	world world
	way   []turning
}

func (t trail) then(w world, next turning) trail {
	return trail{w, append(t.way[:len(t.way):len(t.way)], next)}
}

// searchLimit bounds what is looked at for one knot: worlds, each counted with
// its size. Where that is not enough, the plan fails and says so.
const searchLimit = 4_000_000

// limit is how many worlds of the knot are looked at.
func (k *knot) limit() int {
	return searchLimit / (len(k.services) + len(k.changes) + len(k.directories) + 1)
}

// shortest is the way to the goal with the fewest rollouts. Expand, back-fill
// and verify take a way from nobody and are always done; migrations, stops and
// the end of what is kept may come at any time, and both ways are followed.
func (k *knot) shortest(from world) ([]turning, bool) {
	first := trail{world: from.clone()}
	k.settle(first.world)
	seen := map[string]bool{k.key(first.world): true}
	for frontier := []trail{first}; len(frontier) > 0 && len(seen) < k.limit(); {
		frontier = k.spread(frontier, seen)
		for _, t := range frontier {
			if k.arrived(t.world) {
				return t.way, true
			}
		}
		var next []trail
		for _, t := range frontier {
			if len(seen) >= k.limit() {
				break
			}
			for _, to := range k.candidates(t.world) {
				w := t.world.clone()
				k.roll(w, to)
				k.settle(w)
				if key := k.key(w); !seen[key] {
					seen[key] = true
					next = append(next, t.then(w, turning{kind: moveRoll, to: to}))
				}
			}
		}
		frontier = next
	}
	k.gaveUp = len(seen) >= k.limit()
	return nil, false
}

// spread adds what can be reached from these without a rollout: first as many
// migrations as can be, last what takes services down.
func (k *knot) spread(frontier []trail, seen map[string]bool) []trail {
	var out []trail
	for _, t := range frontier {
		out = append(out, k.reach(t, seen)...)
	}
	return out
}

func (k *knot) reach(t trail, seen map[string]bool) []trail {
	var out []trail
	follow := func(next turning) {
		w := t.world.clone()
		if len(k.turn(w, next)) == 0 {
			return
		}
		k.settle(w)
		if key := k.key(w); !seen[key] {
			seen[key] = true
			out = append(out, k.reach(t.then(w, next), seen)...)
		}
	}
	for _, d := range k.directories {
		follow(turning{kind: moveMigrate, directory: d})
	}
	out = append(out, t)
	follow(turning{kind: moveRetire})
	follow(turning{kind: moveDown})
	for _, s := range k.services {
		if k.finished(t.world, s) {
			follow(turning{kind: moveDown, service: s})
		}
	}
	return out
}

// turn makes a turning. It gives no moves where there is nothing to do, or it is
// not legal; a rollout is not asked.
func (k *knot) turn(w world, t turning) []move {
	switch t.kind {
	case moveMigrate:
		if m := k.migrate(w, t.directory); m != nil {
			return []move{*m}
		}
		return nil
	case moveRetire:
		return k.retireAll(w)
	case moveDown:
		if t.service != nil {
			return k.stopOne(w, t.service)
		}
		return k.stopAll(w, false)
	default:
		return []move{k.roll(w, t.to)}
	}
}

// late has services go down as late on a way as they may: what runs meanwhile
// is no reason to be down.
func (k *knot) late(w world, way []turning) []turning {
	for i := len(way) - 2; i >= 0; i-- {
		if way[i].kind != moveDown {
			continue
		}
		for j := i; j+1 < len(way) && way[j+1].kind != moveDown; j++ {
			later := slices.Clone(way)
			later[j], later[j+1] = way[j+1], way[j]
			if !k.leads(w, later) {
				break
			}
			way = later
		}
	}
	return way
}

// leads tells whether a way can be gone and leads to the goal.
func (k *knot) leads(from world, way []turning) bool {
	w := from.clone()
	k.settle(w)
	for _, t := range way {
		if t.kind == moveRoll && !k.may(w, t.to) || len(k.turn(w, t)) == 0 {
			return false
		}
		k.settle(w)
	}
	return k.arrived(w)
}

// replay goes a way whose turnings are known, and does the rest as late as
// forward would.
func (k *knot) replay(w world, way []turning) []move {
	var moves []move
	for _, t := range way {
		var coming []releaseKey
		if t.kind == moveRoll {
			coming = []releaseKey{t.to}
		}
		moves = append(moves, k.prepare(w, coming)...)
		if t.kind == moveRoll && !k.may(w, t.to) || t.kind == moveRetire || t.kind == moveDown {
			moves = append(moves, k.complete(w)...)
		}
		reason := ""
		if t.kind == moveRoll {
			reason = k.reason(w, t.to)
		}
		next := k.turn(w, t)
		next[0].reason = reason
		moves = append(moves, next...)
	}
	moves = append(moves, k.prepare(w, nil)...)
	return append(moves, k.complete(w)...)
}

// reason says why a service goes to another release than its target; "" for
// the target.
func (k *knot) reason(w world, to releaseKey) string {
	target := releaseKey{to.service, k.target(k.byName[to.service])}
	if to == target && k.via[k.byName[to.service]] != "" {
		return k.delayed[k.byName[to.service]].why
	}
	if to == target {
		return ""
	}
	return k.whyNot(w, target)
}

// whyNot says in one sentence why a release cannot be rolled out as things are.
func (k *knot) whyNot(w world, to releaseKey) string {
	unfit := k.unfit(w, to)
	if why := k.hindrance(w, to); why != "" || len(unfit) == 0 {
		return why
	}
	at := dead{knot: k, world: w}
	return unfit[0].why + prefixed(": ", at.stuckAt(unfit[0]))
}

// settle does everything that the schema alone can do.
func (k *knot) settle(w world) {
	for n := -1; n != 0; {
		n = len(k.prepare(w, nil)) + len(k.complete(w))
	}
}

// key names a world of the knot.
func (k *knot) key(w world) string {
	var b strings.Builder
	for _, s := range k.services {
		for _, version := range sortedKeys(w.mix[s.Name]) {
			b.WriteString(version + ",")
			if w.kept[s.Name][version] {
				b.WriteByte('+')
			}
		}
		if w.down[s.Name] {
			b.WriteByte('-')
		}
		b.WriteByte(';')
	}
	for _, c := range k.changes {
		b.WriteString(string(w.phases[c.Name]) + ";")
	}
	for _, d := range k.directories {
		fmt.Fprintf(&b, "%d;", w.versions[d.Name])
	}
	return b.String()
}

// candidates are the rollouts that are legal in a world: where services have to
// go first, then releases in between, the last declared first. A service that
// has arrived is left alone.
func (k *knot) candidates(w world) []releaseKey {
	var targets, others []releaseKey
	for _, s := range k.services {
		if k.rolledOut(w, s) {
			continue
		}
		target := releaseKey{s.Name, k.target(s)}
		if k.may(w, target) {
			targets = append(targets, target)
		}
		for i := len(s.Releases) - 1; i >= 0; i-- {
			to := releaseKey{s.Name, s.Releases[i].Version}
			if to != target && !w.at(to.service, to.version) && k.liesBetween(w, to) && k.may(w, to) {
				others = append(others, to)
			}
		}
		if like := k.assumed.between; like.service == s.Name && !w.at(s.Name, between) && k.may(w, releaseKey{s.Name, between}) {
			others = append(others, releaseKey{s.Name, between})
		}
	}
	return append(targets, others...)
}
