package planner_test

import (
	"math/rand/v2"
	"slices"
	"strings"

	"pleat/planner"
)

// putOff defers a random step, as a run does that does not get its evidence in
// time or whose gate or window is closed, and with it what needs it, as the
// executor does. Whatever still runs must not make a release meet what it cannot
// live with, and must not do what that step was to come before.
func (v *verdict) putOff() {
	r := rand.New(rand.NewPCG(v.seed, 9))
	var free []int
	for i, s := range v.plan.Steps {
		if s.Kind != planner.KindCheckpoint && !s.Together && s.Deferred == "" {
			free = append(free, i)
		}
	}
	if len(free) == 0 {
		return
	}
	at := free[r.IntN(len(free))]
	s, off := v.again(), map[string]bool{v.plan.Steps[at].ID: true}
	for _, step := range v.plan.Steps {
		needsIt := slices.ContainsFunc(step.Needs, func(need string) bool { return off[need] })
		if step.Deferred != "" || off[step.ID] || needsIt || s.lacks(step) {
			off[step.ID] = true
			continue
		}
		why := s.misstep(step.Action)
		if strings.HasSuffix(why, notArrived) {
			why = s.illegal(s.node()) // the evidence is enough
		}
		if why != "" {
			v.wrong("%s put off, and then %s: %s", v.plan.Steps[at].ID, step.ID, why)
			return
		}
	}
}

// lacks tells whether evidence of a step is not there: instances that must be
// gone.
func (s *scene) lacks(step planner.Step) bool {
	return slices.ContainsFunc(step.Guards, func(g planner.Guard) bool {
		n, ok := g.(*planner.NoInstances)
		return ok && slices.ContainsFunc(s.state.Orchestrators[hosts].Instances, func(i planner.Instance) bool {
			named := len(n.Versions) == 0 || slices.Contains(n.Versions, i.Release)
			return i.Service == n.Service && i.State != planner.Down && named && !slices.Contains(n.Except, i.Release)
		})
	})
}
