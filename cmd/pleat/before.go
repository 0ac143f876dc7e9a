package main

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
)

// history is how many runs are looked through for the releases before.
const history = 50

// releasesBefore finds, for each service, the release that the last completed run
// replaced. One that no completed run has brought up never served: it is what a run
// left behind that failed or was given up.
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
	var done []*planner.Plan // newest first
	served := map[string]bool{}
	for _, run := range runs {
		complete := run.Status == string(executor.Complete) || run.Status == string(executor.Deferred)
		plan, err := planner.Decode(run.Plan)
		if err != nil && complete && run.Kind == "apply" {
			// To skip it might be to go back further than was asked for.
			return nil, &codeError{exitError, fmt.Errorf("run %s: %w", run.ID, err), "pleat rollback SERVICE=RELEASE"}
		}
		if err != nil {
			continue
		}
		for _, release := range brought(plan) {
			served[release] = served[release] || complete
		}
		if complete && run.Kind == "apply" {
			done = append(done, plan)
		}
	}
	for _, plan := range done {
		out := replaced(plan)
		maps.DeleteFunc(out, func(service, version string) bool {
			has, known := served[service+"@"+version]
			return known && !has
		})
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, nil
}

// brought are the releases that a plan starts, but for those that come later.
func brought(plan *planner.Plan) []string {
	var out []string
	for _, s := range plan.Steps {
		if a, ok := s.Action.(*planner.Start); ok && s.Deferred == "" {
			out = append(out, a.Service+"@"+a.Release)
		}
	}
	return out
}

// replaced is the release of each service that a plan stopped for another. One that is
// only kept for a while is, although its stop is put off; one whose successor is put off
// too is not.
func replaced(plan *planner.Plan) map[string]string {
	started, out, later := map[string]string{}, map[string]string{}, comesLater(plan)
	for _, s := range plan.Steps {
		switch a := s.Action.(type) {
		case *planner.Start:
			if s.Deferred == "" {
				started[a.Service] = a.Release
			}
		case *planner.Stop:
			stays := s.Deferred != "" && later[a.Service]
			if started[a.Service] != a.Release && out[a.Service] == "" && !stays {
				out[a.Service] = a.Release
			}
		}
	}
	return out
}

// comesLater are the services of which a plan puts off something that starts.
func comesLater(plan *planner.Plan) map[string]bool {
	out := map[string]bool{}
	for _, s := range plan.Steps {
		if a, ok := s.Action.(*planner.Start); ok && s.Deferred != "" {
			out[a.Service] = true
		}
	}
	return out
}
