// Package executor carries a plan out, or stops with a reason. It decides
// nothing: it keeps the plan's order, records every step before and after,
// asks providers, and goes back to the last checkpoint, by the undo that the
// plan holds, at the first thing that fails. Whoever calls it holds the lease.
package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pleat/executor/crash"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/spec"
)

// Config is what a run needs. Everything in it is the caller's, who closes it.
type Config struct {
	Plan      *planner.Plan
	Journal   Journal
	Ticket    planner.Ticket
	Providers map[spec.Address]Applier
	// Stop, once closed, ends the run at the next safe point. Cancelling the
	// context of Execute cancels the statement in hand as well.
	Stop <-chan struct{}
	// Watch gets every record, in order, from one goroutine at a time. A slow
	// one delays the run; it can lose nothing.
	Watch func(Record)
	Now   func() time.Time
}

// Result is what came of a run.
type Result struct {
	Summary
	// Err is why the run did not complete, nil when it did.
	Err error
}

// Execute starts a new run of the plan and carries it as far as it goes. The
// error is about the journal or the lease alone; what happened to the steps is
// in the Result.
func Execute(ctx context.Context, c Config, begin journal.Run) (Result, error) {
	r := newRun(c)
	r.next = "pleat " + c.Plan.Kind + " begins the run"
	if err := c.Journal.Begin(ctx, c.Ticket, begin); err != nil {
		return Result{}, r.unrecorded(err)
	}
	r.written, r.next = true, goesOn(c.Plan.Kind)
	crash.At("run.recorded")
	if err := r.announce(ctx); err != nil {
		return Result{}, err
	}
	return r.forward(ctx)
}

// forward goes on with what is left, once the gates of it are open.
func (r *run) forward(ctx context.Context) (Result, error) {
	for _, o := range r.Plan.Overrides {
		if err := r.emit(ctx, Overrode{o}); err != nil {
			return Result{}, err
		}
	}
	closed, err := r.blockedBy(ctx)
	if err != nil {
		return Result{}, err
	}
	if closed != nil {
		return r.end(ctx, Blocked, closed)
	}
	if r.stopped {
		return r.interrupted(ctx)
	}
	if err := r.prepare(ctx); err != nil {
		return Result{}, err
	}
	return r.carryOut(ctx)
}

// resume records that the run goes on.
func (r *run) resume(ctx context.Context) error {
	err := r.unrecorded(r.Journal.Resume(ctx, r.Ticket, r.Ticket.Run))
	r.written = err == nil
	return err
}

// announce tells that the run is there.
func (r *run) announce(ctx context.Context) error {
	return r.emit(ctx, RunChanged{
		Status: Pending, Kind: r.Plan.Kind, Fingerprint: r.Plan.Fingerprint, Steps: r.Plan.Now() + r.Plan.Deferred(),
	})
}

// Resume goes on with a run that was cut short: forward, or further back when
// it was rolling back already.
func Resume(ctx context.Context, c Config) (Result, error) {
	r := newRun(c)
	if err := r.recall(ctx); err != nil {
		return Result{}, err
	}
	if err := r.lookBack(ctx); err != nil {
		return Result{}, err
	}
	if r.back != nil {
		if err := r.unled(ctx); err != nil {
			return Result{}, err
		}
	}
	if err := r.resume(ctx); err != nil {
		return Result{}, err
	}
	if r.back != nil {
		if err := r.prepare(ctx); err != nil {
			return Result{}, err
		}
		return r.rollBack(ctx, errors.New(r.back.Detail), extent(r.back.Status))
	}
	if !r.started() {
		// It may have been cut short before anybody was told of it.
		if err := r.announce(ctx); err != nil {
			return Result{}, err
		}
	}
	r.askAgain()
	return r.forward(ctx)
}

// Back takes a run that was cut short back to where it started. Expands that
// were complete stay: the old release lives with them.
func Back(ctx context.Context, c Config) (Result, error) {
	r := newRun(c)
	r.next = "pleat rollback takes the run back"
	if _, err := r.findBack(ctx); err != nil {
		return Result{}, err
	}
	if err := r.resume(ctx); err != nil {
		return Result{}, err
	}
	return r.rollBack(ctx, errors.New("asked to roll back"), toStart)
}

// Way is what taking a run back does to its steps.
type Way struct {
	Undone []planner.Step // in the order in which they are undone
	Kept   []planner.Step // schema steps that stay: the release before lives with them
}

// WayBack tells what Back would do, and fails where Back would refuse: with a
// *NoWayBackError where there is none. Nothing is changed. Without Providers, which
// are asked what became of a step that was cut short, Back may yet refuse for such a
// step; whoever gives them holds the lease.
func WayBack(ctx context.Context, c Config) (Way, error) {
	return newRun(c).findBack(ctx)
}

// NoWayBackError says that a run cannot be taken back.
type NoWayBackError struct {
	Step planner.Step
	Kind string // of the run
	Run  string // that was going back already; "": it can be gone on with
}

// Error names the step.
func (e *NoWayBackError) Error() string {
	return fmt.Sprintf("%s %s is done and cannot be undone", e.Step.Kind, e.Step.Title)
}

// Hint is how to go on.
func (e *NoWayBackError) Hint() string {
	if e.Run != "" {
		return "pleat unlock --abandon-run " + e.Run + " closes the run, and pleat " + e.Kind + " plans from what is there"
	}
	return goesOn(e.Kind)
}

// UnknownError says that nobody can tell whether a step took effect.
type UnknownError struct {
	Step planner.Step
	Err  error
}

// Error names the step and what was tried.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("outcome of %s %s unknown: %v", e.Step.Kind, e.Step.Title, e.Err)
}

// Unwrap gives what probing said.
func (e *UnknownError) Unwrap() error { return e.Err }

// RecordError is a journal that could not be read or written. No step failed
// because of it: the run stands where the journal says, open for the next command.
type RecordError struct {
	Err error
	// Written tells whether the command had written anything by then. Else it has
	// changed nothing.
	Written bool
	next    string // what which command does
}

// Error is what the journal said.
func (e *RecordError) Error() string { return e.Err.Error() }

// Hint is how to go on.
func (e *RecordError) Hint() string {
	hint := "once the state database can be written, " + e.next
	if e.Written {
		return hint
	}
	return "nothing was changed; " + hint
}

// Unwrap gives the journal's error.
func (e *RecordError) Unwrap() error { return e.Err }
