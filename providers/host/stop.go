package host

import (
	"context"
	"fmt"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

func (c *call) stop(ctx context.Context, a *planner.Stop) error {
	_, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	err = perHost(a.Instances, func(i planner.Placement) error { return c.stopOne(ctx, hosts[i.Host], ref(a, i), a) })
	if err != nil {
		return err
	}
	return c.see(ctx, a)
}

func ref(a *planner.Stop, i planner.Placement) api.Ref {
	return api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}
}

// stopOne tells an instance to end.
func (c *call) stopOne(ctx context.Context, m fleet.Member, r api.Ref, a *planner.Stop) error {
	err := m.StopInstance(c.traced(ctx), r, api.Stop{Drain: a.Drain, Key: c.key})
	if err != nil {
		return fmt.Errorf("stopping %s on %s: %w", r, m.Host, fleet.Unsure(err))
	}
	c.options.At("rollout.answered")
	return nil
}

// see reports what the instances become, until each is stopping, or gone where
// the step waits for that. What counts is what the agents say after they were
// told to stop: before, an instance may have gone down and come back by itself.
func (c *call) see(ctx context.Context, a *planner.Stop) error {
	members, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	left := toSee(a, hosts)
	mine := func(e api.Event) bool { _, ok := left[place{e.Host, e.Ref}]; return ok }
	for _, m := range members {
		if err := c.recall(ctx, m, mine); err != nil {
			return err
		}
	}
	if !anyLeft(left) {
		return nil
	}
	if a.Exclusive {
		c.limit = 0
	}
	late, err := c.within(ctx, func(ctx context.Context) error { return c.ending(ctx, a, members, left) })
	if late {
		c.slow(a, left)
	}
	return err
}

// toSee are the step's instances, true where their end is still to be seen.
func toSee(a *planner.Stop, hosts map[string]fleet.Member) map[place]bool {
	left := map[place]bool{}
	for _, i := range a.Instances {
		live, there := hosts[i.Host].Find(ref(a, i))
		left[place{i.Host, ref(a, i)}] = there && (a.Wait || live.State != planner.Stopping)
	}
	return left
}

// ending follows the instances until none is left.
func (c *call) ending(ctx context.Context, a *planner.Stop, members []fleet.Member, left map[place]bool) error {
	return c.follow(ctx, members, func(e api.Event) error {
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
	})
}

// slow warns of instances that take longer to stop than the step has. They were
// told, get nothing to do any more, and are killed when their own time is over:
// no reason to take down what has come up in their place.
func (c *call) slow(a *planner.Stop, left map[place]bool) {
	for _, i := range a.Instances {
		if left[place{i.Host, ref(a, i)}] {
			c.report(planner.Warning{Text: fmt.Sprintf("slow stop: %s on %s is still there after %s; going on without it", ref(a, i), i.Host, c.limit)})
		}
	}
}

func anyLeft(left map[place]bool) bool {
	for _, l := range left {
		if l {
			return true
		}
	}
	return false
}
