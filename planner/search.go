package planner

import (
	"strings"

	"pleat/migrations"
	"pleat/spec"
)

// moveKind is one edge of the search. The order is that in which knots take
// turns.
type moveKind int

const (
	moveUnhide moveKind = iota + 1
	moveExpand
	moveRoll
	moveRevert
	moveBackfill
	moveVerify
	moveHide
	moveDrop
)

// move is one edge: a change that goes on by a phase, or a service that goes
// to a release.
type move struct {
	kind     moveKind
	change   *spec.Change
	service  *spec.Service
	version  string
	deferred string // why it cannot run now
}

// dead is a knot that has no way to the goal, and where the search stuck.
type dead struct {
	*knot
	world world
}

// search finds the order of moves, knot by knot, and then the contracts. A
// knot without a way is in the second result.
func (p *planning) search() ([]move, []dead) {
	var roads [][]move
	var stuck []dead
	end := p.start.clone()
	for _, k := range p.knots() {
		w := k.world()
		moves, ok := k.solve(w)
		if !ok {
			stuck = append(stuck, dead{k, w})
			continue
		}
		roads = append(roads, moves)
		end.become(w)
	}
	if len(stuck) > 0 {
		return nil, stuck
	}
	moves := merge(roads)
	moves = append(moves, p.reconcile(moves)...)
	return append(moves, p.contract(end)...), nil
}

// reconcile visits the services that run their release already: their counts,
// or a rollout that was cut short, may still leave something to do.
func (p *planning) reconcile(moves []move) []move {
	rolled := map[string]bool{}
	for _, m := range moves {
		if m.kind == moveRoll {
			rolled[m.service.Name] = true
		}
	}
	var out []move
	for _, s := range p.spec.Services {
		if !rolled[s.Name] {
			out = append(out, move{kind: moveRoll, service: s, version: p.target(s)})
		}
	}
	return out
}

// solve moves w to the goal. The direct way is tried first: expanding early
// takes no way from any release, so taking the first legal move is only wrong
// where a service must go to another release in between, or go back to one.
// Those ways are then searched for, the ones with the fewest rollouts first.
func (k *knot) solve(w world) ([]move, bool) {
	direct := w.clone()
	moves := k.forward(direct)
	if k.arrived(direct) {
		w.become(direct)
		return moves, true
	}
	rolls := k.shortest(w)
	if rolls == nil {
		w.become(direct)
		return nil, false
	}
	return k.replay(w, rolls), true
}

// forward takes legal moves, in the order of the design, until there is none.
func (k *knot) forward(w world) []move {
	var moves []move
	for {
		n := len(moves)
		moves = append(moves, k.prepare(w, k.pending(w))...)
		if rolled := k.rollOne(w); rolled != nil {
			moves = append(moves, *rolled)
			continue
		}
		moves = append(moves, k.complete(w)...)
		if len(moves) == n {
			return moves
		}
	}
}

// replay goes a way whose rollouts are known, and does the rest as late as
// forward would.
func (k *knot) replay(w world, rolls []releaseKey) []move {
	var moves []move
	for _, to := range rolls {
		moves = append(moves, k.prepare(w, []releaseKey{to})...)
		if len(k.unfit(w, to)) > 0 {
			moves = append(moves, k.complete(w)...)
		}
		w.roll(to.service, to.version)
		moves = append(moves, move{kind: moveRoll, service: k.byName[to.service], version: to.version})
	}
	moves = append(moves, k.prepare(w, nil)...)
	return append(moves, k.complete(w)...)
}

// prepare takes the schema as far as it should be before these releases come.
func (k *knot) prepare(w world, coming []releaseKey) []move {
	if k.goal.Rollback {
		return k.unhideAll(w)
	}
	awaited := map[string]bool{}
	for _, r := range coming {
		if d := k.declared[r]; d != nil {
			for c := range d.needsBackfill {
				awaited[c] = true
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

// pending are the targets that have yet to come.
func (k *knot) pending(w world) []releaseKey {
	var out []releaseKey
	for _, s := range k.services {
		if !k.finished(w, s) {
			out = append(out, releaseKey{s.Name, k.target(s)})
		}
	}
	return out
}

func (k *knot) expandAll(w world) []move {
	var moves []move
	reverted := set(k.goal.Revert)
	for _, c := range k.changes {
		if w.phases[c.Name] != migrations.Absent || reverted[c.Name] || !mayExpand(w, c) {
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
		if w.mix[r.Service.Name][r.Version] {
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

// synced tells whether every table that the change back-fills is kept in step
// by a trigger, whoever writes.
func synced(c *spec.Change) bool {
	kept := map[spec.Table]bool{}
	for _, op := range c.Expand {
		if s, ok := op.(*spec.Sync); ok {
			kept[s.Table] = true
		}
	}
	for _, b := range c.Backfills {
		if !kept[b.Table] {
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
	for _, service := range sortedKeys(w.mix) {
		if !p.uses(service, c.Database.Name) {
			continue
		}
		for _, version := range sortedKeys(w.mix[service]) {
			k := releaseKey{service, version}
			if d := p.declared[k]; d == nil || !d.knows[c.Name] {
				out = append(out, k)
			}
		}
	}
	return out
}

// rollOne rolls out the first service, by name, that may go to its target.
func (k *knot) rollOne(w world) *move {
	for _, to := range k.pending(w) {
		if len(k.unfit(w, to)) > 0 {
			continue
		}
		w.roll(to.service, to.version)
		return &move{kind: moveRoll, service: k.byName[to.service], version: to.version}
	}
	return nil
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

// unhideAll brings back what a target release does not know to be gone.
func (k *knot) unhideAll(w world) []move {
	var moves []move
	for _, c := range k.changes {
		if w.phases[c.Name] != migrations.Hidden || !k.missed(c) {
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

// trail is a world and the rollouts that led to it.
type trail struct {
	world world
	rolls []releaseKey
}

// searchLimit bounds the worlds that are looked at for one knot: what needs
// more is reported as having no way.
const searchLimit = 200_000

// shortest is the way to the goal with the fewest rollouts, or nil. Between
// rollouts everything that the schema alone can do is done: none of it takes
// a way from anybody.
func (k *knot) shortest(from world) []releaseKey {
	first := trail{world: from.clone()}
	k.settle(first.world)
	seen := map[string]bool{k.key(first.world): true}
	for frontier := []trail{first}; len(frontier) > 0 && len(seen) < searchLimit; {
		var next []trail
		for _, t := range frontier {
			for _, to := range k.candidates(t.world) {
				w := t.world.clone()
				w.roll(to.service, to.version)
				k.settle(w)
				rolls := append(t.rolls[:len(t.rolls):len(t.rolls)], to)
				if k.arrived(w) {
					return rolls
				}
				if key := k.key(w); !seen[key] {
					seen[key] = true
					next = append(next, trail{w, rolls})
				}
			}
		}
		frontier = next
	}
	return nil
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
		}
		b.WriteByte(';')
	}
	for _, c := range k.changes {
		b.WriteString(string(w.phases[c.Name]) + ";")
	}
	return b.String()
}

// candidates are the rollouts that are legal in a world: targets first, then
// releases in between, the last declared first. A service that has arrived is
// left alone.
func (k *knot) candidates(w world) []releaseKey {
	var targets, others []releaseKey
	for _, s := range k.services {
		if k.finished(w, s) {
			continue
		}
		target := releaseKey{s.Name, k.target(s)}
		if len(k.unfit(w, target)) == 0 {
			targets = append(targets, target)
		}
		for i := len(s.Releases) - 1; i >= 0; i-- {
			to := releaseKey{s.Name, s.Releases[i].Version}
			if to != target && !w.at(to.service, to.version) && k.liesBetween(w, to) && len(k.unfit(w, to)) == 0 {
				others = append(others, to)
			}
		}
		if like := k.assumed.between; like.service == s.Name && !w.at(s.Name, between) && len(k.unfit(w, like)) == 0 {
			others = append(others, releaseKey{s.Name, between})
		}
	}
	return append(targets, others...)
}

// liesBetween tells whether a release is on the way from what is live to the
// target, by the code that each declares to contain. Where nothing is
// declared, nothing speaks against it.
func (k *knot) liesBetween(w world, r releaseKey) bool {
	d := k.declared[r]
	target := k.declared[releaseKey{r.service, k.target(k.byName[r.service])}]
	if d.release.Held != "" {
		return false
	}
	if len(target.release.Ancestors) > 0 && !k.lineage(releaseKey{r.service, target.release.Version})[r.version] {
		return false
	}
	if len(d.release.Ancestors) == 0 || len(w.mix[r.service]) == 0 {
		return true
	}
	line := k.lineage(r)
	for version := range w.mix[r.service] {
		if line[version] {
			return true
		}
	}
	return false
}

// between is the version of a release that is only assumed.
const between = "?"

// lineage is what the release's code contains, by its declared ancestors.
func (p *planning) lineage(of releaseKey) map[string]bool {
	line := map[string]bool{}
	var visit func(v string)
	visit = func(v string) {
		if line[v] {
			return
		}
		line[v] = true
		if d := p.declared[releaseKey{of.service, v}]; d != nil {
			for _, a := range d.release.Ancestors {
				visit(a)
			}
		}
	}
	visit(of.version)
	return line
}

// arrived tells whether nothing but contract is left to do.
func (k *knot) arrived(w world) bool {
	reverted := set(k.goal.Revert)
	for _, s := range k.services {
		if !k.finished(w, s) {
			return false
		}
	}
	for _, c := range k.changes {
		if reverted[c.Name] && w.phases[c.Name] != migrations.Absent {
			return false
		}
		if !k.goal.Rollback && !reverted[c.Name] && !w.phases[c.Name].AtLeast(migrations.Verified) {
			return false
		}
	}
	return true
}

// finished tells whether the service runs its target and nothing else.
func (p *planning) finished(w world, s *spec.Service) bool { return w.at(s.Name, p.target(s)) }

// target is the release that the goal or the spec wants.
func (p *planning) target(s *spec.Service) string {
	if v, ok := p.goal.Releases[s.Name]; ok {
		return v
	}
	return s.Release.Version
}
