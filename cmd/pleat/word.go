package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/executor/lease"
	"pleat/planner"
)

type approveOptions struct {
	decline bool
	reason  string
}

func newApproveCommand(a *app) *cobra.Command {
	var o approveOptions
	c := &cobra.Command{
		Use: "approve [STEP]", Short: "Say yes, or no, to a step that waits for it", Args: cobra.MaximumNArgs(1),
		Long: "Gives a run that waits for approval a person's word, from any machine that\nreaches the state database. STEP is the step's number in the plan; without it,\nthe one that waits is meant. The word counts for this attempt of the step alone.\nWhoever gives it is recorded: the user of this system, and the database role\nthat `from` is about." +
			exitHelp("0 said", "1 nothing waits for approval, or not for this role's"),
		RunE: func(c *cobra.Command, args []string) error {
			number := 0
			if len(args) > 0 {
				n, err := strconv.Atoi(args[0])
				if err != nil || n < 1 {
					return &usageError{fmt.Errorf("STEP is a number such as 11, as the plan shows it; %q is none", args[0])}
				}
				number = n
			}
			return a.withJournal(c.Context(), func(j *journal.Journal) error { return a.approve(c.Context(), j, number, o) })
		},
	}
	c.Flags().BoolVar(&o.decline, "decline", false, "say no: the rollout is taken back")
	c.Flags().StringVar(&o.reason, "reason", "", "kept with the word")
	return c
}

func newAbortCommand(a *app) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "abort", Short: "Stop a run that goes on, at its next safe point", Args: cobra.NoArgs,
		Long: "Tells the run that goes on to stop, from any machine that reaches the state\ndatabase, and waits until it has. What is done stays: pleat apply goes on with\nthe run, pleat rollback goes back. A run that rolls back is not stopped." +
			exitHelp("0 it has stopped, or ended by itself", "1 no run goes on", "130 no longer waited for"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withJournal(c.Context(), func(j *journal.Journal) error { return a.abort(c.Context(), j, reason) })
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "kept with the word, and shown where the run goes on")
	return c
}

// withJournal is for verbs that need the state database and nothing else.
func (a *app) withJournal(ctx context.Context, f func(*journal.Journal) error) error {
	sp, err := a.load()
	if err != nil {
		return err
	}
	if sp.State == nil {
		return errors.New("the spec has no database, so nothing is recorded")
	}
	j, err := journal.Open(ctx, sp.State.URL, environment, "pleat")
	if err != nil {
		return err
	}
	return errors.Join(f(j), j.Close(context.WithoutCancel(ctx)))
}

// spoken is a word with who says it.
func spoken(word, step, reason string) (journal.Word, error) {
	self, err := lease.Self("")
	return journal.Word{Word: word, Step: step, Who: self.Who + "@" + self.Host, Reason: reason}, err
}

func (a *app) approve(ctx context.Context, j *journal.Journal, number int, o approveOptions) error {
	open, err := a.onTheWay(ctx, j)
	if err != nil {
		return err
	}
	step, err := awaited(ctx, j, open, number)
	if err != nil {
		return err
	}
	role, err := j.Role(ctx)
	if err != nil {
		return err
	}
	if ask := step.Action.(*planner.Approve); !ask.May(role) {
		return fmt.Errorf("the word of the database role %s does not count here: it is asked of %s", role, step.Waits[0])
	}
	word, said := journal.Approve, "Approved"
	if o.decline {
		word, said = journal.Decline, "Declined"
	}
	w, err := spoken(word, step.ID, o.reason)
	if err != nil {
		return err
	}
	if err := j.Say(ctx, open.ID, w); err != nil {
		return err
	}
	a.talk("%s: %s, of run %s.", said, step.Title, open.ID)
	return nil
}

// onTheWay is the run that somebody carries out now.
func (a *app) onTheWay(ctx context.Context, j *journal.Journal) (*journal.Run, error) {
	open, err := j.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	if open == nil {
		return nil, errors.New("no run goes on")
	}
	on, err := a.goesOn(ctx, open.ID)
	if err == nil && !on {
		err = &codeError{exitError, fmt.Errorf("run %s does not go on: it was cut short", open.ID), goOn(open.Kind)}
	}
	return open, err
}

// awaited is the step of a run that waits for approval: the one of that number
// or, with 0, whichever does.
func awaited(ctx context.Context, j *journal.Journal, open *journal.Run, number int) (planner.Step, error) {
	plan, err := openPlan(open)
	if err != nil {
		return planner.Step{}, err
	}
	entries, err := j.Entries(ctx, open.ID)
	if err != nil {
		return planner.Step{}, err
	}
	status := map[string]executor.StepStatus{}
	for _, e := range entries {
		status[e.Step] = executor.StepStatus(e.Status)
	}
	n := 0
	for _, s := range plan.Steps {
		if s.Kind == planner.KindCheckpoint {
			continue
		}
		n++
		if _, asks := s.Action.(*planner.Approve); asks && status[s.ID] == executor.StepStarted && (number == 0 || number == n) {
			return s, nil
		}
	}
	if number > 0 {
		return planner.Step{}, fmt.Errorf("step %d of run %s does not wait for approval", number, open.ID)
	}
	return planner.Step{}, fmt.Errorf("nothing waits for approval in run %s", open.ID)
}

func (a *app) abort(ctx context.Context, j *journal.Journal, reason string) error {
	open, err := a.onTheWay(ctx, j)
	if err != nil {
		return err
	}
	w, err := spoken(journal.Abort, "", reason)
	if err != nil {
		return err
	}
	if err := j.Say(ctx, open.ID, w); err != nil {
		return err
	}
	a.talk("Told run %s to stop at its next safe point.", open.ID)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		on, err := a.goesOn(ctx, open.ID)
		if err != nil {
			return err
		}
		if !on {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &codeError{exitInterrupted, fmt.Errorf("run %s was told to stop, and is no longer waited for", open.ID), ""}
		}
	}
	ended, err := j.Finished(ctx, open.ID)
	if err != nil {
		return err
	}
	if ended {
		a.talk("It came to its end.")
		return nil
	}
	a.talk("It has stopped. Next: %s", goOn(open.Kind))
	return nil
}

// goesOn tells whether somebody who lives holds the lease for that run.
func (a *app) goesOn(ctx context.Context, run string) (bool, error) {
	sp, err := a.load()
	if err != nil {
		return false, err
	}
	held, err := lease.Show(ctx, sp.State.URL, environment)
	return held != nil && held.Run == run && !held.Gone(), err
}

// listening is how often a run looks whether it was told to stop.
const listening = time.Second

// listen calls stop once the run is told to stop, and ends with ctx. What was
// said before it began was said to an attempt that has ended. A question that
// fails is asked again: the run's own writes tell what is wrong.
func (r *runner) listen(ctx context.Context, stop func(journal.Word)) {
	tick := time.NewTicker(listening)
	defer tick.Stop()
	seen, known := int64(0), false
	for {
		words, err := r.journal.Words(ctx, r.ticket.Run, seen)
		for _, w := range words {
			seen = w.Seq
			if known && w.Word == journal.Abort {
				stop(w)
				return
			}
		}
		known = known || err == nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
