package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/proxy"
	"pleat/spec"
)

// holder is who applies.
var holder = planner.Ticket{Run: "r1", Lease: "test", Fence: 1, Authority: "1/1"}

func TestMain(m *testing.M) { agenttest.Main(m) }

// world is a router in front of real agents, and both providers.
type world struct {
	t      *testing.T
	dir    string
	agents []*agenttest.Agent
	hosts  *host.Provider
	router *proxy.Provider
	spec   *spec.Router
	orch   *spec.Orchestrator
	steps  int
}

func newWorld(t *testing.T, agents ...agenttest.Options) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), orch: &spec.Orchestrator{Kind: "host", Name: "local"}}
	for _, o := range agents {
		a := agenttest.Start(t, o)
		w.agents = append(w.agents, a)
		w.orch.Agents = append(w.orch.Agents, a.URL)
	}
	w.spec = &spec.Router{Kind: "proxy", Name: "edge", Listen: agenttest.FreeAddress(t), Agent: w.agents[0].URL}
	var err error
	if w.hosts, err = host.New(w.orch, host.Options{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	w.router = w.provider(proxy.Options{})
	return w
}

func (w *world) provider(o proxy.Options) *proxy.Provider {
	w.t.Helper()
	p, err := proxy.New(w.spec, []*spec.Orchestrator{w.orch}, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// place puts the Nth instance on its host.
func (w *world) place(n int) []planner.Placement {
	return []planner.Placement{{Instance: fmt.Sprintf("web.%d", n), Host: w.agents[n%len(w.agents)].Host}}
}

func (w *world) start(release string, n int) *planner.Start {
	w.t.Helper()
	return &planner.Start{
		Orchestrator: w.orch.Address(), Service: "users", Release: release,
		Artifact: agenttest.Artifact(w.t, w.dir, release),
		Definition: planner.ProcessDefinition{
			Process: "web", Command: []string{"${ARTIFACT}", "-addr", "${ADDR}"},
			Checks: []*spec.Check{agenttest.Check()}, Drain: agenttest.Drain(),
		},
		Instances: w.place(n),
	}
}

func (w *world) attach(release string, n int) *planner.Attach {
	return &planner.Attach{
		Router: w.spec.Address(), Orchestrator: w.orch.Address(), Service: "users", Release: release, Process: "web",
		Instances: w.place(n),
	}
}

func (w *world) drain(release string, n, floor int) *planner.Drain {
	return &planner.Drain{
		Router: w.spec.Address(), Service: "users", Release: release, Process: "web",
		Instances: w.place(n), Timeout: agenttest.Patience, Floor: floor,
	}
}

func (w *world) stop(release string, n int) *planner.Stop {
	return &planner.Stop{
		Orchestrator: w.orch.Address(), Service: "users", Release: release, Process: "web",
		Drain: agenttest.Drain(), Instances: w.place(n), Wait: true,
	}
}

type applier interface {
	Apply(context.Context, planner.Ticket, planner.Step, func(planner.Report)) error
}

func (w *world) apply(actions ...planner.Action) error {
	w.t.Helper()
	for _, a := range actions {
		w.steps++
		p := applier(w.hosts)
		if a.Provider() == w.spec.Address() {
			p = w.router
		}
		s := planner.Step{ID: fmt.Sprintf("s%d", w.steps), Action: a}
		if err := p.Apply(w.t.Context(), holder, s, func(planner.Report) {}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) mustApply(actions ...planner.Action) {
	w.t.Helper()
	if err := w.apply(actions...); err != nil {
		w.t.Fatal(err)
	}
}

// up starts and attaches instances from web.1 to web.n.
func (w *world) up(release string, n int) {
	w.t.Helper()
	for i := range n {
		w.mustApply(w.start(release, i+1), w.attach(release, i+1))
	}
}

func (w *world) probe(a planner.Action) planner.Outcome {
	w.t.Helper()
	o, err := w.router.Probe(w.t.Context(), holder, planner.Step{Action: a})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) backends() []string {
	w.t.Helper()
	live, err := w.router.Observe(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, b := range live.Backends {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", b.Release, b.Instance, map[bool]string{true: "draining"}[b.Draining])))
	}
	return out
}

// TestLimitsAreTheAgents: they are there once they are asked for, before and after the
// address is open, and with the agent that comes after.
func TestLimitsAreTheAgents(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	bound := func(l spec.RouterLimits) *planner.Bound {
		return &planner.Bound{Router: w.spec.Address(), Service: "users", Limits: l}
	}
	first, second := spec.RouterLimits{Body: 1 << 10}, spec.RouterLimits{Requests: 7}
	w.mustApply(bound(first))
	w.up("1.0.0", 1)
	if got := w.probe(bound(first)); got != planner.Done {
		t.Errorf("the first limits are %v", got)
	}
	if got := w.probe(bound(second)); got != planner.NotDone {
		t.Errorf("the second limits are %v before they were asked for", got)
	}
	w.mustApply(bound(second), bound(second))
	w.agents[0].Kill()
	w.agents[0].Restart()
	live, err := w.router.Observe(t.Context())
	if err != nil || live.Limits != second || w.probe(bound(second)) != planner.Done {
		t.Errorf("limits are %+v, %v", live, err)
	}
}

// load is clients with kept connections that never pause.
type load struct {
	requests, failed atomic.Int64
	first            sync.Once
	why              string
	stop             context.CancelFunc
	running          sync.WaitGroup
}

func (w *world) load(clients int) *load {
	ctx, cancel := context.WithCancel(w.t.Context())
	l := &load{stop: cancel}
	for n := range clients {
		l.running.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				l.count(request(client, n, "http://"+w.spec.Listen))
			}
		})
	}
	return l
}

// request is one that may be repeated where n is even, else one that may not.
func request(c *http.Client, n int, url string) error {
	body := ""
	send := func() (*http.Response, error) { return c.Get(url + "/pid") }
	if n%2 == 1 {
		body = fmt.Sprintf("body of client %d", n)
		send = func() (*http.Response, error) {
			return c.Post(url+"/body", "text/plain", strings.NewReader(body))
		}
	}
	resp, err := send()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || body != "" && string(b) != body {
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	return nil
}

func (l *load) count(err error) {
	l.requests.Add(1)
	if err != nil {
		l.failed.Add(1)
		l.first.Do(func() { l.why = err.Error() })
	}
}

func (l *load) wantClean(t *testing.T, least int64) {
	t.Helper()
	l.stop()
	l.running.Wait()
	t.Logf("%d requests", l.requests.Load())
	if l.failed.Load() > 0 || l.requests.Load() < least {
		t.Errorf("%d of %d requests failed, the first with: %s", l.failed.Load(), l.requests.Load(), l.why)
	}
}

func TestAttachAndDrain(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	if got := w.backends(); len(got) > 0 {
		t.Errorf("a route that was never opened has %q", got)
	}
	attach, drain := w.attach("1.0.0", 1), w.drain("1.0.0", 1, 0)
	w.mustApply(w.start("1.0.0", 1))
	if got := w.probe(attach); got != planner.NotDone {
		t.Errorf("Probe before Attach = %v, want NotDone", got)
	}
	w.mustApply(attach, attach)
	if got := w.backends(); !slices.Equal(got, []string{"1.0.0 web.1"}) {
		t.Errorf("backends = %q", got)
	}
	if a, d := w.probe(attach), w.probe(drain); a != planner.Done || d != planner.NotDone {
		t.Errorf("Probe after Attach = %v, of Drain %v", a, d)
	}
	w.mustApply(drain, drain)
	if a, d := w.probe(attach), w.probe(drain); a != planner.NotDone || d != planner.Done {
		t.Errorf("Probe after Drain = %v, of Attach %v", d, a)
	}
}

// One that was started anew listens elsewhere: requests to where it was before are
// nobody's.
func TestAttachedMeansWhereItListens(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.up("1.0.0", 1)
	r := agenttest.Ref("1.0.0", "web.1")
	before, _ := w.agents[0].Instance(r)
	w.mustApply(w.stop("1.0.0", 1), w.start("1.0.0", 1))
	if now, _ := w.agents[0].Instance(r); now.Address == before.Address {
		t.Fatalf("it listens on %s again", now.Address)
	}
	attach := w.attach("1.0.0", 1)
	if got := w.probe(attach); got != planner.NotDone {
		t.Errorf("Probe = %v, want NotDone", got)
	}
	w.mustApply(attach)
	if got := w.probe(attach); got != planner.Done {
		t.Errorf("Probe after another Attach = %v, want Done", got)
	}
	if err := request(http.DefaultClient, 1, "http://"+w.spec.Listen); err != nil {
		t.Error(err)
	}
	w.mustApply(w.stop("1.0.0", 1))
	if got := w.probe(attach); got != planner.NotDone {
		t.Errorf("Probe once it is gone = %v, want NotDone", got)
	}
	attach.Again = true
	if got := w.probe(attach); got != planner.Done {
		t.Errorf("Probe of those that are there, once none is = %v, want Done", got)
	}
}

func TestInstanceThatIsNotUpIsNotAttached(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	err := w.apply(w.attach("1.0.0", 1))
	if want := "attaching users 1.0.0 web.1: it is not on a"; err == nil || err.Error() != want {
		t.Errorf("Attach = %v, want %s", err, want)
	}
	w.router = w.provider(proxy.Options{Redact: func(text string) string { return strings.ReplaceAll(text, "gonna", "(sensitive)") }})
	a := w.start("1.0.0", 1)
	a.Definition.Command = []string{"this-is-gonna-fail"}
	if err := w.apply(a); err == nil {
		t.Fatal("it started")
	}
	err = w.apply(w.attach("1.0.0", 1))
	if want := `attaching users 1.0.0 web.1 on a: it is down exec: "this-is-(sensitive)-fail"`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Attach = %v, want %s", err, want)
	}
}

func TestTakenPortIsOneClearError(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.mustApply(w.start("1.0.0", 1))
	l, err := net.Listen("tcp", w.spec.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = w.apply(w.attach("1.0.0", 1))
	if want := "attaching users 1.0.0: listening on " + w.spec.Listen + ": address already in use"; err == nil || err.Error() != want {
		t.Errorf("Attach = %v, want %s", err, want)
	}
}

func TestFloorIsATypedRefusal(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.up("1.0.0", 2)
	err := w.apply(w.drain("1.0.0", 1, 2))
	var floor *api.FloorError
	if !errors.As(err, &floor) || floor.Serving != 1 || floor.Floor != 2 {
		t.Errorf("Drain = %v, want a floor error", err)
	}
	want := "draining users 1.0.0: " + w.spec.Listen + " would be left with 1 serving backends; the floor is 2"
	if err == nil || err.Error() != want {
		t.Errorf("Drain = %v, want %s", err, want)
	}
	if got := w.backends(); !slices.Equal(got, []string{"1.0.0 web.1", "1.0.0 web.2"}) {
		t.Errorf("backends = %q", got)
	}
}

// Two releases take turns on two hosts while clients never pause.
func TestRollUnderLoad(t *testing.T) {
	w := newWorld(t, agenttest.Options{Name: "a"}, agenttest.Options{Name: "b"})
	w.up("1.0.0", 3)
	l := w.load(8)
	old, next := "1.0.0", "2.0.0"
	for range 3 {
		for n := 1; n <= 3; n++ {
			w.mustApply(w.start(next, n), w.attach(next, n), w.drain(old, n, 3), w.stop(old, n))
		}
		old, next = next, old
	}
	l.wantClean(t, 500)
	if got := w.backends(); len(got) != 3 || !strings.HasPrefix(got[0], old) {
		t.Errorf("backends = %q, want 3 of %s", got, old)
	}
}

// P30: 1,000 requests are in flight when the drain begins, and go on until it waits
// for them; all of them are answered by the instance that is drained, and only then it
// is stopped.
func TestDrainFinishesAThousandRequests(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.up("1.0.0", 1)
	leaving, _ := w.agents[0].Instance(agenttest.Ref("1.0.0", "web.1"))
	const n = 1000
	type answer struct {
		body string
		err  error
	}
	goOn := filepath.Join(w.dir, "go on")
	answers := make(chan answer, n)
	for range n {
		go func() {
			resp, err := http.Get("http://" + w.spec.Listen + "/slow?until=" + url.QueryEscape(goOn))
			if err != nil {
				answers <- answer{err: err}
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			answers <- answer{fmt.Sprint(resp.StatusCode, " ", string(b)), err}
		}()
	}
	inFlight := func(serving bool) func() error {
		return func() error {
			s, err := w.agents[0].State(t.Context())
			if err != nil {
				return err
			}
			i := slices.IndexFunc(s.Routes[0].Backends, func(b api.Backend) bool { return b.Release == "1.0.0" })
			if i < 0 || s.Routes[0].Backends[i].InFlight != n || s.Routes[0].Backends[i].Serving != serving {
				return fmt.Errorf("%+v", s.Routes)
			}
			return nil
		}
	}
	agenttest.Until(t, "all are in flight", inFlight(true))
	w.mustApply(w.start("2.0.0", 1), w.attach("2.0.0", 1))
	drained := make(chan error, 1)
	go func() { drained <- w.apply(w.drain("1.0.0", 1, 1)) }()
	agenttest.Until(t, "the drain waits for them", inFlight(false))
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	w.mustApply(w.stop("1.0.0", 1))
	want := fmt.Sprintf("200 %d", leaving.PID)
	for range n {
		if a := <-answers; a.err != nil || a.body != want {
			t.Fatalf("a request ended with %q, %v, want %q", a.body, a.err, want)
		}
	}
}

// An instance that crashes under load costs nobody anything that could be
// repeated, and comes back.
func TestCrashUnderLoad(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.up("1.0.0", 3)
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel}
	for range 8 {
		l.running.Go(func() {
			for ctx.Err() == nil {
				l.count(request(http.DefaultClient, 0, "http://"+w.spec.Listen))
			}
		})
	}
	for n := 1; n <= 3; n++ {
		r := agenttest.Ref("1.0.0", fmt.Sprintf("web.%d", n))
		i := w.agents[0].Await(r, planner.Up)
		agenttest.Crash(i, 7)
		agenttest.Until(t, "it is back", func() error {
			if j, _ := w.agents[0].Instance(r); j.State != planner.Up || j.PID == i.PID {
				return fmt.Errorf("%+v", j)
			}
			return nil
		})
	}
	l.wantClean(t, 100)
}

func TestRoutesAndBackendsSurviveTheAgent(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.up("1.0.0", 2)
	w.agents[0].Kill()
	w.agents[0].Restart()
	if err := request(http.DefaultClient, 1, "http://"+w.spec.Listen); err != nil {
		t.Errorf("right after the restart: %v", err)
	}
	if got := w.backends(); !slices.Equal(got, []string{"1.0.0 web.1", "1.0.0 web.2"}) {
		t.Errorf("backends = %q", got)
	}
}

// A drain goes on when its caller dies, and the next one joins it.
func TestDrainOutlivesItsCaller(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.up("1.0.0", 2)
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			resp, err := http.Get("http://" + w.spec.Listen + "/slow?for=1s")
			if err == nil {
				err = resp.Body.Close()
			}
			ended <- err
		}()
	}
	agenttest.Until(t, "both instances are busy", func() error {
		s, err := w.agents[0].State(t.Context())
		if err != nil || s.Routes[0].Backends[0].InFlight < 1 || s.Routes[0].Backends[1].InFlight < 1 {
			return fmt.Errorf("%+v, %v", s.Routes, err)
		}
		return nil
	})
	ctx, die := context.WithCancel(t.Context())
	var reached []string
	var mu sync.Mutex
	p := w.provider(proxy.Options{At: func(point string) {
		mu.Lock()
		defer mu.Unlock()
		reached = append(reached, point)
		if point == "rollout.draining" {
			go func() {
				agenttest.Until(t, "it drains", func() error {
					if got := w.backends(); !slices.Contains(got, "1.0.0 web.1 draining") {
						return fmt.Errorf("backends %q", got)
					}
					return nil
				})
				die()
			}()
		}
	}})
	drain := w.drain("1.0.0", 1, 1)
	err := p.Apply(ctx, holder, planner.Step{ID: "s1", Action: drain}, func(planner.Report) {})
	if !errors.Is(err, planner.ErrOutcomeUnknown) {
		t.Errorf("Drain = %v, want an unknown outcome", err)
	}
	mu.Lock()
	if !slices.Equal(reached, []string{"rollout.called", "rollout.draining"}) {
		t.Errorf("reached %q", reached)
	}
	mu.Unlock()
	if got := w.probe(drain); got != planner.NotDone {
		t.Errorf("Probe = %v, want NotDone", got)
	}
	w.mustApply(drain)
	if got := w.probe(drain); got != planner.Done {
		t.Errorf("Probe = %v, want Done", got)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOverTLS(t *testing.T) {
	cert, key := agenttest.Certificate(t)
	options := agenttest.Options{Listen: "https://" + agenttest.FreeAddress(t), Cert: cert, Key: key, Token: "secret", CA: readFile(t, cert)}
	a := agenttest.Start(t, options)
	o := &spec.Orchestrator{Kind: "host", Name: "x", Agents: []string{a.URL}, Token: spec.Secret("t", "secret"), CA: "ca.pem"}
	dir := t.TempDir()
	writeFile(t, dir+"/ca.pem", options.CA)
	r := &spec.Router{Kind: "proxy", Name: "edge", Listen: agenttest.FreeAddress(t), Agent: a.URL}
	p, err := proxy.New(r, []*spec.Orchestrator{o}, proxy.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Observe(t.Context()); err != nil {
		t.Errorf("Observe = %v", err)
	}
	o.Token = spec.Secret("t", "wrong")
	p, err = proxy.New(r, []*spec.Orchestrator{o}, proxy.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Observe(t.Context())
	if want := "reading router.proxy.edge: agent a: the token is missing or wrong"; err == nil || err.Error() != want {
		t.Errorf("Observe = %v, want %s", err, want)
	}
}

func TestAgentThatIsDown(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.agents[0].Terminate()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := w.router.Observe(ctx)
	var away *api.UnreachableError
	if !errors.As(err, &away) || away.Agent != w.agents[0].URL {
		t.Errorf("Observe = %v", err)
	}
	err = w.apply(w.drain("1.0.0", 1, 0))
	if err == nil || errors.Is(err, planner.ErrOutcomeUnknown) {
		t.Errorf("Drain = %v, want that nothing was done", err)
	}
}
