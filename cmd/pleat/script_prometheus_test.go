package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// prometheusProgram is a real Prometheus server, as `make test` gets it.
func prometheusProgram() string { return os.Getenv("PLEAT_TEST_PROMETHEUS") }

// prometheusCommand starts a Prometheus server that scrapes an agent's metrics twice
// a second, and waits until it has some; $PLEAT_VAR_prometheus is its URL. Or it
// ends it, or has it get no more metrics. An agent has its metrics at its own socket, so they go through a server of
// the test's, as they would through one of the host's.
//
//	prometheus start AGENT | stop | blind
func prometheusCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := sceneOf(ts)
	switch {
	case neg || len(args) == 0:
	case args[0] == "start" && len(args) == 2:
		w.prometheus, w.exporter = startPrometheus(ts, filepath.Join(w.sockets, args[1]+".sock"))
		return
	case args[0] == "stop" && len(args) == 1:
		ts.Check(w.prometheus.Process.Signal(syscall.SIGTERM))
		_ = w.prometheus.Wait() // it was told to end
		return
	case args[0] == "blind" && len(args) == 1:
		w.exporter.Close()
		return
	}
	ts.Fatalf("usage: prometheus start AGENT | stop | blind")
}

func startPrometheus(ts *testscript.TestScript, socket string) (*exec.Cmd, *httptest.Server) {
	agent := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "agent"})
	agent.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	exporter := httptest.NewServer(agent)
	ts.Defer(exporter.Close)
	config := ts.MkAbs("prometheus.yml")
	ts.Check(os.WriteFile(config, fmt.Appendf(nil,
		"global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\nscrape_configs:\n- job_name: agents\n  static_configs:\n  - targets: [%q]\n",
		strings.TrimPrefix(exporter.URL, "http://")), 0o644))
	listen, err := freeAddress()
	ts.Check(err)
	data, err := os.MkdirTemp(ts.MkAbs("."), "prometheus") // with the data of one before, there would be metrics before it scrapes
	ts.Check(err)
	p := exec.Command(prometheusProgram(), "--config.file="+config, "--storage.tsdb.path="+data, "--web.listen-address="+listen, "--log.level=error")
	p.Stderr = os.Stderr
	ts.Check(p.Start())
	ts.Defer(func() {
		_ = p.Process.Kill() // it may have ended
		_ = p.Wait()
	})
	at := "http://" + listen
	until(ts, "metrics in Prometheus", func() bool {
		response, err := http.Get(at + "/api/v1/query?query=up")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		return err == nil && strings.Contains(string(b), `"1"]`)
	})
	ts.Setenv("PLEAT_VAR_prometheus", at)
	return p, exporter
}
