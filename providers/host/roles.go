package host

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

// roles waits until the instances say that they are what they have to be.
func (c *call) roles(ctx context.Context, a *planner.Roles) error {
	defer c.report(planner.Waiting{})
	last := ""
	late, err := c.until(ctx, func(ctx context.Context) (bool, error) {
		members, err := c.fleet.Read(ctx)
		if err != nil {
			return false, err
		}
		missing, gone := lacking(a, members)
		if gone != nil {
			return false, fmt.Errorf("%s %s %s is gone: %s", a.Service, a.Release, gone.Instance, c.options.Redact(gone.Error))
		}
		if missing != "" && missing != last {
			last = missing
			c.report(planner.Waiting{For: missing})
		}
		return missing == "", nil
	})
	if late {
		return fmt.Errorf("timed out waiting for %s", last)
	}
	return err
}

// lacking says what is still to come, "" for nothing. An instance that went down
// will not bring it.
func lacking(a *planner.Roles, members []fleet.Member) (string, *api.Instance) {
	said := map[planner.Role]bool{}
	var silent []string
	for _, i := range a.Instances {
		m, ok := fleet.On(members, i.Host)
		if !ok {
			return "host " + i.Host, nil
		}
		live, ok := m.Find(api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance})
		if !ok || live.State == planner.Down {
			live.Instance = i.Instance
			return i.Instance, &live
		}
		if live.Role == "" || live.State != planner.Up {
			silent = append(silent, i.Instance)
			continue
		}
		said[planner.Role(live.Role)] = true
	}
	if len(silent) > 0 {
		return strings.Join(silent, ", ") + " to catch up", nil
	}
	i := slices.IndexFunc(a.Want, func(r planner.Role) bool { return !said[r] })
	if i < 0 {
		return "", nil
	}
	return fmt.Sprintf("one %s of %s %s to be %s", a.Process, a.Service, a.Release, a.Want[i]), nil
}

// having is the one of the instances that says it has a role.
func having(a *planner.Task, role planner.Role, members map[string]fleet.Member) (planner.Placement, error) {
	for _, i := range a.Instances {
		m := members[i.Host]
		live, ok := m.Find(api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance})
		if ok && live.State == planner.Up && planner.Role(live.Role) == role {
			return i, nil
		}
	}
	return planner.Placement{}, fmt.Errorf("no instance of %s %s %s says that it is %s", a.Service, a.Release, a.Definition.Process, role)
}

// telling is how long after the end of a program that was to promote somebody nobody
// may say that it is primary until that counts as not done: what the program asked for
// may go on without it, and who becomes primary tells a moment later.
const telling = 10 * time.Second

// probePromoted is done when the program is for any instance, or one says that it is
// primary: one that failed may have come that far, and somebody else may have seen to
// it. It is not done where each says that it is something else. While that cannot be
// told it is waited for as long as ctx.
func (p *Provider) probePromoted(ctx context.Context, t planner.Ticket, s planner.Step, a *planner.Task) (planner.Outcome, error) {
	var since time.Time // nobody is primary; zero: that cannot be told
	for {
		ran, hosts, err := p.ran(ctx, t, s, a)
		if err != nil {
			return planner.Unknown, err
		}
		led, doubt := promoted(a, ran, hosts)
		switch {
		case led:
			return planner.Done, nil
		case doubt != "":
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		if doubt == "" && (ran[api.TaskFailed] == 0 || time.Since(since) >= telling) {
			return planner.NotDone, nil
		}
		if err := pause(ctx); err != nil {
			return planner.Unknown, fmt.Errorf("whether one of %s %s %s is primary by now: %s%w", a.Service, a.Release, a.Definition.Process, doubt, err)
		}
	}
}

// promoted tells whether one of the instances is primary, and what there is that keeps
// anybody from telling.
func promoted(a *planner.Task, ran map[api.TaskStatus]int, hosts map[string]fleet.Member) (led bool, doubt string) {
	if ran[api.TaskRunning] > 0 {
		return false, "task " + a.Task + " still runs: "
	}
	if _, err := having(a, planner.Primary, hosts); err == nil || ran[api.TaskDone] > 0 {
		return true, ""
	}
	for _, i := range a.Instances {
		live, _ := hosts[i.Host].Find(api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance})
		if live.State != planner.Up || live.Role == "" {
			return false, i.Instance + " does not say what it is: "
		}
	}
	return false, ""
}
