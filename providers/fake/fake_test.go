package fake_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pleat/planner"
	"pleat/providers/fake"
	"pleat/providers/providertest"
	"pleat/spec"
)

func open(script func(planner.Step) fake.Fault) *providertest.Harness {
	s := fake.New(fake.Options{
		Orchestrator: "orchestrator.fake", Router: "router.fake", Hosts: []string{"a", "b"},
		Artifacts: map[string]string{"users": "d1"}, Script: script,
	})
	return &providertest.Harness{
		Orchestrator: s.Orchestrator(), Router: s.Router(), RouterAddress: "router.fake",
		Start: start,
		Crash: func(a *planner.Start, i planner.Placement) { s.Crash(a.Service, a.Release, i.Instance) },
		Incarnation: func(a *planner.Start, i planner.Placement) string {
			return s.Incarnation(a.Service, a.Release, i.Instance)
		},
		Restart: func() {}, // there is nothing behind it
		TakeOver: func(a *planner.Start, i planner.Placement, run string) {
			s.TakeOver(a.Service, a.Release, i.Instance, run)
		},
		Say: func(a *planner.Start, i planner.Placement, r planner.Role) {
			s.Say(a.Service, a.Release, i.Instance, r)
		},
		Lacks:   []providertest.Ability{providertest.Requests},
		Task:    task,
		Ran:     func() int { return len(s.Tasks()) },
		Request: func(ctx context.Context) error { return s.Router().Request(ctx, "users") },
		Smoke: func(passes bool) *spec.Check {
			return &spec.Check{Path: map[bool]string{true: "/", false: "/fails"}[passes]}
		},
	}
}

func start(release string, n int, b providertest.Behavior) *planner.Start {
	a := &planner.Start{
		Orchestrator: "orchestrator.fake", Service: "users", Release: release, Artifact: planner.Artifact{Path: "users", SHA256: "d1"},
		Definition: planner.ProcessDefinition{Process: "web", Command: []string{[]string{"works", fake.Fails, fake.Hangs, fake.Falters}[b]}},
	}
	for i := range n {
		a.Instances = append(a.Instances, planner.Placement{Instance: fmt.Sprintf("web.%d", i+1), Host: []string{"a", "b"}[i%2]})
	}
	return a
}

func task(release string, b providertest.Behavior) *planner.Task {
	a := start(release, 1, b)
	return &planner.Task{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Task: "once", Artifact: a.Artifact,
		Definition: a.Definition, Instances: []planner.Placement{{Instance: "once", Host: "a"}}, Timeout: time.Minute,
	}
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(*testing.T) *providertest.Harness { return open(nil) })
}

// Each fault does what it says, to the effect and to what is told of it.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault   fake.Fault
		fails   bool
		unknown bool
		after   planner.Outcome
		reports int
	}{
		"none":    {fake.Fault{}, false, false, planner.Done, 2},
		"refuse":  {fake.Fault{Refuse: true}, true, false, planner.NotDone, 0},
		"lost":    {fake.Fault{Lost: true}, true, true, planner.Done, 2},
		"fail":    {fake.Fault{Fail: true}, true, false, planner.NotDone, 2},
		"crash":   {fake.Fault{Crash: true}, false, false, planner.NotDone, 2},
		"missing": {fake.Fault{Missing: true}, false, false, planner.Done, 0},
		"double":  {fake.Fault{Double: true}, false, false, planner.Done, 4},
	} {
		h := open(func(planner.Step) fake.Fault { return c.fault })
		n := 0
		step := planner.Step{Action: start("1.0.0", 1, providertest.Works)}
		err := h.Orchestrator.Apply(t.Context(), planner.Ticket{}, step, func(planner.Report) { n++ })
		after, _ := h.Orchestrator.Probe(t.Context(), planner.Ticket{}, step)
		if (err != nil) != c.fails || errors.Is(err, planner.ErrOutcomeUnknown) != c.unknown || after != c.after || n != c.reports {
			t.Errorf("%s: %v, then %v, %d reports", name, err, after, n)
		}
	}
}

// Those that come up one by one are waited for while each takes less than the
// progress deadline, however long all of them take.
func TestSlowInstancesHaveToKeepComing(t *testing.T) {
	for slow, fails := range map[time.Duration]bool{20 * time.Second: false, 40 * time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			h := open(func(planner.Step) fake.Fault { return fake.Fault{Slow: slow} })
			step := planner.Step{Action: start("1.0.0", 3, providertest.Works), Limits: planner.Limits{Run: 2 * time.Minute, Progress: 30 * time.Second}}
			began := time.Now()
			err := h.Orchestrator.Apply(t.Context(), planner.Ticket{}, step, func(planner.Report) {})
			if took := time.Since(began).Round(time.Second); (err != nil) != fails || !fails && took != 3*slow || fails && took != 30*time.Second {
				t.Errorf("each takes %s: %v, after %s", slow, err, took)
			}
			time.Sleep(3 * slow)
		})
	}
}

// One that joins a cluster is up once it says what it is.
func TestJoiningIsSaying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(nil)
		a := start("1.0.0", 1, providertest.Works)
		a.Definition.Command = []string{fake.Joins}
		time.AfterFunc(time.Minute, func() { h.Say(a, a.Instances[0], planner.Async) })
		began := time.Now()
		err := h.Orchestrator.Apply(t.Context(), planner.Ticket{}, planner.Step{Action: a}, func(planner.Report) {})
		if took := time.Since(began).Round(time.Second); err != nil || took != time.Minute {
			t.Errorf("%v, after %s", err, took)
		}
	})
}
