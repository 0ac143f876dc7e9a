package exec_test

import (
	"context"
	"time"

	"pleat/planner"
	"pleat/providers/exec"
	"pleat/providers/host"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/providertest"
	"pleat/spec"
)

// ofAgents is the world's router in front of an agent.
func (w *world) ofAgents() *providertest.Harness {
	agent := agenttest.Start(w.t, agenttest.Options{Rests: []time.Duration{time.Second}})
	owner := &spec.Orchestrator{Kind: "host", Name: "local", Agents: []string{agent.URL}}
	hosts, err := host.New(owner, host.Options{Dir: w.spec})
	if err != nil {
		w.t.Fatal(err)
	}
	w.router = exec.NewRouter(w.front, map[spec.Address]exec.Observer{owner.Address(): hosts}, exec.Options{Dir: w.spec})
	live := func(a *planner.Start, i planner.Placement) api.Instance {
		return agent.Await(api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}, planner.Up)
	}
	return &providertest.Harness{
		Orchestrator: hosts, Router: w.router, RouterAddress: w.front.Address(),
		Start: func(release string, n int, b providertest.Behavior) *planner.Start {
			a := w.start(release, n, b)
			a.Orchestrator = owner.Address()
			for n := range a.Instances {
				a.Instances[n].Host = agent.Host
			}
			return a
		},
		Crash:   func(a *planner.Start, i planner.Placement) { agenttest.Crash(live(a, i), 3) },
		Lacks:   []providertest.Ability{providertest.Holding},
		Request: func(ctx context.Context) error { return agenttest.Request(ctx, w.listen()) },
		Busy: func(a *planner.Start, i planner.Placement) func() {
			return agenttest.Busy(w.t, w.listen(), live(a, i).Address)
		},
	}
}
