package fake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/planner"
)

// Orchestrator applies Start, Stop, Smoke, Handover, Task and Roles, and answers NoInstances.
type Orchestrator struct{ *System }

// Orchestrator is the system as an orchestrator.
func (s *System) Orchestrator() Orchestrator { return Orchestrator{s} }

// Announce fences former holders of the ticket's lease off.
func (o Orchestrator) Announce(_ context.Context, t planner.Ticket) error { return o.announce(t) }

// Apply makes the step's effect, as the script has it.
func (o Orchestrator) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	switch a := s.Action.(type) {
	case *planner.Start:
		if err := o.await(ctx, s.Limits.Run, when(func() bool { return !o.stopping(a.Service, a.Release, a.Instances) })); err != nil {
			return err
		}
		err := o.apply(ctx, t, s, report, func(f Fault) work {
			return func() ([]planner.Report, condition, error) {
				said, err := o.start(a, f)
				return said, o.coming(a, s.Limits.Progress), err
			}
		})
		if err != nil || s.Limits.Stay == 0 {
			return err
		}
		return o.stays(ctx, s.Limits.Stay, a)
	case *planner.Stop:
		return o.applyStop(ctx, t, s, a, report)
	case *planner.Smoke:
		return o.apply(ctx, t, s, report, func(f Fault) work {
			return func() ([]planner.Report, condition, error) { return nil, nil, o.smoke(a, f) }
		})
	case *planner.Handover:
		return o.apply(ctx, t, s, report, func(Fault) work {
			return func() ([]planner.Report, condition, error) { return nil, o.handover(t, a), nil }
		})
	case *planner.Task:
		return o.applyTask(ctx, t, s, a, report)
	case *planner.Roles:
		return o.apply(ctx, t, s, report, func(Fault) work {
			return func() ([]planner.Report, condition, error) { return nil, o.roles(a), nil }
		})
	}
	return o.foreign(s.Action)
}

func (o Orchestrator) foreign(v any) error {
	return fmt.Errorf("%s cannot do %T", o.options.Orchestrator, v)
}

func change(i *instance) planner.Report {
	return planner.InstanceChange{Service: i.Service, Release: i.Release, Process: i.Process, Instance: i.Name, Host: i.Host, State: i.State}
}

func (o Orchestrator) start(a *planner.Start, f Fault) (said []planner.Report, err error) {
	if have, ok := o.options.Artifacts[a.Artifact.Path]; !ok || have != a.Artifact.SHA256 {
		return nil, fmt.Errorf("artifact %s has sha256 %s, but the release is pinned to %s", a.Artifact.Path, have, a.Artifact.SHA256)
	}
	for _, p := range a.Instances {
		if !slices.Contains(o.options.Hosts, p.Host) {
			return nil, fmt.Errorf("there is no host %s", p.Host)
		}
	}
	mayFail := a.MaxStartFailures
	after := time.Duration(0)
	for _, p := range a.Instances {
		if o.has(a, p, planner.Up) || o.has(a, p, planner.Starting) {
			continue
		}
		state, told := o.launch(a, p, f)
		for said = append(said, told...); state == planner.Down && mayFail > 0; mayFail-- {
			state, told = o.launch(a, p, f)
			said = append(said, told...)
		}
		if state == planner.Down {
			return said, fmt.Errorf("%s %s %s: it ended before it was up", a.Service, a.Release, p.Instance)
		}
		if state == planner.Starting && f.Slow > 0 {
			after += f.Slow
			i := o.instances[key{a.Service, a.Release, p.Instance}]
			time.AfterFunc(after, func() { o.comes(i) })
		}
	}
	return said, nil
}

// comes has an instance up that was long in coming.
func (o Orchestrator) comes(i *instance) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i.State == planner.Starting && i.command != Hangs && i.command != Joins {
		o.becomes(i, planner.Up)
	}
}

// coming is met once all came up, and never where one ended before, or where for
// that long none more of them came up; 0: however long it takes.
func (o Orchestrator) coming(a *planner.Start, progress time.Duration) condition {
	most, since := -1, time.Duration(0)
	return func(waited time.Duration) (bool, error) {
		up := 0
		for _, p := range a.Instances {
			i := o.instances[key{a.Service, a.Release, p.Instance}]
			switch {
			case i != nil && i.arrived:
				up++
			case i == nil || i.State == planner.Down:
				return false, fmt.Errorf("%s %s %s: it ended before it was up", a.Service, a.Release, p.Instance)
			}
		}
		if up > most {
			most, since = up, waited
		}
		if up < len(a.Instances) && progress > 0 && waited-since >= progress {
			return false, fmt.Errorf("%d of %d are up, and for %s no other one came up", up, len(a.Instances), progress)
		}
		return up == len(a.Instances), nil
	}
}

// stays looks whether all are still up after that long.
func (o Orchestrator) stays(ctx context.Context, long time.Duration, a *planner.Start) error {
	if err := pause(ctx, long); err != nil {
		return fmt.Errorf("%w: %w", planner.ErrOutcomeUnknown, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range a.Instances {
		if !o.runs(a, p) {
			return fmt.Errorf("%s %s %s did not stay up", a.Service, a.Release, p.Instance)
		}
	}
	return nil
}

func (o Orchestrator) runs(a *planner.Start, p planner.Placement) bool {
	return o.has(a, p, planner.Up)
}

// has tells whether an instance of that artifact has that state.
func (o Orchestrator) has(a *planner.Start, p planner.Placement, state planner.InstanceState) bool {
	i := o.instances[key{a.Service, a.Release, p.Instance}]
	return i != nil && i.State == state && i.Digest == a.Artifact.SHA256
}

// launch starts an instance once, and says what becomes of it.
func (o Orchestrator) launch(a *planner.Start, p planner.Placement, f Fault) (planner.InstanceState, []planner.Report) {
	o.started++
	command := first(a.Definition.Command)
	i := &instance{incarnation: o.started, command: command, Instance: planner.Instance{
		Service: a.Service, Release: a.Release, Process: a.Definition.Process, Name: p.Instance,
		Host: p.Host, Digest: a.Artifact.SHA256,
	}}
	k := key{a.Service, a.Release, p.Instance}
	if before := o.instances[k]; before != nil && before.Digest == i.Digest {
		if i.Restarts = before.Restarts; before.arrived {
			i.Restarts++
		}
	}
	o.instances[k] = i
	o.becomes(i, planner.Starting)
	said := []planner.Report{change(i)}
	switch {
	case f.Fail || command == Fails || command == Falters && !o.faltered[k]:
		o.faltered[k] = true
		o.becomes(i, planner.Down)
		return planner.Down, append(said, change(i))
	case command == Hangs || command == Joins || f.Slow > 0:
		return planner.Starting, said
	}
	o.becomes(i, planner.Up)
	said = append(said, change(i))
	if f.Crash {
		o.becomes(i, planner.Down)
	}
	return planner.Up, said
}

// roles is met once each instance has said what it is, and for each role that is
// wanted one says that.
func (o Orchestrator) roles(a *planner.Roles) condition {
	return func(time.Duration) (bool, error) {
		said := map[planner.Role]bool{}
		for _, p := range a.Instances {
			i := o.instances[key{a.Service, a.Release, p.Instance}]
			if i == nil || i.State == planner.Down {
				return false, fmt.Errorf("%s %s %s is gone", a.Service, a.Release, p.Instance)
			}
			said[o.says(a.Service, a.Release, p.Instance)] = true
		}
		lacks := func(r planner.Role) bool { return !said[r] }
		return !said[""] && !slices.ContainsFunc(a.Want, lacks), nil
	}
}

// handover is met once each instance has said that it took over for the run.
func (o Orchestrator) handover(t planner.Ticket, a *planner.Handover) condition {
	return when(func() bool {
		return all(a.Instances, func(p planner.Placement) bool {
			i := o.instances[key{a.Service, a.Release, p.Instance}]
			return i != nil && i.tookOver == a.Of(t.Run)
		}) == planner.Done
	})
}

func first(command []string) string {
	if len(command) == 0 {
		return ""
	}
	return command[0]
}

// smoke passes at instances that are up, unless a question is for the path
// "/fails".
func (o Orchestrator) smoke(a *planner.Smoke, f Fault) error {
	for _, p := range a.Instances {
		if !o.up(a.Service, a.Release, p.Instance) {
			return fmt.Errorf("%s %s %s is not up", a.Service, a.Release, p.Instance)
		}
		for _, c := range a.Checks {
			if f.Fail || c.Path == "/fails" {
				return fmt.Errorf("%s %s %s: smoke %s does not pass", a.Service, a.Release, p.Instance, c.Path)
			}
		}
	}
	return nil
}

// Probe tells whether the instances are as the step wants them. What there is to tell
// of a task of a role is waited for.
func (o Orchestrator) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error) {
	if a, ok := s.Action.(*planner.Task); ok && a.Of != "" {
		return o.probePromoted(ctx, t, s, a)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch a := s.Action.(type) {
	case *planner.Start:
		return all(a.Instances, func(p planner.Placement) bool { return o.runs(a, p) }), nil
	case *planner.Stop:
		return all(a.Instances, func(p planner.Placement) bool { return o.instances[key{a.Service, a.Release, p.Instance}] == nil }), nil
	case *planner.Handover:
		return is(o.handover(t, a)), nil
	case *planner.Roles:
		return is(o.roles(a)), nil
	case *planner.Smoke:
		return planner.NotDone, nil
	case *planner.Task:
		return o.probeTask(t, s, a), nil
	}
	return planner.Unknown, o.foreign(s.Action)
}

// Ask answers NoInstances.
func (o Orchestrator) Ask(_ context.Context, _ planner.Ticket, g planner.Guard) (planner.Answer, error) {
	none, ok := g.(*planner.NoInstances)
	if !ok {
		return planner.Answer{}, o.foreign(g)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, i := range o.instances {
		asked := slices.Contains(none.Versions, i.Release) || len(none.Versions) == 0 && !slices.Contains(none.Except, i.Release)
		if i.Service == none.Service && i.State != planner.Down && asked {
			n++
		}
	}
	if n > 0 {
		return planner.Answer{Reason: fmt.Sprintf("%d of %s", n, none.Service)}, nil
	}
	return planner.Answer{Met: true}, nil
}

// Observe is every instance, in the order of their names.
func (o Orchestrator) Observe(context.Context) (*planner.Orchestrator, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := &planner.Orchestrator{Identity: "fake", Hosts: slices.Sorted(slices.Values(o.options.Hosts))}
	for _, i := range o.instances {
		out.Instances = append(out.Instances, i.Instance)
	}
	slices.SortFunc(out.Instances, func(a, b planner.Instance) int {
		return strings.Compare(a.Service+" "+a.Release+" "+a.Name, b.Service+" "+b.Release+" "+b.Name)
	})
	return out, nil
}
