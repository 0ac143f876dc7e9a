package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"pleat/planner"
	"pleat/spec"
)

type rollbackOptions struct {
	check       bool
	revert      []string
	acknowledge []string
	allow       []string
	autoApprove bool
	events      string
}

func newRollbackCommand(a *app) *cobra.Command {
	var o rollbackOptions
	c := &cobra.Command{
		Use: "rollback [SERVICE=RELEASE ...]", Short: "Go back to the releases before",
		Long: "Takes back the run that was cut short, or goes on with it if it was a rollback;\nelse plans the way to the releases that were live before the last run, or to\nthose named. The schema stays expanded,\nunless --revert names a change to take back too." +
			exitHelp("0 rolled back; --check: it is possible", "1 there is no way back, with every reason", "3 failed", "4 a person must look",
				"5 what was live changed while the question was open", "6 data would be lost that was not acknowledged, a hazard is not allowed", "7 another apply holds the lease", "8 declined", "130 interrupted"),
		RunE: func(c *cobra.Command, args []string) error { return a.rollback(c.Context(), o, args) },
	}
	f := c.Flags()
	f.BoolVar(&o.check, "check", false, "only say whether and how it is possible")
	f.StringSliceVar(&o.revert, "revert", nil, "also take back the expand of a `change`")
	f.StringSliceVar(&o.acknowledge, "acknowledge", nil, "accept what taking back a `change` loses")
	f.StringSliceVar(&o.allow, "allow-hazards", nil, "hazards that may run, by `code`")
	f.BoolVar(&o.autoApprove, "auto-approve", false, "do not ask")
	f.StringVar(&o.events, "events", "", "write every event to a `file`, one JSON object a line")
	f.BoolVar(&a.json, "json", false, "print events and the summary as JSON lines")
	return c
}

func (a *app) rollback(ctx context.Context, o rollbackOptions, args []string) error {
	outliveReaders()
	if err := allowable(o.allow); err != nil {
		return err
	}
	sp, err := a.load()
	if err != nil {
		return err
	}
	goal, err := rollbackGoal(o, args)
	if err != nil {
		return err
	}
	if err := inSpec(sp, goal); err != nil {
		return err
	}
	if o.check {
		return a.checkRollback(ctx, goal)
	}
	anywhere := func(*planner.State) error { return nil }
	return a.underLease(ctx, sp, anywhere, func(ctx context.Context, r *runner) error { return r.rollback(ctx, o, goal) })
}

func rollbackGoal(o rollbackOptions, args []string) (planner.Goal, error) {
	goal := planner.Goal{Rollback: true, Releases: map[string]string{}}
	for _, arg := range args {
		service, version, ok := strings.Cut(arg, "=")
		if !ok {
			return goal, &usageError{fmt.Errorf("%s: write it as SERVICE=RELEASE", arg)}
		}
		goal.Releases[service] = version
	}
	for _, name := range o.revert {
		goal.Revert = append(goal.Revert, strings.TrimPrefix(name, "change."))
	}
	slices.Sort(goal.Revert)
	return goal, nil
}

// checkRollback says whether a rollback is possible, and shows it.
func (a *app) checkRollback(ctx context.Context, goal planner.Goal) (err error) {
	sp, err := a.load()
	if err != nil {
		return err
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	if !named(goal) {
		if open, err := a.checkOpen(ctx, sp); open || err != nil {
			return err
		}
	}
	goal, st, err := w.aim(ctx, goal)
	if err != nil {
		return err
	}
	plan, diags := planner.Make(sp, st, goal)
	if why := runIn(ctx, w, st); why != nil {
		diags = append(hcl.Diagnostics{why}, diags...)
	}
	if diags.HasErrors() {
		return &diagnosticsError{diags}
	}
	a.warn(diags)
	if err := w.ready(ctx, plan); err != nil {
		return err
	}
	return a.showPlan(plan)
}

// runIn says that a run is on, or was cut short: whatever it does may change
// what can be gone back to. nil where there is none.
func runIn(ctx context.Context, w *world, st *planner.State) *hcl.Diagnostic {
	open := st.Journal.Open
	if open == nil {
		return nil
	}
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: "A run is not finished",
		Detail: strings.Join(runLines(open, holding(ctx, w)), "; ") + ". What it does next may change what can be gone back to.",
	}
}

// backPlan plans the way back: to the releases named, or to those before.
func (a *app) backPlan(ctx context.Context, w *world, goal planner.Goal) (*planner.Plan, error) {
	goal, st, err := w.aim(ctx, goal)
	if err != nil {
		return nil, err
	}
	return a.planFor(w.spec, st, goal)
}

// aim completes the goal of a rollback, and gives the state that it is for.
func (w *world) aim(ctx context.Context, goal planner.Goal) (planner.Goal, *planner.State, error) {
	goal.Releases = maps.Clone(goal.Releases)
	if err := w.destination(ctx, &goal); err != nil {
		return goal, nil, err
	}
	st, err := w.observe(ctx, planner.ScopeOf(w.spec))
	if err != nil {
		return goal, nil, err
	}
	return goal, st, w.stays(goal, st)
}

// destination fills in the releases to go back to, where none is named.
func (w *world) destination(ctx context.Context, goal *planner.Goal) error {
	if len(goal.Releases) == 0 {
		before, err := w.releasesBefore(ctx)
		if err != nil {
			return err
		}
		if len(before) == 0 && len(goal.Revert) == 0 {
			return errors.New("not enough releases to perform a rollback: there is no earlier one to go back to")
		}
		goal.Releases = before
	}
	return inSpec(w.spec, *goal)
}

// inSpec refuses names that the spec does not have: what they stand for would
// be left out of the way back without a word.
func inSpec(sp *spec.Spec, goal planner.Goal) error {
	var services, changes []string
	for _, s := range sp.Services {
		services = append(services, s.Name)
	}
	for _, c := range sp.Changes {
		changes = append(changes, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(goal.Releases)) {
		if !slices.Contains(services, name) {
			return &usageError{fmt.Errorf("the spec has no service %q.%s", name, spec.DidYouMean(name, services))}
		}
	}
	for _, name := range goal.Revert {
		if !slices.Contains(changes, name) {
			return &usageError{fmt.Errorf("the spec has no change %q to take back.%s", name, spec.DidYouMean(name, changes))}
		}
	}
	return nil
}

// stays completes the goal: a service that is not named stays where it is. Where
// that is not clear it must be named, or the spec's release would be rolled out.
func (w *world) stays(goal planner.Goal, st *planner.State) error {
	for _, s := range w.spec.Services {
		if _, named := goal.Releases[s.Name]; named {
			continue
		}
		at := standing(s.Name, st)
		if len(at) != 1 {
			return &codeError{exitError, fmt.Errorf("%s has to be named, because %s", s.Address(), runs(at)), "pleat rollback " + s.Name + "=RELEASE, beside the others"}
		}
		goal.Releases[s.Name] = at[0]
	}
	return nil
}

func runs(releases []string) string {
	if len(releases) == 0 {
		return "nothing of it runs"
	}
	return strings.Join(releases, " and ") + " run"
}

// standing are the releases that a service is at: those of instances that are
// to be up, whether they are or not; else those of the last ones.
func standing(service string, st *planner.State) []string {
	staying, leaving := map[string]bool{}, map[string]bool{}
	for _, o := range st.Orchestrators {
		for _, i := range o.Instances {
			if i.Service != service {
				continue
			}
			switch i.State {
			case planner.Pending, planner.Starting, planner.Up:
				staying[i.Release] = true
			default:
				leaving[i.Release] = true
			}
		}
	}
	if len(staying) == 0 {
		staying = leaving
	}
	return slices.Sorted(maps.Keys(staying))
}

func (r *runner) rollback(ctx context.Context, o rollbackOptions, goal planner.Goal) error {
	open, err := r.journal.Unfinished(ctx)
	if err != nil {
		return err
	}
	if open != nil {
		if over, err := r.rollbackOpen(ctx, open, o, goal); over || err != nil {
			return err
		}
	}
	plan, err := r.app.backPlan(ctx, r.world, goal)
	if err != nil {
		return err
	}
	if err := r.world.losses(ctx, plan, o.acknowledge); err != nil {
		return err
	}
	allow := append([]string{"data_loss"}, o.allow...) // losses has asked for it by name
	if err := r.present(ctx, plan, false, applyOptions{autoApprove: o.autoApprove, allow: allow}); err != nil || plan.Empty() {
		return err
	}
	if err := r.start(ctx, plan, o.events); err != nil {
		return err
	}
	r.app.tellHeld(r.world.spec, plan)
	return nil
}

// tellHeld says after a rollback what the spec is to be: as it is, it wants a release
// that is on hold now, and the next plan is refused.
func (a *app) tellHeld(sp *spec.Spec, back *planner.Plan) {
	for _, h := range back.Holds {
		wants := func(s *spec.Service) bool { return s.Name == h.Service && s.Release.Version == h.Version }
		if i := slices.IndexFunc(sp.Services, wants); i >= 0 && !a.json {
			at := sp.Services[i].ReleaseRange
			a.talk("Next: %s:%d still has %s %s, which is on hold now; set it to what is live", at.Filename, at.Start.Line, h.Service, h.Version)
		}
	}
}
