package proxy

import (
	"context"
	"fmt"
	"slices"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

func (p *Provider) attach(ctx context.Context, a *planner.Attach, report func(planner.Report)) error {
	joining, err := p.locate(ctx, a, report)
	if err != nil || len(joining) == 0 {
		return err
	}
	if err := p.agent.Attach(fleet.Traced(ctx, p.at, "rollout.called"), p.listen, api.Attach{TLS: p.tls, Backends: joining}); err != nil {
		return fmt.Errorf("attaching %s %s: %w", a.Service, a.Release, fleet.Unsure(err))
	}
	p.at("rollout.answered")
	return nil
}

// locate finds where the instances listen. One that is not up is not attached.
func (p *Provider) locate(ctx context.Context, a *planner.Attach, report func(planner.Report)) ([]api.Backend, error) {
	f, ok := p.fleets[a.Orchestrator]
	if !ok {
		return nil, fmt.Errorf("%s does not know %s", p.address, a.Orchestrator)
	}
	members, missing := f.Read(ctx)
	var out []api.Backend
	for _, i := range a.Instances {
		ref := api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}
		m, ok := fleet.On(members, i.Host)
		if !ok && missing != nil {
			return nil, fmt.Errorf("looking for %s on %s: %w", ref, i.Host, missing)
		}
		live, ok := m.Find(ref)
		var lacks error
		switch {
		case !ok:
			lacks = fmt.Errorf("attaching %s: it is not on %s", ref, i.Host)
		case live.State != planner.Up:
			lacks = fmt.Errorf("attaching %s on %s: it is %s %s", ref, i.Host, live.State, p.redact(live.Error))
		}
		if lacks != nil && !a.Again {
			return nil, lacks
		}
		if lacks != nil {
			report(planner.Warning{Text: lacks.Error()})
			continue
		}
		out = append(out, api.Backend{Ref: ref, Host: live.Host, Address: live.Address, Checks: live.Checks, HTTP2: live.HTTP2})
	}
	return out, nil
}

// attached tells whether requests go to where the instances listen: one that was
// started anew in between may do so at another address. Where that cannot be found
// out, attaching them once more says why.
func (p *Provider) attached(ctx context.Context, a *planner.Attach, live api.Route) planner.Outcome {
	joining, err := p.locate(ctx, a, func(planner.Report) {})
	if err != nil {
		return planner.NotDone
	}
	return outcome(!slices.ContainsFunc(joining, func(j api.Backend) bool {
		return !slices.ContainsFunc(live.Backends, func(b api.Backend) bool {
			return b.Ref == j.Ref && b.Host == j.Host && b.Address == j.Address && !b.Draining
		})
	}))
}
