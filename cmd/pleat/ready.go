package main

import (
	"context"

	"pleat/planner"
)

// ready looks, before the first step, whether every artifact that the plan
// starts now can be had. It changes nothing.
func (w *world) ready(ctx context.Context, plan *planner.Plan) error {
	checked := map[string]bool{}
	for _, s := range plan.Steps {
		a, ok := s.Action.(*planner.Start)
		if !ok || s.Deferred != "" {
			continue
		}
		p := w.orchestrators[a.Provider()]
		for _, i := range a.Instances {
			key := string(a.Provider()) + " " + i.Host + " " + a.Artifact.SHA256
			if p == nil || checked[key] {
				continue
			}
			checked[key] = true
			if err := p.Ready(ctx, i.Host, a.Artifact); err != nil {
				return err
			}
		}
	}
	return nil
}
