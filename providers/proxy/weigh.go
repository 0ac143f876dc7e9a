package proxy

import (
	"context"
	"fmt"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

// hold keeps new requests waiting, or lets go of them.
func (p *Provider) hold(ctx context.Context, a *planner.HoldTraffic) error {
	err := p.agent.Hold(fleet.Traced(ctx, p.at, "rollout.called"), p.listen, api.Hold{For: a.For})
	if err != nil {
		return fmt.Errorf("holding the requests of %s: %w", a.Service, fleet.Unsure(err))
	}
	p.at("rollout.answered")
	return nil
}

// weigh says how requests are spread, and believes only what it reads back.
func (p *Provider) weigh(ctx context.Context, a *planner.Weigh) error {
	w := api.Weigh{Split: a.Split, Floor: a.Floor}
	set, err := p.agent.Weigh(fleet.Traced(ctx, p.at, "rollout.called"), p.listen, w)
	if err != nil {
		return fmt.Errorf("spreading the requests of %s: %w", a.Service, fleet.Unsure(err))
	}
	p.at("rollout.answered")
	if !set.Equal(a.Split) {
		return fmt.Errorf("spreading the requests of %s: asked for %s, and the router has %s", a.Service, a.Split, set)
	}
	return nil
}

// bound says what is taken of requests.
func (p *Provider) bound(ctx context.Context, a *planner.Bound) error {
	err := p.agent.Limit(fleet.Traced(ctx, p.at, "rollout.called"), p.listen, api.Limit{Limits: a.Limits})
	if err != nil {
		return fmt.Errorf("limiting the requests of %s: %w", a.Service, fleet.Unsure(err))
	}
	p.at("rollout.answered")
	return nil
}
