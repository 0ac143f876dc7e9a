package executor

import (
	"context"
	"errors"
	"slices"

	"pleat/planner"
)

// promotes tells whether a step may have had its effect where it failed, and nothing
// but a look tells: its program makes somebody the primary, and then ends badly or is
// killed.
func promotes(s planner.Step) bool {
	a, ok := s.Action.(*planner.Task)
	return ok && a.Of != ""
}

// replaces tells whether a step that promotes is of the service whose primary another
// step stopped, or may have.
func (r *run) replaces(s, stop planner.Step) bool {
	a, ok := stop.Action.(*planner.Stop)
	if !ok || a.Role != planner.Primary || a.Service != s.Action.(*planner.Task).Service {
		return false
	}
	return r.took(stop) || r.status[stop.ID] == StepStarted || r.status[stop.ID] == StepUndoing
}

// unled fails where somebody took the place of a primary that a rollback would start
// again, or may have: by a step that failed or was cut short or, where it was not
// begun, by a person's doing.
func (r *run) unled(ctx context.Context) error {
	for _, s := range r.Plan.Steps {
		replaces := func(stop planner.Step) bool { return r.replaces(s, stop) }
		if !promotes(s) || r.took(s) || !slices.ContainsFunc(r.Plan.Steps, replaces) {
			continue
		}
		switch outcome, err := r.probe(ctx, s); outcome {
		case planner.Unknown:
			return &UnknownError{Step: s, Err: errors.Join(planner.ErrOutcomeUnknown, err)}
		case planner.Done:
			return r.noWayBack(s)
		}
	}
	return nil
}

// promoted ends a run whose step took effect before it failed. It is recorded as what
// it is: nobody starts the primary before it again.
func (r *run) promoted(ctx context.Context, s planner.Step, cause error) (Result, error) {
	err := r.change(ctx, s, StepFailed, "", cause)
	if err == nil {
		err = r.record(ctx, s, StepSettled, "it took effect before it failed")
	}
	if err != nil {
		return Result{}, errors.Join(cause, err)
	}
	return r.noReturn(ctx, cause, s)
}
