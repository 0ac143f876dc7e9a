package host

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pleat/planner"
	"pleat/providers/host/api"
)

// handover waits until each instance says that it took over for the run.
func (c *call) handover(ctx context.Context, a *planner.Handover) error {
	run, _, _ := strings.Cut(c.key, "/")
	run = a.Of(run)
	said := 0
	defer c.report(planner.Waiting{})
	c.report(planner.Waiting{For: fmt.Sprintf("%s to take over", a.Process)})
	late, err := c.until(ctx, func(ctx context.Context) (bool, error) {
		_, hosts, err := c.members(ctx, a.Instances)
		if err != nil {
			return false, err
		}
		said = 0
		for _, i := range a.Instances {
			live, ok := hosts[i.Host].Find(api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance})
			if !ok || live.State == planner.Down {
				return false, fmt.Errorf("%s %s %s is gone: %s", a.Service, a.Release, i.Instance, c.options.Redact(live.Error))
			}
			if tookOver(live, run) {
				said++
			}
		}
		return said == len(a.Instances), nil
	})
	if late {
		before := c.tookOverBefore(ctx, a, run)
		return fmt.Errorf("timed out waiting for handover of %s %s %s (expected=%d actual=%d)", a.Service, a.Release, a.Process, before+len(a.Instances), before+said)
	}
	return err
}

// tookOverBefore counts the process's instances that took over in earlier steps of the
// run, as far as their agents answer.
func (c *call) tookOverBefore(ctx context.Context, a *planner.Handover, run string) int {
	members, _ := c.fleet.Read(ctx)
	n := 0
	for _, m := range members {
		for _, i := range m.Instances {
			now := slices.Contains(a.Instances, planner.Placement{Instance: i.Instance, Host: i.Host})
			if i.Service == a.Service && i.Release == a.Release && i.Process == a.Process && !now && tookOver(i, run) {
				n++
			}
		}
	}
	return n
}

func tookOver(i api.Instance, run string) bool { return i.Handover == run+" done" }
