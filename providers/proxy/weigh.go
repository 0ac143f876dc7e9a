package proxy

import (
	"context"
	"fmt"
	"slices"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

// weigh sets shares and believes only what it reads back.
func (p *Provider) weigh(ctx context.Context, a *planner.Weigh) error {
	w := api.Weigh{Floor: a.Floor, Shares: []api.Share{}}
	for _, s := range a.Shares {
		w.Shares = append(w.Shares, api.Share(s))
	}
	set, err := p.agent.Weigh(fleet.Traced(ctx, p.at, "rollout.called"), p.listen, w)
	if err != nil {
		return fmt.Errorf("giving %s its shares of the requests: %w", a.Service, fleet.Unsure(err))
	}
	p.at("rollout.answered")
	if !slices.Equal(set, w.Shares) {
		return fmt.Errorf("giving %s its shares of the requests: asked for %v, and the router has %v", a.Service, w.Shares, set)
	}
	return nil
}
