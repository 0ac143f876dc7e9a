package planner_test

import (
	"fmt"
	"math/bits"
	"slices"

	"pleat/spec"
)

// The phases of a change, in order.
const (
	absent uint8 = iota
	expanded
	backfilled
	verified
	hidden
	contracted
)

// node is one state of a world, as small as it can be: which releases of each
// service run, how far each change is, and how many files of each directory
// have run.
type node struct {
	mix      [mostServices]uint8 // bits; of a service that is down what ran before
	down     [mostServices]bool
	kept     [mostServices]bool // the target runs beside what ran before
	phases   [mostChanges]uint8
	versions [mostDirectories]uint8
}

// through skips the phases that a change has nothing to do for.
func (d *draft) through(c int, phase uint8) uint8 {
	if phase == expanded && !d.changes[c].backfill {
		phase = backfilled
	}
	if phase == backfilled && !d.changes[c].verify {
		phase = verified
	}
	return phase
}

// version is the live version of a directory.
func (d *draft) version(n node, i int) uint64 {
	m := d.directories[i]
	if m.live != 0 {
		return m.live
	}
	if n.versions[i] == 0 {
		return 0
	}
	return m.files[n.versions[i]-1]
}

// knows tells whether a release was built for a change or one after it.
func (r *draftRelease) knows(c int) bool {
	return r.known&(1<<c) != 0
}

// reach are these changes and all before them, as bits.
func (d *draft) reach(changes []int) uint8 {
	var out uint8
	for _, c := range changes {
		out |= 1<<c | d.reach(d.changes[c].after)
	}
	return out
}

// bitsOf lists the releases of a mix.
func bitsOf(mix uint8) []int {
	var out []int
	for ; mix != 0; mix &= mix - 1 {
		out = append(out, bits.TrailingZeros8(mix))
	}
	return out
}

func (n node) runs(s, bit int) bool { return !n.down[s] && n.mix[s]&(1<<bit) != 0 }

// lives tells whether a release of a service can run in a world: design.md §3.
func (d *draft) lives(n node, s, bit int) bool {
	return d.clashing(n, s, bit) == 0 && d.outside(n, s, bit) < 0
}

// clashing are the changes that a release cannot live with as they are, as bits.
func (d *draft) clashing(n node, s, bit int) uint8 {
	var missing, unfilled, taken uint8
	for c := range d.changes {
		switch phase := n.phases[c]; {
		case phase == absent:
			missing |= 1 << c
			unfilled |= 1 << c
		case phase < backfilled:
			unfilled |= 1 << c
		case phase >= hidden:
			taken |= 1 << c
		}
	}
	service := &d.services[s]
	r := service.at(bit)
	if r == nil {
		return service.bears & taken
	}
	return service.bears & (r.known&missing | setOf(r.needs)&unfilled | taken&^r.known&^setOf(r.tolerates))
}

// outside is a directory with whose version a release cannot run, -1 where
// there is none.
func (d *draft) outside(n node, s, bit int) int {
	r := d.services[s].at(bit)
	if r == nil || len(r.ranges) == 0 {
		return -1
	}
	for i := range d.directories {
		if !d.inRange(r, i, d.version(n, i), false) {
			return i
		}
	}
	return -1
}

func setOf(changes []int) uint8 {
	var out uint8
	for _, c := range changes {
		out |= 1 << c
	}
	return out
}

// trouble says why a release cannot run in a world.
func (d *draft) trouble(n node, s, bit int) string {
	who := d.serviceName(s) + " " + d.services[s].version(bit)
	if clash := d.clashing(n, s, bit); clash != 0 {
		c := bits.TrailingZeros8(clash)
		return fmt.Sprintf("%s cannot live with %s, which is %s", who, d.changeName(c), phaseNames[n.phases[c]])
	}
	i := d.outside(n, s, bit)
	return fmt.Sprintf("%s cannot run with version %d of %s", who, d.version(n, i), d.directoryName(i))
}

// inRange tells whether a release can run with a version of a directory, or be
// started with it.
func (d *draft) inRange(r *draftRelease, i int, version uint64, start bool) bool {
	said := false
	for _, x := range r.ranges {
		if x.directory != i {
			continue
		}
		said = true
		switch {
		case r.onStart && version != x.ships:
		case start && version < x.ships:
		case x.holds(version):
			return true
		}
	}
	return !said
}

// illegal says which release runs and cannot; "" where all can.
func (d *draft) illegal(n node) string {
	for s := range d.services {
		for mix := n.mix[s]; mix != 0 && !n.down[s]; mix &= mix - 1 {
			if bit := bits.TrailingZeros8(mix); !d.lives(n, s, bit) {
				return d.trouble(n, s, bit)
			}
		}
	}
	return ""
}

// legal tells whether everything that runs can.
func (d *draft) legal(n node) bool {
	for s := range d.services {
		for mix := n.mix[s]; mix != 0 && !n.down[s]; mix &= mix - 1 {
			if !d.lives(n, s, bits.TrailingZeros8(mix)) {
				return false
			}
		}
	}
	return true
}

// mayAdvance tells whether a change may take its next step towards the
// contract, and mayMigrate the same of a directory.
func (d *draft) mayAdvance(n node, c int) bool {
	change := d.changes[c]
	switch n.phases[c] {
	case absent:
		gone := !slices.ContainsFunc(change.absent, func(a draftRef) bool { return n.runs(a.service, a.release) })
		return gone && !slices.ContainsFunc(change.after, func(b int) bool { return n.phases[b] == absent })
	case expanded:
		return change.synced || !d.carelessRuns(n, c)
	case backfilled:
		return true
	}
	return false
}

// carelessRuns tells whether something writes the old shape only.
func (d *draft) carelessRuns(n node, c int) bool {
	for s := range d.services {
		if n.down[s] || !slices.Contains(d.services[s].uses, d.changes[c].database) {
			continue
		}
		for _, bit := range bitsOf(n.mix[s]) {
			if r := d.services[s].at(bit); r == nil || !r.knows(c) {
				return true
			}
		}
	}
	return false
}

func (d *draft) mayMigrate(n node, i int) bool {
	m := d.directories[i]
	if int(n.versions[i]) > m.target {
		return false
	}
	for s := range d.services {
		if n.down[s] || !slices.Contains(d.services[s].uses, m.database) {
			continue
		}
		if n.runs(s, unknown) || n.runs(s, recorded) && d.services[s].silent(i) {
			return false
		}
	}
	return true
}

// silent tells whether the release that only the journal has says nothing of a
// directory of which the service's others do.
func (s *draftService) silent(i int) bool {
	says := func(r draftRelease) bool {
		return slices.ContainsFunc(r.ranges, func(x draftRange) bool { return x.directory == i })
	}
	return !says(*s.at(recorded)) && slices.ContainsFunc(s.releases, says)
}

// mayRoll tells whether the rollout of a release may begin: everything but what
// runs during it.
func (d *draft) mayRoll(n node, s, bit int) bool {
	service := &d.services[s]
	r := service.at(bit)
	if service.strategy.kind == spec.Offline && !n.down[s] && n.mix[s] != 0 {
		return false
	}
	for i := range d.directories {
		if !d.inRange(r, i, d.version(n, i), true) {
			return false
		}
	}
	if !d.onTheWay(n, s, bit) || !d.stopsKept(n, s, bit) {
		return false
	}
	return bit != service.target || !slices.ContainsFunc(service.after, func(b int) bool { return !d.there(n, b) })
}

// there tells whether a service runs its target, be it beside kept releases.
func (d *draft) there(n node, s int) bool { return d.alone(n, s) || n.kept[s] }

func (d *draft) alone(n node, s int) bool {
	return !n.down[s] && n.mix[s] == 1<<d.services[s].target
}

// onTheWay tells whether a release lies between what runs and the target.
func (d *draft) onTheWay(n node, s, bit int) bool {
	service := &d.services[s]
	r, target := service.at(bit), service.at(service.target)
	if r == target {
		return true
	}
	if len(target.ancestors) > 0 && !service.contains(target.version, r.version) {
		return false
	}
	return len(r.ancestors) == 0 || n.mix[s] == 0 ||
		slices.ContainsFunc(bitsOf(n.mix[s]), func(l int) bool { return service.contains(r.version, service.version(l)) })
}

// contains tells whether the code of a version has that of another in it.
func (s *draftService) contains(version, other string) bool {
	if version == other {
		return true
	}
	r := s.at(s.bit(version))
	return r != nil && slices.ContainsFunc(r.ancestors, func(a string) bool { return s.contains(a, other) })
}

// stopsKept tells whether no required stop is passed, or left too early.
func (d *draft) stopsKept(n node, s, bit int) bool {
	service := &d.services[s]
	to := service.version(bit)
	for x := range unknown {
		stop := service.at(x)
		if stop == nil || !stop.stop || x == bit {
			continue
		}
		for _, l := range bitsOf(n.mix[s]) {
			if l != x && service.contains(to, stop.version) && service.contains(stop.version, service.version(l)) {
				return false
			}
			if l == x && !d.settled(n, stop) {
				return false
			}
		}
	}
	return true
}

// settled tells whether every change that a release knows is through.
func (d *draft) settled(n node, r *draftRelease) bool {
	for c := range d.changes {
		if r.knows(c) && n.phases[c] < verified {
			return false
		}
	}
	return true
}

// refusal says why no plan is made whatever the way; "" where one may be.
func (d *draft) refusal() string {
	for i, m := range d.directories {
		if m.dirty {
			return "dirty"
		}
		if v := d.version(d.start, i); v > m.files[m.target] || v != 0 && !slices.Contains(m.files, v) {
			return "version"
		}
	}
	for n, s := range d.services {
		if s.at(s.target).onStart && s.strategy.kind != spec.Offline && !d.alone(d.start, n) {
			return "migrates on start"
		}
	}
	return ""
}
