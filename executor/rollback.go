package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pleat/executor/crash"
	"pleat/executor/journal"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// extent is how far a rollback goes, in the journal's word for it.
type extent string

const (
	toCheckpoint extent = "rolling_back"
	toStart      extent = "rolling_back_to_start"
)

// failure goes back to the last checkpoint, or stops where a person must look.
func (r *run) failure(ctx context.Context, s planner.Step, cause error) (Result, error) {
	r.failed = &s
	var unknown *UnknownError
	if errors.As(cause, &unknown) {
		return r.end(ctx, Failed, cause)
	}
	var fenced *conn.FencedError
	var unrecorded *RecordError
	if errors.As(cause, &fenced) || errors.As(cause, &unrecorded) {
		// Whoever has the lease now decides, or nobody who cannot write it down.
		return Result{}, cause
	}
	if promotes(s) {
		switch outcome, lost := r.probe(ctx, s); outcome {
		case planner.Unknown:
			return r.end(ctx, Failed, &UnknownError{Step: s, Err: errors.Join(planner.ErrOutcomeUnknown, cause, lost)})
		case planner.Done:
			return r.promoted(ctx, s, cause)
		}
	}
	for _, done := range r.sinceCheckpoint() {
		if (done.Undo == nil || done.Undo.Bars && !r.stays(done)) && r.status[done.ID] != StepFailed && done.ID != s.ID {
			if err := r.change(ctx, s, StepFailed, "", cause); err != nil {
				return Result{}, errors.Join(cause, err)
			}
			return r.noReturn(ctx, cause, done)
		}
	}
	return r.rollBack(ctx, cause, toCheckpoint)
}

// noReturn ends a run that failed after what cannot be undone.
func (r *run) noReturn(ctx context.Context, cause error, done planner.Step) (Result, error) {
	return r.end(ctx, Failed, fmt.Errorf("%w (past the point of no return: %s %s cannot be undone)", cause, done.Kind, done.Title))
}

// since are the steps that a rollback undoes, the last first.
func (r *run) since(to extent) []planner.Step {
	if to == toStart {
		return r.sinceStart()
	}
	return r.sinceCheckpoint()
}

// sinceCheckpoint are the steps that were begun after the last checkpoint, the
// last first.
func (r *run) sinceCheckpoint() []planner.Step {
	var out []planner.Step
	for _, s := range r.begun() {
		if s.Kind == planner.KindCheckpoint {
			break
		}
		out = append(out, s)
	}
	return out
}

// sinceStart are the steps that take a run back to its start, the last first:
// without expands that a checkpoint has closed, which the old release lives
// with.
func (r *run) sinceStart() []planner.Step {
	var out []planner.Step
	closed := false
	for _, s := range r.begun() {
		if s.Kind == planner.KindCheckpoint {
			closed = true
			continue
		}
		if closed && (s.Kind == planner.KindExpand || s.Kind == planner.KindSync) {
			continue
		}
		out = append(out, s)
	}
	return out
}

// noWayBack says that a step stands, and how to go on: a run that goes back already
// goes nowhere else.
func (r *run) noWayBack(s planner.Step) error {
	e := &NoWayBackError{Step: s, Kind: r.Plan.Kind}
	if r.back != nil {
		e.Run = r.Ticket.Run
	}
	return e
}

// settleLosses finds out of the steps without a way back that were cut short
// whether there is something lost: what took no effect is in nobody's way.
func (r *run) settleLosses(ctx context.Context) error {
	for _, s := range r.sinceStart() {
		if s.Undo != nil && !s.Undo.Bars || r.status[s.ID] != StepStarted || promotes(s) {
			continue
		}
		outcome, err := r.probe(ctx, s)
		if outcome == planner.Unknown {
			return &UnknownError{Step: s, Err: errors.Join(planner.ErrOutcomeUnknown, err)}
		}
		if outcome == planner.Done {
			r.status[s.ID] = StepSettled
		}
	}
	return nil
}

// findBack reads what the run did, and what a rollback to the start does about it.
func (r *run) findBack(ctx context.Context) (Way, error) {
	if err := r.recall(ctx); err != nil {
		return Way{}, err
	}
	if r.Providers == nil {
		return r.wayBack()
	}
	if err := r.lookBack(ctx); err != nil {
		return Way{}, err
	}
	if err := r.unled(ctx); err != nil {
		return Way{}, err
	}
	if err := r.settleLosses(ctx); err != nil {
		return Way{}, err
	}
	return r.wayBack()
}

// wayBack sorts the steps of a rollback to the start for who reads it.
func (r *run) wayBack() (Way, error) {
	var way Way
	undone := map[string]bool{}
	for _, s := range r.sinceStart() {
		if r.stays(s) {
			continue
		}
		undone[s.ID] = true
		if r.took(s) && (s.Undo == nil || s.Undo.Bars) {
			return Way{}, r.noWayBack(s)
		}
		if s.Undo != nil && s.Undo.Action != nil {
			way.Undone = append(way.Undone, s)
		}
	}
	for _, s := range r.begun() {
		if !undone[s.ID] && s.Kind != planner.KindCheckpoint {
			way.Kept = append(way.Kept, s)
		}
	}
	return way, nil
}

// stays tells whether a step is a migration that took effect and that the
// releases before live with: what is undone around it leaves it alone.
func (r *run) stays(s planner.Step) bool {
	return s.Kind == planner.KindMigrate && s.Undo != nil && s.Undo.Action == nil && r.took(s)
}

// begun are the steps that may have had an effect and were not undone, the
// last first.
func (r *run) begun() []planner.Step {
	var out []planner.Step
	for i := len(r.Plan.Steps) - 1; i >= 0; i-- {
		s := r.Plan.Steps[i]
		switch r.status[s.ID] {
		case StepStarted, StepDone, StepSettled, StepFailed, StepUndoing:
			out = append(out, s)
		}
	}
	return out
}

// rollBack undoes steps and ends the run. It runs to its end also when the run
// was asked to stop: half a rollback is the worst place to stand.
func (r *run) rollBack(ctx context.Context, cause error, to extent) (Result, error) {
	ctx, r.Stop = context.WithoutCancel(ctx), nil
	if err := r.decideBack(ctx, cause, to); err != nil {
		return Result{}, errors.Join(cause, err)
	}
	crash.At("rollback.decided")
	for _, s := range r.since(to) {
		if err := r.undo(ctx, s); err != nil {
			return r.end(ctx, Failed, fmt.Errorf("%w; the rollback stopped at %s %s: %w", cause, s.Kind, s.Title, err))
		}
	}
	if err := r.hold(ctx, cause, to); err != nil {
		return Result{}, errors.Join(cause, err)
	}
	if err := r.recordBack(ctx); err != nil {
		return Result{}, errors.Join(cause, err)
	}
	return r.end(ctx, RolledBack, cause)
}

// decideBack records that the run goes back, and how far; from then on it never
// goes forward. The failure that it goes back for is recorded with it: alone, it
// would have whoever goes on after a crash try the step again.
func (r *run) decideBack(ctx context.Context, cause error, to extent) error {
	e := RunChanged{Status: RollingBack, Steps: len(r.number), Error: cause.Error()}
	if r.back != nil && extent(r.back.Status) == to {
		return r.emit(ctx, e)
	}
	decided := journal.Entry{Step: rollbackEntry, Status: string(to), Detail: cause.Error()}
	if r.failed == nil {
		return r.write(ctx, []journal.Entry{decided}, e)
	}
	failed := r.describe(*r.failed, StepFailed, StepChanged{Error: cause.Error()})
	if err := r.write(ctx, []journal.Entry{failed.entry(), decided}, failed, e); err != nil {
		return err
	}
	r.status[r.failed.ID] = StepFailed
	return nil
}

// undo takes one step back. What has no undo action has nothing to undo; a
// step that failed without one took no effect.
func (r *run) undo(ctx context.Context, s planner.Step) error {
	if r.stays(s) {
		return nil
	}
	if s.Undo == nil || s.Undo.Action == nil {
		return r.leave(ctx, s)
	}
	if s.Safety == planner.Probed && r.status[s.ID] != StepDone && r.status[s.ID] != StepSettled && r.status[s.ID] != StepUndoing {
		outcome, err := r.probe(ctx, s)
		if outcome == planner.NotDone && !leavesRest(s) {
			return r.leave(ctx, s)
		}
		if outcome == planner.Unknown {
			return &UnknownError{Step: s, Err: err}
		}
	}
	return r.applyUndo(ctx, s)
}

// leavesRest tells whether the step is not done and yet not without effect when
// it was cut short: Postgres keeps an invalid index, and a task may have come far.
func leavesRest(s planner.Step) bool {
	switch s.Action.(type) {
	case *planner.BuildIndex, *planner.RemoveIndex, *planner.RunAlone, *planner.Task:
		return true
	}
	return false
}

// leave records a step of which there is nothing to undo.
func (r *run) leave(ctx context.Context, s planner.Step) error {
	r.left[s.ID] = r.status[s.ID]
	return r.record(ctx, s, StepUndone, "")
}

func (r *run) applyUndo(ctx context.Context, s planner.Step) error {
	inverse := s
	inverse.ID, inverse.Action, inverse.Undo, inverse.Guards = s.ID+"/undo", s.Undo.Action, nil, nil
	inverse.Title = s.Undo.Title + ": " + s.Title
	if r.status[s.ID] == StepUndoing && s.Safety != planner.Idempotent {
		if outcome, _ := r.probe(ctx, inverse); outcome == planner.Done {
			return r.undoneStep(ctx, s)
		}
	}
	if err := r.change(ctx, s, StepUndoing, s.Undo.Title, nil); err != nil {
		return err
	}
	crash.At("rollback.in_undo")
	var err error
	for range attempts {
		if err = r.apply(ctx, inverse); err == nil {
			crash.At("rollback.undone")
			return r.undoneStep(ctx, s)
		}
		if !errors.Is(err, planner.ErrOutcomeUnknown) {
			return err
		}
		outcome, lost := r.probe(ctx, inverse)
		if outcome == planner.Done {
			return r.undoneStep(ctx, s)
		}
		if outcome == planner.Unknown {
			return &UnknownError{Step: inverse, Err: lost}
		}
	}
	return err
}

func (r *run) undoneStep(ctx context.Context, s planner.Step) error {
	return r.change(ctx, s, StepUndone, s.Undo.Title, nil)
}

// hold keeps the releases that were rolled back, also by an earlier attempt, or
// still would be, from being rolled out again by the next apply. One that
// ran alone when the run began is where it goes back to.
func (r *run) hold(ctx context.Context, cause error, to extent) error {
	goes := map[string]bool{}
	for _, s := range r.since(to) {
		goes[s.ID] = true
	}
	held := map[string]bool{}
	for _, s := range r.Plan.Steps {
		service, release := rolledOut(s)
		if service == "" || r.status[s.ID] != StepUndone && !goes[s.ID] {
			continue
		}
		if held[service+"@"+release] || r.Plan.Alone(service, release) {
			continue
		}
		held[service+"@"+release] = true
		if err := r.Journal.Hold(ctx, r.Ticket, service, release, cause.Error()); err != nil {
			return r.unrecorded(err)
		}
	}
	return nil
}

// recordBack records of each service that is as it was what was recorded then: what it
// was to leave is not on hold, and its releases have as many instances as before.
func (r *run) recordBack(ctx context.Context) error {
	for _, h := range r.Plan.Holds {
		if r.moved(h.Service) {
			continue
		}
		if err := r.Journal.Lift(ctx, r.Ticket, h.Service, h.Version); err != nil {
			return r.unrecorded(err)
		}
	}
	for _, release := range r.Plan.Recorded {
		if r.moved(release.Service) {
			continue
		}
		if err := r.Journal.PutRelease(ctx, r.Ticket, release); err != nil {
			return r.unrecorded(err)
		}
	}
	return nil
}

// moved tells whether a step of a service may have had an effect and was not undone.
func (r *run) moved(service string) bool {
	return slices.ContainsFunc(r.begun(), func(s planner.Step) bool {
		return s.Address == spec.Address("service."+service) && s.Kind != planner.KindCheckpoint
	})
}

// rolledOut is the release that a step brings: that it starts, or gives a share
// of the requests. "" where it does neither.
func rolledOut(s planner.Step) (service, release string) {
	switch a := s.Action.(type) {
	case *planner.Start:
		return a.Service, a.Release
	case *planner.Weigh:
		if percent, _ := a.Share(a.Release); percent > 0 {
			return a.Service, a.Release
		}
	}
	return "", ""
}
