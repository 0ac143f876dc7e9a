package router_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// lines is an access log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestEachRequestIsAccountedFor: a name that it keeps, a line, and numbers by who
// answered.
func TestEachRequestIsAccountedFor(t *testing.T) {
	w := newWorld(t)
	log := &lines{}
	w.LogAccess(log)
	backend := w.serve(1, func(out http.ResponseWriter, req *http.Request) {
		out.Header().Set("X-Request-Id", "of the backend")
		if req.URL.Path == "/teapot" {
			out.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(out, req.Header.Get("X-Request-Id"))
	})
	ask := func(path, id string) (answered, seen string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.listen+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if id != "" {
			req.Header.Set("X-Request-Id", id)
		}
		req.Header.Set("User-Agent", `quoted "agent"`)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := make([]byte, 200)
		n, _ := resp.Body.Read(b)
		return resp.Header.Get("X-Request-Id"), string(b[:n])
	}
	if answered, seen := ask("/?q=1", "mine-1"); answered != "mine-1" || seen != "mine-1" {
		t.Errorf("a name that was given became %q, and %q for the backend", answered, seen)
	}
	if answered, seen := ask("/teapot", ""); len(answered) < 20 || answered != seen {
		t.Errorf("a name that was made: %q, and %q for the backend", answered, seen)
	}
	if answered, _ := ask("/", "no "+strings.Repeat("x", 200)); strings.HasPrefix(answered, "no") {
		t.Errorf("a name that is too long was kept: %q", answered)
	}
	backend.Close()
	w.Health(ref(1), false)
	ask("/gone", "mine-2")

	got := log.String()
	for _, want := range []string{
		`(?m)^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /\?q=1 HTTP/1\.1" 200 6 "-" "quoted \\"agent\\"" \S+ 1\.0\.0 web\.1 \d+\.\d{3} mine-1$`,
		`(?m)"GET /teapot HTTP/1\.1" 418 26 .* web\.1 `,
		`(?m)"GET /gone HTTP/1\.1" 503 \d+ "-" "quoted \\"agent\\"" - - - \d+\.\d{3} mine-2$`,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no line like %s in\n%s", want, got)
		}
	}
	page := httptest.NewRecorder()
	w.Metrics().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`pleat_http_requests_total\{code="200",listen="[^"]+",release="1\.0\.0",service="[^"]+"\} 2`,
		`pleat_http_requests_total\{code="418",[^}]*\} 1`,
		`pleat_http_requests_total\{code="503",listen="[^"]+",release="",service=""\} 1`,
		`pleat_http_request_duration_seconds_count\{listen="[^"]+",release="1\.0\.0",[^}]*\} 3`,
		`pleat_http_requests_in_flight\{listen="[^"]+",release="1\.0\.0",[^}]*\} 0`,
	} {
		if !regexp.MustCompile(want).MatchString(page.Body.String()) {
			t.Errorf("no metric like %s in\n%s", want, page.Body.String())
		}
	}
}
