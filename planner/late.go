package planner

import (
	"fmt"
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// lateness is why a service does not come to its release yet, though nothing is
// wrong with that: a change that the release needs waits for another one.
type lateness struct {
	deferral
	change, awaited string // the one that it needs, and the one that this waits for
}

// delay finds the services that do not come to their releases yet. They stay as
// they are, and everything else goes on. A way back waits for nothing.
func (p *planning) delay() {
	if p.goal.Rollback || len(p.waiting) == 0 {
		return
	}
	for n := -1; n != len(p.delayed)+len(p.waiting); {
		n = len(p.delayed) + len(p.waiting)
		for _, s := range p.spec.Services {
			if p.comesLater(s) || p.start.mix[s.Name][p.target(s)] {
				continue
			}
			if l, ok := p.lateness(s); ok {
				p.delayed[s] = l
			}
		}
		for _, c := range p.changes {
			if wait := p.heldBy(c); wait != (migrations.Wait{}) {
				p.waiting[c.Name] = wait
			}
		}
	}
}

// heldBy says what keeps a change from its expand: a service that is late and runs a
// release which it wants gone, or a change before it that waits. Where that service
// comes to no release but by this change, nothing would ever end it.
func (p *planning) heldBy(c *spec.Change) migrations.Wait {
	if p.waits(c) || p.start.phases[c.Name] != migrations.Absent {
		return migrations.Wait{}
	}
	for _, before := range c.After {
		if p.waits(before) {
			return p.waiting[before.Name]
		}
	}
	for _, r := range c.RequiresAbsent {
		l, late := p.delayed[r.Service]
		if late && p.start.mix[r.Service.Name][r.Version] && !p.declared[releaseKey{r.Service.Name, p.wanted(r.Service)}].knows[c.Name] {
			return migrations.Wait{Change: l.awaited, Why: fmt.Sprintf("the expand of %s waits until %s %s is gone: %s", c.Name, r.Service.Name, r.Version, l.why)}
		}
	}
	return migrations.Wait{}
}

// comesLater tells whether a service does not come to its release yet, isLate whether
// it goes nowhere else meanwhile.
func (p *planning) comesLater(s *spec.Service) bool {
	_, late := p.delayed[s]
	return late
}

func (p *planning) isLate(s *spec.Service) bool { return p.comesLater(s) && p.via[s] == "" }

// lateness says what keeps a service from its release: what this needs, or a
// service before it that is late.
func (p *planning) lateness(s *spec.Service) (lateness, bool) {
	to := releaseKey{s.Name, p.wanted(s)}
	for _, c := range p.changes {
		if !p.waits(c) || !p.declared[to].knows[c.Name] || !p.uses(s.Name, c.Database.Name) || slices.Contains(p.goal.Revert, c.Name) {
			continue
		}
		wait := p.waiting[c.Name]
		return lateness{deferral{why: fmt.Sprintf("%s %s needs %s, and %s", s.Name, to.version, c.Address(), wait.Why)}, c.Name, wait.Change}, true
	}
	for _, before := range s.After {
		if l, late := p.delayed[before]; late {
			l.why = fmt.Sprintf("%s comes after %s: %s", s.Address(), before.Address(), l.why)
			return l, true
		}
	}
	return lateness{}, false
}

// stays is the release that a service is at beside those that it keeps: its
// target, or where that does not come yet the one that serves; "" where that is
// not one alone that something declares.
func (p *planning) stays(w world, s *spec.Service) string {
	if !p.isLate(s) {
		return p.target(s)
	}
	serving := sortedKeys(w.serving(s.Name))
	if len(serving) != 1 || p.declared[releaseKey{s.Name, serving[0]}] == nil {
		return ""
	}
	return serving[0]
}

// insist is the knot without a way, as it is when nothing of it may be late: then
// the releases that are wanted say what is in their way.
func (k *knot) insist() dead {
	for _, s := range k.services {
		delete(k.delayed, s)
		delete(k.via, s)
	}
	w := k.world()
	moves, _ := k.solve(w)
	return dead{k, w, moves}
}

// barring are the services that are late and would wait for ever: what runs of
// them keeps a change from its contract that one of them waits for.
func (p *planning) barring(end world) []*spec.Service {
	var out []*spec.Service
	p.bars = map[string]string{}
	for _, s := range p.spec.Services {
		l := p.delayed[s] // of one that is not late nothing is awaited
		for _, m := range p.bar(end, l.awaited) {
			p.bars[l.change] = firstOf(p.bars[l.change], m.why)
			out = append(out, p.byName[m.service])
		}
	}
	return out
}

// bar lists what of services that are late keeps a change from its contract, but
// for what is only kept for a while.
func (p *planning) bar(end world, change string) []meeting {
	i, ok := p.position[change]
	if !ok || p.changes[i].Contract == nil || end.phases[change] == migrations.Contracted {
		return nil
	}
	return slices.DeleteFunc(p.blocked(end, p.changes[i], migrations.Hidden), func(m meeting) bool {
		return !p.comesLater(p.byName[m.service]) || end.kept[m.service][m.version]
	})
}

// detour has services go to releases in between that bar nothing, the last
// declared first. It is false where there is none for any of them.
func (p *planning) detour(barring []*spec.Service) bool {
	found := false
	for _, s := range barring {
		if p.via[s] != "" {
			continue
		}
		for _, r := range slices.Backward(s.Releases) {
			if to := (releaseKey{s.Name, r.Version}); !p.start.mix[s.Name][r.Version] && p.helps(to) {
				p.via[s], found = r.Version, true
				break
			}
		}
	}
	return found
}

// helps tells whether a release lies on the way and lives with all that is waited
// for.
func (p *planning) helps(to releaseKey) bool {
	if to.version == p.wanted(p.byName[to.service]) || !p.liesBetween(p.start, to) {
		return false
	}
	if slices.ContainsFunc(p.changes, func(c *spec.Change) bool { return p.waits(c) && p.declared[to].knows[c.Name] }) {
		return false
	}
	for _, l := range p.delayed {
		if i, ok := p.position[l.awaited]; ok && p.meet(to, p.changes[i], migrations.Hidden) != nil {
			return false
		}
	}
	return true
}

// locked are the knots of the services that would wait for ever.
func (p *planning) locked(knots []*knot) []dead {
	var out []dead
	for _, k := range knots {
		if slices.ContainsFunc(k.services, func(s *spec.Service) bool { return p.bars[p.delayed[s].change] != "" }) {
			out = append(out, k.insist())
		}
	}
	return out
}

// later are the moves that do not come yet: the expands of changes that wait, and the
// services that are late, each behind what it comes after.
func (p *planning) later(end world) []move {
	if p.goal.Rollback {
		return nil
	}
	l := lateComers{planning: p, end: end, made: set(p.goal.Revert), come: map[*spec.Service]bool{}}
	for n := -1; n != len(l.moves); {
		n = len(l.moves)
		l.expand(l.mayBegin)
		l.rollOut(l.mayCome)
	}
	// What waits for each other comes in no order.
	l.expand(func(*spec.Change) bool { return true })
	l.rollOut(func(*spec.Service) bool { return true })
	return l.moves
}

// lateComers are the moves that do not come yet, as they are put in order.
type lateComers struct {
	*planning
	end   world
	made  map[string]bool // changes that need no expand any more
	come  map[*spec.Service]bool
	moves []move
}

func (l *lateComers) expand(may func(*spec.Change) bool) {
	for _, c := range l.changes {
		if l.waits(c) && !l.made[c.Name] && may(c) {
			l.made[c.Name] = true
			l.moves = append(l.moves, move{kind: moveExpand, change: c, deferred: deferral{why: l.waiting[c.Name].Why}})
		}
	}
}

func (l *lateComers) mayBegin(c *spec.Change) bool {
	waits := slices.ContainsFunc(c.After, func(before *spec.Change) bool { return l.waits(before) && !l.made[before.Name] })
	held := slices.ContainsFunc(c.RequiresAbsent, func(r *spec.Release) bool { return l.comesLater(r.Service) && !l.come[r.Service] })
	return !waits && !held
}

func (l *lateComers) rollOut(may func(*spec.Service) bool) {
	for _, s := range l.spec.Services {
		if l.comesLater(s) && !l.come[s] && may(s) {
			l.come[s] = true
			l.moves = append(l.moves, l.comesLate(s, sortedKeys(l.end.mix[s.Name]))...)
		}
	}
}

func (l *lateComers) mayCome(s *spec.Service) bool {
	needs := l.declared[releaseKey{s.Name, l.wanted(s)}].knows
	return !slices.ContainsFunc(s.After, func(before *spec.Service) bool { return l.comesLater(before) && !l.come[before] }) &&
		!slices.ContainsFunc(l.changes, func(c *spec.Change) bool { return l.waits(c) && !l.made[c.Name] && needs[c.Name] })
}

// comesLate are the moves of a service by which it comes to its release from those
// that run by then.
func (p *planning) comesLate(s *spec.Service, from []string) []move {
	roll := move{kind: moveRoll, service: s, version: p.wanted(s), deferred: p.delayed[s].deferral}
	switch {
	case len(from) > 0 && s.Strategy.Kind == spec.Offline:
		down := roll
		down.kind, down.version = moveDown, ""
		return []move{down, roll}
	case len(from) > 0 && p.keepsPrevious(s):
		retire := roll
		retire.kind, retire.kept = moveRetire, from
		return []move{roll, retire}
	}
	return []move{roll}
}
