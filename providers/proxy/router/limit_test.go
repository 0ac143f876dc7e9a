package router_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/spec"
)

func (w *world) limit(l spec.RouterLimits) {
	w.t.Helper()
	if err := w.Limit(w.listen, l); err != nil {
		w.t.Fatal(err)
	}
}

// send sends a request with a header and a body; one of unknown length where that
// is asked for.
func (w *world) send(header int, body string, unknown bool) (int, string) {
	w.t.Helper()
	var from io.Reader = strings.NewReader(body)
	if unknown {
		from = io.MultiReader(from)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.listen+"/", from)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", header))
	status, said := w.answer(req)
	return status, strings.TrimSpace(said)
}

// TestMoreThanALimitIsRefused before a backend has it, and is accounted for. A change
// counts for what comes then.
func TestMoreThanALimitIsRefused(t *testing.T) {
	w := newWorld(t)
	log := &lines{}
	w.LogAccess(log)
	w.serve(1, func(out http.ResponseWriter, req *http.Request) {
		n, err := io.Copy(io.Discard, req.Body)
		fmt.Fprint(out, n, err)
	})
	large := strings.Repeat("x", 2000)
	steps := []struct {
		limits  spec.RouterLimits
		header  int
		body    string
		unknown bool
		status  int
		answer  string
	}{
		{spec.RouterLimits{}, 2000, large, false, 200, "2000 <nil>"},
		{spec.RouterLimits{}, 2000, large, true, 200, "2000 <nil>"},
		{spec.RouterLimits{Header: 1 << 10}, 2000, large, false, 431, "pleat: the header is larger than 1KiB"},
		{spec.RouterLimits{Header: 1 << 10}, 500, large, false, 200, "2000 <nil>"},
		{spec.RouterLimits{Body: 1 << 10}, 2000, large, false, 413, "pleat: the body is larger than 1KiB"},
		{spec.RouterLimits{Body: 1 << 10}, 2000, large, true, 413, "pleat: the body is larger than 1KiB"},
		{spec.RouterLimits{Body: 1 << 10}, 2000, large[:1<<10], false, 200, "1024 <nil>"},
		{spec.RouterLimits{Body: 1 << 10}, 2000, large[:1<<10], true, 200, "1024 <nil>"},
		{spec.RouterLimits{Body: 1 << 10}, 2000, "", false, 200, "0 <nil>"},
	}
	for _, s := range steps {
		w.limit(s.limits)
		if status, answer := w.send(s.header, s.body, s.unknown); status != s.status || answer != s.answer {
			t.Errorf("%+v: a header of %d and a body of %d (length unknown: %v): %d %q, want %d %q",
				s.limits, s.header, len(s.body), s.unknown, status, answer, s.status, s.answer)
		}
	}
	w.wantCounted("max_header_bytes", 1)
	w.wantCounted("max_body", 2)
	for _, want := range []string{` 431 \d+ .* - - - `, ` 413 \d+ .* - - - `, ` 413 \d+ .* web\.1 `} {
		if !regexp.MustCompile(want).MatchString(log.String()) {
			t.Errorf("no line like %s in\n%s", want, log)
		}
	}
	var refused *api.Error
	if err := w.Limit(w.listen, spec.RouterLimits{Body: -1}); !errors.As(err, &refused) || refused.Code != api.CodeInvalid {
		t.Errorf("a limit below 0: %v", err)
	}
}

func (w *world) wantCounted(limit string, n int) {
	w.t.Helper()
	page := httptest.NewRecorder()
	w.Metrics().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	want := fmt.Sprintf(`pleat_http_requests_limited_total{limit="%s",listen="%s"} %d`, limit, w.listen, n)
	if !strings.Contains(page.Body.String(), want+"\n") {
		w.t.Errorf("no metric %s in\n%s", want, page.Body)
	}
}

// upgraded leaves HTTP with a backend that says back what it hears.
func (w *world) upgraded() (net.Conn, *bufio.Reader) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.listen)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(agenttest.Patience)); err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("upgrade = %v, %v", resp, err)
	}
	return conn, in
}

// echoing answers, in pieces, and says back what it hears where HTTP is left.
func echoing(out http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		for range 100 {
			fmt.Fprintln(out, strings.Repeat("x", 99))
			_ = http.NewResponseController(out).Flush()
		}
		return
	}
	conn, rw, err := http.NewResponseController(out).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}

// TestLimitsCutNeitherAnswersNorWhatLeftHTTP: that is of no length, but it is one of
// the requests at the same time until it ends.
func TestLimitsCutNeitherAnswersNorWhatLeftHTTP(t *testing.T) {
	w := newWorld(t)
	w.serve(1, echoing)
	w.limit(spec.RouterLimits{Header: 1 << 10, Body: 1 << 10, Requests: 1})
	if status, answer := w.do(http.MethodGet, "/", ""); status != 200 || len(answer) != 10_000 {
		t.Errorf("an answer in pieces: %d, %d bytes", status, len(answer))
	}
	conn, in := w.upgraded()
	for n := range 100 {
		line := strings.Repeat("x", 99) + "\n"
		fmt.Fprint(conn, line)
		if got, err := in.ReadString('\n'); got != line || err != nil {
			t.Fatalf("line %d = %q, %v", n, got, err)
		}
	}
	resp, err := http.Get("http://" + w.listen + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("a second request at the same time: %s, %v", resp.Status, resp.Header)
	}
	w.wantCounted("max_requests", 1)
	conn.Close()
	agenttest.Until(t, "the next one is answered", func() error {
		if status, _ := w.do(http.MethodGet, "/", ""); status != http.StatusOK {
			return fmt.Errorf("it is %d", status)
		}
		return nil
	})
}

// TestDrainWaitsForWhatLeftHTTP until it ends, and cuts nothing.
func TestDrainWaitsForWhatLeftHTTP(t *testing.T) {
	w := newWorld(t)
	w.serve(1, echoing)
	conn, in := w.upgraded()
	type end struct {
		api.Drained
		err error
	}
	drained := make(chan end, 1)
	go func() {
		out, err := w.Drain(t.Context(), w.listen, api.Drain{Backends: []api.Ref{ref(1)}, Timeout: agenttest.Patience})
		drained <- end{out, err}
	}()
	agenttest.Until(t, "it drains", func() error {
		if b := w.Routes()[0].Backends; !b[0].Draining || b[0].InFlight != 1 {
			return fmt.Errorf("%+v", b)
		}
		return nil
	})
	fmt.Fprintln(conn, "still here")
	if got, err := in.ReadString('\n'); got != "still here\n" || err != nil {
		t.Errorf("echo = %q, %v", got, err)
	}
	select {
	case e := <-drained:
		t.Errorf("drained before it ended: %+v", e)
	default:
	}
	conn.Close()
	if e := <-drained; e.err != nil || e.Cut != 0 {
		t.Errorf("drained: %+v", e)
	}
}

// TestLimitsSurviveARestart, and those of a route that is not open count once it is.
func TestLimitsSurviveARestart(t *testing.T) {
	w := newWorld(t)
	want := spec.RouterLimits{Body: 1 << 10}
	w.limit(want)
	w.serve(1, name(1))
	for range 2 {
		if got := w.Routes()[0].Limits; got != want {
			t.Errorf("limits are %+v", got)
		}
		w.stop()
		w.run()
	}
}
