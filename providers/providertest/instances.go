package providertest

import (
	"context"
	"errors"
	"strings"
	"time"

	"pleat/planner"
	"pleat/spec"
)

func (s *suite) start() {
	a := s.Start("1.0.0", 2, Works)
	s.probed(a, planner.NotDone)
	s.must(a)
	s.probed(a, planner.Done)
	s.wantLive(a, 2)
	before := s.incarnations(a)
	s.must(a)
	if after := s.incarnations(a); after != before {
		s.t.Errorf("started again: %s, before %s", after, before)
	}
	s.wantLive(a, 2)
}

func (s *suite) startTogether() {
	a := s.Start("1.0.0", 2, Works)
	s.together(a)
	s.probed(a, planner.Done)
	s.wantLive(a, 2)
}

func (s *suite) stop() {
	a, other := s.Start("1.0.0", 2, Works), s.Start("2.0.0", 1, Works)
	s.must(a, other)
	s.probed(stopOf(a), planner.NotDone)
	if answer := s.guard(a); answer.Met || answer.Reason == "" {
		s.t.Errorf("NoInstances with two up = %+v, want a reason", answer)
	}
	s.must(stopOf(a), stopOf(a))
	s.probed(stopOf(a), planner.Done)
	s.probed(a, planner.NotDone)
	s.wantLive(a, 0)
	s.wantLive(other, 1)
	if answer := s.guard(a); !answer.Met {
		s.t.Errorf("NoInstances with none = %+v", answer)
	}
}

// crashInStart: what is to stay up for a while before its start is done, and does
// not, fails it.
func (s *suite) crashInStart() {
	a := s.Start("1.0.0", 2, Works)
	step := planner.Step{ID: "s1", Action: a, Limits: planner.Limits{Run: patience, Stay: patience / 10}}
	end := make(chan error, 1)
	go func() { end <- s.Orchestrator.Apply(s.t.Context(), holder, step, func(planner.Report) {}) }()
	s.until("both are up", func() bool { return s.live(a, planner.Up) == 2 })
	s.Crash(a, a.Instances[1])
	s.refused("a start of what did not stay", <-end)
}

// stopFloor: who comes after has to be up, and to have stayed so, before what would
// leave fewer than the floor goes.
func (s *suite) stopFloor() {
	old, next, other := s.Start("1.0.0", 2, Works), s.Start("2.0.0", 1, Works), s.Start("3.0.0", 1, Works)
	s.must(old, next, other)
	stop := func(by string, floor int, instances ...planner.Placement) *planner.Stop {
		a := stopOf(old)
		a.By, a.Floor, a.Instances = by, floor, instances
		return a
	}
	s.Crash(next, next.Instances[0])
	s.until("it is down", func() bool { return s.live(next, planner.Up) == 0 })
	err := s.apply(stop(next.Release, 2, old.Instances...))
	if s.refused("a stop below its floor", err); !errors.Is(err, planner.ErrUnwell) {
		s.t.Errorf("a stop below its floor: %v, want %v", err, planner.ErrUnwell)
	}
	s.wantLive(old, 2)
	s.must(stop(next.Release, 2, old.Instances[0]), stop(next.Release, 2, old.Instances[0])) // what is gone is stopped
	s.wantLive(old, 1)
	s.must(stop(other.Release, 2, old.Instances[1])) // it is not the successor that went
	s.wantLive(old, 0)
}

func (s *suite) stopTogether() {
	a := s.Start("1.0.0", 2, Works)
	s.must(a)
	s.together(stopOf(a))
	s.probed(stopOf(a), planner.Done)
	s.wantLive(a, 0)
}

func (s *suite) wrongArtifact() {
	a := s.Start("1.0.0", 1, Works)
	a.Artifact.SHA256 = strings.Repeat("0", 64)
	s.refused("a start of a wrong artifact", s.apply(a))
	s.probed(a, planner.NotDone)
	if answer := s.guard(a); !answer.Met {
		s.t.Errorf("something of it lives: %s", answer.Reason)
	}
}

func (s *suite) failingStart() {
	a := s.Start("1.0.0", 1, Fails)
	s.refused("a start of what ends at once", s.apply(a))
	s.failed(a)
}

// failed is a start that did not work, and that its undo leaves nothing of.
func (s *suite) failed(a *planner.Start) {
	s.probed(a, planner.NotDone)
	s.wantLive(a, 0)
	s.must(stopOf(a))
	s.probed(stopOf(a), planner.Done)
	if answer := s.guard(a); !answer.Met {
		s.t.Errorf("after the undo: %s", answer.Reason)
	}
}

func (s *suite) hangingStart() {
	a := s.Start("1.0.0", 1, Hangs)
	s.refused("a start that has no time left", s.by(s.t.Context(), holder, brief, a))
	s.failed(a)
}

func (s *suite) cancelledStart() {
	a := s.Start("1.0.0", 1, Hangs)
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	end := make(chan error, 1)
	go func() { end <- s.by(ctx, holder, patience, a) }()
	s.until("the instance is starting", func() bool { return s.live(a, planner.Starting) > 0 })
	asked := time.Now()
	cancel()
	err := <-end
	s.stopped("a cancelled start", err)
	if took := time.Since(asked); took > patience/3 {
		s.t.Errorf("it took %s to cancel", took)
	}
	s.failed(a)
}

func (s *suite) crash() {
	a := s.Start("1.0.0", 2, Works)
	s.must(a)
	s.Crash(a, a.Instances[0])
	s.until("one is left", func() bool { return s.live(a, planner.Up) == 1 })
	s.probed(a, planner.NotDone)
	other := s.Incarnation(a, a.Instances[1])
	s.must(a)
	s.probed(a, planner.Done)
	s.wantLive(a, 2)
	if s.Incarnation(a, a.Instances[1]) != other {
		s.t.Error("the one that was up was started again")
	}
}

// counted: how often an instance was started again is told of it, and of no other.
func (s *suite) counted() {
	a, other := s.Start("1.0.0", 2, Works), s.Start("2.0.0", 1, Works)
	s.must(a, other)
	for n := range 3 {
		seen, err := s.Orchestrator.Observe(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, i := range seen.Instances {
			want := 0
			if i.Release == a.Release && i.Name == a.Instances[0].Instance {
				want = n
			}
			if i.Restarts != want {
				s.t.Errorf("%s %s was started again %d times, want %d", i.Release, i.Name, i.Restarts, want)
			}
		}
		s.Crash(a, a.Instances[0])
		s.until("one is left", func() bool { return s.live(a, planner.Up) == 1 })
		s.must(a)
		s.wantLive(a, 2)
	}
}

func (s *suite) restart() {
	a := s.Start("1.0.0", 2, Works)
	s.must(a)
	identity := s.identity()
	before := s.incarnations(a)
	s.Restart()
	s.until("both are up again", func() bool { return s.live(a, planner.Up) == 2 })
	s.probed(a, planner.Done)
	s.must(a)
	if after := s.incarnations(a); after != before {
		s.t.Errorf("after the restart %s, before %s", after, before)
	}
	if now := s.identity(); now != identity || now == "" {
		s.t.Errorf("identity %q, before %q", now, identity)
	}
}

func (s *suite) identity() string {
	s.t.Helper()
	seen, err := s.Orchestrator.Observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return seen.Identity
}

func (s *suite) fence() {
	a := s.Start("1.0.0", 1, Works)
	s.must(a)
	later, former := holder, holder
	later.Fence, former.Fence = holder.Fence+1, holder.Fence
	if err := s.Orchestrator.Announce(s.t.Context(), later); err != nil {
		s.t.Fatal(err)
	}
	s.refused("a former holder's stop", s.by(s.t.Context(), former, patience, stopOf(a)))
	s.wantLive(a, 1)
	s.probed(a, planner.Done) // anybody may look
	s.Restart()
	s.until("it is up again", func() bool { return s.live(a, planner.Up) == 1 })
	s.refused("a former holder's stop after a restart", s.by(s.t.Context(), former, patience, stopOf(a)))
	if err := s.by(s.t.Context(), later, patience, stopOf(a)); err != nil {
		s.t.Errorf("the holder's stop: %v", err)
	}
	s.wantLive(a, 0)
}

func (s *suite) smoke() {
	a := s.Start("1.0.0", 1, Works)
	ask := func(passes bool) *planner.Smoke {
		return &planner.Smoke{
			Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: a.Definition.Process,
			Instances: a.Instances, Checks: []*spec.Check{s.Smoke(passes)},
		}
	}
	s.refused("smoke of what is not there", s.apply(ask(true)))
	s.must(a, ask(true), ask(true))
	s.probed(ask(true), planner.NotDone) // an answer is for the attempt that asked
	s.refused("smoke that does not pass", s.apply(ask(false)))
	s.wantLive(a, 1)
}

func (s *suite) handover() {
	a := s.Start("1.0.0", 1, Works)
	h := handoverOf(a)
	s.must(a)
	s.probed(h, planner.NotDone)
	s.refused("a handover that nobody says", s.by(s.t.Context(), holder, brief, h))
	s.wantLive(a, 1)
}

func handoverOf(a *planner.Start) *planner.Handover {
	return &planner.Handover{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: a.Definition.Process, Instances: a.Instances,
	}
}

func (s *suite) foreign() {
	a := &planner.Pause{For: time.Second}
	s.refused("a pause", s.apply(a))
	if o, err := s.Orchestrator.Probe(s.t.Context(), holder, planner.Step{Action: a}); o != planner.Unknown || err == nil {
		s.t.Errorf("Probe of a pause = %v, %v, want an error", o, err)
	}
}
