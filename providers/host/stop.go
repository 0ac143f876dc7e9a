package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

func (c *call) stop(ctx context.Context, a *planner.Stop) error {
	_, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	before := c.standing(ctx, a)
	if err := before.enough(a); err != nil && before.missing == nil {
		return err
	} else if err != nil { // an agent that restarts is waited for, where that may change it
		if before = c.standingPatiently(ctx, a); before.enough(a) != nil {
			return errors.Join(before.enough(a), before.missing)
		}
	}
	if err := c.stillSinceTold(ctx, a, before); err != nil {
		return err
	}
	err = perHost(a.Instances, func(i planner.Placement) error { return c.stopOne(ctx, hosts[i.Host], ref(a, i), a) })
	if err != nil {
		return err
	}
	if err := c.see(ctx, a); err != nil || a.By == "" {
		return err
	}
	return c.standing(ctx, a).still(before)
}

// standing is what a stop leaves.
type standing struct {
	up     map[place]api.Instance // others of the process that are up
	down   []api.Instance         // others of release By that are not, or not for long
	going  int                    // of those to stop that are up
	leads  bool                   // one of those to stop says that it is the primary
	led    bool                   // one of the others does
	copied bool                   // one of the others says that it is the synchronous one

	members []fleet.Member
	missing error // agents of which nothing is known
}

// standing looks at the agents that answer. A stop without a successor, and not of a
// cluster, is not looked at.
func (c *call) standing(ctx context.Context, a *planner.Stop) standing {
	s := standing{up: map[place]api.Instance{}}
	if a.By == "" && a.Role == "" {
		return s
	}
	s.members, s.missing = c.fleet.Read(ctx)
	leaving := map[place]bool{}
	for _, i := range a.Instances {
		leaving[place{i.Host, ref(a, i)}] = true
	}
	for _, m := range s.members {
		for _, i := range m.Instances {
			at := place{i.Host, i.Ref}
			mine := i.Service == a.Service && i.Process == a.Process
			s.led = s.led || mine && !leaving[at] && says(i, planner.Primary)
			s.copied = s.copied || mine && !leaving[at] && says(i, planner.Sync)
			switch {
			case !mine:
			case leaving[at]:
				if i.State == planner.Up {
					s.going++
				}
				s.leads = s.leads || says(i, planner.Primary)
			case i.State == planner.Up && !(i.Release == a.By && i.Shaky):
				s.up[at] = i
			case i.Release == a.By:
				s.down = append(s.down, i)
			}
		}
	}
	return s
}

// standingPatiently waits for agents that do not answer.
func (c *call) standingPatiently(ctx context.Context, a *planner.Stop) (s standing) {
	_ = fleet.Patient(ctx, func(func()) error { // what is missing in the end is in s
		s = c.standing(ctx, a)
		return s.missing
	})
	return s
}

// enough refuses a stop that would leave too few because the successor did not stay
// up. What went of the others went by itself, and waiting would not bring it back.
func (s standing) enough(a *planner.Stop) error {
	if s.going == 0 {
		return nil
	}
	if err := s.ledBy(a); err != nil {
		return err
	}
	if a.Floor == 0 && a.Release != a.By && !a.Back { // a router says who serves, but not who only does between two ends
		n := slices.IndexFunc(s.down, func(i api.Instance) bool { return i.Shaky })
		if n >= 0 {
			return fmt.Errorf("%w: %s did not stay up: %s", planner.ErrUnwell, s.down[n].Ref, unwell(s.down[n]))
		}
	}
	if len(s.up) >= a.Floor || len(s.down) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %s %s would be up, and %d must be: %s", planner.ErrUnwell, len(s.up), a.Service, a.Process, a.Floor, unwell(s.down[0]))
}

// ledBy refuses to take another one out of a cluster than was planned: the primary
// before its time, one beside it that may have all there is where no primary is there.
func (s standing) ledBy(a *planner.Stop) error {
	switch {
	case a.Role == "", a.Role == planner.AnyRole && s.leads && s.copied:
		return nil
	case a.Role == planner.Primary && !s.leads:
		return fmt.Errorf("%w: %s %s %s was the primary of %s, and is not any more", planner.ErrUnwell, a.Service, a.Release, a.Instances[0].Instance, a.Process)
	case a.Role != planner.Primary && !s.led:
		return fmt.Errorf("%w: no other instance of %s %s than %s %s says that it is the primary", planner.ErrUnwell, a.Service, a.Process, a.Release, a.Instances[0].Instance)
	}
	return nil
}

func says(i api.Instance, r planner.Role) bool {
	return i.State == planner.Up && planner.Role(i.Role) == r
}

// still tells which instance of the successor was up before and is not any more.
func (s standing) still(before standing) error {
	for _, i := range s.down {
		if _, was := before.up[place{i.Host, i.Ref}]; was {
			return fmt.Errorf("%w: %s did not stay up: %s", planner.ErrUnwell, i.Ref, unwell(i))
		}
	}
	return nil
}

// stillSinceTold tells which instance of the successor has ended since an earlier
// attempt at the step told the first of those to stop: what was up then has to be
// up still, whoever it was that looked.
func (c *call) stillSinceTold(ctx context.Context, a *planner.Stop, now standing) error {
	if a.By == "" || now.going == len(a.Instances) {
		return nil // nobody was told
	}
	told, err := c.toldAt(ctx, a, now.members)
	if err != nil || told.IsZero() {
		return err
	}
	first := standing{up: map[place]api.Instance{}}
	for _, m := range now.members {
		events, err := m.Events(ctx, 0, "")
		if err != nil {
			return fmt.Errorf("reading the events of %s: %w", m.Host, err)
		}
		for _, e := range events {
			switch at := (place{e.Host, e.Ref}); {
			case e.At.After(told):
			case e.State == planner.Up:
				first.up[at] = api.Instance{}
			default:
				delete(first.up, at)
			}
		}
	}
	return now.still(first)
}

// toldAt is when the first of a step's instances was told to stop, by whichever
// attempt at it; zero where none was.
func (c *call) toldAt(ctx context.Context, a *planner.Stop, members []fleet.Member) (at time.Time, err error) {
	leaving := map[place]bool{}
	for _, i := range a.Instances {
		leaving[place{i.Host, ref(a, i)}] = true
	}
	for _, m := range members {
		events, err := m.Events(ctx, 0, c.key)
		if err != nil {
			return at, fmt.Errorf("reading the events of %s: %w", m.Host, err)
		}
		for _, e := range events {
			if leaving[place{e.Host, e.Ref}] && e.State == planner.Stopping && (at.IsZero() || e.At.Before(at)) {
				at = e.At
			}
		}
	}
	return at, nil
}

// unwell says what ails an instance.
func unwell(i api.Instance) string {
	text := fmt.Sprintf("%s on %s is %s", i.Ref, i.Host, i.State)
	if i.Restarts > 0 {
		text += " after it ended by itself"
	}
	if i.Restarts > 0 && i.Ended != "" {
		text += ", at last with " + i.Ended
	}
	if i.Error != "" {
		text += ", " + i.Error
	}
	return text
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

// see reports what the instances become, until each is stopping, and for a moment
// more, or gone where the step waits for that. What counts is what the agents say
// after they were told to stop: before, an instance may have gone down and come back
// by itself.
func (c *call) see(ctx context.Context, a *planner.Stop) error {
	members, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	there, left := toSee(a, hosts)
	mine := func(e api.Event) bool { _, ok := left[place{e.Host, e.Ref}]; return ok }
	for _, m := range members {
		if _, err := c.recall(ctx, m, mine); err != nil {
			return err
		}
	}
	if !anyLeft(there) {
		return nil
	}
	if a.Exclusive {
		c.limit = 0
	}
	late, err := c.within(ctx, func(ctx context.Context) error { return c.ending(ctx, a, members, there, left) })
	if late {
		c.slow(a, left)
	}
	return err
}

// toSee are the step's instances, true in there where they are, and in left where the
// step is not done before something is seen of them.
func toSee(a *planner.Stop, hosts map[string]fleet.Member) (there, left map[place]bool) {
	there, left = map[place]bool{}, map[place]bool{}
	for _, i := range a.Instances {
		live, found := hosts[i.Host].Find(ref(a, i))
		p := place{i.Host, ref(a, i)}
		there[p], left[p] = found, found && (a.Wait || live.State != planner.Stopping)
	}
	return there, left
}

// moment is how long a step that waits for nobody's end looks on all the same: what
// stops at once is told of before the step is done.
const moment = 3 * time.Second

// ending follows the instances until none is left, and for a moment those that are
// there.
func (c *call) ending(ctx context.Context, a *planner.Stop, members []fleet.Member, there, left map[place]bool) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	onlyForAMoment := func() {
		if !anyLeft(left) {
			time.AfterFunc(moment, leave)
		}
	}
	onlyForAMoment()
	err := c.follow(ctx, members, func(e api.Event) error {
		p := place{e.Host, e.Ref}
		if _, mine := left[p]; !mine {
			return nil
		}
		c.tell(e)
		there[p] = there[p] && e.State != planner.Down
		left[p] = left[p] && there[p] && (a.Wait || e.State != planner.Stopping)
		if !anyLeft(there) {
			return fleet.ErrEnough
		}
		onlyForAMoment()
		return nil
	})
	if !anyLeft(left) {
		return nil // what happens in the moment undoes nothing
	}
	return err
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
