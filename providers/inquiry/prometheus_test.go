package inquiry_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/inquiry"
	"pleat/spec"
)

// prometheus starts a real server that scrapes metrics, and gives its URL once
// it has them.
func prometheus(t *testing.T, metrics string) string {
	program := os.Getenv("PLEAT_TEST_PROMETHEUS")
	if program == "" {
		t.Skip("PLEAT_TEST_PROMETHEUS names no Prometheus server; testdata/setup/unpacked.sh gets one")
	}
	if !filepath.IsAbs(program) {
		t.Fatalf("PLEAT_TEST_PROMETHEUS=%s: want an absolute path", program)
	}
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, metrics)
	}))
	t.Cleanup(exporter.Close)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf(
		"global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n- job_name: app\n  static_configs:\n  - targets: [%q]\n", strings.TrimPrefix(exporter.URL, "http://")))
	listen := freeAddress(t)
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+listen, "--log.level=error")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		cmd.Wait() // it was told to end
	})
	url := "http://" + listen
	deadline := time.Now().Add(time.Minute)
	for {
		resp, err := http.Get(url + "/api/v1/query?query=up")
		if err == nil {
			b := make([]byte, 4096)
			n, _ := resp.Body.Read(b)
			resp.Body.Close()
			if strings.Contains(string(b[:n]), `"1"]`) {
				return url
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("Prometheus has no metrics: %v", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAnalysesOverPrometheus(t *testing.T) {
	url := prometheus(t, `errors{service="users",release="2.0.0"} 3
errors{service="users",release="1.0.1"} 30
errors{service="shop",release="7"} 1
nothing 0
`)
	w := newWorld(t, "")
	const mine = `errors{service="${service}",release="${release}"}`
	for _, c := range []struct {
		query, samples string
		enough         int
		want           string
	}{
		{mine, mine, 3, ""},
		{mine, mine, 4, "1: inconclusive: no data: 3 samples, and 4 are wanted"},
		{mine, `errors{release="9"}`, 1, "1: inconclusive: no data: 0 samples, and 1 are wanted"},
		{mine, `errors{`, 1, `1: inconclusive: samples: 400 Bad Request: invalid parameter "query"`},
	} {
		w.judges(t, &planner.Analyze{
			Inquiry: &spec.Inquiry{Kind: spec.InquiryPrometheus, URL: spec.Plain(url), Query: c.query, Samples: c.samples},
			Pass:    "value == 3", Count: 1, MinSamples: c.enough,
		}, c.want)
	}
	for _, c := range []struct{ query, pass, want string }{
		{`errors{service="${service}",release="${release}"}`, "value == 3 && old == 30 && value < old / 2", ""},
		{`errors{service="${service}",release="${old}"}`, "value == 30", ""},
		{`scalar(nothing)`, "value == 0", ""},
		{`errors{service="${service}",release="${release}"}`, "value > 5", "1: fail: value > 5 is not so: value = 3"},
		{`errors{release="9"}`, "value < 5", "1: inconclusive: no data: the query gives no series"},
		{`errors`, "value < 5", "1: inconclusive: the query gives 3 series, and one is wanted: sum() or the like makes one"},
		{`sum(nothing) / sum(nothing)`, "value < 5", "1: inconclusive: no data: the query gives NaN"},
		{`errors[1m]`, "value < 5", "1: inconclusive: the query gives a matrix, and one number is wanted"},
		{`errors{`, "value < 5", `1: inconclusive: 400 Bad Request: invalid parameter "query"`},
	} {
		w.judges(t, &planner.Analyze{
			Inquiry: &spec.Inquiry{Kind: spec.InquiryPrometheus, URL: spec.Plain(url), Query: c.query}, Pass: c.pass, Count: 1,
		}, c.want)
	}
}

// judges has an analysis of one measurement pass, or say why not; want is how that
// begins.
func (w *world) judges(t *testing.T, a *planner.Analyze, want string) {
	t.Helper()
	err := w.analyze(t.Context(), a)
	var bad *inquiry.VerdictError
	got := ""
	if errors.As(err, &bad) {
		got = bad.Measurements[0]
	}
	if err != nil && bad == nil || got != want && !(want != "" && strings.HasPrefix(got, want)) {
		t.Errorf("%s with %s: %q (%v), want %q", a.Inquiry.Query, a.Pass, got, err, want)
	}
}
