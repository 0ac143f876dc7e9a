package host

import (
	"context"
	"fmt"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

func (c *call) stop(ctx context.Context, a *planner.Stop) error {
	members, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	left := map[place]bool{}
	for _, i := range a.Instances {
		left[place{i.Host, api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}}] = true
	}
	mine := func(e api.Event) bool { _, ok := left[place{e.Host, e.Ref}]; return ok }
	for _, m := range members {
		if err := c.recall(ctx, m, mine); err != nil {
			return err
		}
	}
	for p := range left {
		if err := c.stopOne(ctx, hosts[p.host], p.ref, a); err != nil {
			return err
		}
	}
	return c.see(ctx, a, members, left)
}

// stopOne tells an instance to end; left are those whose end is to be seen.
func (c *call) stopOne(ctx context.Context, m fleet.Member, r api.Ref, a *planner.Stop) error {
	err := m.StopInstance(c.traced(ctx), r, api.Stop{Drain: a.Drain, Key: c.key})
	if err != nil {
		return fmt.Errorf("stopping %s on %s: %w", r, m.Host, unsure(err))
	}
	c.options.At("rollout.answered")
	return nil
}

// see reports what the instances become, until each is stopping, or down where
// the step waits for that.
func (c *call) see(ctx context.Context, a *planner.Stop, members []fleet.Member, left map[place]bool) error {
	for p := range left {
		m, _ := fleet.On(members, p.host)
		i, ok := m.Find(p.ref)
		left[p] = ok && i.State != planner.Down && (a.Wait || i.State != planner.Stopping)
	}
	if !anyLeft(left) {
		return nil
	}
	return unsure(fleet.Follow(ctx, members, func(_ fleet.Member, e api.Event) error {
		p := place{e.Host, e.Ref}
		if _, mine := left[p]; !mine {
			return nil
		}
		c.tell(e)
		if e.State == planner.Down || e.State == planner.Stopping && !a.Wait {
			left[p] = false
		}
		if anyLeft(left) {
			return nil
		}
		return fleet.ErrEnough
	}))
}

func anyLeft(left map[place]bool) bool {
	for _, l := range left {
		if l {
			return true
		}
	}
	return false
}
