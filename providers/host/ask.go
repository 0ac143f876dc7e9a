package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pleat/planner"
)

// Ask answers NoInstances: no instance of those releases is in any state but
// down.
func (p *Provider) Ask(ctx context.Context, _ planner.Ticket, g planner.Guard) (planner.Answer, error) {
	none, ok := g.(*planner.NoInstances)
	if !ok {
		return planner.Answer{}, p.foreign(g)
	}
	live, err := p.Observe(ctx)
	if err != nil {
		return planner.Answer{}, err
	}
	counts := map[string]int{}
	for _, i := range live.Instances {
		if i.Service == none.Service && i.State != planner.Down && concerns(none, i.Release) {
			counts[i.Release]++
		}
	}
	if len(counts) == 0 {
		return planner.Answer{Met: true}, nil
	}
	var left []string
	for _, release := range slices.Sorted(maps.Keys(counts)) {
		left = append(left, fmt.Sprintf("%s of %s %s", instances(counts[release]), none.Service, release))
	}
	return planner.Answer{Reason: strings.Join(left, ", ")}, nil
}

// concerns: releases that are named, or, where none is, all but the exceptions.
func concerns(g *planner.NoInstances, release string) bool {
	if len(g.Versions) > 0 {
		return slices.Contains(g.Versions, release)
	}
	return !slices.Contains(g.Except, release)
}

func instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}
