package main

import (
	"context"
	"errors"
	"fmt"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
)

// history is how many runs are looked through for the releases before.
const history = 50

// releasesBefore finds, for each service, the release that the last completed
// run replaced.
func (w *world) releasesBefore(ctx context.Context) (map[string]string, error) {
	if w.spec.State == nil {
		return nil, errors.New("the spec has no database, so no run is recorded")
	}
	j, err := journal.Open(ctx, w.spec.State.URL, environment, "pleat")
	if err != nil {
		return nil, err
	}
	runs, err := j.Runs(ctx, history)
	if err := errors.Join(err, j.Close(ctx)); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, run := range runs { // newest first
		if run.Kind != "apply" || run.Status != string(executor.Complete) && run.Status != string(executor.Deferred) {
			continue
		}
		plan, err := planner.Decode(run.Plan)
		if err != nil {
			// To skip it might be to go back further than was asked for.
			return nil, &codeError{exitError, fmt.Errorf("run %s: %w", run.ID, err), "pleat rollback SERVICE=RELEASE"}
		}
		for service, version := range replaced(plan) {
			if _, newer := out[service]; !newer {
				out[service] = version
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return out, nil
}

// replaced is the release of each service that a plan stopped for another.
func replaced(plan *planner.Plan) map[string]string {
	started, out := map[string]string{}, map[string]string{}
	for _, s := range plan.Steps {
		switch a := s.Action.(type) {
		case *planner.Start:
			started[a.Service] = a.Release
		case *planner.Stop:
			if started[a.Service] != a.Release && out[a.Service] == "" {
				out[a.Service] = a.Release
			}
		}
	}
	return out
}
