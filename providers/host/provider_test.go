package host_test

import (
	"fmt"
	"sync"
	"testing"

	"pleat/planner"
	"pleat/providers/host"
	"pleat/providers/host/agenttest"
	"pleat/spec"
)

// holder is who applies.
var holder = planner.Ticket{Run: "r1", Lease: "test", Fence: 1, Authority: "1/1"}

func TestMain(m *testing.M) { agenttest.Main(m) }

// world is an orchestrator of real agents, and its provider.
type world struct {
	*host.Provider
	t      *testing.T
	dir    string
	agents []*agenttest.Agent
	spec   *spec.Orchestrator

	mu      sync.Mutex
	reports []planner.Report
}

func newWorld(t *testing.T, agents ...agenttest.Options) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), spec: &spec.Orchestrator{Kind: "host", Name: "local"}}
	for _, o := range agents {
		a := agenttest.Start(t, o)
		w.agents = append(w.agents, a)
		w.spec.Agents = append(w.spec.Agents, a.URL)
	}
	w.Provider = w.provider(host.Options{})
	return w
}

func (w *world) provider(o host.Options) *host.Provider {
	w.t.Helper()
	o.Dir = w.dir
	p, err := host.New(w.spec, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// start is a step that starts n web instances, spread over the agents.
func (w *world) start(release string, n int, args ...string) *planner.Start {
	w.t.Helper()
	a := &planner.Start{
		Orchestrator: w.spec.Address(), Service: "users", Release: release,
		Artifact: agenttest.Artifact(w.t, w.dir, release),
		Definition: planner.ProcessDefinition{
			Process: "web", Command: append([]string{"${ARTIFACT}", "-addr", "${ADDR}"}, args...),
			Checks: []*spec.Check{agenttest.Check()}, Drain: agenttest.Drain(),
		},
	}
	for i := range n {
		a.Instances = append(a.Instances, planner.Placement{
			Instance: fmt.Sprintf("web.%d", i+1), Host: w.agents[i%len(w.agents)].Host,
		})
	}
	return a
}

func stopOf(a *planner.Start, wait bool) *planner.Stop {
	return &planner.Stop{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: "web",
		Drain: a.Definition.Drain, Instances: a.Instances, Wait: wait,
	}
}

func (w *world) apply(id string, a planner.Action) error {
	w.t.Helper()
	return w.Apply(w.t.Context(), holder, planner.Step{ID: id, Action: a}, func(r planner.Report) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reports = append(w.reports, r)
	})
}

func (w *world) mustApply(id string, a planner.Action) {
	w.t.Helper()
	if err := w.apply(id, a); err != nil {
		w.t.Fatalf("step %s: %v", id, err)
	}
}

// said gives the reports so far as short lines, and forgets them.
func (w *world) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, r := range w.reports {
		switch r := r.(type) {
		case planner.InstanceChange:
			out = append(out, fmt.Sprintf("%s %s %s", r.Release, r.Instance, r.State))
		case planner.Warning:
			out = append(out, "warning")
		}
	}
	w.reports = nil
	return out
}

func (w *world) probe(a planner.Action) planner.Outcome {
	w.t.Helper()
	o, err := w.Probe(w.t.Context(), holder, planner.Step{Action: a})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// TestWhoHoldsNoLeaseChangesNothing: also not by announcing itself.
func TestWhoHoldsNoLeaseChangesNothing(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	nobody := planner.Ticket{Run: "r1", Lease: "test", Fence: 1}
	err := w.Apply(t.Context(), nobody, planner.Step{ID: "s1", Action: w.start("1.0.0", 1)}, func(planner.Report) {})
	if err == nil || err.Error() != "run r1 holds no lease, and changes nothing" {
		t.Errorf("Apply = %v", err)
	}
	if err := w.Announce(t.Context(), nobody); err == nil {
		t.Error("it may announce itself")
	}
	if live, err := w.Observe(t.Context()); err != nil || len(live.Instances) > 0 {
		t.Errorf("%v, %v", live, err)
	}
}
