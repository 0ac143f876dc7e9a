package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/postgres/pgtest"
)

// badNetworks are the ways to deploy over one, and how many instances there are
// afterwards.
var badNetworks = []struct {
	name, rolls string
	instances   int
	seeds       []uint64 // of the short run
}{
	{"rolling", "rolling {\n    batch = 1\n  }", 3, nil},
	{"canary", "canary {\n    step {\n      weight = 20\n      hold   = \"50ms\"\n    }\n    step {\n      weight = 50\n    }\n  }", 3, []uint64{2}},
	{"blue_green", "blue_green {}", 3, nil},
	{"cycle", "cycle {}", 6, nil},
	{"handover", "handover {}", 3, nil},
}

// TestBadNetwork deploys through lines that are late, cut answers off, deliver
// requests twice or after later ones, and go dark. The deploy is done, or it fails
// cleanly and the next one does it; meanwhile nothing is started twice or too few
// serve, no request fails, and nothing is left over. With PLEAT_TEST_LONG there are
// more seeds, and answers that come when nobody waits for them any more. One alone is
//
//	go test ./cmd/pleat -run 'TestBadNetwork/^canary$/^2$'
func TestBadNetwork(t *testing.T) {
	postgres := pgtest.New(t)
	for _, w := range badNetworks {
		t.Run(w.name, func(t *testing.T) {
			seeds, faults := w.seeds, []fault{late, twice, held, lost, dark}
			if pgtest.Long() {
				seeds, faults = []uint64{1, 2, 3, 4, 5, 6, 7, 8}, append(faults, stuck)
			}
			for _, seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					t.Parallel()
					n := newBadNetwork(t, postgres.Database(t), seed, w.rolls)
					n.deploys(w.instances, faults)
				})
			}
		})
	}
}

// badNetwork is two agents behind lines.
type badNetwork struct {
	t           *testing.T
	pleat       string
	dir, listen string
	lines       []*line
	agents      []*agentProcess
	spec        string
}

var quietLog = log.New(io.Discard, "", 0)

func newBadNetwork(t *testing.T, url string, seed uint64, rolls string) *badNetwork {
	dir, err := os.MkdirTemp("", "pleatn") // the name of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	n := &badNetwork{t: t, dir: dir}
	t.Cleanup(n.close)
	if n.pleat, err = exec.LookPath("pleat"); err != nil {
		t.Fatal(err)
	}
	if n.listen, err = freeAddress(); err != nil {
		t.Fatal(err)
	}
	if err := artifacts(filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	var ca string
	for k, name := range []string{"one", "two"} {
		n.startAgent(name)
		l := newLine(t, n.socket(name), 2*seed+uint64(k))
		n.lines, ca = append(n.lines, l), ca+l.cert
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte(ca), 0o600); err != nil {
		t.Fatal(err)
	}
	n.spec = strings.NewReplacer("URL", url, "ONE", n.lines[0].url, "TWO", n.lines[1].url, "LISTEN", n.listen, "ROLLS", rolls, "STARTS", n.starts()).Replace(badNetworkSpec)
	return n
}

const badNetworkSpec = `
database "main" {
  url = "URL"
}
orchestrator "host" "far" {
  agents = ["ONE", "TWO"]
  token  = "unused"
  ca     = "ca.pem"
}
router "proxy" "edge" {
  listen = "LISTEN"
}
strategy "the_one" {
  ROLLS
}
service "demo" {
  router   = router.proxy.edge
  strategy = strategy.the_one
  release  = "RELEASE"
  process "web" {
    count   = 3
    command = ["$${ARTIFACT}", "-starts", "STARTS", "-warm", "150ms", "-handover", "RUN done"]
    env     = { GORACE = "atexit_sleep_ms=0" }
    check "http" {
      path     = "/healthz"
      interval = "50ms"
    }
    drain {
      timeout = "5s"
    }
  }
  release "each" {
    for_each = toset(["r1", "r2"])
    artifact {
      path   = "bin/${each.key}"
      sha256 = filesha256("bin/${each.key}")
    }
  }
}
`

func (n *badNetwork) socket(agent string) string { return filepath.Join(n.dir, agent+".sock") }
func (n *badNetwork) starts() string             { return filepath.Join(n.dir, "starts") }

func (n *badNetwork) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir, "TMPDIR=" + n.dir, "NO_COLOR=1", "GORACE=" + promptExit}
}

func (n *badNetwork) startAgent(name string) {
	a := &agentProcess{output: &bytes.Buffer{}}
	a.cmd = exec.Command(n.pleat, "agent", "--listen", "unix://"+n.socket(name), "--state", filepath.Join(n.dir, name), "--name", name)
	a.cmd.Env, a.cmd.Stderr = n.environ(), a.output
	if err := a.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.agents = append(n.agents, a)
	if err := polled("agent "+name, func() error { _, err := n.client(name).State(n.t.Context()); return err }); err != nil {
		n.t.Fatal(err)
	}
}

// client asks an agent without the line.
func (n *badNetwork) client(agent string) *api.Client {
	c, err := api.NewClient("unix://"+n.socket(agent), api.Options{})
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

func (n *badNetwork) close() {
	for _, a := range n.agents {
		a.cmd.Process.Kill()
		a.cmd.Wait()
	}
	for _, pid := range n.processes() {
		syscall.Kill(-pid, syscall.SIGKILL)
	}
	os.RemoveAll(n.dir)
}

// apply has the release be the one that is wanted.
func (n *badNetwork) apply(release string, more ...string) ended {
	n.t.Helper()
	spec := strings.ReplaceAll(n.spec, "RELEASE", release)
	if err := os.WriteFile(filepath.Join(n.dir, "demo.pleat.hcl"), []byte(spec), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return n.run(append([]string{"apply", "--auto-approve"}, more...)...)
}

func (n *badNetwork) run(args ...string) ended {
	out := &bytes.Buffer{}
	cmd := exec.Command(n.pleat, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = n.dir, n.environ(), out, out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	overdue := time.AfterFunc(5*time.Minute, func() { cmd.Process.Signal(syscall.SIGABRT) })
	defer overdue.Stop()
	return endOf(cmd, out)
}

// deploys takes r1 to r2.
func (n *badNetwork) deploys(instances int, faults []fault) {
	if e := n.apply("r1"); e.code != exitDone {
		n.t.Fatalf("r1: exit %d\n%s", e.code, e.output)
	}
	traffic := newTrickle(http.MethodPost, "http://"+n.listen+"/")
	defer traffic.stop()
	serving := startSamples(n.client("one"), reachedIn)
	defer serving.stop()
	for _, l := range n.lines {
		l.set(0.4, faults...)
	}
	e := n.apply("r2")
	for k := 0; e.code == exitError && k < 10; k++ {
		n.failedCleanly(e) // an agent did not answer before anything was begun
		e = n.apply("r2")
	}
	for _, l := range n.lines {
		l.set(0)
	}
	n.t.Logf("exit %d; one: %s; two: %s", e.code, n.lines[0], n.lines[1])
	n.flush()
	applies := 1 + n.completes(e)
	traffic.stop()
	serving.stop()
	if failed := traffic.failed(); len(failed) > 0 {
		n.t.Errorf("%d of %d requests failed: %s", len(failed), traffic.requests.Load(), failed[0])
	}
	for _, s := range serving.seen {
		if s < "3" {
			n.t.Errorf("%s served at one time: %v", s, serving.seen)
		}
	}
	n.startedOnce(applies)
	n.only("r2", instances)
	if n.t.Failed() {
		n.t.Logf("exit %d\n%s", e.code, e.output)
	}
}

// completes applies until there is nothing to do any more, and tells how often. What
// was cut short is finished by one apply, be it that it goes back; what was deferred or
// taken back is done by another.
func (n *badNetwork) completes(last ended) (times int) {
	n.t.Helper()
	for last.code != exitDone || strings.Contains(last.output, "Deferred:") {
		if last.code != exitDone {
			n.failedCleanly(last)
		}
		if times == 2 {
			n.t.Fatalf("after two more applies: exit %d\n%s", last.code, last.output)
		}
		last = n.apply("r2", "--lift-hold", "the network is good again")
		times++
	}
	return times
}

// flush delivers what the lines hold.
func (n *badNetwork) flush() {
	for _, l := range n.lines {
		l.flush()
	}
}

// failedCleanly wants a code that says what was left, and what to type next.
func (n *badNetwork) failedCleanly(e ended) {
	n.t.Helper()
	if e.code != exitError && e.code != exitRolledBack && e.code != exitLook {
		n.t.Errorf("exit %d", e.code)
	}
	if !regexp.MustCompile(`(?m)pleat (agent|apply|rollback|status|plan|history|events)`).MatchString(e.output) {
		n.t.Errorf("no next command in\n%s", e.output)
	}
}

// reachedIn is how many instances get requests.
func reachedIn(st api.State) string {
	n := 0
	for _, r := range st.Routes {
		for _, b := range r.Backends {
			if b.Serving && r.Reaches(b.Release) {
				n++
			}
		}
	}
	return fmt.Sprint(n)
}

// startedOnce wants no instance to have been started more often than it was asked
// for.
func (n *badNetwork) startedOnce(applies int) {
	n.t.Helper()
	b, err := os.ReadFile(n.starts())
	if err != nil {
		n.t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(b)) {
		times[strings.TrimSpace(line)]++
	}
	for instance, k := range times {
		if k > applies {
			n.t.Errorf("%s was started %d times by %d applies", instance, k, applies)
		}
	}
}

// only wants instances of that release, that many, all up and with requests, and no
// process beside them.
func (n *badNetwork) only(release string, want int) {
	n.t.Helper()
	if err := polled("the end of what was stopped", func() error {
		if got := len(n.processes()); got != want {
			return fmt.Errorf("%d processes, want %d", got, want)
		}
		return nil
	}); err != nil {
		n.t.Error(err)
	}
	var found, routed int
	for _, agent := range []string{"one", "two"} {
		st, err := n.client(agent).State(n.t.Context())
		if err != nil {
			n.t.Fatal(err)
		}
		for _, i := range st.Instances {
			found++
			if i.Release != release || i.State != planner.Up || i.Restarts > 0 {
				n.t.Errorf("%s on %s is %s, restarted %d times", i.Ref, i.Host, i.State, i.Restarts)
			}
		}
		for _, r := range st.Routes {
			for _, b := range r.Backends {
				routed++
				if b.Release != release || b.Draining || r.Held {
					n.t.Errorf("%+v is routed", b)
				}
			}
		}
	}
	if found != want || routed < 3 {
		n.t.Errorf("%d instances, %d of them routed, want %d", found, routed, want)
	}
	if e := n.run("plan", "--detailed-exitcode"); e.code != exitDone {
		n.t.Errorf("a plan afterwards: exit %d\n%s", e.code, e.output)
	}
}

// processes are those of instances that live.
func (n *badNetwork) processes() (pids []int) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		n.t.Error(err)
	}
	for _, file := range all {
		b, err := os.ReadFile(file)
		var pid int
		if err == nil && bytes.Contains(b, []byte("\x00"+n.starts()+"\x00")) {
			fmt.Sscanf(file, "/proc/%d/", &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}
