package host

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

// call is one Apply.
type call struct {
	*Provider
	key      string        // "RUN/STEP"
	limit    time.Duration // of waiting for instances; 0 = none
	progress time.Duration // of waiting for one more of them; 0 = none
	stay     time.Duration // for which they are up before a start is done
	report   func(planner.Report)
	began    map[string]int64 // the last event of each host before the call, which may have to be made again
}

// within calls wait with the step's time. The first result says that it was
// over before wait was done.
func (c *call) within(ctx context.Context, wait func(context.Context) error) (late bool, err error) {
	if c.limit == 0 {
		return false, fleet.Unsure(wait(ctx))
	}
	limited, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	err = wait(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return true, nil
	}
	return false, fleet.Unsure(err)
}

// looks is how often instances are looked at that say something of themselves.
const looks = 100 * time.Millisecond

// until looks at the agents until met is true, within the step's time. One that
// restarts meanwhile is waited for.
func (c *call) until(ctx context.Context, met func(context.Context) (bool, error)) (late bool, err error) {
	return c.within(ctx, func(ctx context.Context) error {
		tick := time.NewTicker(looks)
		defer tick.Stop()
		for {
			var done bool
			err := fleet.Patient(ctx, func(func()) (err error) {
				done, err = met(ctx)
				return err
			})
			if done || err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}

// members gives the agents that the instances' hosts have.
func (c *call) members(ctx context.Context, all []planner.Placement) ([]fleet.Member, map[string]fleet.Member, error) {
	read, missing := c.fleet.Read(ctx)
	var out []fleet.Member
	hosts := map[string]fleet.Member{}
	for _, i := range all {
		if _, ok := hosts[i.Host]; ok {
			continue
		}
		m, ok := fleet.On(read, i.Host)
		if !ok {
			return nil, nil, absent(i.Host, missing)
		}
		hosts[i.Host] = m
		out = append(out, m)
	}
	return out, hosts, nil
}

// recall reports what an earlier attempt at the same step brought about: the
// run that made it may not have lived to tell. It gives what came of this call, of
// which the answer was lost.
func (c *call) recall(ctx context.Context, m fleet.Member, mine func(api.Event) bool) (unanswered []api.Event, err error) {
	events, err := m.Events(ctx, 0, c.key)
	if err != nil {
		return nil, fmt.Errorf("reading the events of %s: %w", m.Host, err)
	}
	if _, again := c.began[m.Host]; !again {
		c.began[m.Host] = m.Seq
	}
	for _, e := range events {
		if e.Seq > m.Seq || !mine(e) {
			continue
		}
		e = c.redacted(e)
		c.tell(e)
		if e.Seq > c.began[m.Host] {
			unanswered = append(unanswered, e)
		}
	}
	return unanswered, nil
}

// follow is fleet.Follow without the secrets that instances may tell of
// themselves as they fail.
func (c *call) follow(ctx context.Context, members []fleet.Member, f func(api.Event) error) error {
	return fleet.Follow(ctx, members, func(_ fleet.Member, e api.Event) error { return f(c.redacted(e)) })
}

func (c *call) redacted(e api.Event) api.Event {
	e.Error = c.options.Redact(e.Error)
	return e
}

func (c *call) tell(e api.Event) {
	c.report(planner.InstanceChange{
		Service: e.Service, Release: e.Release, Process: e.Process, Instance: e.Instance,
		Host: e.Host, State: e.State, Error: e.Error,
	})
}

// traced reaches the crash point between a request and its answer.
func (c *call) traced(ctx context.Context) context.Context {
	return fleet.Traced(ctx, c.options.At, "rollout.called")
}

// perHost calls f for each instance: for every host at the same time, and for one
// host for one instance after the other, as its agent carries calls out, up to its
// first error.
func perHost(all []planner.Placement, f func(planner.Placement) error) error {
	byHost := map[string][]planner.Placement{}
	for _, i := range all {
		byHost[i.Host] = append(byHost[i.Host], i)
	}
	var calls errgroup.Group
	for _, instances := range byHost {
		calls.Go(func() error {
			for _, i := range instances {
				if err := f(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return calls.Wait()
}
