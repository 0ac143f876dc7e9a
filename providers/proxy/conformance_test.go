package proxy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/providertest"
	"pleat/spec"
)

// The embedded orchestrator and router, on real agents with real processes.
func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) *providertest.Harness {
		rests := []time.Duration{time.Second}
		return newWorld(t, agenttest.Options{Name: "a", Rests: rests}, agenttest.Options{Name: "b", Rests: rests}).harness()
	})
}

func (w *world) harness() *providertest.Harness {
	return &providertest.Harness{
		Orchestrator: w.hosts, Router: w.router, RouterAddress: w.spec.Address(),
		Start:       w.behaving,
		Crash:       func(a *planner.Start, i planner.Placement) { agenttest.Crash(w.live(a, i), 3) },
		Incarnation: func(a *planner.Start, i planner.Placement) string { return fmt.Sprint(w.live(a, i).PID) },
		Restart: func() {
			for _, a := range w.agents {
				a.Kill()
				a.Restart()
			}
		},
		Smoke: func(passes bool) *spec.Check {
			c := agenttest.Check()
			if !passes {
				c.Path = "/nowhere"
			}
			return c
		},
		Task: w.behavingTask,
		Ran:  w.ran,
		Say: func(a *planner.Start, i planner.Placement, r planner.Role) {
			agenttest.Say(w.t, w.live(a, i).Address, "PLEAT_ROLE", string(r))
		},
		TakeOver: func(a *planner.Start, i planner.Placement, run string) {
			agenttest.Say(w.t, w.live(a, i).Address, "PLEAT_HANDOVER", run+" done")
		},
		Request: func(ctx context.Context) error { return agenttest.Request(ctx, w.spec.Listen) },
		Busy: func(a *planner.Start, i planner.Placement) func() {
			return agenttest.Busy(w.t, w.spec.Listen, w.live(a, i).Address)
		},
	}
}

// live is an instance once it is up.
func (w *world) live(a *planner.Start, i planner.Placement) api.Instance {
	for _, agent := range w.agents {
		if agent.Host == i.Host {
			return agent.Await(api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}, planner.Up)
		}
	}
	w.t.Fatalf("there is no host %s", i.Host)
	return api.Instance{}
}

func (w *world) behaving(release string, n int, b providertest.Behavior) *planner.Start {
	a := w.start(release, 1)
	a.Instances = nil
	for i := range n {
		a.Instances = append(a.Instances, w.place(i+1)...)
	}
	a.Definition.Command = b.Command(a.Definition.Command, filepath.Join(w.dir, "began-"+release))
	return a
}

// behavingTask leaves a line in a file when it begins.
func (w *world) behavingTask(release string, b providertest.Behavior) *planner.Task {
	a := w.start(release, 1)
	then := []string{"true", "exit 3", "sleep 60"}[b]
	return &planner.Task{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Task: "once", Artifact: a.Artifact,
		Definition: planner.ProcessDefinition{Process: "web", Command: []string{"sh", "-c", "echo began >>'" + w.tasks() + "'; " + then}},
		Instances:  []planner.Placement{{Instance: "once", Host: w.agents[0].Host}},
		Timeout:    agenttest.Patience,
	}
}

func (w *world) tasks() string { return filepath.Join(w.dir, "tasks") }

func (w *world) ran() int {
	b, err := os.ReadFile(w.tasks())
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return strings.Count(string(b), "began")
}
