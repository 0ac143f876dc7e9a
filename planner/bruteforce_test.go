package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// Whenever trying everything finds a way, the planner finds one, and it rolls
// no service out more often than the shortest way does.
func TestPlannerFindsAWayWhereThereIsOne(t *testing.T) {
	ways, dead := 0, 0
	for seed := range worlds() {
		w := randomWorld(uint64(seed))
		if len(w.spec.Changes) > 4 {
			continue
		}
		rolls, found := shortest(w)
		plan, diags := planner.Make(w.spec, w.state, anyLineage)
		if found != (plan != nil) {
			t.Fatalf("seed %d: trying everything says %v, the planner says %v (%s)", seed, found, plan != nil, diags)
		}
		if !found {
			dead++
			continue
		}
		ways++
		if got := rollsOf(plan); got > rolls {
			t.Errorf("seed %d: the plan rolls out %d times, %d would do", seed, got, rolls)
		}
	}
	t.Logf("%d worlds with a way, %d without", ways, dead)
	if ways == 0 || dead == 0 {
		t.Errorf("%d worlds with a way, %d without: the generator proves too little", ways, dead)
	}
}

// rollsOf counts the rollouts of a plan: the releases it starts.
func rollsOf(p *planner.Plan) int {
	started := map[string]bool{}
	for _, s := range p.Steps {
		if a, ok := s.Action.(*planner.Start); ok {
			started[a.Service+" "+a.Release] = true
		}
	}
	return len(started)
}

// node is a state of the search by trying everything: which releases of each
// service may run, and how far each change is.
type node struct {
	mix    [][]*spec.Release
	phases []migrations.Phase
}

func (n node) key() string {
	var b strings.Builder
	for _, m := range n.mix {
		for _, r := range m {
			b.WriteString(r.Version + ",")
		}
		b.WriteByte(';')
	}
	for _, p := range n.phases {
		b.WriteString(string(p) + ";")
	}
	return b.String()
}

// shortest tries every order of steps, those with fewer rollouts first. It is
// written from the design's rules alone and shares nothing with the planner.
func shortest(w *random) (rolls int, found bool) {
	start := w.node()
	seen := map[string]bool{start.key(): true}
	frontier := []node{start}
	for rolls := 0; len(frontier) > 0; rolls++ {
		frontier = closeOver(w, frontier, seen)
		if slices.ContainsFunc(frontier, w.reached) {
			return rolls, true
		}
		var next []node
		for _, n := range frontier {
			for _, m := range w.rollouts(n) {
				if !seen[m.key()] {
					seen[m.key()] = true
					next = append(next, m)
				}
			}
		}
		frontier = next
	}
	return 0, false
}

// closeOver adds everything that schema steps alone can reach.
func closeOver(w *random, nodes []node, seen map[string]bool) []node {
	for i := 0; i < len(nodes); i++ {
		for _, m := range w.advances(nodes[i]) {
			if !seen[m.key()] {
				seen[m.key()] = true
				nodes = append(nodes, m)
			}
		}
	}
	return nodes
}

func (w *random) node() node {
	var n node
	for _, s := range w.spec.Services {
		var live []*spec.Release
		for _, r := range s.Releases {
			for _, i := range w.state.Orchestrators["orchestrator.host.local"].Instances {
				if i.Service == s.Name && i.Release == r.Version && !slices.Contains(live, r) {
					live = append(live, r)
				}
			}
		}
		n.mix = append(n.mix, live)
	}
	for range w.spec.Changes {
		n.phases = append(n.phases, migrations.Absent)
	}
	return n
}

// reached tells whether every service runs its release and every change is
// verified, as far as it has anything to back-fill and verify.
func (w *random) reached(n node) bool {
	for i, s := range w.spec.Services {
		if len(n.mix[i]) != 1 || n.mix[i][0] != s.Release {
			return false
		}
	}
	for i, c := range w.spec.Changes {
		if n.phases[i] != last(c) {
			return false
		}
	}
	return true
}

func last(c *spec.Change) migrations.Phase {
	switch {
	case len(c.Verifies) > 0:
		return migrations.Verified
	case len(c.Backfills) > 0:
		return migrations.Backfilled
	}
	return migrations.Expanded
}

func (w *random) advances(n node) []node {
	order := []migrations.Phase{migrations.Absent, migrations.Expanded, migrations.Backfilled, migrations.Verified}
	var out []node
	for i, c := range w.spec.Changes {
		at := slices.Index(order, n.phases[i])
		if n.phases[i] == last(c) || !w.mayAdvance(n, c, n.phases[i]) {
			continue
		}
		m := node{n.mix, slices.Clone(n.phases)}
		m.phases[i] = order[at+1]
		if w.fine(m) {
			out = append(out, m)
		}
	}
	return out
}

func (w *random) mayAdvance(n node, c *spec.Change, from migrations.Phase) bool {
	if from == migrations.Absent {
		for _, before := range c.After {
			if n.phases[slices.Index(w.spec.Changes, before)] == migrations.Absent {
				return false
			}
		}
		return !slices.ContainsFunc(c.RequiresAbsent, func(r *spec.Release) bool { return n.runs(r) })
	}
	if from != migrations.Expanded || synced(c) {
		return true
	}
	for _, live := range n.mix {
		for _, r := range live {
			if !reaches(r.Schema, c) {
				return false
			}
		}
	}
	return true
}

func synced(c *spec.Change) bool {
	return slices.ContainsFunc(c.Expand, func(op spec.Operation) bool {
		_, ok := op.(*spec.Sync)
		return ok
	})
}

func (n node) runs(r *spec.Release) bool {
	return slices.ContainsFunc(n.mix, func(live []*spec.Release) bool { return slices.Contains(live, r) })
}

// rollouts takes one service that has not arrived to its target, or to a
// release on the way there; while it goes, both run.
func (w *random) rollouts(n node) []node {
	var out []node
	for i, s := range w.spec.Services {
		if len(n.mix[i]) == 1 && n.mix[i][0] == s.Release {
			continue
		}
		for _, r := range s.Releases {
			if r != s.Release && !onTheWay(s, n.mix[i], r) || len(n.mix[i]) == 1 && n.mix[i][0] == r {
				continue
			}
			mixed := node{slices.Clone(n.mix), n.phases}
			mixed.mix[i] = append(slices.Clone(n.mix[i]), r)
			if !w.fine(mixed) {
				continue
			}
			alone := node{slices.Clone(n.mix), n.phases}
			alone.mix[i] = []*spec.Release{r}
			out = append(out, alone)
		}
	}
	return out
}

// onTheWay tells whether the target's code contains the release, and the
// release that of one that is live; nothing declared forbids nothing.
func onTheWay(s *spec.Service, live []*spec.Release, r *spec.Release) bool {
	if len(s.Release.Ancestors) > 0 && !contains(s, s.Release, r.Version) {
		return false
	}
	return len(r.Ancestors) == 0 || len(live) == 0 || slices.ContainsFunc(live, func(l *spec.Release) bool { return contains(s, r, l.Version) })
}

func contains(s *spec.Service, r *spec.Release, version string) bool {
	if r == nil || r.Version == version {
		return r != nil
	}
	return slices.ContainsFunc(r.Ancestors, func(a string) bool { return a == version || contains(s, s.Lookup(a), version) })
}

// fine tells whether every release that runs can live with every change as it
// is.
func (w *random) fine(n node) bool {
	for _, live := range n.mix {
		for _, r := range live {
			for i, c := range w.spec.Changes {
				knows := reaches(r.Schema, c)
				filled := n.phases[i] != migrations.Absent && (n.phases[i] != migrations.Expanded || len(c.Backfills) == 0)
				if knows && n.phases[i] == migrations.Absent || knows && slices.Contains(r.NeedsBackfill, c) && !filled {
					return false
				}
			}
		}
	}
	return true
}

func (w *random) String() string {
	var b strings.Builder
	for _, c := range w.spec.Changes {
		fmt.Fprintf(&b, "%s synced=%v backfills=%d\n", c.Name, synced(c), len(c.Backfills))
	}
	for _, s := range w.spec.Services {
		for _, r := range s.Releases {
			var knows, needs []string
			for _, c := range r.Schema {
				knows = append(knows, c.Name)
			}
			for _, c := range r.NeedsBackfill {
				needs = append(needs, c.Name)
			}
			fmt.Fprintf(&b, "%s %s knows %v needs %v target=%v\n", s.Name, r.Version, knows, needs, s.Release == r)
		}
	}
	return b.String()
}
