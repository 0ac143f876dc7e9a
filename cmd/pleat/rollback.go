package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/spec"
)

type rollbackOptions struct {
	check       bool
	revert      []string
	acknowledge []string
	autoApprove bool
	events      string
}

func newRollbackCommand(a *app) *cobra.Command {
	var o rollbackOptions
	c := &cobra.Command{
		Use: "rollback [SERVICE=RELEASE ...]", Short: "Go back to the releases before",
		Long: "Takes back the run that was cut short; else plans the way to the releases that\nwere live before the last run, or to those named. The schema stays expanded,\nunless --revert names a change to take back too." +
			exitHelp("0 rolled back; --check: it is possible", "1 there is no way back, with every reason", "3 failed", "4 a person must look",
				"6 data would be lost that was not acknowledged", "7 another apply holds the lease", "8 declined", "130 interrupted"),
		RunE: func(c *cobra.Command, args []string) error { return a.rollback(c.Context(), o, args) },
	}
	f := c.Flags()
	f.BoolVar(&o.check, "check", false, "only say whether and how it is possible")
	f.StringSliceVar(&o.revert, "revert", nil, "also take back the expand of a `change`")
	f.StringSliceVar(&o.acknowledge, "acknowledge", nil, "accept what taking back a `change` loses")
	f.BoolVar(&o.autoApprove, "auto-approve", false, "do not ask")
	f.StringVar(&o.events, "events", "", "write every event to a `file`, one JSON object a line")
	f.BoolVar(&a.json, "json", false, "print events and the summary as JSON lines")
	return c
}

func (a *app) rollback(ctx context.Context, o rollbackOptions, args []string) error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	goal, err := rollbackGoal(o, args)
	if err != nil {
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
func (a *app) checkRollback(ctx context.Context, goal planner.Goal) error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	w, err := a.open(sp)
	if err != nil {
		return err
	}
	if open, err := a.checkOpen(ctx, sp); open || err != nil {
		return err
	}
	plan, err := a.backPlan(ctx, w, goal)
	if err != nil {
		return err
	}
	return a.showPlan(plan, "")
}

// checkOpen shows the way back of a run that was cut short. The first result
// tells whether there is one.
func (a *app) checkOpen(ctx context.Context, sp *spec.Spec) (shown bool, err error) {
	if sp.State == nil {
		return false, nil
	}
	j, err := journal.Open(ctx, sp.State.URL, environment, "pleat")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	open, err := j.Unfinished(ctx)
	if open == nil || err != nil {
		return false, err
	}
	plan, err := planner.Decode(open.Plan)
	if err != nil {
		return false, fmt.Errorf("run %s: %w", open.ID, err)
	}
	return true, a.showWayBack(ctx, j, open.ID, plan)
}

// backPlan plans the way back: to the releases named, or to those before.
func (a *app) backPlan(ctx context.Context, w *world, goal planner.Goal) (*planner.Plan, error) {
	if err := w.destination(ctx, &goal); err != nil {
		return nil, err
	}
	st, err := w.observe(ctx, planner.ScopeOf(w.spec))
	if err != nil {
		return nil, err
	}
	stays(goal, st, w)
	plan, diags := planner.Make(w.spec, st, goal)
	if diags.HasErrors() {
		return nil, &diagnosticsError{diags}
	}
	return plan, a.warn(diags)
}

// destination fills in the releases to go back to, where none is named.
func (w *world) destination(ctx context.Context, goal *planner.Goal) error {
	if len(goal.Releases) == 0 {
		before, err := w.releasesBefore(ctx)
		if err != nil {
			return err
		}
		if len(before) == 0 && len(goal.Revert) == 0 {
			return errors.New("there is no earlier release to go back to")
		}
		goal.Releases = before
	}
	known := map[string]bool{}
	for _, s := range w.spec.Services {
		known[s.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(goal.Releases)) {
		if !known[name] {
			return &usageError{fmt.Errorf("the spec has no service %q", name)}
		}
	}
	return nil
}

// stays completes the goal: a service that is not named stays where it is.
func stays(goal planner.Goal, st *planner.State, w *world) {
	for _, s := range w.spec.Services {
		if _, named := goal.Releases[s.Name]; named {
			continue
		}
		for _, i := range st.Orchestrators[string(s.Orchestrator.Address())].Instances {
			if i.Service == s.Name && i.State == planner.Up {
				goal.Releases[s.Name] = i.Release
			}
		}
	}
}

func (r *runner) rollback(ctx context.Context, o rollbackOptions, goal planner.Goal) error {
	open, err := r.journal.Unfinished(ctx)
	if err != nil {
		return err
	}
	if open != nil {
		plan, err := planner.Decode(open.Plan)
		if err != nil {
			return fmt.Errorf("run %s: %w", open.ID, err)
		}
		r.take(open.ID)
		return r.takeBack(ctx, plan, o)
	}
	plan, err := r.app.backPlan(ctx, r.world, goal)
	if err != nil {
		return err
	}
	if err := r.world.losses(ctx, plan, o.acknowledge); err != nil {
		return err
	}
	if err := r.present(ctx, plan, false, applyOptions{autoApprove: o.autoApprove, allow: []string{"data_loss"}}); err != nil || plan.Empty() {
		return err
	}
	return r.execute(ctx, plan, o.events, func(ctx context.Context, c executor.Config) (executor.Result, error) {
		begin, err := r.begin(plan)
		if err != nil {
			return executor.Result{}, err
		}
		return executor.Execute(ctx, c, begin)
	})
}

// takeBack shows what taking the open run back does, asks, and does it.
func (r *runner) takeBack(ctx context.Context, plan *planner.Plan, o rollbackOptions) error {
	if err := r.app.showWayBack(ctx, r.journal, r.ticket.Run, plan); err != nil {
		return err
	}
	if !o.autoApprove {
		if err := r.app.confirm("Take it back?"); err != nil {
			return err
		}
	}
	return r.asked(r.execute(ctx, plan, o.events, executor.Back))
}

// showWayBack prints what taking a run back that was cut short would do, and
// what of it stays.
func (a *app) showWayBack(ctx context.Context, j *journal.Journal, run string, plan *planner.Plan) error {
	way, err := executor.WayBack(ctx, executor.Config{Plan: plan, Journal: j, Ticket: planner.Ticket{Run: run}, Now: now})
	if err != nil {
		return err
	}
	a.talk("Run %s was cut short. Taking it back means:", run)
	for _, s := range way.Undone {
		a.talk("  %s: %s", s.Undo.Title, s.Title)
	}
	if len(way.Undone) == 0 {
		a.talk("  nothing, no step has to be undone")
	}
	for _, s := range way.Kept {
		a.talk("The schema stays expanded: %s %s. The release before lives with it.", s.Kind, s.Title)
	}
	return nil
}

// asked turns the exit code of a rollback that was asked for into success.
func (r *runner) asked(err error) error {
	var run *runError
	if !errors.As(err, &run) || run.code != exitRolledBack {
		return err
	}
	if r.app.json {
		r.app.jsonLine(jsonError{Exit: exitDone, Summary: &run.summary})
	}
	return nil
}
