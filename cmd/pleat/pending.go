package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"pleat/executor"
	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// asOfNow puts the reasons that hold by now into the end of a run: a quiet time that
// began in it has an end, which the plan could not know. Where the world cannot be
// read or planned for any more, the plan's reasons stand.
func (r *runner) asOfNow(ctx context.Context, plan *planner.Plan, sum *executor.Summary) {
	if sum.Status != executor.Deferred || plan.Kind == backward {
		return
	}
	st, err := r.world.observe(ctx, planner.ScopeOf(r.world.spec))
	if err != nil || r.world.read(ctx, st) != nil {
		return
	}
	fresh, diags := planner.Make(r.world.spec, st, r.goal)
	if !diags.HasErrors() {
		sum.Deferred = reasonsNow(sum.Deferred, plan, fresh)
	}
}

// reasonsNow are the steps that a run put off, those that the plan had put off already
// with the reason of the fresh plan. What waits for a person's word keeps its own.
func reasonsNow(off []executor.PutOff, plan, fresh *planner.Plan) []executor.PutOff {
	now := map[string]string{}
	for _, s := range fresh.Steps {
		now[s.ID] = s.Deferred
	}
	for _, s := range plan.Steps {
		if s.Deferred == "" || len(planner.WordsIn(s.Deferred)) > 0 {
			delete(now, s.ID)
		}
	}
	out := slices.Clone(off)
	for i, o := range out {
		out[i].Reason = cmp.Or(now[o.ID], o.Reason)
	}
	return out
}

// pending says for each change whose expand or contract is yet to come, and for each
// service that has nothing of its release, what that waits for, as a plan that is made
// now would; nothing where none can be made.
func (w *world) pending(st *planner.State, phases []planner.Phase) map[spec.Address]string {
	at, missing := map[spec.Address]migrations.Phase{}, w.missing(st)
	for _, p := range phases {
		at[spec.Address("change."+p.Change)] = p.Phase
	}
	due := func(c *spec.Change) bool {
		return goesOn(at[c.Address()], planner.KindExpand) || c.Contract != nil && goesOn(at[c.Address()], planner.KindContract)
	}
	if len(missing) == 0 && !slices.ContainsFunc(w.spec.Changes, due) {
		return nil // most of the time, and a plan costs more than a look
	}
	plan, diags := planner.Make(w.spec, st, planner.Goal{})
	if diags.HasErrors() {
		return nil
	}
	out := map[spec.Address]string{}
	for _, s := range plan.Steps {
		if s.Deferred == "" || out[s.Address] != "" {
			continue
		}
		if to := missing[s.Address]; to != "" {
			out[s.Address] = fmt.Sprintf("not at %s yet: %s", to, s.Deferred)
		}
		if goesOn(at[s.Address], s.Kind) {
			out[s.Address] = fmt.Sprintf("%s %s: %s", s.Kind, s.Title, s.Deferred)
		}
	}
	return out
}

// goesOn tells whether a step of that kind is what a change in that phase waits for.
func goesOn(at migrations.Phase, kind planner.Kind) bool {
	switch at {
	case migrations.Absent:
		return kind == planner.KindExpand || kind == planner.KindSync
	case migrations.Verified, migrations.Hidden:
		return kind == planner.KindContract
	}
	return false
}

// missing are the releases of services of which nothing is there.
func (w *world) missing(st *planner.State) map[spec.Address]string {
	out := map[spec.Address]string{}
	for _, s := range w.spec.Services {
		out[s.Address()] = s.Release.Version
	}
	for _, o := range st.Orchestrators {
		for _, i := range o.Instances {
			if a := spec.Address("service." + i.Service); i.State != planner.Down && i.Release == out[a] {
				delete(out, a)
			}
		}
	}
	return out
}
