package inquiry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"pleat/planner"
	"pleat/providers/inquiry"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

type world struct {
	*testing.T
	dir      string
	provider *inquiry.Provider
	reports  []planner.Report
}

func newWorld(t *testing.T, url string) *world {
	w := &world{T: t, dir: t.TempDir()}
	w.provider = inquiry.New(inquiry.Options{
		Dir:    w.dir,
		Reveal: func(ref string) (string, bool) { return "s3cret", ref == "gate.g.headers.X-Token" },
		Row: func(ctx context.Context, name, sql string) (json.RawMessage, error) {
			return postgres.New(&spec.Database{Name: name, URL: spec.Secret("u", url)}, nil).Row(ctx, sql)
		},
		Redact: func(text string) string { return strings.ReplaceAll(text, "s3cret", "(sensitive)") },
	})
	return w
}

// gate asks once, and gives why it is closed; "" when it is open.
func (w *world) gate(q *spec.Inquiry, expect string) string {
	w.Helper()
	a, err := w.provider.Ask(w.Context(), planner.Ticket{}, &planner.Open{Gate: "g", Inquiry: q, Expect: expect, Service: "users", Release: "2.0.0"})
	if err != nil {
		w.Fatal(err)
	}
	if a.Met == (a.Reason != "") || a.Met == a.Closed {
		w.Errorf("answer %+v", a)
	}
	return strings.TrimPrefix(a.Reason, "gate.g: ")
}

func (w *world) wantGate(q *spec.Inquiry, expect, want string) {
	w.Helper()
	q.Timeout = 10 * time.Second
	if got := w.gate(q, expect); got != want {
		w.Errorf("%s %q: closed because %q, want %q", q.Kind, expect, got, want)
	}
}

func serve(t *testing.T, h http.HandlerFunc) spec.Text {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return spec.Plain(s.URL)
}

func TestGatesOverHTTP(t *testing.T) {
	w := newWorld(t, "")
	body, status := `{"open": 2, "who": "alice", "list": [1]}`, 200
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != "s3cret" {
			status = http.StatusUnauthorized
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	q := &spec.Inquiry{Kind: spec.InquiryHTTP, URL: url, Headers: map[string]spec.Text{"X-Token": spec.Secret("gate.g.headers.X-Token", "")}}
	w.wantGate(q, "", "")
	w.wantGate(q, "open == 0", "open == 0 is not so: open = 2")
	w.wantGate(q, "open <= 2 && status == 200", "")
	w.wantGate(q, `who == "bob"`, `who == "bob" is not so: who = "alice"`)
	w.wantGate(q, "length(list) == 1 && length(body.list) == 1", "")
	w.wantGate(q, "closed == 0", `unknown variable: There is no variable named "closed"`)
	w.wantGate(q, "open", "open is neither true nor false")
	body, status = "all is well", 200
	w.wantGate(q, `body == "all is well"`, "")
	body, status = "down for s3cret maintenance\nmore", 503
	w.wantGate(q, "", "503 Service Unavailable: down for (sensitive) maintenance")
	w.wantGate(&spec.Inquiry{Kind: spec.InquiryHTTP, URL: spec.Plain("http://127.0.0.1:1/?key=s3cret")}, "", "connection refused")
	q.Headers = nil
	w.wantGate(q, "", "401 Unauthorized: down for (sensitive) maintenance")
}

func TestAGateWithoutAnAnswerInTimeIsClosed(t *testing.T) {
	w := newWorld(t, "")
	stuck := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) { <-stuck })
	defer close(stuck)
	q := &spec.Inquiry{Kind: spec.InquiryHTTP, URL: url, Timeout: 50 * time.Millisecond}
	if got := w.gate(q, ""); got != "no answer within 50ms" {
		t.Errorf("closed because %q", got)
	}
	q = &spec.Inquiry{Kind: spec.InquiryCommand, Command: []string{"sh", "-c", "sleep 60 & wait"}, Timeout: 50 * time.Millisecond}
	if got := w.gate(q, ""); got != "no answer within 50ms" {
		t.Errorf("closed because %q", got)
	}
}

// TestLongAnswersAreCutShort: what is shown has an end, in whole characters, and half of
// a secret is not in it.
func TestLongAnswersAreCutShort(t *testing.T) {
	w := newWorld(t, "")
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, strings.Repeat("x", 57)+"s3cret")
	})
	w.wantGate(&spec.Inquiry{Kind: spec.InquiryHTTP, URL: url}, "", "503 Service Unavailable: "+strings.Repeat("x", 57)+"(se…")
	url = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, strings.Repeat("x", 56)+"s3cret")
	})
	w.wantGate(&spec.Inquiry{Kind: spec.InquiryHTTP, URL: url}, `body == ""`, `body == "" is not so: body = "`+strings.Repeat("x", 56)+`(sen…"`)
	for name, script := range map[string]string{
		"to stdout": "head -c 30000000 /dev/zero | tr '\\0' x; exit 3",
		"to stderr": "head -c 30000000 /dev/zero | tr '\\0' x >&2; exit 3",
		"in lines":  "yes s3cret | head -c 30000000; yes ä | head -c 2000 | tr -d '\\n'; exit 3",
	} {
		q := &spec.Inquiry{Kind: spec.InquiryCommand, Command: []string{"sh", "-c", script}, Timeout: 20 * time.Second}
		got := w.gate(q, "")
		if !strings.HasPrefix(got, "exit status 3: ") || len(got) > 400 || !utf8.ValidString(got) || strings.Contains(got, "s3cret") {
			t.Errorf("%s: closed because of %d bytes: %.500q", name, len(got), got)
		}
	}
}

func TestGatesOfFilesAndPrograms(t *testing.T) {
	w := newWorld(t, "")
	write(t, filepath.Join(w.dir, "ci.json"), `{"status": "failed", "build": 7}`)
	write(t, filepath.Join(filepath.Dir(w.dir), "outside"), "x")
	file := func(path string) *spec.Inquiry { return &spec.Inquiry{Kind: spec.InquiryFile, Path: path} }
	w.wantGate(file("ci.json"), "", "")
	w.wantGate(file("ci.json"), `status == "passed"`, `status == "passed" is not so: status = "failed"`)
	w.wantGate(file("none.json"), "", "none.json is not there")
	if got := w.gate(file("../outside"), ""); !strings.HasPrefix(got, "../outside cannot be read") {
		t.Errorf("outside of the spec: closed because %q", got)
	}
	run := func(script string) *spec.Inquiry {
		return &spec.Inquiry{Kind: spec.InquiryCommand, Command: []string{"sh", "-c", script}}
	}
	w.wantGate(run("true"), "", "")
	w.wantGate(run("echo first; echo the suite is red >&2; exit 3"), "", "exit status 3: first")
	w.wantGate(run("exit 3"), "exit == 3", "")
	w.wantGate(run("echo 0.25"), "value < 0.5", "")
	w.wantGate(run(`echo "{\"red\": 2}"`), "red == 0", "red == 0 is not so: red = 2")
	w.wantGate(run(`test "$PLEAT_SERVICE $PLEAT_RELEASE" = "users 2.0.0" && test -f ci.json`), "", "")
	w.wantGate(&spec.Inquiry{Kind: spec.InquiryCommand, Command: []string{"this-is-no-program"}}, "", `exec: "this-is-no-program": executable file not found in $PATH`)
}

func TestGatesOverSQL(t *testing.T) {
	url := pgtest.New(t).Database(t)
	w := newWorld(t, url)
	query := func(sql string) *spec.Inquiry {
		return &spec.Inquiry{Kind: spec.InquirySQL, Database: "main", SQL: sql}
	}
	w.wantGate(query("select 3 as jobs, 0.5::numeric as part, true as ready"), "jobs == 3 && value == 3 && part < 1 && ready", "")
	w.wantGate(query("select count(*) from generate_series(1, 2)"), "value == 0", "value == 0 is not so: value = 2")
	w.wantGate(query("select 1 where false"), "value == 0", "no data: the query gives no row")
	for _, sql := range []string{"create table t (id int)", "select 1; drop table t", "delete from t returning 1", "select setval('s', 2)"} {
		if got := w.gate(query(sql), ""); got == "" {
			t.Errorf("%s was run", sql)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) analyze(ctx context.Context, a *planner.Analyze) error {
	a.Analysis, a.Service, a.Release, a.Old = "errors", "users", "2.0.0", "1.0.1"
	a.Inquiry.Timeout = 10 * time.Second
	if a.Interval == 0 {
		a.Interval = time.Millisecond
	}
	return w.provider.Apply(ctx, planner.Ticket{}, planner.Step{Action: a}, func(r planner.Report) { w.reports = append(w.reports, r) })
}

// rates answers one number after the other, then the last one again and again;
// a negative one is no answer.
func rates(t *testing.T, asked *atomic.Int64, values ...float64) *spec.Inquiry {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		v := values[min(int(asked.Add(1))-1, len(values)-1)]
		if v < 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"rate": %v, "samples": 40}`, v)
	})
	return &spec.Inquiry{Kind: spec.InquiryHTTP, URL: url}
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		values              []float64
		analysis            planner.Analyze
		asked               int64
		verdict, lastReason string
	}{
		"all pass":                         {[]float64{0.001}, planner.Analyze{Pass: "rate < 0.01", Count: 5}, 5, "", ""},
		"the first failure ends it":        {[]float64{0, 0.5, 0}, planner.Analyze{Pass: "rate < 0.01", Count: 5}, 2, "fail", "2: fail: rate < 0.01 is not so: rate = 0.5"},
		"failures are tolerated":           {[]float64{0, 0.5, 0.5, 0}, planner.Analyze{Pass: "rate < 0.01", Count: 5, Failures: 2}, 5, "", ""},
		"and too many are not":             {[]float64{0.5}, planner.Analyze{Pass: "rate < 0.01", Count: 5, Failures: 2}, 3, "fail", "3: fail: rate < 0.01 is not so: rate = 0.5"},
		"only fail":                        {[]float64{0.001}, planner.Analyze{Fail: "rate > 0.05", Count: 2}, 2, "", ""},
		"only fail, and it does":           {[]float64{0.06}, planner.Analyze{Fail: "rate > 0.05", Count: 2}, 1, "fail", "1: fail: rate > 0.05: rate = 0.06"},
		"neither":                          {[]float64{0.03}, planner.Analyze{Pass: "rate < 0.01", Fail: "rate > 0.05", Count: 2}, 1, "inconclusive", "1: inconclusive: neither rate < 0.01 nor rate > 0.05: rate = 0.03"},
		"no answer is no pass":             {[]float64{-1}, planner.Analyze{Pass: "rate < 0.01", Count: 2}, 1, "inconclusive", "1: inconclusive: 502 Bad Gateway"},
		"no answer is tolerated":           {[]float64{-1, 0}, planner.Analyze{Pass: "rate < 0.01", Count: 3, Inconclusive: 1}, 3, "", ""},
		"but not where there is no other":  {[]float64{-1}, planner.Analyze{Pass: "rate < 0.01", Count: 2, Inconclusive: 2}, 2, "inconclusive", "2: inconclusive: 502 Bad Gateway"},
		"enough samples":                   {[]float64{0.5}, planner.Analyze{Pass: "rate < 0.01", Count: 1, MinSamples: 40}, 1, "fail", "1: fail: rate < 0.01 is not so: rate = 0.5"},
		"too few samples say nothing":      {[]float64{0.5}, planner.Analyze{Pass: "rate < 0.01", Count: 1, MinSamples: 41}, 1, "inconclusive", "1: inconclusive: no data: 40 samples, and 41 are wanted"},
		"what the answer lacks is no data": {[]float64{0}, planner.Analyze{Pass: "old < 1", Count: 1}, 1, "inconclusive", `1: inconclusive: no data: unknown variable: There is no variable named "old"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			var asked atomic.Int64
			c.analysis.Inquiry = rates(t, &asked, c.values...)
			err := w.analyze(t.Context(), &c.analysis)
			if asked.Load() != c.asked {
				t.Errorf("asked %d times, want %d", asked.Load(), c.asked)
			}
			var bad *inquiry.VerdictError
			if c.verdict == "" && err != nil || c.verdict != "" && !errors.As(err, &bad) {
				t.Fatalf("verdict %v, want %q", err, c.verdict)
			}
			if bad != nil && (bad.Verdict != c.verdict || bad.Measurements[len(bad.Measurements)-1] != c.lastReason) {
				t.Errorf("verdict %q because of %q", bad.Verdict, bad.Measurements)
			}
			dry := c.analysis
			dry.DryRun = true
			asked.Store(0)
			if err := w.analyze(t.Context(), &dry); err != nil {
				t.Errorf("a dry run ends with %v", err)
			}
			_, warned := w.reports[len(w.reports)-1].(planner.Warning)
			if warned != (c.verdict != "") {
				t.Errorf("a dry run tells %+v", w.reports[len(w.reports)-1])
			}
		})
	}
}

func TestAnAnalysisIsCancelled(t *testing.T) {
	w := newWorld(t, "")
	var asked atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 2 {
			cancel()
		}
		fmt.Fprint(w, `{"rate": 0}`)
	})
	err := w.analyze(ctx, &planner.Analyze{Inquiry: &spec.Inquiry{Kind: spec.InquiryHTTP, URL: url}, Pass: "rate < 1", Count: 1000})
	if !errors.Is(err, context.Canceled) || !strings.Contains(fmt.Sprint(err), "analysis.errors: cancelled") {
		t.Errorf("ended with %v", err)
	}
}
