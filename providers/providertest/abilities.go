package providertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pleat/planner"
)

// Ability is something that cases are about and that a provider may be without.
type Ability string

// The abilities. What a harness needs to show one is a field of it.
const (
	Hosts      Ability = "several hosts"  // Start places instances on more than one
	Faltering  Ability = "start failures" // Start knows Falters
	Tasks      Ability = "tasks"          // Task and Ran
	Clusters   Ability = "roles"          // Say
	TakingOver Ability = "handover"       // TakeOver
	Requests   Ability = "requests"       // Request and Busy
	Holding    Ability = "hold traffic"   // Request
	Counting   Ability = "restarts"       // Observe says how often an instance was started again
)

// has tells whether the harness has what an ability needs. One that has not and
// does not say so fails.
func (h *Harness) has(t *testing.T, a Ability) bool {
	t.Helper()
	if slices.Contains(h.Lacks, a) {
		return false
	}
	there := map[Ability]bool{
		Hosts: true, Faltering: true, Tasks: h.Task != nil && h.Ran != nil, Clusters: h.Say != nil,
		TakingOver: h.TakeOver != nil, Requests: h.Request != nil && h.Busy != nil, Holding: h.Request != nil, Counting: true,
	}
	if !there[a] {
		t.Fatalf("the harness cannot show %s, and does not say that its provider lacks it", a)
	}
	return true
}

func (s *suite) placed() {
	a := s.Start("1.0.0", 4, Works)
	var hosts []string
	for _, i := range a.Instances {
		hosts = append(hosts, i.Host)
	}
	slices.Sort(hosts)
	if hosts = slices.Compact(hosts); len(hosts) < 2 {
		s.t.Fatalf("the harness places all on %q", hosts)
	}
	s.must(a)
	s.wantHosts(a, a.Instances)
	one := stopOf(a)
	one.Instances = slices.DeleteFunc(slices.Clone(a.Instances), func(i planner.Placement) bool { return i.Host != hosts[0] })
	s.must(one)
	s.wantHosts(a, slices.DeleteFunc(slices.Clone(a.Instances), func(i planner.Placement) bool { return i.Host == hosts[0] }))
	other := s.Start("2.0.0", 1, Works)
	other.Instances[0].Host = "nowhere"
	s.refused("a start on a host that is not there", s.apply(other))
	s.wantLive(other, 0)
}

// wantHosts wants the instances that are up, and each on its host.
func (s *suite) wantHosts(a *planner.Start, want []planner.Placement) {
	s.t.Helper()
	seen, err := s.Orchestrator.Observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.wantLive(a, len(want))
	for _, i := range seen.Instances {
		at := planner.Placement{Instance: i.Name, Host: i.Host}
		if i.Release == a.Release && i.State == planner.Up && !slices.Contains(want, at) {
			s.t.Errorf("%s is up on %s", i.Name, i.Host)
		}
		if !slices.Contains(seen.Hosts, i.Host) {
			s.t.Errorf("%s is on %s, which is not among the hosts %q", i.Name, i.Host, seen.Hosts)
		}
	}
}

func (s *suite) faltering() {
	a := s.Start("1.0.0", 1, Falters)
	a.MaxStartFailures = 1
	s.must(a)
	s.wantLive(a, 1)
	b := s.Start("2.0.0", 1, Falters)
	s.refused("a start of which none may fail", s.apply(b))
	s.failed(b)
	c := s.Start("3.0.0", 1, Fails)
	c.MaxStartFailures = 2
	s.refused("a start of what always fails", s.apply(c))
	s.failed(c)
}

func (s *suite) task() {
	a := s.Task("1.0.0", Works)
	s.probed(a, planner.NotDone)
	s.must(a, a)
	s.probed(a, planner.Done)
	if n := s.Ran(); n != 1 {
		s.t.Errorf("the task was run %d times", n)
	}
}

func (s *suite) failingTask() {
	a := s.Task("1.0.0", Fails)
	s.refused("a task that fails", s.apply(a))
	s.probed(a, planner.NotDone)
}

func (s *suite) cancelledTask() {
	a := s.Task("1.0.0", Hangs)
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	end := make(chan error, 1)
	go func() { end <- s.by(ctx, holder, patience, a) }()
	s.until("the task runs", func() bool { return s.Ran() > 0 })
	cancel()
	s.stopped("a cancelled task", <-end)
	s.probed(a, planner.NotDone)
}

// stopped wants the context's error or an unknown outcome.
func (s *suite) stopped(what string, err error) {
	s.t.Helper()
	if !errors.Is(err, context.Canceled) && !errors.Is(err, planner.ErrOutcomeUnknown) {
		s.t.Errorf("%s = %v, want the context's error or an unknown outcome", what, err)
	}
}

func (s *suite) roles() {
	a := s.Start("1.0.0", 2, Works)
	r := &planner.Roles{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: a.Definition.Process,
		Instances: a.Instances, Want: []planner.Role{planner.Primary},
	}
	s.refused("roles of what is not there", s.by(s.t.Context(), holder, brief, r))
	s.must(a)
	s.probed(r, planner.NotDone)
	s.Say(a, a.Instances[0], planner.Async)
	s.refused("roles of which one was not said", s.by(s.t.Context(), holder, brief, r))
	s.Say(a, a.Instances[1], planner.Sync)
	s.refused("roles without the one that is wanted", s.by(s.t.Context(), holder, brief, r))
	s.probed(r, planner.NotDone)
	end := make(chan error, 1)
	go func() { end <- s.apply(r) }()
	s.Say(a, a.Instances[0], planner.Primary)
	if err := <-end; err != nil {
		s.t.Errorf("roles that were said: %v", err)
	}
	s.probed(r, planner.Done)
	if primary := s.primary(); primary != a.Instances[0].Instance {
		s.t.Errorf("Observe has %q as primary", primary)
	}
	s.Crash(a, a.Instances[0])
	s.until("one is left", func() bool { return s.live(a, planner.Up) == 1 })
	s.must(a)
	s.probed(r, planner.NotDone)
	if primary := s.primary(); primary != "" {
		s.t.Errorf("Observe has %q as primary, which was started again and has said nothing", primary)
	}
}

// clusterStop: nothing goes out of a cluster that is led by another one than when the
// stop was planned.
func (s *suite) clusterStop() {
	a := s.Start("1.0.0", 2, Works)
	s.must(a)
	stop := func(n int, role planner.Role) *planner.Stop {
		one := stopOf(a)
		one.By, one.Role, one.Instances = "2.0.0", role, a.Instances[n:n+1]
		return one
	}
	s.Say(a, a.Instances[0], planner.Sync)
	s.Say(a, a.Instances[1], planner.Async)
	s.refused("a stop where there is no primary", s.apply(stop(1, planner.Async)))
	s.Say(a, a.Instances[1], planner.Primary)
	s.refused("a stop of the primary that was to go as another", s.apply(stop(1, planner.Async)))
	s.refused("a stop of another one as the primary", s.apply(stop(0, planner.Primary)))
	s.wantLive(a, 2)
	s.must(stop(0, planner.Sync), stop(0, planner.Sync), stop(1, planner.Primary))
	s.wantLive(a, 0)
}

// clusterBack: what came into a cluster and is taken away again, with no successor,
// leaves somebody there who has all that is confirmed.
func (s *suite) clusterBack() {
	a := s.Start("1.0.0", 3, Works)
	s.must(a)
	back := func(n int, role planner.Role) *planner.Stop {
		one := stopOf(a)
		one.Role, one.Instances = role, a.Instances[n:n+1]
		return one
	}
	s.Say(a, a.Instances[0], planner.Sync)
	s.Say(a, a.Instances[1], planner.Async)
	s.Say(a, a.Instances[2], planner.Async)
	for _, role := range []planner.Role{planner.Async, planner.AnyRole} {
		s.refused("a way back where there is no primary", s.apply(back(0, role)))
	}
	s.Say(a, a.Instances[0], planner.Primary)
	for _, role := range []planner.Role{planner.Async, planner.AnyRole} {
		s.refused("a way back of the primary without a copy", s.apply(back(0, role)))
	}
	s.Say(a, a.Instances[1], planner.Sync)
	s.refused("a way back of the primary, which would have to be promoted", s.apply(back(0, planner.Async)))
	s.wantLive(a, 3)
	s.must(back(2, planner.Async), back(0, planner.AnyRole))
	s.wantLive(a, 1)
}

// ofSync are two instances that run, and a task for that one of them which is the
// synchronous one.
func (s *suite) ofSync(does Behavior) (*planner.Start, *planner.Task) {
	s.t.Helper()
	if !s.has(s.t, Tasks) {
		s.t.Skip("its provider lacks tasks")
	}
	a := s.Start("1.0.0", 2, Works)
	s.must(a)
	t := s.Task("1.0.0", does)
	t.Each, t.Of, t.Instances = true, planner.Sync, a.Instances
	return a, t
}

// roleTask: a task of one role stays with the instance for which it was begun, and is
// for nobody where one is the primary.
func (s *suite) roleTask() {
	a, t := s.ofSync(Works)
	s.Say(a, a.Instances[0], planner.Async)
	s.refused("a task of a role that nobody has", s.apply(t))
	s.Say(a, a.Instances[0], planner.Sync)
	s.Say(a, a.Instances[1], planner.Async)
	s.must(t)
	s.Say(a, a.Instances[0], planner.Async)
	s.Say(a, a.Instances[1], planner.Sync)
	s.must(t)
	s.probed(t, planner.Done)
	if n := s.Ran(); n != 1 {
		s.t.Errorf("the task was run %d times", n)
	}
	s.Say(a, a.Instances[0], planner.Primary)
	other := holder
	other.Run = "another"
	if err := s.by(s.t.Context(), other, patience, t); err != nil || s.Ran() != 1 {
		s.t.Errorf("a task beside a primary: %v, and it was run %d times", err, s.Ran())
	}
}

// failedRoleTask: whether a task of a role that failed had its effect is told by what
// the instances say that they are, a moment later maybe.
func (s *suite) failedRoleTask() {
	a, t := s.ofSync(Fails)
	s.Say(a, a.Instances[0], planner.Sync)
	s.Say(a, a.Instances[1], planner.Async)
	s.probed(t, planner.NotDone)
	s.refused("a task of a role that fails", s.apply(t))
	s.probed(t, planner.NotDone)

	s.Say(a, a.Instances[0], "")
	ctx, cancel := context.WithTimeout(s.t.Context(), brief)
	defer cancel()
	if outcome, err := s.Orchestrator.Probe(ctx, holder, planner.Step{ID: "s1", Action: t}); outcome != planner.Unknown || err == nil {
		s.t.Errorf("Probe where one does not say what it is = %v, %v", outcome, err)
	}
	s.Say(a, a.Instances[0], planner.Sync)
	late := time.AfterFunc(brief, func() { s.Say(a, a.Instances[0], planner.Primary) })
	defer late.Stop()
	s.probed(t, planner.Done)
}

func (s *suite) primary() (name string) {
	s.t.Helper()
	seen, err := s.Orchestrator.Observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, i := range seen.Instances {
		if i.Role == planner.Primary {
			name += i.Name
		}
	}
	return name
}

func (s *suite) handoverSaid() {
	a := s.Start("1.0.0", 2, Works)
	h := handoverOf(a)
	s.must(a)
	s.TakeOver(a, a.Instances[0], holder.Run)
	s.TakeOver(a, a.Instances[1], "another")
	s.probed(h, planner.NotDone)
	s.refused("a handover for another run", s.by(s.t.Context(), holder, brief, h))
	end := make(chan error, 1)
	go func() { end <- s.apply(h) }()
	s.TakeOver(a, a.Instances[1], holder.Run)
	if err := <-end; err != nil {
		s.t.Errorf("a handover that was said: %v", err)
	}
	s.must(h)
	s.probed(h, planner.Done)

	// What was started by a run before says it for that one.
	h.Run = "another"
	s.probed(h, planner.NotDone)
	s.TakeOver(a, a.Instances[0], "another")
	s.TakeOver(a, a.Instances[1], "another")
	s.must(h)
	s.probed(h, planner.Done)
}

// busy drains an instance while a request is in flight there, and gives its end.
func (s *suite) busy(ctx context.Context) (old *planner.Start, drain *planner.Drain, finish func(), end chan error) {
	old, next := s.Start("1.0.0", 1, Works), s.Start("2.0.0", 1, Works)
	s.must(old, next, s.attachOf(old))
	finish = s.Busy(old, old.Instances[0])
	s.must(s.attachOf(next))
	drain = s.drainOf(old, 1)
	drain.Timeout = patience
	end = make(chan error, 1)
	go func() { end <- s.by(ctx, holder, patience, drain) }()
	s.until("the instance is draining", func() bool { return s.backends() == "2.0.0 web.1" })
	return old, drain, finish, end
}

func (s *suite) busyDrain() {
	_, drain, finish, end := s.busy(s.t.Context())
	if err := s.Request(s.t.Context()); err != nil {
		s.t.Errorf("a request while another instance is draining: %v", err)
	}
	select {
	case err := <-end:
		s.t.Errorf("the drain did not wait for the request in flight: %v", err)
		finish()
		return
	default:
	}
	s.probed(drain, planner.NotDone)
	finish()
	if err := <-end; err != nil {
		s.t.Errorf("the drain: %v", err)
	}
	s.probed(drain, planner.Done)
}

func (s *suite) cancelledDrain() {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	old, drain, finish, end := s.busy(ctx)
	asked := time.Now()
	cancel()
	s.stopped("a cancelled drain", <-end)
	if took := time.Since(asked); took > patience/3 {
		s.t.Errorf("it took %s to cancel", took)
	}
	finish()
	s.must(drain)
	s.probed(drain, planner.Done)
	s.wantBackends("2.0.0 web.1")
	s.must(s.attachOf(old)) // it is drained, not barred
	s.wantBackends("1.0.0 web.1, 2.0.0 web.1")
}

// holdTraffic: a request that comes while nobody serves is answered by who comes
// after.
func (s *suite) holdTraffic() {
	old, next := s.Start("1.0.0", 1, Works), s.Start("2.0.0", 1, Works)
	hold := func(d time.Duration) *planner.HoldTraffic {
		return &planner.HoldTraffic{Router: s.RouterAddress, Service: old.Service, For: d}
	}
	s.must(old, next, s.attachOf(old), hold(patience), hold(patience))
	s.probed(hold(patience), planner.NotDone) // nobody knows for how long
	s.must(s.drainOf(old, 0))
	end := make(chan error, 1)
	go func() { end <- s.Request(s.t.Context()) }()
	s.must(s.attachOf(next), hold(0), hold(0))
	if err := <-end; err != nil {
		s.t.Errorf("the request that was held: %v", err)
	}
	s.must(hold(brief)) // lets go by itself
	if err := s.Request(s.t.Context()); err != nil {
		s.t.Errorf("a request held for %s: %v", brief, err)
	}
}
