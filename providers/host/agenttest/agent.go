package agenttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/spec"
)

// Patience is how long a test waits for anything.
const Patience = 30 * time.Second

// promptExit keeps the race detector from sleeping for a second at each exit.
const promptExit = "GORACE=atexit_sleep_ms=0"

// Options are what a test wants of an agent. The zero value is an agent on a
// socket, with the back-off of the real one.
type Options struct {
	Name             string // default "a"
	Listen           string // default a socket
	Cert, Key, Token string
	CA               []byte
	Rests            []time.Duration
}

// Agent is an agent in a process of its own.
type Agent struct {
	Host, Dir, URL string
	*api.Client

	t        testing.TB
	settings settings
	cmd      *exec.Cmd
	log      *lockedBuffer
}

// Start runs an agent, and ends it and all that it started with the test.
func Start(t testing.TB, o Options) *Agent {
	t.Helper()
	if o.Name == "" {
		o.Name = "a"
	}
	// The name of a socket must be short: 104 bytes on macOS.
	dir, err := os.MkdirTemp("/tmp", "pleat")
	if err != nil {
		t.Fatal(err)
	}
	if o.Listen == "" {
		o.Listen = "unix://" + filepath.Join(dir, "s")
	}
	a := &Agent{Host: o.Name, Dir: filepath.Join(dir, "state"), URL: o.Listen, t: t, log: &lockedBuffer{}}
	a.settings = settings{Name: o.Name, Dir: a.Dir, Listen: o.Listen, Cert: o.Cert, Key: o.Key, Token: o.Token, Rests: o.Rests}
	a.Client, err = api.NewClient(o.Listen, api.Options{Token: o.Token, CA: o.CA})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.cleanUp(dir) })
	a.Restart()
	return a
}

// Restart starts the agent again, and returns once it answers.
func (a *Agent) Restart() {
	a.t.Helper()
	a.cmd = Command(a.t, a.settings)
	a.cmd.Stderr = a.log
	// The agent ends when this side is closed, however the test ends.
	if _, err := a.cmd.StdinPipe(); err != nil {
		a.t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	Until(a.t, "the agent answers", func() error {
		_, err := a.State(a.t.Context())
		return err
	})
}

// Command is an agent that is not started yet. It ends with its standard
// input.
func Command(t testing.TB, s any) *exec.Cmd {
	t.Helper()
	arg, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable(t), asAgent, string(arg))
	cmd.Env = append(os.Environ(), promptExit)
	return cmd
}

// Kill ends the agent as a power cut would: SIGKILL.
func (a *Agent) Kill() { a.signal(syscall.SIGKILL) }

// Terminate ends the agent as an init system would: SIGTERM.
func (a *Agent) Terminate() { a.signal(syscall.SIGTERM) }

// Freeze has the agent stand still, as on a host that does, until Thaw. What it keeps
// goes on.
func (a *Agent) Freeze() { a.tell(syscall.SIGSTOP) }

// Thaw has it go on.
func (a *Agent) Thaw() { a.tell(syscall.SIGCONT) }

func (a *Agent) tell(s syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// Missed returns once somebody asked for an agent that was killed, on a socket, and
// got no answer.
func (a *Agent) Missed() {
	a.t.Helper()
	path := strings.TrimPrefix(a.URL, "unix://")
	if err := os.Remove(path); err != nil {
		a.t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		a.t.Fatal(err)
	}
	var c net.Conn
	if err = l.SetDeadline(time.Now().Add(Patience)); err == nil {
		c, err = l.Accept()
	}
	if err == nil {
		err = c.Close()
	}
	if err := errors.Join(err, l.Close()); err != nil {
		a.t.Fatal(err)
	}
}

func (a *Agent) signal(s syscall.Signal) {
	a.t.Helper()
	a.tell(s)
	if err := a.cmd.Wait(); err != nil && s != syscall.SIGKILL {
		a.t.Errorf("agent %s ended with %v\n%s", a.Host, err, a.log)
	}
	a.cmd = nil
}

// cleanUp leaves no process behind, whatever the test did.
func (a *Agent) cleanUp(dir string) {
	if a.cmd != nil {
		a.signal(syscall.SIGTERM)
	}
	for _, pid := range a.pids() {
		if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH && err != syscall.EPERM {
			a.t.Error(err)
		}
	}
	if a.t.Failed() {
		a.t.Logf("log of agent %s:\n%s", a.Host, a.log)
	}
	if err := os.RemoveAll(dir); err != nil {
		a.t.Error(err)
	}
}

func (a *Agent) pids() []int {
	files, err := filepath.Glob(filepath.Join(a.Dir, "instances", "*.json"))
	if err != nil {
		a.t.Error(err)
	}
	var out []int
	for _, f := range files {
		b, err := os.ReadFile(f)
		var rec struct{ PID int }
		if err == nil {
			err = json.Unmarshal(b, &rec)
		}
		if err != nil {
			a.t.Error(err)
		}
		if rec.PID != 0 {
			out = append(out, rec.PID)
		}
	}
	return out
}

// Instance gives an instance as the agent sees it; false when it is not there.
func (a *Agent) Instance(r api.Ref) (api.Instance, bool) {
	a.t.Helper()
	s, err := a.State(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	for _, i := range s.Instances {
		if i.Ref == r {
			return i, true
		}
	}
	return api.Instance{}, false
}

// Await waits until the instance is in that state, and gives it.
func (a *Agent) Await(r api.Ref, want planner.InstanceState) api.Instance {
	a.t.Helper()
	var got api.Instance
	Until(a.t, fmt.Sprintf("%s is %s", r, want), func() error {
		i, ok := a.Instance(r)
		got = i
		if !ok || i.State != want {
			return fmt.Errorf("it is %q (%v): %s", i.State, ok, i.Error)
		}
		return nil
	})
	return got
}

// Until polls until f is nil, and fails the test when that takes too long.
func Until(t testing.TB, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, err)
		case <-look.C:
		}
	}
}

// Artifact writes a program for a release into dir: a script that becomes the
// test's program. Each text gives another digest.
func Artifact(t testing.TB, dir, text string) planner.Artifact {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\n# %s\n%s exec '%s' %s \"$@\"\n", text, promptExit, executable(t), asProgram)
	path := "artifact-" + hex.EncodeToString([]byte(text))
	if err := os.WriteFile(filepath.Join(dir, path), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(script))
	return planner.Artifact{Path: path, SHA256: hex.EncodeToString(sum[:])}
}

func executable(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Check is an HTTP check on /healthz that asks often.
func Check() *spec.Check {
	return &spec.Check{
		Kind: spec.CheckHTTP, Path: "/healthz", Interval: 20 * time.Millisecond, Timeout: 5 * time.Second,
		Threshold: 3, StartTimeout: Patience,
	}
}

// Drain is a stop that waits for as long as tests do.
func Drain() spec.Drain {
	return spec.Drain{Timeout: Patience, Signal: "TERM", KillAfter: Patience}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is everything so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
