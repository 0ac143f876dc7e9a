package providertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pleat/planner"
)

// patience ends what would wait for ever; brief is the time of a step that is
// to run out of it.
const (
	patience = 30 * time.Second
	brief    = 300 * time.Millisecond
)

// suite is one test of one harness.
type suite struct {
	*Harness
	t *testing.T
}

var holder = planner.Ticket{Run: "r1", Lease: "test", Fence: 2, Authority: "1/1"}

func (s *suite) of(a planner.Action) Applier {
	if s.Router != nil && a.Provider() == s.RouterAddress {
		return s.Router
	}
	return s.Orchestrator
}

// by applies an action as a holder does. What is said after the end fails the test.
func (s *suite) by(ctx context.Context, t planner.Ticket, limit time.Duration, a planner.Action) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var mu sync.Mutex
	over := false
	step := planner.Step{ID: "s1", Action: a}
	step.Limits.Run = limit
	err := s.of(a).Apply(ctx, t, step, func(r planner.Report) {
		mu.Lock()
		defer mu.Unlock()
		if over {
			s.t.Errorf("%T: %v was reported after the end", a, r)
		}
	})
	mu.Lock()
	over = true
	mu.Unlock()
	return err
}

func (s *suite) apply(a planner.Action) error { return s.by(s.t.Context(), holder, patience, a) }

func (s *suite) must(all ...planner.Action) {
	s.t.Helper()
	for _, a := range all {
		if err := s.apply(a); err != nil {
			s.t.Fatalf("%T: %v", a, err)
		}
	}
}

// together applies an action from several sides at the same time.
func (s *suite) together(a planner.Action) {
	s.t.Helper()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.apply(a); err != nil {
				s.t.Errorf("%T at the same time: %v", a, err)
			}
		})
	}
	all.Wait()
}

// refused wants an error, and the context's only where the test cancelled.
func (s *suite) refused(what string, err error) {
	s.t.Helper()
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		s.t.Errorf("%s: %v, want a refusal", what, err)
	}
}

func (s *suite) probed(a planner.Action, want planner.Outcome) {
	s.t.Helper()
	got, err := s.of(a).Probe(s.t.Context(), holder, planner.Step{ID: "s1", Action: a})
	if err != nil || got != want {
		s.t.Errorf("Probe of %T = %v, %v, want %v", a, got, err, want)
	}
}

// live counts the release's instances in a state.
func (s *suite) live(a *planner.Start, state planner.InstanceState) int {
	s.t.Helper()
	seen, err := s.Orchestrator.Observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, i := range seen.Instances {
		if i.Service == a.Service && i.Release == a.Release && i.State == state {
			n++
			if i.Process != a.Definition.Process || i.Digest != a.Artifact.SHA256 {
				s.t.Errorf("%s is of process %q with digest %s, want %q, %s", i.Name, i.Process, i.Digest, a.Definition.Process, a.Artifact.SHA256)
			}
		}
	}
	return n
}

func (s *suite) wantLive(a *planner.Start, up int) {
	s.t.Helper()
	if n := s.live(a, planner.Up); n != up {
		s.t.Errorf("Observe has %d instances of %s up, want %d", n, a.Release, up)
	}
}

// until polls until f holds.
func (s *suite) until(what string, f func() bool) {
	s.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !f(); <-look.C {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (s *suite) incarnations(a *planner.Start) string {
	out := ""
	for _, i := range a.Instances {
		out += i.Instance + "=" + s.Incarnation(a, i) + " "
	}
	return out
}

func stopOf(a *planner.Start) *planner.Stop {
	return &planner.Stop{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: a.Definition.Process,
		Drain: a.Definition.Drain, Instances: a.Instances, Wait: true,
	}
}

func (s *suite) attachOf(a *planner.Start) *planner.Attach {
	return &planner.Attach{
		Router: s.RouterAddress, Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release,
		Process: a.Definition.Process, Instances: a.Instances,
	}
}

func (s *suite) drainOf(a *planner.Start, floor int) *planner.Drain {
	return &planner.Drain{
		Router: s.RouterAddress, Service: a.Service, Release: a.Release, Process: a.Definition.Process,
		Instances: a.Instances, Timeout: time.Second, Floor: floor,
	}
}

func (s *suite) guard(a *planner.Start) planner.Answer {
	s.t.Helper()
	g := &planner.NoInstances{Orchestrator: a.Orchestrator, Service: a.Service, Versions: []string{a.Release}}
	answer, err := s.Orchestrator.Ask(s.t.Context(), holder, g)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}
