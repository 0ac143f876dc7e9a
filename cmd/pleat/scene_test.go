package main

import (
	"bytes"
	"context"
	"flag"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"pleat/providers/host/api"
)

var updateScripts = flag.Bool("update", false, "rewrite what scripts compare with")

type sceneKey struct{}

// scene is what one script has of its own.
type scene struct {
	url        string
	sockets    string
	agents     map[string]*agentProcess
	everyAgent []*agentProcess // those too that others of the same name came after
	sessions   map[string]*heldSession
	background map[string]*backgroundProcess
	traffic    *traffic
	audience   *audience
	samples    *samples
	prometheus *exec.Cmd
	exporter   *httptest.Server // what it gets metrics from
	variables  []string         // names in its environment
	transcript strings.Builder  // what exits printed
	keyboard   *os.File         // of the terminal that begin gives
	screen     *os.File         // nil: it gives none
	onScreen   bool             // what begin runs prints on it
}

func newScene(url, sockets string) *scene {
	return &scene{
		url: url, sockets: sockets, agents: map[string]*agentProcess{},
		sessions: map[string]*heldSession{}, background: map[string]*backgroundProcess{},
	}
}

// remember keeps the names of the script's environment.
func (w *scene) remember(vars []string) {
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		w.variables = append(w.variables, name)
	}
}

type agentProcess struct {
	cmd    *exec.Cmd
	ended  chan error
	output *bytes.Buffer
}

type heldSession struct {
	conn *pgx.Conn
}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

// deadline is how long a script waits for anything.
const deadline = 60 * time.Second

// clear ends everything that the script started.
func (w *scene) clear(ctx context.Context) {
	if w.traffic != nil {
		w.traffic.stop()
	}
	if w.audience != nil {
		w.audience.cancel()
	}
	if w.samples != nil {
		w.samples.stop()
	}
	for _, p := range w.background {
		p.kill()
	}
	for _, s := range w.sessions {
		s.conn.Close(ctx)
	}
	w.killSuccessors() // they hold what an agent's end is known by
	for _, a := range w.agents {
		a.kill()
	}
	w.killInstances()
	w.killPlatform()
	endServers(filepath.Join(w.sockets, "cluster"))
	os.RemoveAll(w.sockets)
}

// races is what the race detector said of agents, after they have ended: it is not
// known by how they did, because they are killed.
func (w *scene) races() string {
	var all string
	for _, a := range w.everyAgent {
		if text := a.output.String(); strings.Contains(text, "WARNING: DATA RACE") {
			all += text
		}
	}
	return all
}

// killSuccessors ends the agents that took over from those that the script
// started: their numbers are in their locks.
func (w *scene) killSuccessors() {
	for name := range w.agents {
		b, err := os.ReadFile(filepath.Join(w.sockets, name, "lock"))
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && bad == nil && pid > 1 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// killPlatform ends what the program of examples/exec keeps: it outlives it.
func (w *scene) killPlatform() {
	matches, err := filepath.Glob(filepath.Join(w.sockets, "platform", "instances", "*.run"))
	if err != nil {
		return
	}
	for _, file := range append(matches, filepath.Join(w.sockets, "platform", "router.run")) {
		b, err := os.ReadFile(file)
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && bad == nil && pid > 1 {
			syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// killInstances ends the processes that agents kept: they outlive them.
func (w *scene) killInstances() {
	matches, err := filepath.Glob(filepath.Join(w.sockets, "*", "instances", "*.json"))
	if err != nil {
		return
	}
	for _, file := range matches {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if pid := pidIn(b); pid > 1 {
			syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

func pidIn(record []byte) int {
	_, rest, ok := strings.Cut(string(record), `"pid":`)
	if !ok {
		return 0
	}
	digits := strings.TrimLeft(rest, " ")
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	n, _ := strconv.Atoi(digits[:max(end, 0)])
	return n
}

func (a *agentProcess) kill() {
	a.cmd.Process.Kill()
	<-a.ended
}

// client talks to an agent of the script.
func (w *scene) client(ts *testscript.TestScript, name string) *api.Client {
	c, err := api.NewClient("unix://"+filepath.Join(w.sockets, name+".sock"), api.Options{})
	ts.Check(err)
	return c
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
