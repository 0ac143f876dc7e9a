// Package fake is an orchestrator and a router in memory, with faults that real
// ones cannot be brought to have: answers that are late or lost after the effect,
// reports that are missing, doubled or out of order, instances that crash right
// after they were up. Without a script it does as it is told.
package fake

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"pleat/planner"
	"pleat/spec"
)

// Fault is what goes wrong with one call. The zero value: nothing.
type Fault struct {
	Refuse  bool          // an error, and no effect
	Lost    bool          // the effect, and an error that says the outcome is unknown
	Delay   time.Duration // before the effect; the call can be cancelled meanwhile
	Fail    bool          // instances end before they are up, tasks end badly, smoke tests do not pass
	Spoil   bool          // tasks have their effect first, and end badly all the same
	Crash   bool          // instances end right after they were up
	Slow    time.Duration // instances take that long to come up, one after the other
	Linger  time.Duration // instances that are to stop, and tasks, take that long
	Missing bool          // nothing is reported
	Double  bool          // everything is reported twice
	Reverse bool          // what is reported comes in the wrong order
}

// Options are what a System is made with.
type Options struct {
	Orchestrator, Router spec.Address
	Hosts                []string
	// Artifacts has the digest of each artifact by its path. A start of another
	// is refused.
	Artifacts map[string]string
	// Script is asked before each call of Apply; nil: nothing ever goes wrong.
	Script func(planner.Step) Fault
	// Changed and Ran are told of an instance whose state is another one, and of a
	// task that had its effect, before anybody can see it. They must not call the
	// system. nil: nobody is told.
	Changed func(planner.Instance)
	Ran     func(TaskRun)
}

// The words that a command of a fake program begins with. Any other works.
const (
	Fails   = "fails"   // ends before it is up
	Hangs   = "hangs"   // runs and never gets healthy
	Falters = "falters" // ends before it is up when it is started first
	Joins   = "joins"   // is up once it has said what it is in its cluster
)

type key struct{ service, release, name string }

type instance struct {
	planner.Instance
	incarnation int
	command     string
	arrived     bool   // it was up since it was started
	tookOver    string // the run for which it said so
}

// System is what the providers have in common: the instances and the route. It
// is safe for use from several goroutines.
type System struct {
	options Options

	mu        sync.Mutex
	instances map[key]*instance
	backends  []planner.Backend
	split     planner.Split
	held      map[string]time.Time // until when requests wait, by service
	tasks     []*TaskRun
	fences    map[string]int64
	started   int
	faltered  map[key]bool
}

// New makes a system without instances.
func New(o Options) *System {
	return &System{options: o, instances: map[key]*instance{}, held: map[string]time.Time{}, fences: map[string]int64{}, faltered: map[key]bool{}}
}

// Crash ends an instance that is up. It stays down, and out of the route's
// serving backends, until it is started again.
func (s *System) Crash(service, release, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.instances[key{service, release, name}]; i != nil {
		s.becomes(i, planner.Down)
	}
}

// ComeBack starts an instance again that went by itself, as an agent does.
func (s *System) ComeBack(service, release, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.instances[key{service, release, name}]; i != nil && i.State == planner.Down {
		s.started++
		i.incarnation = s.started
		i.Restarts++
		if s.becomes(i, planner.Starting); i.command != Joins {
			s.becomes(i, planner.Up)
		}
	}
}

// Say has an instance say what it is in its cluster. One that joins it is up then.
func (s *System) Say(service, release, name string, r planner.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.instances[key{service, release, name}]
	if i == nil || i.State == planner.Down {
		return
	}
	if i.Role = r; i.command == Joins && i.State == planner.Starting {
		s.becomes(i, planner.Up)
	}
}

// becomes gives an instance another state. What it was in its cluster is not said
// any more by one that is down. The lock is held.
func (s *System) becomes(i *instance, state planner.InstanceState) {
	if i.State == state {
		return
	}
	switch i.State = state; state {
	case planner.Starting:
		i.Role, i.arrived = "", false
	case planner.Up:
		i.arrived = true
	case planner.Down:
		i.Role = ""
	}
	if s.options.Changed != nil {
		s.options.Changed(i.Instance)
	}
}

// TakeOver has an instance say that it took over for a run.
func (s *System) TakeOver(service, release, name, run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.instances[key{service, release, name}]; i != nil {
		i.tookOver = run
	}
}

// Incarnation tells one start of an instance from the next.
func (s *System) Incarnation(service, release, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.instances[key{service, release, name}]; i != nil {
		return fmt.Sprint(i.incarnation)
	}
	return ""
}

// admit refuses a former holder of a lease. The lock is held.
func (s *System) admit(t planner.Ticket) error {
	lease := t.Authority + " " + t.Lease
	if known := s.fences[lease]; t.Fence < known {
		return fmt.Errorf("the lease has moved on from fence %d to %d", t.Fence, known)
	}
	s.fences[lease] = t.Fence
	return nil
}

func (s *System) announce(t planner.Ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admit(t)
}

func (s *System) up(service, release, name string) bool {
	i := s.instances[key{service, release, name}]
	return i != nil && i.State == planner.Up
}

// serving counts backends of a service that are up and that skip does not hold for.
func (s *System) serving(service string, skip func(planner.Backend) bool) int {
	n := 0
	for _, b := range s.backends {
		if b.Service == service && !skip(b) && s.up(b.Service, b.Release, b.Instance) {
			n++
		}
	}
	return n
}

// say reports as the fault has it.
func (f Fault) say(report func(planner.Report), all []planner.Report) {
	if f.Missing {
		return
	}
	if f.Reverse {
		all = slices.Clone(all)
		slices.Reverse(all)
	}
	for _, r := range all {
		report(r)
		if f.Double {
			report(r)
		}
	}
}
