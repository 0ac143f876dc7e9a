package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/spec"
)

func wantSaid(t *testing.T, w *world, want ...string) {
	t.Helper()
	if got := w.said(); !slices.Equal(got, want) {
		t.Errorf("reports = %q, want %q", got, want)
	}
}

func TestStartAndStop(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1)
	if got := w.probe(a); got != planner.NotDone {
		t.Errorf("Probe before Start = %v, want NotDone", got)
	}
	w.mustApply("s1", a)
	wantSaid(t, w, "1.0.0 web.1 pending", "1.0.0 web.1 starting", "1.0.0 web.1 up")
	if got := w.probe(a); got != planner.Done {
		t.Errorf("Probe after Start = %v, want Done", got)
	}
	w.mustApply("s2", stopOf(a, true))
	wantSaid(t, w, "1.0.0 web.1 stopping", "1.0.0 web.1 down")
	if got := w.probe(stopOf(a, true)); got != planner.Done {
		t.Errorf("Probe after Stop = %v, want Done", got)
	}
	w.mustApply("s3", stopOf(a, true))
	wantSaid(t, w)
}

func TestInstancesAreSpreadOverHosts(t *testing.T) {
	w := newWorld(t, agenttest.Options{Name: "b"}, agenttest.Options{Name: "a"})
	a := w.start("1.0.0", 4)
	w.mustApply("s1", a)
	live, err := w.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(live.Hosts, []string{"a", "b"}) {
		t.Errorf("hosts = %q", live.Hosts)
	}
	var got []string
	for _, i := range live.Instances {
		got = append(got, fmt.Sprintf("%s %s %s", i.Host, i.Name, i.State))
		if i.Digest != a.Artifact.SHA256 {
			t.Errorf("%s runs %s, want %s", i.Name, i.Digest, a.Artifact.SHA256)
		}
	}
	if want := []string{"a web.2 up", "a web.4 up", "b web.1 up", "b web.3 up"}; !slices.Equal(got, want) {
		t.Errorf("instances = %q, want %q", got, want)
	}
	again, err := w.Observe(t.Context())
	if err != nil || again.Identity != live.Identity || live.Identity == "" {
		t.Errorf("identity = %q, then %q, %v", live.Identity, again.Identity, err)
	}
}

func TestStartFailsAtTheFirstFailure(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("2.0.1", 1)
	a.Definition.Command = []string{"this-is-gonna-fail"}
	err := w.apply("s1", a)
	want := `users 2.0.1 web.1 on a: exec: "this-is-gonna-fail": executable file not found in $PATH`
	if err == nil || err.Error() != want {
		t.Errorf("Start = %v, want %s", err, want)
	}
	wantSaid(t, w, "2.0.1 web.1 pending", "2.0.1 web.1 starting", "2.0.1 web.1 down")
	if got := w.probe(a); got != planner.NotDone {
		t.Errorf("Probe = %v, want NotDone", got)
	}
	// The undo leaves nothing of it.
	w.mustApply("s1.undo", stopOf(a, true))
	if live, err := w.Observe(t.Context()); err != nil || len(live.Instances) > 0 {
		t.Errorf("left %v, %v", live, err)
	}
}

func TestStartThatIsNeverHealthySaysWhatWasAnswered(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("2.0.1", 1, "-ready", "/nowhere")
	a.Definition.Checks[0].StartTimeout = time.Second
	err := w.apply("s1", a)
	// A busy machine may not have come to any answer by then, or to one before the
	// instance listens.
	want := regexp.MustCompile(`^users 2\.0\.1 web\.1 on a: failed to start: not healthy within 1s: (no answer|last answer (503 Service Unavailable: not ready|.*refused.*))$`)
	if err == nil || !want.MatchString(err.Error()) {
		t.Errorf("Start = %v, want %s", err, want)
	}
	var failed *host.StartError
	if !errors.As(err, &failed) || !strings.HasPrefix(failed.Detail(), "begin ") {
		t.Errorf("detail = %q, want what it printed", failed.Detail())
	}
}

// What a failing instance answers may hold its secrets.
func TestWhatInstancesSayIsRedacted(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.Provider = w.provider(host.Options{Redact: func(text string) string {
		return strings.NewReplacer("not ready", "(sensitive)", "hunter2", "(sensitive)").Replace(text)
	}})
	leaks := agenttest.Check()
	leaks.Kind, leaks.Command = spec.CheckExec, []string{"sh", "-c", "echo no hunter2; exit 1"}
	for name, check := range map[string]*spec.Check{"http": agenttest.Check(), "exec": leaks} {
		a := w.start("1.0.0-"+name, 1, "-ready", "/nowhere/hunter2")
		a.Definition.Command = append([]string{"sh", "-c", "echo with hunter2; exec \"$0\" \"$@\""}, a.Definition.Command...)
		check.StartTimeout = 2 * time.Second
		a.Definition.Checks = []*spec.Check{check}
		err := w.apply(name, a)
		var failed *host.StartError
		if !errors.As(err, &failed) {
			t.Fatalf("%s: Start = %v, want a StartError", name, err)
		}
		said := fmt.Sprint(w.reports, err, failed.Detail())
		if strings.Contains(said, "hunter2") || strings.Contains(said, "not ready") {
			t.Errorf("%s: a secret is said:\n%s", name, said)
		}
		if !strings.Contains(err.Error(), "(sensitive)") || !strings.Contains(failed.Detail(), "with (sensitive)") {
			t.Errorf("%s: Start = %v\n%s", name, err, failed.Detail())
		}
	}
}

// failFirst is a command that ends with 3 the first n times.
func failFirst(t *testing.T, n int) []string {
	t.Helper()
	count := filepath.Join(t.TempDir(), "count")
	script := fmt.Sprintf(`echo x >> %s; test $(wc -l < %[1]s) -gt %d || exit 3; exec "$0" "$@"`, count, n)
	return []string{"sh", "-c", script, "${ARTIFACT}", "-addr", "${ADDR}"}
}

func TestStartFailuresBelowTheLimitAreWarnings(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1)
	a.Definition.Command, a.MaxStartFailures = failFirst(t, 2), 2
	w.mustApply("s1", a)
	wantSaid(t, w, "1.0.0 web.1 pending", "1.0.0 web.1 starting", "1.0.0 web.1 down", "warning",
		"1.0.0 web.1 pending", "1.0.0 web.1 starting", "1.0.0 web.1 down", "warning",
		"1.0.0 web.1 pending", "1.0.0 web.1 starting", "1.0.0 web.1 up")
}

func TestStartFailuresAboveTheLimitFailTheStep(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1)
	a.Definition.Command, a.MaxStartFailures = failFirst(t, 3), 2
	err := w.apply("s1", a)
	if want := "users 1.0.0 web.1 on a: failed to start: exit status 3"; err == nil || err.Error() != want {
		t.Errorf("Start = %v, want %s", err, want)
	}
}

// An instance that failed while the answer to its start was lost has failed: it is not
// started once more than it may be.
func TestStartFailuresOfWhichTheAnswerIsLostCount(t *testing.T) {
	for _, most := range []int{0, 1} {
		w := newWorld(t, agenttest.Options{})
		starts := filepath.Join(t.TempDir(), "starts")
		a := w.start("1.0.0", 1)
		a.Definition.Command, a.MaxStartFailures = []string{"sh", "-c", "echo >>" + starts + "; exit 3"}, most
		w.spec.Agents[0] = losing(t, w.agents[0], func() { w.agents[0].Await(agenttest.Ref("1.0.0", "web.1"), planner.Down) })
		w.Provider = w.provider(host.Options{})
		err := w.apply("s1", a)
		if want := "users 1.0.0 web.1 on a: failed to start: exit status 3"; err == nil || err.Error() != want {
			t.Errorf("Start = %v, want %s", err, want)
		}
		if b, err := os.ReadFile(starts); err != nil || len(b) != most+1 {
			t.Errorf("it was started %d times, %v, want %d", len(b), err, most+1)
		}
	}
}

// losing leads to an agent, and loses the first answer about an instance once that has
// happened.
func losing(t *testing.T, a *agenttest.Agent, happened func()) string {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	s := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "agent" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(a.URL, "unix://"))
		}},
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodPut && strings.Contains(r.Request.URL.Path, "instance") {
				once.Do(func() { happened(); panic(http.ErrAbortHandler) })
			}
			return nil
		},
	}}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "unix://" + socket
}

func TestArtifactThatIsNotWhatTheReleasePinsIsRefused(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1)
	pinned := a.Artifact.SHA256
	a.Artifact.SHA256 = strings.Repeat("0", 64)
	err := w.apply("s1", a)
	want := fmt.Sprintf("artifact %s has sha256 %s, but the release is pinned to %s", a.Artifact.Path, pinned, a.Artifact.SHA256)
	if err == nil || err.Error() != want {
		t.Errorf("Start = %v, want %s", err, want)
	}
	wantSaid(t, w)
}

// The file is only needed by agents that lack it: an old release can come
// back after its file is gone.
func TestArtifactIsTakenFromTheStore(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1)
	w.mustApply("s1", a)
	w.mustApply("s2", stopOf(a, true))
	if err := os.Remove(filepath.Join(w.dir, a.Artifact.Path)); err != nil {
		t.Fatal(err)
	}
	w.mustApply("s3", a)
}

// A provider dies at each point between the first call and the end; the next
// one finishes the step, every change is reported in order, and nothing is
// started twice.
func TestStartResumes(t *testing.T) {
	for _, point := range []string{"rollout.called", "rollout.answered"} {
		for nth := 1; nth <= 2; nth++ {
			t.Run(fmt.Sprintf("%s %d", point, nth), func(t *testing.T) {
				w := newWorld(t, agenttest.Options{})
				a := w.start("1.0.0", 2)
				ctx, die := context.WithCancel(t.Context())
				var mu sync.Mutex
				reached := 0
				w.Provider = w.provider(host.Options{At: func(p string) {
					mu.Lock()
					defer mu.Unlock()
					if p != point {
						return
					}
					if reached++; reached == nth {
						die()
					}
				}})
				err := w.Apply(ctx, holder, planner.Step{ID: "s1", Action: a}, func(planner.Report) {})
				if !errors.Is(err, planner.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
					t.Fatalf("Apply = %v, want an unknown outcome", err)
				}
				w.mustApply("s1", a)
				changes := map[string][]string{}
				for _, line := range w.said() {
					f := strings.Fields(line)
					changes[f[1]] = append(changes[f[1]], f[2])
				}
				for _, i := range []string{"web.1", "web.2"} {
					if want := []string{"pending", "starting", "up"}; !slices.Equal(changes[i], want) {
						t.Errorf("%s became %q, want %q", i, changes[i], want)
					}
				}
			})
		}
	}
}

func TestStartIsDoneWhereInstancesAreUp(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1)
	w.mustApply("s1", a)
	before, _ := w.agents[0].Instance(agenttest.Ref("1.0.0", "web.1"))
	w.said()
	w.mustApply("s9", a)
	wantSaid(t, w)
	after, _ := w.agents[0].Instance(agenttest.Ref("1.0.0", "web.1"))
	if after.PID != before.PID {
		t.Error("it was started again")
	}
}

// The agent dies in the middle of a step and comes back: the step does not
// notice.
func TestStartGoesOnThroughAnAgentsRestart(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	ready := filepath.Join(t.TempDir(), "ready")
	a := w.start("1.0.0", 1, "-ready", ready)
	applied := make(chan error, 1)
	go func() { applied <- w.apply("s1", a) }()
	w.agents[0].Await(agenttest.Ref("1.0.0", "web.1"), planner.Starting)
	w.agents[0].Kill()
	w.agents[0].Restart()
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	wantSaid(t, w, "1.0.0 web.1 pending", "1.0.0 web.1 starting", "1.0.0 web.1 up")
}

func TestCancelReturnsAtOnceAndLeavesWhatWasStarted(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1, "-ready", "/nowhere")
	ctx, cancel := context.WithCancel(t.Context())
	applied := make(chan error, 1)
	go func() {
		applied <- w.Apply(ctx, holder, planner.Step{ID: "s1", Action: a}, func(planner.Report) {})
	}()
	w.agents[0].Await(agenttest.Ref("1.0.0", "web.1"), planner.Starting)
	cancel()
	select {
	case err := <-applied:
		if !errors.Is(err, context.Canceled) || !errors.Is(err, planner.ErrOutcomeUnknown) {
			t.Errorf("Apply = %v, want an unknown outcome", err)
		}
	case <-time.After(agenttest.Patience):
		t.Fatal("Apply did not return")
	}
	if i, ok := w.agents[0].Instance(agenttest.Ref("1.0.0", "web.1")); !ok || i.State != planner.Starting {
		t.Errorf("the instance is %q (%v), want starting", i.State, ok)
	}
}

func TestDefinitionHasSecretsAndANamedDatabase(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.Provider = w.provider(host.Options{
		Reveal:      func(ref string) (string, bool) { return "hunter2", ref == "service.users.env.KEY" },
		DatabaseURL: func(name string) (spec.Text, bool) { return spec.Secret("x", "postgres://h/"+name), name != "gone" },
	})
	a := w.start("1.0.0", 1)
	a.Database, a.AlsoUses = "main", []string{"billing-eu", "audit"}
	a.Definition.Env = map[string]spec.Text{"KEY": spec.Secret("service.users.env.KEY", ""), "PLAIN": spec.Plain("p")}
	dir := t.TempDir()
	a.Definition.Command = []string{"sh", "-c", "env > " + dir + "/env; exec \"$0\" -addr ${ADDR}", "${ARTIFACT}"}
	w.mustApply("s1", a)
	b, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Split(string(b), "\n")
	for _, want := range []string{
		"KEY=hunter2", "PLAIN=p", "DATABASE_URL=postgres://h/main?application_name=users%401.0.0%2Fweb.1",
		"DATABASE_URL_BILLING_EU=postgres://h/billing-eu?application_name=users%401.0.0%2Fweb.1",
		"DATABASE_URL_AUDIT=postgres://h/audit?application_name=users%401.0.0%2Fweb.1",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
	long := w.start(strings.Repeat("9", 64), 1)
	long.AlsoUses = []string{"audit"}
	err = w.apply("s3", long)
	if err == nil || !strings.Contains(err.Error(), "is too long for application_name") {
		t.Errorf("Start = %v, want that the name is too long", err)
	}
	ref := agenttest.Ref(long.Release, "web.1")
	d := w.agents[0].Definition("1.0.0")
	d.DatabaseURLs = map[string]string{"DATABASE_URL": "postgres://h/db"}
	err = w.agents[0].PutInstance(t.Context(), ref, api.Put{Definition: d})
	if err == nil || !strings.Contains(err.Error(), "is too long for application_name") {
		t.Errorf("PutInstance = %v, want that the name is too long", err)
	}
	a.Release, a.AlsoUses = "1.0.1", []string{"gone"}
	err = w.apply("s4", a)
	if err == nil || !strings.Contains(err.Error(), "the spec has no database.gone") {
		t.Errorf("Start = %v, want that there is no such database", err)
	}
	a.Definition.Env["KEY"] = spec.Secret("service.users.env.GONE", "")
	err = w.apply("s2", a)
	if want := "env KEY of users 1.0.1: the spec has no secret service.users.env.GONE"; err == nil || err.Error() != want {
		t.Errorf("Start = %v, want %s", err, want)
	}
}

func TestStopThatDoesNotWait(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 2, "-survive")
	w.mustApply("s1", a)
	w.said()
	stop := stopOf(a, false)
	w.mustApply("s2", stop)
	got := w.said()
	slices.Sort(got)
	if want := []string{"1.0.0 web.1 stopping", "1.0.0 web.2 stopping"}; !slices.Equal(got, want) {
		t.Errorf("reports = %q, want %q", got, want)
	}
	if got := w.probe(stop); got != planner.Done {
		t.Errorf("Probe = %v, want Done", got)
	}
	if got := w.probe(stopOf(a, true)); got != planner.NotDone {
		t.Errorf("Probe of a stop that waits = %v, want NotDone", got)
	}
}

func TestNoInstances(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.mustApply("s1", w.start("1.0.0", 2))
	w.mustApply("s2", w.start("2.0.0", 1))
	broken := w.start("3.0.0", 1, "-exit", "1")
	if err := w.apply("s3", broken); err == nil {
		t.Fatal("3.0.0 started")
	}
	tests := []struct {
		guard planner.NoInstances
		want  string
	}{
		{planner.NoInstances{Versions: []string{"1.0.0"}}, "2 instances of users 1.0.0"},
		{planner.NoInstances{Except: []string{"1.0.0"}}, "1 instance of users 2.0.0"},
		{planner.NoInstances{}, "2 instances of users 1.0.0, 1 instance of users 2.0.0"},
		{planner.NoInstances{Versions: []string{"3.0.0"}}, ""},
		{planner.NoInstances{Except: []string{"1.0.0", "2.0.0"}}, ""},
	}
	for _, tt := range tests {
		tt.guard.Orchestrator, tt.guard.Service = w.spec.Address(), "users"
		got, err := w.Ask(t.Context(), planner.Ticket{}, &tt.guard)
		if err != nil || got.Reason != tt.want || got.Met != (tt.want == "") {
			t.Errorf("Ask(%+v) = %+v, %v, want %q", tt.guard, got, err, tt.want)
		}
	}
}

// An instance that was up, died and rests before its next start may be back at
// any moment: it is not gone, for nobody who asks.
// TestAStartWakesAnInstanceThatRests: who asks for it need not wait for the time
// after which it would be tried again by itself.
func TestAStartWakesAnInstanceThatRests(t *testing.T) {
	w := newWorld(t, agenttest.Options{Rests: []time.Duration{time.Hour}})
	start := w.start("1.0.0", 1)
	w.mustApply("s1", start)
	ref := agenttest.Ref("1.0.0", "web.1")
	i, _ := w.agents[0].Instance(ref)
	agenttest.Crash(i, 1)
	agenttest.Until(t, "it rests", func() error {
		if i, _ := w.agents[0].Instance(ref); i.State != planner.Pending {
			return fmt.Errorf("it is %s", i.State)
		}
		return nil
	})
	w.mustApply("s2", start)
}

func TestRestingInstanceIsNotGone(t *testing.T) {
	w := newWorld(t, agenttest.Options{Rests: []time.Duration{time.Hour}})
	start := w.start("1.0.0", 1)
	w.mustApply("s1", start)
	ref := agenttest.Ref("1.0.0", "web.1")
	i, _ := w.agents[0].Instance(ref)
	agenttest.Crash(i, 1)
	agenttest.Until(t, "it is seen dead", func() error {
		if i, _ := w.agents[0].Instance(ref); i.PID != 0 {
			return fmt.Errorf("it is %s", i.State)
		}
		return nil
	})
	live, err := w.Observe(t.Context())
	if err != nil || len(live.Instances) != 1 || live.Instances[0].State != planner.Pending {
		t.Errorf("Observe = %+v, %v, want it pending", live, err)
	}
	none := &planner.NoInstances{Orchestrator: w.spec.Address(), Service: "users", Versions: []string{"1.0.0"}}
	if got, err := w.Ask(t.Context(), planner.Ticket{}, none); got.Met || err != nil {
		t.Errorf("Ask = %+v, %v, want that there is one", got, err)
	}
	stop := stopOf(start, true)
	if o, s := w.probe(stop), w.probe(start); o != planner.NotDone || s != planner.NotDone {
		t.Errorf("Probe = %v of Stop, %v of Start, want NotDone", o, s)
	}
	w.said()
	w.mustApply("s2", stop)
	wantSaid(t, w, "1.0.0 web.1 down")
	if o := w.probe(stop); o != planner.Done {
		t.Errorf("Probe of Stop = %v afterwards", o)
	}
	if got, err := w.Ask(t.Context(), planner.Ticket{}, none); !got.Met || err != nil {
		t.Errorf("Ask = %+v, %v afterwards", got, err)
	}
}

func TestAgentThatIsDown(t *testing.T) {
	w := newWorld(t, agenttest.Options{Name: "a"}, agenttest.Options{Name: "b"})
	one := w.start("1.0.0", 1) // on a
	two := w.start("1.0.0", 2) // on a and b
	w.agents[1].Terminate()
	_, err := w.Observe(t.Context())
	want := fmt.Sprintf("reading orchestrator.host.local: agent %s does not answer: no such file or directory; "+
		"start it with: pleat agent --listen %[1]s", w.agents[1].URL)
	if err == nil || err.Error() != want {
		t.Errorf("Observe = %v, want %s", err, want)
	}
	if _, err := w.Ask(t.Context(), planner.Ticket{}, &planner.NoInstances{Service: "users"}); err == nil {
		t.Error("Ask = nil: silence counted as evidence")
	}
	if err := w.apply("s1", two); err == nil || errors.Is(err, planner.ErrOutcomeUnknown) {
		t.Errorf("Start on both = %v, want that nothing was done", err)
	}
	wantSaid(t, w)
	// What does not need the missing one goes on.
	w.mustApply("s2", one)
	if o, err := w.Probe(t.Context(), holder, planner.Step{Action: two}); o != planner.Unknown || err == nil {
		t.Errorf("Probe = %v, %v, want Unknown", o, err)
	}
}

func TestTwoAgentsWithOneNameAreRefused(t *testing.T) {
	w := newWorld(t, agenttest.Options{}, agenttest.Options{})
	_, err := w.Observe(t.Context())
	if err == nil || !strings.Contains(err.Error(), `both call their host "a"; start one with another name`) {
		t.Errorf("Observe = %v", err)
	}
}

func TestInstanceThatDiesWhileOthersStartFailsTheStep(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 2)
	ready := t.TempDir()
	a.Definition.Command = append(a.Definition.Command, "-ready", ready+"/${PLEAT_INSTANCE}")
	if err := os.WriteFile(ready+"/web.1", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	applied := make(chan error, 1)
	go func() { applied <- w.apply("s1", a) }()
	i := w.agents[0].Await(agenttest.Ref("1.0.0", "web.1"), planner.Up)
	agenttest.Crash(i, 7)
	err := <-applied
	if want := "users 1.0.0 web.1 on a: exit status 7"; err == nil || err.Error() != want {
		t.Errorf("Start = %v, want %s", err, want)
	}
}

func TestInstanceThatSomebodyElseStopsFailsTheStep(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	a := w.start("1.0.0", 1, "-ready", "/nowhere")
	applied := make(chan error, 1)
	go func() { applied <- w.apply("s1", a) }()
	r := agenttest.Ref("1.0.0", "web.1")
	w.agents[0].Await(r, planner.Starting)
	if err := w.agents[0].StopInstance(t.Context(), r, api.Stop{Drain: agenttest.Drain()}); err != nil {
		t.Fatal(err)
	}
	err := <-applied
	if want := "users 1.0.0 web.1 on a: somebody else stops it"; err == nil || err.Error() != want {
		t.Errorf("Start = %v, want %s", err, want)
	}
}
