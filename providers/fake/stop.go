package fake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pleat/planner"
)

// applyStop is done once the instances were told to go or, where the step waits
// for it, have gone. Those that take longer than it has are left to end by
// themselves, unless nothing may run beside them.
func (o Orchestrator) applyStop(ctx context.Context, t planner.Ticket, s planner.Step, a *planner.Stop, report func(planner.Report)) error {
	var before standing
	err := o.apply(ctx, t, s, report, func(f Fault) work {
		return func() ([]planner.Report, condition, error) {
			before = o.standing(a)
			if err := before.enough(a); err != nil {
				return nil, nil, err
			}
			gone := when(func() bool { return !a.Wait || !o.stopping(a.Service, a.Release, a.Instances) })
			return o.stop(a, f.Linger), gone, nil
		}
	})
	var late *lateError
	if errors.As(err, &late) && !a.Exclusive {
		err = nil
	}
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.standing(a).still(before)
}

// standing is what a stop leaves of the process.
type standing struct {
	up     []key // others that are up
	down   []key // others of the successor that are not
	going  bool  // one of those to stop is up
	leads  bool  // one of those to stop says that it is the primary
	led    bool  // one of the others does
	copied bool  // one of the others says that it is the synchronous one
}

// standing looks at nothing for a stop without a successor, and not of a cluster. The
// lock is held.
func (o Orchestrator) standing(a *planner.Stop) (s standing) {
	if a.By == "" && a.Role == "" {
		return s
	}
	for k, i := range o.instances {
		leaving := k.release == a.Release && slices.ContainsFunc(a.Instances, func(p planner.Placement) bool { return p.Instance == k.name })
		mine := k.service == a.Service && i.Process == a.Process
		says := o.says(k.service, k.release, k.name)
		leads := mine && says == planner.Primary
		s.led = s.led || leads && !leaving
		s.copied = s.copied || mine && says == planner.Sync && !leaving
		switch {
		case !mine:
		case leaving:
			s.going, s.leads = s.going || i.State == planner.Up, s.leads || leads
		case i.State == planner.Up:
			s.up = append(s.up, k)
		case k.release == a.By:
			s.down = append(s.down, k)
		}
	}
	return s
}

// enough refuses to leave too few because of the successor.
func (s standing) enough(a *planner.Stop) error {
	if !s.going {
		return nil
	}
	if !s.ledBy(a.Role) {
		return fmt.Errorf("%w: %s %s %s was to go as %s, and the cluster is led otherwise", planner.ErrUnwell, a.Service, a.Release, a.Instances[0].Instance, a.Role)
	}
	if len(s.up) >= a.Floor || len(s.down) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %s %s would be up, and %d must be: %s %s is not", planner.ErrUnwell, len(s.up), a.Service, a.Process, a.Floor, a.By, s.down[0].name)
}

// ledBy tells whether the cluster is led as it has to be for one to go that has that role.
func (s standing) ledBy(r planner.Role) bool {
	switch r {
	case "":
		return true
	case planner.Primary:
		return s.leads
	case planner.AnyRole:
		return s.led || s.leads && s.copied
	}
	return s.led
}

// still tells which of the successor's instances was up before and is no more.
func (s standing) still(before standing) error {
	for _, k := range s.down {
		if slices.Contains(before.up, k) {
			return fmt.Errorf("%w: %s %s %s did not stay up", planner.ErrUnwell, k.service, k.release, k.name)
		}
	}
	return nil
}

func (o Orchestrator) stop(a *planner.Stop, linger time.Duration) (said []planner.Report) {
	for _, p := range a.Instances {
		k := key{a.Service, a.Release, p.Instance}
		i := o.instances[k]
		switch {
		case i == nil:
			continue
		case linger == 0 || i.State == planner.Down:
			o.becomes(i, planner.Stopping)
			o.becomes(i, planner.Down)
			delete(o.instances, k)
		case i.State != planner.Stopping:
			o.becomes(i, planner.Stopping)
			time.AfterFunc(linger, func() { o.end(k, i) })
		}
		said = append(said, change(i))
	}
	return said
}

// end takes an instance away that was told to stop.
func (o Orchestrator) end(k key, i *instance) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.becomes(i, planner.Down)
	if o.instances[k] == i {
		delete(o.instances, k)
	}
}

// stopping tells whether any of the instances is still on its way out.
func (o Orchestrator) stopping(service, release string, instances []planner.Placement) bool {
	return slices.ContainsFunc(instances, func(p planner.Placement) bool {
		i := o.instances[key{service, release, p.Instance}]
		return i != nil && i.State == planner.Stopping
	})
}
