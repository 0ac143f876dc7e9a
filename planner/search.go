package planner

import (
	"maps"
	"sort"

	"pleat/migrations"
	"pleat/spec"
)

// moveKind is one edge of the search.
type moveKind int

const (
	moveExpand moveKind = iota + 1
	moveRevert
	moveUnhide
	moveRoll
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

// search finds the order of moves. The second result is the world in which no
// legal move was left although the goal was not reached.
//
// Only going forward is needed: expanding early never takes a way from a
// release, so the first legal move in the fixed order of candidates never has
// to be taken back. What can be missing is a release in between, and those are
// tried when nothing else moves.
func (p *planning) search() ([]move, *world) {
	w := p.start.clone()
	moves, ok := p.solve(w, map[releaseKey]bool{})
	if !ok {
		return nil, &w
	}
	moves = append(moves, p.reconcile(moves)...)
	return append(moves, p.contract(w)...), nil
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

// solve moves until every service is at its target, w included. Releases in
// tried are not taken as ones in between again.
func (p *planning) solve(w world, tried map[releaseKey]bool) ([]move, bool) {
	moves := p.forward(w)
	if p.arrived(w) {
		return moves, true
	}
	for _, k := range p.between(w) {
		if tried[k] {
			continue
		}
		tried[k] = true
		next := w.clone()
		next.roll(k.service, k.version)
		if rest, ok := p.solve(next, tried); ok {
			w.become(next)
			hop := move{kind: moveRoll, service: p.service(k.service), version: k.version}
			return append(append(moves, hop), rest...), true
		}
	}
	return moves, false
}

// become makes w what the other is.
func (w world) become(other world) {
	maps.Copy(w.mix, other.mix)
	maps.Copy(w.phases, other.phases)
	maps.Copy(w.reverted, other.reverted)
}

// forward takes legal moves, in the order of the design, until there is none.
func (p *planning) forward(w world) []move {
	var moves []move
	for {
		n := len(moves)
		if p.goal.Rollback {
			moves = append(moves, p.unhideAll(w)...)
		} else {
			moves = append(moves, p.expandAll(w)...)
			moves = append(moves, p.backfillAll(w, true)...)
		}
		if rolled := p.rollOne(w); rolled != nil {
			moves = append(moves, *rolled)
			continue
		}
		moves = append(moves, p.revertAll(w)...)
		if !p.goal.Rollback {
			moves = append(moves, p.backfillAll(w, false)...)
			moves = append(moves, p.verifyAll(w)...)
		}
		if len(moves) == n {
			return moves
		}
	}
}

func (p *planning) expandAll(w world) []move {
	var moves []move
	reverted := set(p.goal.Revert)
	for _, c := range p.changes {
		if w.phases[c.Name] != migrations.Absent || reverted[c.Name] || !p.mayExpand(w, c) {
			continue
		}
		w.phases[c.Name] = p.through(c, migrations.Expanded)
		moves = append(moves, move{kind: moveExpand, change: c})
	}
	return moves
}

// mayExpand tells whether what comes before the change is there and what it
// wants gone is gone.
func (p *planning) mayExpand(w world, c *spec.Change) bool {
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
	return len(p.blocked(w, c, p.through(c, migrations.Expanded))) == 0
}

// backfillAll back-fills what may be; only what a release waits for, when
// needed is set.
func (p *planning) backfillAll(w world, needed bool) []move {
	var moves []move
	for _, c := range p.changes {
		if w.phases[c.Name] != migrations.Expanded || len(c.Backfills) == 0 {
			continue
		}
		if needed && !p.awaited(w, c) || len(p.careless(w, c)) > 0 {
			continue
		}
		w.phases[c.Name] = p.through(c, migrations.Backfilled)
		moves = append(moves, move{kind: moveBackfill, change: c})
	}
	return moves
}

// awaited tells whether a release that has yet to come needs the back-fill.
func (p *planning) awaited(w world, c *spec.Change) bool {
	for _, s := range p.spec.Services {
		target := p.target(s)
		d := p.declared[releaseKey{s.Name, target}]
		if d != nil && d.needsBackfill[c.Name] && !w.at(s.Name, target) {
			return true
		}
	}
	return false
}

// careless lists the releases that write the table without keeping the new
// shape, while no sync does it for them.
func (p *planning) careless(w world, c *spec.Change) []releaseKey {
	synced := map[spec.Table]bool{}
	for _, op := range c.Expand {
		if s, ok := op.(*spec.Sync); ok {
			synced[s.Table] = true
		}
	}
	for _, b := range c.Backfills {
		if !synced[b.Table] {
			return p.strangers(w, c)
		}
	}
	return nil
}

// strangers lists the releases in the mix that do not know the change.
func (p *planning) strangers(w world, c *spec.Change) []releaseKey {
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
func (p *planning) rollOne(w world) *move {
	for _, s := range p.spec.Services {
		target := p.target(s)
		if p.finished(w, s) || len(p.unfit(w, releaseKey{s.Name, target})) > 0 {
			continue
		}
		w.roll(s.Name, target)
		return &move{kind: moveRoll, service: s, version: target}
	}
	return nil
}

// revertAll takes expanded changes back where the goal says so, the last
// first.
func (p *planning) revertAll(w world) []move {
	var moves []move
	reverted := set(p.goal.Revert)
	for i := len(p.changes) - 1; i >= 0; i-- {
		c := p.changes[i]
		if !reverted[c.Name] || w.reverted[c.Name] || !p.begun(c) || len(p.blocked(w, c, migrations.Absent)) > 0 {
			continue
		}
		w.phases[c.Name], w.reverted[c.Name] = migrations.Absent, true
		moves = append(moves, move{kind: moveRevert, change: c})
	}
	return moves
}

// unhideAll brings back what a target release does not know to be gone.
func (p *planning) unhideAll(w world) []move {
	var moves []move
	for _, c := range p.changes {
		if w.phases[c.Name] != migrations.Hidden || !p.missed(c) {
			continue
		}
		w.phases[c.Name] = migrations.Verified
		moves = append(moves, move{kind: moveUnhide, change: c})
	}
	return moves
}

// missed tells whether a target cannot live with the change being hidden.
func (p *planning) missed(c *spec.Change) bool {
	for _, s := range p.spec.Services {
		if p.meet(releaseKey{s.Name, p.target(s)}, c, migrations.Hidden) != nil {
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

func (p *planning) verifyAll(w world) []move {
	var moves []move
	for _, c := range p.changes {
		if w.phases[c.Name] == migrations.Backfilled {
			w.phases[c.Name] = migrations.Verified
			moves = append(moves, move{kind: moveVerify, change: c})
		}
	}
	return moves
}

// contract takes the old shapes away once every service has arrived. What a
// live release still needs is deferred, with who it is.
func (p *planning) contract(w world) []move {
	if p.goal.Rollback {
		return nil
	}
	var moves []move
	for _, c := range p.changes {
		if c.Contract == nil || w.phases[c.Name] == migrations.Contracted {
			continue
		}
		if why := p.needed(w, c); why != "" {
			moves = append(moves, move{kind: moveHide, change: c, deferred: why}, move{kind: moveDrop, change: c, deferred: why})
			continue
		}
		if w.phases[c.Name] == migrations.Verified {
			moves = append(moves, move{kind: moveHide, change: c})
		}
		w.phases[c.Name] = migrations.Contracted
		moves = append(moves, move{kind: moveDrop, change: c})
	}
	return moves
}

// needed says who still needs what a contract would take away, or "".
func (p *planning) needed(w world, c *spec.Change) string {
	blocked := p.blocked(w, c, migrations.Hidden)
	if len(blocked) > 0 {
		return blocked[0].why
	}
	if !w.phases[c.Name].AtLeast(migrations.Verified) {
		return "the back-fill is not finished and verified"
	}
	return ""
}

// between lists the releases that may run now and are nobody's target: the
// candidates for a way through. The nearest to the target come first.
func (p *planning) between(w world) []releaseKey {
	var out []releaseKey
	for _, s := range p.spec.Services {
		if p.finished(w, s) {
			continue
		}
		line := p.lineage(s, p.target(s))
		for i := len(s.Releases) - 1; i >= 0; i-- {
			k := releaseKey{s.Name, s.Releases[i].Version}
			usable := k.version != p.target(s) && !w.mix[s.Name][k.version] && p.declared[k].release.Held == ""
			if usable && len(p.unfit(w, k)) == 0 {
				out = append(out, k)
			}
		}
		sort.SliceStable(out, func(i, j int) bool { return line[out[i].version] && !line[out[j].version] })
	}
	return out
}

// lineage is what the release's code contains, by its declared ancestors.
func (p *planning) lineage(s *spec.Service, version string) map[string]bool {
	line := map[string]bool{}
	var visit func(v string)
	visit = func(v string) {
		d := p.declared[releaseKey{s.Name, v}]
		if d == nil || line[v] {
			return
		}
		line[v] = true
		for _, a := range d.release.Ancestors {
			visit(a)
		}
	}
	visit(version)
	return line
}

// arrived tells whether nothing but contract is left to do.
func (p *planning) arrived(w world) bool {
	reverted := set(p.goal.Revert)
	for _, s := range p.spec.Services {
		if !p.finished(w, s) {
			return false
		}
	}
	for _, c := range p.changes {
		if reverted[c.Name] && w.phases[c.Name] != migrations.Absent {
			return false
		}
		if !p.goal.Rollback && !reverted[c.Name] && !w.phases[c.Name].AtLeast(migrations.Verified) {
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

func (p *planning) service(name string) *spec.Service {
	for _, s := range p.spec.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}
