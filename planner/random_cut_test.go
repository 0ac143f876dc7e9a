package planner_test

import (
	"math/rand/v2"
	"slices"
	"strings"

	"pleat/planner"
)

// cut stops the plan at a random place and asks that what is planned then ends
// where the whole one does.
func (v *verdict) cut(end string) {
	r := rand.New(rand.NewPCG(v.seed, 7))
	at := r.IntN(len(v.plan.Steps) + 1)
	if places := v.checkpoints(); len(places) > 0 && r.IntN(2) == 0 {
		at = places[r.IntN(len(places))]
	}
	s := v.again()
	s.run(v.plan.Steps[:at])
	rest, diags := planner.Make(s.spec, s.state, patient)
	if rest == nil {
		v.wrong("cut after %d steps: %s", at, diags)
		return
	}
	if at < len(v.plan.Steps) && v.plan.Steps[at].Kind == planner.KindCheckpoint {
		v.goesOn(rest, at)
	}
	s.run(rest.Steps)
	if got := s.digest(); got != end {
		v.wrong("cut after %d steps, it ends in\n%s\nand uncut in\n%s", at, got, end)
	}
}

func (v *verdict) checkpoints() []int {
	var out []int
	for i, s := range v.plan.Steps {
		if s.Kind == planner.KindCheckpoint {
			out = append(out, i)
		}
	}
	return out
}

// goesOn compares the rest of a plan with the plan of what is left. Parts that
// have nothing to do with each other may take turns in another order, and of two
// releases in between that are as good the other one may be taken.
func (v *verdict) goesOn(rest *planner.Plan, at int) {
	was, is := ids(v.plan.Steps[at:]), ids(rest.Steps)
	// What an earlier run verified is asked again before a contract.
	is = slices.DeleteFunc(is, func(id string) bool { return strings.Contains(id, "/verify.") && !slices.Contains(was, id) })
	same := slices.Equal(was, is)
	slices.Sort(was)
	slices.Sort(is)
	v.count.Lock()
	defer v.count.Unlock()
	v.count.cuts++
	switch {
	case same:
	case slices.Equal(was, is):
		v.count.otherOrder++
	default:
		v.count.otherWay++
	}
}

// ids are the steps that run now, but for checkpoints, each without the number
// of one that comes twice.
func ids(steps []planner.Step) []string {
	var out []string
	for _, s := range steps {
		if s.Kind != planner.KindCheckpoint && s.Deferred == "" {
			out = append(out, strings.TrimSuffix(s.ID, "/2"))
		}
	}
	return out
}

// undone takes a prefix of the plan back, the last step first. On the way no
// release may meet what it cannot live with either.
func (v *verdict) undone() {
	r := rand.New(rand.NewPCG(v.seed, 8))
	at := len(v.plan.Steps)
	if r.IntN(2) == 0 {
		at = r.IntN(at + 1)
	}
	if i := slices.IndexFunc(v.plan.Steps[:at], func(s planner.Step) bool { return s.Undo == nil || s.Undo.Bars || s.Deferred != "" }); i >= 0 {
		at = i
	}
	s := v.again()
	before := s.roughly(nil)
	s.run(v.plan.Steps[:at])
	stays := map[string]bool{}
	for i := at - 1; i >= 0; i-- {
		step := v.plan.Steps[i]
		if step.Undo.Action == nil {
			stays[string(step.Address)] = true
			continue
		}
		s.take(step.Undo.Action)
		if why := s.illegal(s.node()); why != "" {
			v.wrong("undoing %s after %d steps: %s", step.ID, at, why)
			return
		}
	}
	if before = s.without(before, stays); s.roughly(stays) != before {
		v.wrong("undone after %d steps, it is\n%s\nand was\n%s", at, s.roughly(stays), before)
	}
}
