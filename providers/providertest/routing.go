package providertest

import (
	"fmt"
	"slices"
	"strings"

	"pleat/planner"
)

// backends are those of a router, sorted: "1.0.0 web.1".
func (s *suite) backends() string {
	s.t.Helper()
	seen, err := s.Router.Observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, b := range seen.Backends {
		if !b.Draining {
			out = append(out, b.Release+" "+b.Instance)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (s *suite) wantBackends(want string) {
	s.t.Helper()
	if got := s.backends(); got != want {
		s.t.Errorf("backends = %q, want %q", got, want)
	}
}

func (s *suite) attachAndDrain() {
	old, next := s.Start("1.0.0", 1, Works), s.Start("2.0.0", 1, Works)
	s.must(old, next)
	s.wantBackends("")
	s.probed(s.attachOf(old), planner.NotDone)
	s.must(s.attachOf(old), s.attachOf(old), s.attachOf(next))
	s.probed(s.attachOf(old), planner.Done)
	s.wantBackends("1.0.0 web.1, 2.0.0 web.1")
	s.probed(s.drainOf(old, 1), planner.NotDone)
	s.must(s.drainOf(old, 1), s.drainOf(old, 1))
	s.probed(s.drainOf(old, 1), planner.Done)
	s.probed(s.attachOf(old), planner.NotDone)
	s.wantBackends("2.0.0 web.1")
	s.wantLive(old, 1) // a router stops nothing
}

func (s *suite) attachTogether() {
	a := s.Start("1.0.0", 2, Works)
	s.must(a)
	s.together(s.attachOf(a))
	s.wantBackends("1.0.0 web.1, 1.0.0 web.2")
	s.together(s.drainOf(a, 0))
	s.wantBackends("")
}

func (s *suite) attachDown() {
	a := s.Start("1.0.0", 1, Works)
	s.refused("attaching what is not there", s.apply(s.attachOf(a)))
	s.must(a)
	s.Crash(a, a.Instances[0])
	s.until("it is down", func() bool { return s.live(a, planner.Up) == 0 })
	s.refused("attaching what crashed", s.apply(s.attachOf(a)))
	s.wantBackends("")
}

// attachAgain: who is given requests back gets them, and one that went by itself is
// told of and left out.
func (s *suite) attachAgain() {
	a := s.Start("1.0.0", 2, Works)
	s.must(a)
	s.Crash(a, a.Instances[0])
	s.until("it is down", func() bool { return s.live(a, planner.Up) == 1 })
	again := s.attachOf(a)
	again.Again = true
	warned := 0
	step := planner.Step{ID: "s1", Action: again, Limits: planner.Limits{Run: patience}}
	err := s.Router.Apply(s.t.Context(), holder, step, func(r planner.Report) {
		if _, ok := r.(planner.Warning); ok {
			warned++
		}
	})
	if err != nil || warned != 1 {
		s.t.Errorf("%v, %d warnings, want one", err, warned)
	}
	s.wantBackends("1.0.0 web.2")
}

func (s *suite) floor() {
	old, next := s.Start("1.0.0", 2, Works), s.Start("2.0.0", 1, Works)
	s.must(old, next, s.attachOf(old), s.attachOf(next))
	s.refused("a drain below its floor", s.apply(s.drainOf(old, 2)))
	s.wantBackends("1.0.0 web.1, 1.0.0 web.2, 2.0.0 web.1")
	s.must(s.drainOf(old, 1))
	s.wantBackends("2.0.0 web.1")
}

func (s *suite) weigh() {
	old, next := s.Start("1.0.0", 1, Works), s.Start("2.0.0", 1, Works)
	s.must(old, next, s.attachOf(old), s.attachOf(next))
	to := func(percent, floor int) *planner.Weigh {
		w := &planner.Weigh{Router: s.RouterAddress, Service: old.Service, Release: next.Release, Floor: floor}
		w.Shares = []planner.Share{{Release: old.Release, Percent: 100 - percent}, {Release: next.Release, Percent: percent}}
		return w
	}
	s.probed(to(10, 0), planner.NotDone)
	s.must(to(10, 0), to(10, 0))
	s.probed(to(10, 0), planner.Done)
	s.must(to(50, 1))
	s.probed(to(10, 0), planner.NotDone)
	s.refused("weights that serve too few", s.apply(to(100, 2)))
	s.probed(to(50, 0), planner.Done)
	s.wantBackends(fmt.Sprintf("%s web.1, %s web.1", old.Release, next.Release))
}

func (s *suite) routerFence() {
	a := s.Start("1.0.0", 1, Works)
	s.must(a, s.attachOf(a))
	later := holder
	later.Fence++
	if err := s.Router.Announce(s.t.Context(), later); err != nil {
		s.t.Fatal(err)
	}
	s.refused("a former holder's drain", s.apply(s.drainOf(a, 0)))
	s.wantBackends("1.0.0 web.1")
	if err := s.by(s.t.Context(), later, patience, s.drainOf(a, 0)); err != nil {
		s.t.Errorf("the holder's drain: %v", err)
	}
	s.wantBackends("")
}
