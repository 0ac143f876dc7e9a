package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"pleat/executor"
	"pleat/executor/lease"
	"pleat/planner"
	"pleat/spec"
)

func newUnlockCommand(a *app) *cobra.Command {
	var run string
	c := &cobra.Command{
		Use: "unlock ID", Short: "Free the lease of a run that is gone", Args: cobra.MaximumNArgs(1),
		Long: "Frees the lease whose holder has that ID, which `pleat status` and a refused\napply show. A holder that lives after all can write nothing any more. A lease\nends by itself 30 s after its holder died.\n\nWith --abandon-run it closes a run that was cut short instead, where it stands:\nfor one that neither apply nor rollback can go on with." +
			exitHelp("0 freed, closed", "1 nobody holds it, or another ID does; no such run is open", "4 a person must look", "7 another apply holds the lease"),
		RunE: func(c *cobra.Command, args []string) error {
			if (run == "") == (len(args) == 0) {
				return &usageError{errors.New("unlock takes the ID of a holder, or --abandon-run RUN")}
			}
			sp, err := a.load()
			if err != nil {
				return err
			}
			if sp.State == nil {
				return errors.New("the spec has no database, so there is no lease")
			}
			if run != "" {
				return a.abandonRun(c.Context(), sp, run)
			}
			return a.unlock(c.Context(), sp, args[0])
		},
	}
	c.Flags().StringVar(&run, "abandon-run", "", "close that `run`, which was cut short, where it stands")
	return c
}

func (a *app) unlock(ctx context.Context, sp *spec.Spec, holder string) error {
	if err := lease.Unlock(ctx, sp.State.URL, environment, holder); err != nil {
		return err
	}
	a.talk("The lease is free.")
	return nil
}

func (a *app) abandonRun(ctx context.Context, sp *spec.Spec, run string) error {
	outliveReaders()
	anywhere := func(*planner.State) error { return nil }
	return a.underLease(ctx, sp, anywhere, func(ctx context.Context, r *runner) error { return r.closeOpen(ctx, run) })
}

// closeOpen closes the open run, if it is that one.
func (r *runner) closeOpen(ctx context.Context, run string) error {
	open, err := r.journal.Unfinished(ctx)
	if err != nil {
		return err
	}
	if open == nil || open.ID != run {
		return fmt.Errorf("run %s is not open", run)
	}
	plan, err := planner.Decode(open.Plan)
	if err != nil {
		plan = &planner.Plan{Kind: open.Kind} // nothing of it can be settled
	}
	r.take(run)
	if err := executor.Abandon(ctx, r.config(plan, r.warned)); err != nil {
		return err
	}
	r.app.talk("Run %s is closed. pleat plan shows the way from where it stands.", run)
	return nil
}
