package proxy

import (
	"context"
	"fmt"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

func (p *Provider) attach(ctx context.Context, a *planner.Attach) error {
	joining, err := p.locate(ctx, a)
	if err != nil {
		return err
	}
	if err := p.agent.Attach(fleet.Traced(ctx, p.at, "rollout.called"), p.listen, api.Attach{Backends: joining}); err != nil {
		return fmt.Errorf("attaching %s %s: %w", a.Service, a.Release, fleet.Unsure(err))
	}
	p.at("rollout.answered")
	return nil
}

// locate finds where the instances listen. One that is not up is not attached.
func (p *Provider) locate(ctx context.Context, a *planner.Attach) ([]api.Backend, error) {
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
		if !ok {
			return nil, fmt.Errorf("attaching %s: it is not on %s", ref, i.Host)
		}
		if live.State != planner.Up {
			return nil, fmt.Errorf("attaching %s on %s: it is %s %s", ref, i.Host, live.State, p.redact(live.Error))
		}
		out = append(out, api.Backend{Ref: ref, Host: live.Host, Address: live.Address, Checks: live.Checks})
	}
	return out, nil
}
