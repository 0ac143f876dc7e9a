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
	if err := p.steady(ctx, a); err != nil {
		return err
	}
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

// steady refuses to give a release more of the requests while one of its instances has
// ended by itself of late. Whoever starts it again may have it up at this very moment,
// which is all that the router sees. What agents do not tell is no reason to refuse.
func (p *Provider) steady(ctx context.Context, a *planner.Weigh) error {
	if a.Back {
		return nil
	}
	state, err := p.agent.State(ctx)
	if err != nil {
		return fmt.Errorf("spreading the requests of %s: %w", a.Service, err)
	}
	has, _ := route(state, p.listen).Split.Share(a.Release)
	if gets, _ := a.Share(a.Release); gets <= has {
		return nil
	}
	for _, f := range p.fleets {
		members, _ := f.Read(ctx)
		for _, m := range members {
			for _, i := range m.Instances {
				if i.Service == a.Service && i.Release == a.Release && i.Shaky {
					return fmt.Errorf("%w: %s on %s ended by itself after it came up, at last with %s", planner.ErrUnwell, i.Ref, i.Host, p.redact(i.Ended))
				}
			}
		}
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
