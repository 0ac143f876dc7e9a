package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/spec"
)

type unhideOptions struct {
	autoApprove bool
	events      string
}

func newUnhideCommand(a *app) *cobra.Command {
	var o unhideOptions
	c := &cobra.Command{
		Use: "unhide CHANGE", Short: "Bring back what a contract took out of sight", Args: cobra.ExactArgs(1),
		Long: "Brings back the columns and tables that the contract of a change has hidden and\nnot yet dropped, for a reader that misses them. It goes by the run that hid\nthem, so the spec may have moved on. The change stays verified and its soak\nbegins anew." +
			exitHelp("0 brought back", "1 nothing of it is hidden, it is dropped, or a later change has its name", "3 failed, still hidden", "4 a person must look", "6 another run was cut short", "7 another apply holds the lease", "8 declined", "130 interrupted"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.unhide(c.Context(), o, strings.TrimPrefix(args[0], "change."))
		},
	}
	c.Flags().BoolVar(&o.autoApprove, "auto-approve", false, "do not ask")
	c.Flags().StringVar(&o.events, "events", "", "write every event to a `file`, one JSON object a line")
	c.Flags().BoolVar(&a.json, "json", false, "print events and the summary as JSON lines")
	return c
}

func (a *app) unhide(ctx context.Context, o unhideOptions, change string) error {
	outliveReaders()
	sp, err := a.load()
	if err != nil {
		return err
	}
	anywhere := func(*planner.State) error { return nil }
	return a.underLease(ctx, sp, anywhere, func(ctx context.Context, r *runner) error { return r.unhide(ctx, o, change) })
}

func (r *runner) unhide(ctx context.Context, o unhideOptions, change string) error {
	if err := r.nothingOpen(ctx); err != nil {
		return err
	}
	plan, err := r.planUnhide(ctx, change)
	if err != nil {
		return err
	}
	if err := r.present(ctx, plan, false, applyOptions{autoApprove: o.autoApprove}); err != nil {
		return err
	}
	return r.start(ctx, plan, o.events)
}

// planUnhide finds the run that hid what the change takes away, and plans the
// way back of it.
func (r *runner) planUnhide(ctx context.Context, change string) (*planner.Plan, error) {
	nothing := fmt.Errorf("nothing of change %s is hidden, as far as runs are recorded", change)
	runs, err := r.journal.RunsAbout(ctx, spec.Address("change."+change))
	if err != nil {
		return nil, err
	}
	dropped := map[string]string{}
	var retired []planner.Step
	for _, run := range runs { // newest first
		plan, err := planner.Decode(run.Plan)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", run.ID, err)
		}
		done, err := r.contracted(ctx, run, plan, spec.Address("change."+change))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(done, planner.Unhides) {
			return nil, nothing
		}
		for _, s := range done {
			if s.Undo == nil {
				dropped[s.Table] = fmt.Sprintf("%s, by run %s", s.Title, run.ID)
			}
		}
		retired = append(slices.DeleteFunc(slices.Clone(done), func(s planner.Step) bool { return !planner.Retires(s) }), retired...)
		hidden := slices.DeleteFunc(done, func(s planner.Step) bool { return !planner.Hides(s) })
		left := slices.DeleteFunc(slices.Clone(hidden), func(s planner.Step) bool { return dropped[s.Table] != "" })
		if len(left) > 0 {
			if err := r.displaced(ctx, change, run, plan, left); err != nil {
				return nil, err
			}
			if len(dropped) > 0 {
				retired = nil // of what is gone for good, and comes back with nothing
			}
			return r.backFrom(ctx, change, plan, append(left, retired...))
		}
		if len(hidden) > 0 {
			return nil, fmt.Errorf("%s: nothing brings it back", dropped[hidden[0].Table])
		}
	}
	return nil, nothing
}

func (r *runner) backFrom(ctx context.Context, change string, plan *planner.Plan, hidden []planner.Step) (*planner.Plan, error) {
	back, err := planner.Unhide(change, hidden, plan.Target, now())
	if err != nil {
		return nil, err
	}
	return back, r.sameSystem(ctx, back)
}

// displaced refuses to bring back what was hidden under a name that a later
// change has taken since, and that stands.
func (r *runner) displaced(ctx context.Context, change string, run journal.Run, plan *planner.Plan, hidden []planner.Step) error {
	runs, err := r.journal.RunsSince(ctx, run)
	if err != nil {
		return err
	}
	later, err := r.contracted(ctx, run, plan, "")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(later, func(s planner.Step) bool { return s.ID == hidden[0].ID })
	later = later[at+1:]
	for _, run := range slices.Backward(runs) {
		plan, err := planner.Decode(run.Plan)
		if err != nil {
			return fmt.Errorf("run %s: %w", run.ID, err)
		}
		done, err := r.contracted(ctx, run, plan, "")
		if err != nil {
			return err
		}
		later = append(later, done...)
	}
	later = planner.StillDone(later)
	for _, s := range hidden {
		by := planner.Displaced(s, later)
		if by == nil {
			continue
		}
		other := strings.TrimPrefix(string(by.Address), "change.")
		return &codeError{
			exitError, fmt.Errorf("%s of change %s cannot come back: change %s has taken the name since (%s)", s.Title, change, other, by.Title),
			fmt.Sprintf("pleat unhide %s first; where that is dropped already, a change of its own makes the former index again", other),
		}
	}
	return nil
}

// contracted are the steps of a change's contract that a run did and that
// stand; of every change's where none is named.
func (r *runner) contracted(ctx context.Context, run journal.Run, plan *planner.Plan, change spec.Address) ([]planner.Step, error) {
	var of []planner.Step
	for _, s := range plan.Steps {
		if (s.Address == change || change == "") && s.Kind == planner.KindContract {
			of = append(of, s)
		}
	}
	if len(of) == 0 {
		return nil, nil
	}
	entries, err := r.journal.Entries(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	status := map[string]executor.StepStatus{}
	for _, e := range entries {
		status[e.Step] = executor.StepStatus(e.Status)
	}
	var done []planner.Step
	for _, s := range of {
		if status[s.ID] == executor.StepDone || status[s.ID] == executor.StepSettled {
			done = append(done, s)
		}
	}
	return done, nil
}

// sameSystem refuses what was hidden somewhere else.
func (r *runner) sameSystem(ctx context.Context, plan *planner.Plan) error {
	st, err := r.world.observe(ctx, planner.Scope{})
	if err != nil {
		return err
	}
	if len(plan.Target) == 0 {
		return errors.New("the run that hid it does not say where")
	}
	return forTarget(plan, st)
}
