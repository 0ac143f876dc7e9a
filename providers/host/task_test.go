package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host"
	"pleat/providers/host/agenttest"
)

// task is one that runs a shell script once.
func (w *world) task(name, script string) *planner.Task {
	w.t.Helper()
	s := w.start("r1", 0)
	s.Definition.Command = []string{"/bin/sh", "-c", script}
	return &planner.Task{
		Orchestrator: s.Orchestrator, Service: s.Service, Release: s.Release, Task: name, Artifact: s.Artifact, Definition: s.Definition,
		Instances: []planner.Placement{{Instance: name, Host: w.agents[0].Host}}, Timeout: time.Minute,
	}
}

func (w *world) probeOf(id string, a planner.Action) planner.Outcome {
	w.t.Helper()
	outcome, err := w.Probe(w.t.Context(), holder, planner.Step{ID: id, Action: a})
	if err != nil {
		w.t.Fatal(err)
	}
	return outcome
}

// TestATaskGoesOnWhileItsAgentRestarts: the step does not notice, what the task
// wrote and how it ended are known to the next agent, and it ran once.
func TestATaskGoesOnWhileItsAgentRestarts(t *testing.T) {
	for _, status := range []int{0, 3} {
		t.Run(fmt.Sprintf("exit_%d", status), func(t *testing.T) {
			w := newWorld(t, agenttest.Options{})
			ran, on := filepath.Join(w.dir, "ran"), filepath.Join(w.dir, "go")
			task := w.task("migrate", fmt.Sprintf("echo ran >>%s; until test -e %s; do sleep 0.05; done; echo done; exit %d", ran, on, status))
			ended := make(chan error, 1)
			go func() { ended <- w.apply("s1", task) }()
			agenttest.Until(t, "the task to run", func() error { _, err := os.Stat(ran); return err })
			w.agents[0].Kill()
			w.agents[0].Missed()
			if err := os.WriteFile(on, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			w.agents[0].Restart()
			err, want := <-ended, planner.Done
			var failed *host.TaskError
			switch {
			case status == 0 && err != nil:
				t.Fatal(err)
			case status != 0 && (!errors.As(err, &failed) || failed.Reason != "exit status 3" || failed.Detail() != "done"):
				t.Fatalf("%v: %+v", err, failed)
			case status != 0:
				want = planner.NotDone
			}
			if got := w.probeOf("s1", task); got != want {
				t.Errorf("the probe says %v", got)
			}
			if status == 0 {
				w.mustApply("s1", task)
			}
			b, err := os.ReadFile(ran)
			if err != nil || string(b) != "ran\n" {
				t.Errorf("it ran as %q, %v", b, err)
			}
		})
	}
}

// TestWhatInstancesSayIsWaitedForThroughAnAgentsRestart: that they took over, and
// what they are.
func TestWhatInstancesSayIsWaitedForThroughAnAgentsRestart(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1)
	w.mustApply("s1", a)
	address := w.agents[0].Await(agenttest.Ref("1.0.0", "web.1"), planner.Up).Address
	for _, c := range []struct {
		variable, says string
		step           planner.Action
	}{
		{"PLEAT_HANDOVER", "r1 done", &planner.Handover{Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: "web", Instances: a.Instances}},
		{"PLEAT_ROLE", "primary", &planner.Roles{Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Process: "web", Instances: a.Instances, Want: []planner.Role{planner.Primary}}},
	} {
		ended := make(chan error, 1)
		go func() { ended <- w.apply("s2", c.step) }()
		w.agents[0].Kill()
		w.agents[0].Missed()
		agenttest.Say(t, address, c.variable, c.says)
		w.agents[0].Restart()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", c.variable, err)
		}
	}
}

// TestAProbeWaitsForWhoIsPromoted: while that runs, nobody can tell who is what.
func TestAProbeWaitsForWhoIsPromoted(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("r1", 1)
	w.mustApply("s1", a)
	agenttest.Say(t, w.agents[0].Await(agenttest.Ref("r1", "web.1"), planner.Up).Address, "PLEAT_ROLE", "sync")
	on := filepath.Join(w.dir, "go")
	promote := w.task("promote", fmt.Sprintf("until test -e %s; do sleep 0.05; done", on))
	promote.Instances, promote.Each, promote.Of = a.Instances, true, planner.Sync
	ended := make(chan error, 1)
	go func() { ended <- w.apply("s2", promote) }()
	agenttest.Until(t, "the task to run", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		outcome, err := w.Probe(ctx, holder, planner.Step{ID: "s2", Action: promote})
		if outcome == planner.Done {
			t.Fatal("it is done, and runs")
		}
		if outcome != planner.Unknown || err == nil {
			return fmt.Errorf("the probe says %v, %v", outcome, err)
		}
		return nil
	})
	if err := os.WriteFile(on, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := w.probeOf("s2", promote); got != planner.Done {
		t.Errorf("the probe says %v", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestATaskThatFailsSaysWhatItWrote: also without a last newline, and no secret.
func TestATaskThatFailsSaysWhatItWrote(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.Provider = w.provider(host.Options{Redact: func(s string) string { return strings.ReplaceAll(s, "hush", "(sensitive)") }})
	err := w.apply("s1", w.task("check", "echo one hush; printf two; exit 7"))
	var failed *host.TaskError
	if !errors.As(err, &failed) || failed.Reason != "exit status 7" || failed.Detail() != "one (sensitive)\ntwo" {
		t.Fatalf("%v: %+v", err, failed)
	}
	var lines []string
	for _, r := range w.reports {
		if o, ok := r.(planner.Output); ok {
			lines = append(lines, o.Line)
		}
	}
	if strings.Join(lines, "|") != "one (sensitive)|two" {
		t.Errorf("reported %q", lines)
	}
	// Asked for again it runs again, and what was is not said twice.
	if err := w.apply("s1", w.task("check", "exit 0")); err != nil {
		t.Error(err)
	}
}

// TestCancelEndsATask: nothing of it is left.
func TestCancelEndsATask(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	pid := filepath.Join(w.dir, "pid")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Apply(ctx, holder, planner.Step{ID: "s1", Action: w.task("long", "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; sleep 600")}, func(planner.Report) {})
	}()
	agenttest.Until(t, "the task to run", func() error { _, err := os.Stat(pid); return err })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	b, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "the task to be gone", func() error {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		if errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ") {
			return nil
		}
		return errors.New("it is there")
	})
}
