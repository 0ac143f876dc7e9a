package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pleat/planner"
	"pleat/spec"
)

type scaleOptions struct {
	autoApprove bool
	events      string
}

func newScaleCommand(a *app) *cobra.Command {
	var o scaleOptions
	c := &cobra.Command{
		Use: "scale SERVICE PROCESS=N ...", Short: "Change how many instances of what is live there are", Args: cobra.MinimumNArgs(2),
		Long: "Starts or stops instances of the release that is live, until there are N, as a\nplan of its own. It is for processes with scaling, within their range: every\nlater plan then takes the number that it finds. Releases and schema stay." +
			exitHelp("0 done, or as many already", "1 error: no such service or process, out of range, or a rollout is on its way", "3 failed and rolled back", "4 a person must look",
				"5 what was live changed while the question was open", "6 another run was cut short", "7 another apply holds the lease", "8 declined, or no terminal to ask", "130 interrupted at a safe point"),
		RunE: func(c *cobra.Command, args []string) error {
			goal, err := scaleGoal(args)
			if err != nil {
				return err
			}
			return a.scale(c.Context(), o, goal)
		},
	}
	c.Flags().BoolVar(&o.autoApprove, "auto-approve", false, "do not ask")
	c.Flags().StringVar(&o.events, "events", "", "write every event to a `file`, one JSON object a line")
	c.Flags().BoolVar(&a.json, "json", false, "print events and the summary as JSON lines")
	return c
}

func scaleGoal(args []string) (planner.Goal, error) {
	counts := map[string]int{}
	for _, arg := range args[1:] {
		process, number, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(number)
		if err != nil || process == "" {
			return planner.Goal{}, &usageError{fmt.Errorf("%s: write it as PROCESS=N", arg)}
		}
		counts[process] = n
	}
	return planner.Goal{Scale: map[string]map[string]int{strings.TrimPrefix(args[0], "service."): counts}}, nil
}

func (a *app) scale(ctx context.Context, o scaleOptions, goal planner.Goal) error {
	outliveReaders()
	sp, err := a.load()
	if err != nil {
		return err
	}
	for name := range goal.Scale {
		if !slices.ContainsFunc(sp.Services, func(s *spec.Service) bool { return s.Name == name }) {
			return &usageError{fmt.Errorf("the spec has no service %q", name)}
		}
	}
	anywhere := func(*planner.State) error { return nil }
	return a.underLease(ctx, sp, anywhere, func(ctx context.Context, r *runner) error { return r.scale(ctx, o, goal) })
}

func (r *runner) scale(ctx context.Context, o scaleOptions, goal planner.Goal) error {
	if err := r.nothingOpen(ctx); err != nil {
		return err
	}
	st, err := r.world.observe(ctx, planner.ScopeOf(r.world.spec))
	if err != nil {
		return err
	}
	plan, diags := planner.Make(r.world.spec, st, goal)
	if diags.HasErrors() {
		return &diagnosticsError{diags}
	}
	r.app.warn(diags)
	if err := r.present(ctx, plan, false, applyOptions{autoApprove: o.autoApprove}); err != nil || plan.Empty() {
		return err
	}
	return r.start(ctx, plan, o.events)
}

// nothingOpen refuses what must not come between a run and its end.
func (r *runner) nothingOpen(ctx context.Context) error {
	open, err := r.journal.Unfinished(ctx)
	if err != nil {
		return err
	}
	if open == nil {
		return nil
	}
	return &codeError{
		exitBlocked, fmt.Errorf("run %s was cut short and is not finished", open.ID),
		goOn(open.Kind) + "; pleat unlock --abandon-run " + open.ID + " closes it where it stands",
	}
}
