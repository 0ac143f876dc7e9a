package executor

import (
	"context"
	"slices"

	"pleat/planner"
)

// What instances answered when they were tried is for the attempt that asked: it gets
// old while somebody is waited for, and they may have been started again since. So
// they are tried again before they get requests wherever a run is gone on with, and
// wherever the step that gives them some had to wait for its guards. Tasks are work,
// not questions, and are done once.

// askAgain has instances tried again that are to get requests and do not yet.
func (r *run) askAgain() {
	for n, s := range r.Plan.Steps {
		if slices.ContainsFunc(r.uses(n), func(u planner.Step) bool { return !r.took(u) }) {
			delete(r.status, s.ID)
		}
	}
}

// allowed asks a step's guards until all are met, and tries the instances again that
// it gives requests where that took a while. The guards may have closed meanwhile, so
// they are asked once more then. The first result says why the step is deferred.
func (r *run) allowed(ctx context.Context, s planner.Step) (string, error) {
	deadline := r.Now().Add(s.Limits.Evidence)
	for {
		waited, why, err := r.await(ctx, s, deadline)
		if err != nil || why != "" || !waited {
			return why, err
		}
		tests := r.restsOn(s)
		if len(tests) == 0 {
			return "", nil
		}
		for _, t := range tests {
			if err := r.attempt(ctx, t); err != nil {
				return "", &earlierError{t, err}
			}
		}
	}
}

// earlierError is that of a step which was done, and is not good any more.
type earlierError struct {
	step planner.Step
	error
}

// Unwrap gives what came of it.
func (e *earlierError) Unwrap() error { return e.error }

// restsOn are the smoke tests without which the step would not be done.
func (r *run) restsOn(s planner.Step) []planner.Step {
	var out []planner.Step
	for n, t := range r.Plan.Steps {
		if t.ID == s.ID {
			break
		}
		if slices.ContainsFunc(r.uses(n), func(u planner.Step) bool { return u.ID == s.ID }) {
			out = append(out, t)
		}
	}
	return out
}

// uses are the steps that rest on the Nth one, if that is a smoke test: those that
// attach what was tried and, where its release is held back from requests as yet,
// the one that ends that. Another test of the same instances stands in for it.
func (r *run) uses(n int) []planner.Step {
	test, ok := r.Plan.Steps[n].Action.(*planner.Smoke)
	if !ok {
		return nil
	}
	tried := func(i planner.Placement) bool { return slices.Contains(test.Instances, i) }
	var out []planner.Step
	withheld := false
	for at, s := range r.Plan.Steps {
		switch a := s.Action.(type) {
		case *planner.Weigh:
			if a.Service != test.Service {
				continue
			}
			reached := a.Split.Reaches(test.Release)
			if at > n && reached {
				if withheld {
					out = append(out, s)
				}
				return out
			}
			withheld = !reached
		case *planner.Attach:
			if at > n && a.Service == test.Service && a.Release == test.Release && slices.ContainsFunc(a.Instances, tried) {
				out = append(out, s)
			}
		case *planner.Smoke:
			if at > n && a.Service == test.Service && a.Release == test.Release && slices.ContainsFunc(a.Instances, tried) {
				return out
			}
		}
	}
	return out
}
