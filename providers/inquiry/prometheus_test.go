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
		t.Skip("PLEAT_TEST_PROMETHEUS names no Prometheus server; testdata/setup/prometheus.sh gets one")
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
		err := w.analyze(t.Context(), &planner.Analyze{
			Inquiry: &spec.Inquiry{Kind: spec.InquiryPrometheus, URL: spec.Plain(url), Query: c.query}, Pass: c.pass, Count: 1,
		})
		var bad *inquiry.VerdictError
		got := ""
		if errors.As(err, &bad) {
			got = bad.Measurements[0]
		}
		if err != nil && bad == nil || got != c.want && !(c.want != "" && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s with %s: %q (%v), want %q", c.query, c.pass, got, err, c.want)
		}
	}
}
