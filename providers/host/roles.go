package host

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
