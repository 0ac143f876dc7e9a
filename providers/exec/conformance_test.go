package exec_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/exec"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/providertest"
	"pleat/providers/variables"
	"pleat/spec"
)

// platform builds the program of examples/exec.
func platform(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "platform")
	if out, err := osexec.Command("go", "build", "-o", program, "pleat/examples/exec").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// TestConformance is of the program of examples/exec, with real processes and a
// real router.
func TestConformance(t *testing.T) {
	program := platform(t)
	providertest.Run(t, func(t *testing.T) *providertest.Harness { return newWorld(t, program).harness() })
}

// TestConformanceOfARouter is of the example's router in front of instances that
// agents keep.
func TestConformanceOfARouter(t *testing.T) {
	program := platform(t)
	providertest.RunRouter(t, func(t *testing.T) *providertest.Harness { return newWorld(t, program).ofAgents() })
}

// world is the platform of the example in a directory of its own.
type world struct {
	t            *testing.T
	dir          string // of the platform
	spec         string // where artifacts are
	orchestrator *exec.Orchestrator
	router       *exec.Router
	owner        *spec.Orchestrator
	front        *spec.Router
	known        variables.Source
}

func newWorld(t *testing.T, program string) *world {
	// The name of a socket must be short: 104 bytes on macOS.
	dir, err := os.MkdirTemp("/tmp", "pleat")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, spec: t.TempDir()}
	run := &spec.Program{
		Command: []string{program}, Timeout: agenttest.Patience,
		Settings: map[string]spec.Text{"dir": spec.Plain(dir), "listen": spec.Plain(agenttest.FreeAddress(t))},
	}
	w.owner = &spec.Orchestrator{Kind: "exec", Name: "here", Program: run}
	w.front = &spec.Router{Kind: "exec", Name: "edge", Program: run}
	w.open()
	t.Cleanup(w.clear)
	return w
}

// open makes the providers. They run nothing yet.
func (w *world) open() {
	o := exec.Options{Dir: w.spec, Known: w.known}
	w.orchestrator = exec.NewOrchestrator(w.owner, o)
	w.router = exec.NewRouter(w.front, map[spec.Address]exec.Observer{w.owner.Address(): w.orchestrator}, o)
}

func (w *world) apply(a planner.Action) error {
	return w.orchestrator.Apply(w.t.Context(), planner.Ticket{Run: "r1"}, planner.Step{ID: "s1", Action: a}, func(planner.Report) {})
}

func (w *world) must(all ...planner.Action) {
	w.t.Helper()
	for _, a := range all {
		if err := w.apply(a); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) clear() {
	w.restart()
	for _, file := range w.running() {
		w.kill(file)
		w.awaitEnd(file)
	}
	w.awaitEnd(filepath.Join(w.dir, "router.run"))
	if err := os.RemoveAll(w.dir); err != nil {
		w.t.Error(err)
	}
}

// running are the files with the numbers of processes.
func (w *world) running() []string {
	files, err := filepath.Glob(filepath.Join(w.dir, "instances", "*.run"))
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

func pidIn(file string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

func (w *world) kill(file string) {
	if pid := pidIn(file); pid > 1 {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // it may be gone
	}
}

// awaitEnd returns once nobody holds the lock on the file any more.
func (w *world) awaitEnd(file string) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(agenttest.Patience); syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil; <-look.C {
		if time.Now().After(end) {
			w.t.Errorf("what has its number in %s is not gone", file)
			return
		}
	}
}

// restart ends the program and the router that it keeps.
func (w *world) restart() {
	for _, err := range []error{w.orchestrator.Close(), w.router.Close()} {
		if err != nil {
			w.t.Error(err)
		}
	}
	w.kill(filepath.Join(w.dir, "router.run"))
}

func (w *world) live(a *planner.Start, i planner.Placement) string {
	return filepath.Join(w.dir, "instances", a.Service+"@"+a.Release+"@"+i.Instance)
}

func (w *world) harness() *providertest.Harness {
	return &providertest.Harness{
		Orchestrator: w.orchestrator, Router: w.router, RouterAddress: w.front.Address(),
		Start:       w.start,
		Crash:       w.crash,
		Incarnation: func(a *planner.Start, i planner.Placement) string { return fmt.Sprint(pidIn(w.live(a, i) + ".run")) },
		Restart:     w.restart,
		Smoke: func(passes bool) *spec.Check {
			c := agenttest.Check()
			if !passes {
				c.Path = "/nowhere"
			}
			return c
		},
		Lacks: []providertest.Ability{providertest.Hosts, providertest.Tasks, providertest.Clusters, providertest.Holding},
		TakeOver: func(a *planner.Start, i planner.Placement, run string) {
			agenttest.Say(w.t, w.address(a, i), "PLEAT_HANDOVER", run+" done")
		},
		Request: func(ctx context.Context) error { return agenttest.Request(ctx, w.listen()) },
		Busy: func(a *planner.Start, i planner.Placement) func() {
			return agenttest.Busy(w.t, w.listen(), w.address(a, i))
		},
	}
}

func (w *world) listen() string { return w.front.Program.Settings["listen"].Reveal() }

func (w *world) start(release string, n int, b providertest.Behavior) *planner.Start {
	a := &planner.Start{
		Orchestrator: w.owner.Address(), Service: "users", Release: release, Artifact: agenttest.Artifact(w.t, w.spec, release),
		Definition: planner.ProcessDefinition{
			Process: "web", Command: []string{"${ARTIFACT}", "-addr", "${ADDR}"},
			Checks: []*spec.Check{agenttest.Check()}, Drain: agenttest.Drain(),
		},
	}
	for i := range n {
		a.Instances = append(a.Instances, planner.Placement{Instance: fmt.Sprintf("web.%d", i+1), Host: "here"})
	}
	a.Definition.Command = b.Command(a.Definition.Command, filepath.Join(w.spec, "began-"+release))
	return a
}

// address is where an instance listens.
func (w *world) address(a *planner.Start, i planner.Placement) string {
	live, err := w.orchestrator.Observe(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range live.Instances {
		if l.Release == a.Release && l.Name == i.Instance {
			return l.Address
		}
	}
	w.t.Fatalf("there is no %s %s", a.Release, i.Instance)
	return ""
}

func (w *world) crash(a *planner.Start, i planner.Placement) {
	agenttest.Crash(api.Instance{Address: w.address(a, i)}, 3)
}
