package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/spec"
)

// backward is the kind of a run that goes back. The kind of a run is the verb
// that begins it and goes on with it.
const backward = "rollback"

// goOn says what may be done about a run of that kind that was cut short.
func goOn(kind string) string {
	if kind == backward {
		return "pleat rollback goes on"
	}
	return "pleat apply goes on, pleat rollback goes back"
}

// openPlan is the plan of a run that was cut short.
func openPlan(open *journal.Run) (*planner.Plan, error) {
	plan, err := planner.Decode(open.Plan)
	if err != nil {
		return nil, &codeError{
			exitLook, fmt.Errorf("run %s of %s on %s was cut short: %w", open.ID, open.Who, open.Host, err),
			"the pleat that made it goes on with it; pleat unlock --abandon-run " + open.ID + " closes it where it stands",
		}
	}
	return plan, nil
}

// openNote says what apply makes of a run that did not end: a plan that is made
// from where that run stands may not be what is carried out next. "" where there
// is none.
func (w *world) openNote(ctx context.Context, st *planner.State, goal planner.Goal) (note string, err error) {
	if st.Journal.Open == nil {
		return "", nil
	}
	j, err := journal.Open(ctx, w.spec.State.URL, environment, "pleat")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	open, err := j.Unfinished(ctx)
	if open == nil || err != nil {
		return "", err
	}
	if held := holding(ctx, w); held != nil {
		return fmt.Sprintf("A run is on, and this plan is from where it stands now: %s (lease %s)", held, held.ID), nil
	}
	plan, err := openPlan(open)
	if err != nil {
		return "", err
	}
	moved := plan.Elsewhere(st)
	if w.sameWish(st, goal, nil, open) && len(moved) == 0 {
		return fmt.Sprintf("Run %s was cut short.\nNext: pleat apply goes on with it, by the plan that it began with and not by this one; pleat rollback goes back", open.ID), nil
	}
	if open.Kind == backward {
		return fmt.Sprintf("Run %s, a rollback, was cut short, and pleat apply refuses to begin before it is finished.\nNext: pleat rollback goes on with it", open.ID), nil
	}
	why, err := otherwise(open, nil, moved)
	return fmt.Sprintf("Run %s was cut short%s.\nNext: pleat apply leaves it where it stands and plans from there, as here; pleat rollback goes back", open.ID, why), err
}

// sayLine writes a line, where there is one.
func sayLine(out io.Writer, line string) error {
	if line == "" {
		return nil
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// checkOpen shows what rollback would do about a run that was cut short. The
// first result tells whether there is one.
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
	plan, err := openPlan(open)
	if err != nil {
		return false, err
	}
	if open.Kind == backward {
		a.talk("Run %s, a rollback, was cut short; pleat rollback goes on with it:", open.ID)
		return true, a.showPlan(plan)
	}
	return true, a.showWayBack(ctx, executor.Config{Plan: plan, Journal: j, Ticket: planner.Ticket{Run: open.ID}, Now: now})
}

// rollbackOpen takes back the run that was cut short, or goes on with it if it
// was a rollback to the same. False: it was one to something else, and is
// closed.
func (r *runner) rollbackOpen(ctx context.Context, open *journal.Run, o rollbackOptions, goal planner.Goal) (over bool, err error) {
	plan, err := openPlan(open)
	if err != nil {
		return true, err
	}
	if open.Kind != backward {
		if named(goal) {
			return true, &codeError{exitError, fmt.Errorf("run %s was cut short, and going back takes it back to where it started, nowhere else", open.ID), "pleat rollback, and then the same command again"}
		}
		r.take(open.ID)
		return true, r.takeBack(ctx, plan, o)
	}
	same, err := r.sameWayBack(ctx, goal, open)
	if err != nil {
		return true, err
	}
	if !same {
		return false, r.abandon(ctx, plan, open, onItsWay)
	}
	r.take(open.ID)
	r.app.talk("Run %s, a rollback, was cut short; going on with it.", open.ID)
	return true, r.execute(ctx, plan, o.events, executor.Resume)
}

// named tells whether somebody said where to go back to.
func named(goal planner.Goal) bool { return len(goal.Releases) > 0 || len(goal.Revert) > 0 }

// sameWayBack tells whether an open rollback is on its way to what is asked for.
func (r *runner) sameWayBack(ctx context.Context, goal planner.Goal, open *journal.Run) (bool, error) {
	if !named(goal) {
		return true, nil
	}
	goal, st, err := r.world.aim(ctx, goal)
	if err != nil {
		return false, err
	}
	return planner.Wish(r.world.spec, st, goal) == open.Wish, nil
}

// unfinishedBack refuses to roll out again what a rollback is on its way from.
func unfinishedBack(open *journal.Run) error {
	return &codeError{exitBlocked, fmt.Errorf("run %s, a rollback, was cut short and is not finished", open.ID), "pleat rollback goes on with it"}
}

// takeBack shows what taking the open run back does, asks, and does it.
func (r *runner) takeBack(ctx context.Context, plan *planner.Plan, o rollbackOptions) error {
	if err := r.app.showWayBack(ctx, r.config(plan, r.warned)); err != nil {
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
func (a *app) showWayBack(ctx context.Context, c executor.Config) error {
	way, err := executor.WayBack(ctx, c)
	if err != nil {
		return err
	}
	a.talk("Run %s was cut short. Taking it back means:", c.Ticket.Run)
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
