package proxy

import (
	"context"
	"fmt"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

func (p *Provider) drain(ctx context.Context, a *planner.Drain, report func(planner.Report)) error {
	d := api.Drain{Timeout: a.Timeout, Floor: a.Floor}
	for _, i := range a.Instances {
		d.Backends = append(d.Backends, api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance})
	}
	report(planner.Waiting{For: fmt.Sprintf("requests in flight at %s %s, at most %s", a.Service, a.Release, a.Timeout)})
	out, err := p.agent.Drain(fleet.Traced(ctx, p.at, "rollout.called", "rollout.draining"), p.listen, d)
	report(planner.Waiting{})
	if err != nil {
		return fmt.Errorf("draining %s %s: %w", a.Service, a.Release, fleet.Unsure(err))
	}
	p.at("rollout.answered")
	if out.Cut > 0 {
		report(planner.Warning{Text: fmt.Sprintf("%d requests at %s %s were not finished after %s and were cut",
			out.Cut, a.Service, a.Release, a.Timeout)})
	}
	return nil
}
