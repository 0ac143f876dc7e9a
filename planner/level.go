package planner

import (
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// smallKnot is from how many worlds on a knot is levelled before it is searched:
// the search would look at most of them.
const smallKnot = 50_000

// small tells whether all worlds of the knot can be looked at.
func (k *knot) small() bool {
	worlds := 1
	for _, s := range k.services {
		if worlds *= len(s.Releases) + 1; worlds > smallKnot {
			return false
		}
	}
	for _, d := range k.directories {
		if worlds *= len(d.Files) + 1; worlds > smallKnot {
			return false
		}
	}
	return true
}

// level is a way for knots that are too large to search: every service that is
// in the way of something goes to the newest release in between that is not,
// then everything goes on as far as it can, and again. The way need not have
// the fewest rollouts, and that there is none proves nothing.
func (k *knot) level(w world) ([]move, bool) {
	moves, _ := k.forward(w)
	seen := map[string]bool{}
	for !k.arrived(w) {
		if seen[k.key(w)] {
			return nil, false
		}
		seen[k.key(w)] = true
		levelled := k.levelOnce(w)
		if len(levelled) == 0 {
			return nil, false
		}
		further, _ := k.forward(w)
		moves = append(append(moves, levelled...), further...)
	}
	return moves, true
}

// levelOnce takes each service that is in the way on by one release.
func (k *knot) levelOnce(w world) []move {
	var moves []move
	blocking := k.blocking(w)
	for _, s := range k.services {
		if !blocking[s.Name] || k.rolledOut(w, s) || k.offline(s) {
			continue
		}
		for i := len(s.Releases) - 1; i >= 0; i-- {
			to := releaseKey{s.Name, s.Releases[i].Version}
			if w.at(to.service, to.version) || !k.liesBetween(w, to) || !k.may(w, to) || k.blocksToo(w, to) {
				continue
			}
			reason := k.reason(w, to)
			m := k.roll(w, to)
			m.reason = reason
			moves = append(moves, m)
			break
		}
	}
	return moves
}

// blocksToo tells whether a service would be in the way at that release as well.
func (k *knot) blocksToo(w world, to releaseKey) bool {
	alone := w
	alone.mix, alone.down = map[string]map[string]bool{to.service: {to.version: true}}, nil
	return k.blocking(alone)[to.service]
}

// blocking are the services that run what something in the schema waits for to
// be gone.
func (k *knot) blocking(w world) map[string]bool {
	out := map[string]bool{}
	for _, d := range k.directories {
		if f := following(d, w.versions[d.Name]); f != nil {
			for _, m := range k.inTheWay(w, d, f.Version) {
				out[m.service] = true
			}
		}
	}
	for _, c := range k.changes {
		k.blockingChange(w, c, out)
	}
	return out
}

func (k *knot) blockingChange(w world, c *spec.Change, out map[string]bool) {
	switch w.phases[c.Name] {
	case migrations.Absent:
		for _, r := range c.RequiresAbsent {
			if slices.Contains(w.running(), releaseKey{r.Service.Name, r.Version}) {
				out[r.Service.Name] = true
			}
		}
	case migrations.Expanded:
		if k.keeps(c) {
			return
		}
		for _, r := range k.careless(w, c) {
			out[r.service] = true
		}
	}
}
