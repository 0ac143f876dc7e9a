package router_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/proxy/router"
	"pleat/spec"
)

// world is a router of host "a" that runs.
type world struct {
	*router.Router
	t      *testing.T
	listen string
	dir    string
	stop   func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, listen: agenttest.FreeAddress(t), dir: t.TempDir()}
	w.run()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) run() {
	w.t.Helper()
	r, err := router.New(w.dir, "a", slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	w.Router = r
	w.stop = func() { cancel(); running.Wait() }
}

func ref(n int) api.Ref { return agenttest.Ref("1.0.0", fmt.Sprintf("web.%d", n)) }

// serve attaches a backend of this host that is up.
func (w *world) serve(n int, h http.HandlerFunc) *httptest.Server {
	w.t.Helper()
	s := httptest.NewServer(h)
	w.t.Cleanup(s.Close)
	w.Health(ref(n), true)
	w.attach(api.Backend{Ref: ref(n), Host: "a", Address: s.Listener.Addr().String()})
	return s
}

func (w *world) attach(b api.Backend) {
	w.t.Helper()
	if err := w.Attach(w.listen, []api.Backend{b}); err != nil {
		w.t.Fatal(err)
	}
}

func name(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, n) }
}

func (w *world) do(method, path, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.listen+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.answer(req)
}

// answer is the status and the body that a request is answered with.
func (w *world) answer(req *http.Request) (int, string) {
	w.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// share counts who answers n requests.
func (w *world) share(n int) map[string]int {
	w.t.Helper()
	out := map[string]int{}
	for range n {
		status, who := w.do(http.MethodGet, "/", "")
		if status != http.StatusOK {
			who = fmt.Sprint(status)
		}
		out[who]++
	}
	return out
}

func wantShare(t *testing.T, got map[string]int, want string) {
	t.Helper()
	if fmt.Sprint(got) != want {
		t.Errorf("share = %v, want %s", got, want)
	}
}

func TestRequestsGoRoundServingBackends(t *testing.T) {
	w := newWorld(t)
	w.serve(1, name(1))
	w.serve(2, name(2))
	wantShare(t, w.share(10), "map[1:5 2:5]")
	w.Health(ref(1), false)
	wantShare(t, w.share(10), "map[2:10]")
	w.Health(ref(1), true)
	wantShare(t, w.share(10), "map[1:5 2:5]")
	if err := w.Detach(w.listen, []api.Ref{ref(2)}); err != nil {
		t.Fatal(err)
	}
	wantShare(t, w.share(10), "map[1:10]")
	w.Health(ref(1), false)
	status, body := w.do(http.MethodGet, "/", "")
	if want := "pleat: no backend is serving on " + w.listen + "\n"; status != 503 || body != want {
		t.Errorf("without a backend: %d %q, want 503 %q", status, body, want)
	}
}

func TestWeights(t *testing.T) {
	w := newWorld(t)
	a, b := w.serve(1, name(1)), w.serve(2, name(2))
	w.attach(api.Backend{Ref: ref(1), Host: "a", Address: a.Listener.Addr().String(), Weight: 9})
	w.attach(api.Backend{Ref: ref(2), Host: "a", Address: b.Listener.Addr().String(), Weight: 1})
	wantShare(t, w.share(100), "map[1:90 2:10]")
}

// deadAddress is one that refuses connections.
func deadAddress(t *testing.T) string { return agenttest.FreeAddress(t) }

// of is the Nth instance of a release.
func of(release string, n int) api.Ref { return agenttest.Ref(release, fmt.Sprintf("web.%d", n)) }

// serveOf attaches instances of a release that answer with its name.
func (w *world) serveOf(release string, count int) {
	w.t.Helper()
	for n := 1; n <= count; n++ {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, release) }))
		w.t.Cleanup(s.Close)
		w.Health(of(release, n), true)
		w.attach(api.Backend{Ref: of(release, n), Host: "a", Address: s.Listener.Addr().String()})
	}
}

func (w *world) weigh(floor int, shares ...planner.Share) {
	w.t.Helper()
	set, err := w.Weigh(w.listen, api.Weigh{Split: planner.Split{Shares: shares}, Floor: floor})
	if err != nil || !slices.Equal(set.Shares, shares) {
		w.t.Fatalf("Weigh = %v, %v, want %v", set, err, shares)
	}
}

func TestSharesAreOfReleasesWhateverInstancesTheyHave(t *testing.T) {
	w := newWorld(t)
	w.serveOf("1.0.0", 3)
	w.weigh(3, planner.Share{Release: "1.0.0", Percent: 100}, planner.Share{Release: "2.0.0"})
	w.serveOf("2.0.0", 2)
	if got := w.share(20); got["1.0.0"] != 20 {
		t.Errorf("without a share: %v", got)
	}
	w.weigh(5, planner.Share{Release: "1.0.0", Percent: 93}, planner.Share{Release: "2.0.0", Percent: 7})
	if got := w.share(100); got["1.0.0"] != 93 || got["2.0.0"] != 7 {
		t.Errorf("7 percent: %v", got)
	}
	w.stop()
	w.run()
	w.Health(of("1.0.0", 1), true)
	w.Health(of("2.0.0", 1), true)
	if got := w.share(100); got["1.0.0"] != 93 || got["2.0.0"] != 7 {
		t.Errorf("7 percent after a restart: %v", got)
	}
	w.Health(of("2.0.0", 1), false)
	if got := w.share(20); got["1.0.0"] != 20 {
		t.Errorf("while nothing of its share is up: %v", got)
	}
	w.Health(of("2.0.0", 1), true)
	w.weigh(1)
	if got := w.share(20); got["1.0.0"] != 10 || got["2.0.0"] != 10 {
		t.Errorf("all alike: %v", got)
	}
}

func TestSharesThatWouldLeaveTooFewAreRefused(t *testing.T) {
	w := newWorld(t)
	w.serveOf("1.0.0", 2)
	w.serveOf("2.0.0", 1)
	_, err := w.Weigh(w.listen, api.Weigh{Split: planner.Split{Shares: []planner.Share{{Release: "2.0.0", Percent: 100}}}, Floor: 2})
	var floor *api.FloorError
	if !errors.As(err, &floor) || floor.Serving != 1 || floor.Floor != 2 {
		t.Errorf("Weigh = %v, want a floor error", err)
	}
	if got := w.share(30); got["1.0.0"] != 20 {
		t.Errorf("after the refusal: %v", got)
	}
	w.weigh(2, planner.Share{Release: "1.0.0", Percent: 100}, planner.Share{Release: "2.0.0"})
	if _, err := w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{of("1.0.0", 1), of("1.0.0", 2)}, Floor: 1}); !errors.As(err, &floor) {
		t.Errorf("Drain = %v, want a floor error: nothing that is left has a share", err)
	}
}

func TestSharesThatAreNotAllAreRefused(t *testing.T) {
	w := newWorld(t)
	w.serveOf("1.0.0", 1)
	for want, shares := range map[string][]planner.Share{
		"the shares are 90 percent together: want 100":   {{Release: "1.0.0", Percent: 90}},
		"a share of -1 percent for 1.0.0: want 0 to 100": {{Release: "1.0.0", Percent: -1}},
		"two shares for 1.0.0":                           {{Release: "1.0.0", Percent: 50}, {Release: "1.0.0", Percent: 50}},
	} {
		if _, err := w.Weigh(w.listen, api.Weigh{Split: planner.Split{Shares: shares}}); err == nil || err.Error() != want {
			t.Errorf("Weigh = %v, want %s", err, want)
		}
	}
	if _, err := w.Weigh("127.0.0.1:1", api.Weigh{}); err == nil {
		t.Error("an address without a route has shares")
	}
}

func TestRefusedConnectionIsTriedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.serve(1, func(out http.ResponseWriter, r *http.Request) { _, _ = io.Copy(out, r.Body) })
	w.Health(ref(2), true)
	w.attach(api.Backend{Ref: ref(2), Host: "a", Address: deadAddress(t)})
	for n := range 10 {
		if status, body := w.do(http.MethodPost, "/", "hello"); status != 200 || body != "hello" {
			t.Fatalf("request %d: %d %q", n, status, body)
		}
	}
}

// dropper takes the connection and the request, and answers nothing.
func dropper(seen *atomic.Int64) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen.Add(1)
		panic(http.ErrAbortHandler)
	}
}

func TestBrokenRequestIsRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	w := newWorld(t)
	var seen [3]atomic.Int64
	w.serve(1, dropper(&seen[0]))
	w.serve(2, dropper(&seen[1]))
	w.serve(3, dropper(&seen[2]))
	total := func() int64 { return seen[0].Load() + seen[1].Load() + seen[2].Load() }
	for _, body := range []string{"money", ""} {
		before := total()
		if status, _ := w.do(http.MethodPost, "/", body); status != http.StatusBadGateway || total()-before != 1 {
			t.Errorf("a POST of %q was sent %d times and answered with %d, want once and 502", body, total()-before, status)
		}
	}
	before := total()
	if status, _ := w.do(http.MethodGet, "/", ""); status != http.StatusBadGateway || total()-before != 2 {
		t.Errorf("a GET was sent %d times and answered with %d, want twice and 502", total()-before, status)
	}
}

func TestCrashDuringASafeRequestCostsNoError(t *testing.T) {
	w := newWorld(t)
	var seen atomic.Int64
	w.serve(1, name(1))
	w.serve(2, dropper(&seen))
	wantShare(t, w.share(10), "map[1:10]")
	if seen.Load() == 0 {
		t.Error("the broken backend got no request")
	}
}

func TestDrainWaitsForRequestsInFlight(t *testing.T) {
	w := newWorld(t)
	arrived, goOn := make(chan struct{}, 10), make(chan struct{})
	w.serve(1, func(out http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-goOn
		fmt.Fprint(out, "done")
	})
	w.serve(2, name(2))
	results := make(chan string, 10)
	for range 2 {
		go func() {
			resp, err := http.Get("http://" + w.listen + "/")
			if err != nil {
				results <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			results <- fmt.Sprint(resp.StatusCode, string(b), err)
		}()
	}
	<-arrived
	drained := make(chan error, 2)
	drain := api.Drain{Backends: []api.Ref{ref(1)}, Timeout: time.Minute, Floor: 1}
	for range 2 { // a second call joins the first
		go func() {
			out, err := w.Drain(t.Context(), w.listen, drain)
			drained <- errors.Join(err, cutError(out, 0))
		}()
	}
	agenttest.Until(t, "it drains", func() error {
		if b := w.Routes()[0].Backends; !b[0].Draining {
			return fmt.Errorf("%+v", b)
		}
		return nil
	})
	wantShare(t, w.share(10), "map[2:10]")
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v while a request was in flight", err)
	default:
	}
	close(goOn)
	for range 2 {
		if err := <-drained; err != nil {
			t.Errorf("Drain = %v", err)
		}
	}
	for range 2 {
		if got := <-results; got != "200done<nil>" && got != "2002<nil>" {
			t.Errorf("a request ended with %s", got)
		}
	}
	if got := len(w.Routes()[0].Backends); got != 1 {
		t.Errorf("%d backends are left, want 1", got)
	}
	if out, err := w.Drain(t.Context(), w.listen, drain); err != nil || out.Cut != 0 {
		t.Errorf("draining an absent backend = %v, %v", out, err)
	}
}

func cutError(d api.Drained, want int64) error {
	if d.Cut != want {
		return fmt.Errorf("%d requests were cut, want %d", d.Cut, want)
	}
	return nil
}

func TestDrainCutsWhatIsLeftWhenItsTimeIsOver(t *testing.T) {
	w := newWorld(t)
	arrived := make(chan struct{}, 1)
	w.serve(1, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is the end of the connection seen
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	result := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+w.listen+"/", "text/plain", strings.NewReader("x"))
		if err != nil {
			result <- 0
			return
		}
		resp.Body.Close()
		result <- resp.StatusCode
	}()
	<-arrived
	out, err := w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{ref(1)}, Timeout: 50 * time.Millisecond})
	if err := errors.Join(err, cutError(out, 1)); err != nil {
		t.Error(err)
	}
	if status := <-result; status != http.StatusBadGateway {
		t.Errorf("the cut request ended with %d, want 502", status)
	}
}

func TestAttachTakesADrainBack(t *testing.T) {
	w := newWorld(t)
	arrived, goOn := make(chan struct{}, 1), make(chan struct{})
	s := w.serve(1, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			arrived <- struct{}{}
			<-goOn
		}
	})
	ended := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + w.listen + "/wait")
		if err == nil {
			err = resp.Body.Close()
		}
		ended <- err
	}()
	<-arrived
	drained := make(chan error, 1)
	go func() {
		_, err := w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{ref(1)}, Timeout: time.Minute})
		drained <- err
	}()
	agenttest.Until(t, "it drains", func() error {
		if !w.Routes()[0].Backends[0].Draining {
			return errors.New("it does not")
		}
		return nil
	})
	w.attach(api.Backend{Ref: ref(1), Host: "a", Address: s.Listener.Addr().String()})
	if err := <-drained; err == nil {
		t.Error("Drain = nil, want that the backend was attached again")
	}
	wantShare(t, w.share(2), "map[:2]")
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFloor(t *testing.T) {
	w := newWorld(t)
	w.serve(1, name(1))
	w.serve(2, name(2))
	w.serve(3, name(3))
	w.Health(ref(3), false)
	_, err := w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{ref(1)}, Floor: 2})
	var floor *api.FloorError
	if !errors.As(err, &floor) || floor.Serving != 1 || floor.Floor != 2 {
		t.Errorf("Drain = %v, want that 1 of 2 would be left", err)
	}
	wantShare(t, w.share(10), "map[1:5 2:5]")
	// Together they would leave nobody, one after the other too.
	_, err = w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{ref(1), ref(2)}, Floor: 1})
	if !errors.As(err, &floor) || floor.Serving != 0 {
		t.Errorf("Drain of both = %v, want that 0 of 1 would be left", err)
	}
	if _, err := w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{ref(1)}, Floor: 1}); err != nil {
		t.Errorf("Drain = %v", err)
	}
	wantShare(t, w.share(10), "map[2:10]")
}

func TestUpgradedConnectionPassesBytesBothWays(t *testing.T) {
	w := newWorld(t)
	w.serve(1, func(out http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(out).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	})
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade = %v, %v", resp, err)
	}
	for _, line := range []string{"one\n", "two\n"} {
		fmt.Fprint(conn, line)
		if got, err := in.ReadString('\n'); got != line || err != nil {
			t.Errorf("echo = %q, %v, want %q", got, err, line)
		}
	}
	if got := w.Routes()[0].Backends[0].InFlight; got != 1 {
		t.Errorf("%d requests in flight, want 1", got)
	}
	out, err := w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{ref(1)}, Timeout: 20 * time.Millisecond})
	if err := errors.Join(err, cutError(out, 1)); err != nil {
		t.Error(err)
	}
	if _, err := in.ReadString('\n'); err == nil {
		t.Error("the connection lives on after it was cut")
	}
}

func TestAnswerIsStreamed(t *testing.T) {
	w := newWorld(t)
	goOn := make(chan struct{})
	w.serve(1, func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(out, "first")
		out.(http.Flusher).Flush()
		<-goOn
		fmt.Fprintln(out, "second")
	})
	resp, err := http.Get("http://" + w.listen + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); line != "first\n" || err != nil {
		t.Fatalf("first line = %q, %v", line, err)
	}
	close(goOn)
	if line, err := in.ReadString('\n'); line != "second\n" || err != nil {
		t.Errorf("second line = %q, %v", line, err)
	}
}

func TestRoutesSurviveARestart(t *testing.T) {
	w := newWorld(t)
	w.serve(1, name(1))
	w.serve(2, name(2))
	w.stop()
	w.run()
	w.Health(ref(1), true)
	w.Health(ref(2), true)
	wantShare(t, w.share(10), "map[1:5 2:5]")
}

func TestTakenPortIsOneClearError(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	err = w.Attach(address, []api.Backend{{Ref: ref(1), Host: "a", Address: "127.0.0.1:1"}})
	if want := "listening on " + address + ": address already in use"; err == nil || err.Error() != want {
		t.Errorf("Attach = %v, want %s", err, want)
	}
}

func TestTwoServicesDoNotShareAnAddress(t *testing.T) {
	w := newWorld(t)
	w.serve(1, name(1))
	other := api.Ref{Service: "orders", Release: "1", Instance: "web.1"}
	err := w.Attach(w.listen, []api.Backend{{Ref: other, Host: "a", Address: "127.0.0.1:1"}})
	if want := w.listen + " routes users; orders needs an address of its own"; err == nil || err.Error() != want {
		t.Errorf("Attach = %v, want %s", err, want)
	}
}

// The router asks the checks of instances that another host's agent keeps.
func TestBackendOfAnotherHostIsAsked(t *testing.T) {
	w := newWorld(t)
	var sick atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && sick.Load() {
			http.Error(out, "sick", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	w.attach(api.Backend{
		Ref: ref(1), Host: "b", Address: s.Listener.Addr().String(), Checks: []*spec.Check{agenttest.Check()},
	})
	serving := func(want bool) func() error {
		return func() error {
			if b := w.Routes()[0].Backends[0]; b.Serving != want {
				return fmt.Errorf("%+v", b)
			}
			return nil
		}
	}
	if err := serving(true)(); err != nil {
		t.Error(err)
	}
	sick.Store(true)
	agenttest.Until(t, "it is found sick", serving(false))
	sick.Store(false)
	agenttest.Until(t, "it is found well", serving(true))
}

func TestClientIsNamedToTheBackend(t *testing.T) {
	w := newWorld(t)
	w.serve(1, func(out http.ResponseWriter, r *http.Request) {
		fmt.Fprint(out, r.Host, " ", r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Host"))
	})
	_, body := w.do(http.MethodGet, "/", "")
	if want := fmt.Sprintf("%s 127.0.0.1 %s", w.listen, w.listen); body != want {
		t.Errorf("the backend saw %q, want %q", body, want)
	}
}

func BenchmarkProxy(b *testing.B) {
	s := httptest.NewServer(name(1))
	defer s.Close()
	r, err := router.New(filepath.Clean(b.TempDir()), "a", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	defer running.Wait()
	defer cancel()
	listen := agenttest.FreeAddress(b)
	r.Health(ref(1), true)
	if err := r.Attach(listen, []api.Backend{{Ref: ref(1), Host: "a", Address: s.Listener.Addr().String()}}); err != nil {
		b.Fatal(err)
	}
	for name, address := range map[string]string{"direct": s.Listener.Addr().String(), "proxied": listen} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := http.Get("http://" + address + "/")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}

// ask sends a request with headers, and gives the body and the cookies of the answer.
func (w *world) ask(headers ...string) (string, []*http.Cookie) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.listen+"/", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		req.Header.Add(headers[n], headers[n+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b), resp.Cookies()
}

func (w *world) split(s planner.Split) {
	w.t.Helper()
	if set, err := w.Weigh(w.listen, api.Weigh{Split: s}); err != nil || !set.Equal(s) {
		w.t.Fatalf("Weigh = %v, %v, want %v", set, err, s)
	}
}

func TestRulesComeBeforeShares(t *testing.T) {
	w := newWorld(t)
	w.serveOf("1.0.0", 1)
	w.serveOf("2.0.0", 1)
	w.split(planner.Split{
		Rules:  []planner.Rule{{Header: "X-Beta", Value: "yes", Release: "2.0.0"}, {Cookie: "beta", Release: "2.0.0"}},
		Shares: []planner.Share{{Release: "1.0.0", Percent: 100}, {Release: "2.0.0"}},
	})
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, "1.0.0"}, {[]string{"X-Beta", "no"}, "1.0.0"}, {[]string{"X-Beta", "yes"}, "2.0.0"},
		{[]string{"Cookie", "beta=whatever"}, "2.0.0"}, {[]string{"Cookie", "alpha=1"}, "1.0.0"},
	} {
		if got, _ := w.ask(c.headers...); got != c.want {
			t.Errorf("with %v: %s, want %s", c.headers, got, c.want)
		}
	}
	w.stop()
	w.run()
	w.Health(of("1.0.0", 1), true)
	w.Health(of("2.0.0", 1), true)
	if got, _ := w.ask("X-Beta", "yes"); got != "2.0.0" {
		t.Errorf("after a restart: %s", got)
	}
	w.Health(of("2.0.0", 1), false)
	if got, _ := w.ask("X-Beta", "yes"); got != "1.0.0" {
		t.Errorf("while nothing of the rule's release is up: %s", got)
	}
}

// Nobody who came to the new release goes back to the old one while its share
// grows, and the shares are what they should be.
func TestWhoComesBackStays(t *testing.T) {
	w := newWorld(t)
	w.serveOf("1.0.0", 2)
	w.serveOf("2.0.0", 1)
	share := func(percent int) planner.Split {
		return planner.Split{
			Shares: []planner.Share{{Release: "1.0.0", Percent: 100 - percent}, {Release: "2.0.0", Percent: percent}},
			Sticky: &planner.Sticky{Header: "X-User"},
		}
	}
	const people = 400
	was := map[int]string{}
	for _, percent := range []int{10, 40, 80} {
		w.split(share(percent))
		new := 0
		for n := range people {
			first, _ := w.ask("X-User", fmt.Sprint("user", n))
			again, _ := w.ask("X-User", fmt.Sprint("user", n))
			if first != again || was[n] == "2.0.0" && first != "2.0.0" {
				t.Fatalf("user %d at %d%%: %s, then %s; before it was %q", n, percent, first, again, was[n])
			}
			if was[n] = first; first == "2.0.0" {
				new++
			}
		}
		if off := new*100/people - percent; off < -8 || off > 8 {
			t.Errorf("%d of %d at %d%%", new, people, percent)
		}
	}
}

func TestWhoHasNoCookieIsGivenOne(t *testing.T) {
	w := newWorld(t)
	w.serveOf("1.0.0", 1)
	w.serveOf("2.0.0", 1)
	w.split(planner.Split{
		Shares: []planner.Share{{Release: "1.0.0", Percent: 50}, {Release: "2.0.0", Percent: 50}},
		Sticky: &planner.Sticky{Cookie: "who"},
	})
	first, cookies := w.ask()
	if len(cookies) != 1 || cookies[0].Name != "who" || !cookies[0].HttpOnly {
		t.Fatalf("cookies %v", cookies)
	}
	for range 10 {
		again, more := w.ask("Cookie", "who="+cookies[0].Value)
		if again != first || len(more) > 0 {
			t.Fatalf("came to %s, and comes back to %s with cookies %v", first, again, more)
		}
	}
	w.split(planner.Split{})
	if _, cookies := w.ask(); len(cookies) > 0 {
		t.Errorf("cookies %v where nothing is sticky", cookies)
	}
}
