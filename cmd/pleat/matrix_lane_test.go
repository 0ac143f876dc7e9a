package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/executor/crash"
	"pleat/providers/host/api"
)

// lane is where runs happen one after the other: a spec's directory, a
// database that is made anew for each, and an agent that keeps what was
// released last.
type lane struct {
	program  string // pleat
	dir      string // the spec's
	database string
	url      string
	label    string // of the database, as --acknowledge names it
	listen   string
	first    string // how it was released first
	live     string // the release that runs
	agent    *exec.Cmd
	talk     *bytes.Buffer
	traffic  *trickle // of the case that has the lane
}

// newLane starts an agent and releases r1 on it, by that strategy.
func (m *matrix) newLane(first string) (*lane, error) {
	dir, err := os.MkdirTemp("", "pleatm")
	if err != nil {
		return nil, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	l := &lane{program: m.program, dir: dir, listen: listen, first: first, live: "r2", talk: &bytes.Buffer{}}
	l.database = "lane_" + strings.ToLower(rand.Text())
	l.url, l.label = m.postgres.URL(l.database), m.postgres.Address()+"/"+l.database
	if err := artifacts(filepath.Join(dir, "bin")); err != nil {
		return nil, err
	}
	if first == replicated {
		if err := l.makeCluster(); err != nil {
			return nil, err
		}
	}
	if err := l.startAgent(); err != nil {
		return nil, err
	}
	return l, m.firstRelease(l)
}

func (l *lane) startAgent() error {
	l.agent = exec.Command(l.program, "agent", "--listen", "unix://"+l.socket(), "--state", l.state(), "--name", "one")
	l.agent.Env, l.agent.Stderr = l.environ(""), l.talk
	if err := l.agent.Start(); err != nil {
		return err
	}
	return polled("the agent", func() error {
		c, err := net.Dial("unix", l.socket())
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// firstRelease brings r1 up.
func (m *matrix) firstRelease(l *lane) error {
	if err := m.refresh(l, &matrixWorld{name: "empty"}); err != nil {
		return err
	}
	spec := l.main() + strings.ReplaceAll(l.service("r2", "r1", cmp.Or(l.first, oneByOne), ""), "[change.split_name]", "[]")
	if err := l.write(spec); err != nil {
		return err
	}
	if e := l.pleat("", "apply", "--auto-approve"); e.code != 0 {
		return fmt.Errorf("the first release: exit %d\n%s", e.code, e.output)
	}
	l.live = "r1"
	return nil
}

// serve sends requests until rest; a cluster has clients of its own.
func (l *lane) serve() {
	if l.first != replicated {
		l.traffic = newTrickle(http.MethodGet, "http://"+l.listen+"/")
	}
}

// rest sends no more requests: a lane that nobody has takes no time from the others.
func (l *lane) rest() {
	if l.traffic != nil {
		l.traffic.stop()
		l.traffic = nil
	}
}

func (l *lane) socket() string { return filepath.Join(l.dir, "one.sock") }
func (l *lane) state() string  { return filepath.Join(l.dir, "one") }

// other is the release that does not run.
func (l *lane) other() string {
	if l.live == "r1" {
		return "r2"
	}
	return "r1"
}

func (l *lane) write(spec string) error {
	return os.WriteFile(filepath.Join(l.dir, "demo.pleat.hcl"), []byte(spec), 0o600)
}

// environ has what runs under the race detector end at once: it rests for a
// second.
func (l *lane) environ(order string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "TMPDIR=" + l.dir, "NO_COLOR=1",
		"GORACE=atexit_sleep_ms=0", crash.Variable + "=" + order,
	}
}

// ended is how a command of pleat ended.
type ended struct {
	code   int // as a shell has it: 130 after SIGINT
	killed bool
	output string
}

// command is one of pleat on the lane; order is what PLEAT_CRASH says.
func (l *lane) command(order string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	out := &bytes.Buffer{}
	if args[0] == "apply" {
		args = append(args, "--acknowledge", l.label+":users.name")
	}
	cmd := exec.Command(l.program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = l.dir, l.environ(order), out, out
	return cmd, out
}

func (l *lane) pleat(order string, args ...string) ended {
	cmd, out := l.command(order, args...)
	if err := cmd.Start(); err != nil {
		return ended{code: -1, output: err.Error()}
	}
	overdue := time.AfterFunc(deadline, func() { cmd.Process.Signal(syscall.SIGABRT) })
	defer overdue.Stop()
	return endOf(cmd, out)
}

func endOf(cmd *exec.Cmd, out *bytes.Buffer) ended {
	cmd.Wait() // how it ended is in ProcessState
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return ended{128 + int(status.Signal()), status.Signal() == syscall.SIGKILL, out.String()}
	}
	return ended{status.ExitStatus(), false, out.String()}
}

// agentState is what the lane's agent has.
func (l *lane) agentState(ctx context.Context) (api.State, error) {
	c, err := api.NewClient("unix://"+l.socket(), api.Options{})
	if err != nil {
		return api.State{}, err
	}
	return c.State(ctx)
}

// close ends everything of the lane.
func (l *lane) close(ctx context.Context) {
	l.rest()
	if st, err := l.agentState(ctx); err == nil {
		for _, i := range st.Instances {
			if i.PID > 1 {
				syscall.Kill(-i.PID, syscall.SIGKILL)
			}
		}
	}
	l.agent.Process.Kill()
	l.agent.Wait()
	endServers(l.cluster())
	os.RemoveAll(l.dir)
}

// polled tries until there is no error, with a deadline.
func polled(what string, try func() error) error {
	var err error
	for end := time.Now().Add(deadline); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if err = try(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: not within %s: %w", what, deadline, err)
}

// trickle is requests at a modest pace until stop.
type trickle struct {
	cancel   context.CancelFunc
	running  sync.WaitGroup
	requests atomic.Int64
	mutex    sync.Mutex
	errors   []string
}

func newTrickle(method, url string) *trickle {
	ctx, cancel := context.WithCancel(context.Background())
	t := &trickle{cancel: cancel}
	for range 2 {
		t.running.Go(func() { t.client(ctx, method, url) })
	}
	return t
}

func (t *trickle) client(ctx context.Context, method, url string) {
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	pace := time.NewTicker(8 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		err := request(ctx, c, method, url)
		if ctx.Err() != nil {
			return
		}
		t.requests.Add(1)
		if err != nil {
			t.fail(err)
		}
	}
}

func (t *trickle) fail(err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.errors = append(t.errors, err.Error())
}

// failed gives the errors since it was asked last, of nobody none.
func (t *trickle) failed() []string {
	if t == nil {
		return nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	all := t.errors
	t.errors = nil
	return all
}

func (t *trickle) stop() {
	t.cancel()
	t.running.Wait()
}

// refresh gives the lane the world's database as nobody has touched it yet.
func (m *matrix) refresh(l *lane, w *matrixWorld) error {
	template, err := m.template(w)
	if err != nil {
		return err
	}
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, m.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "drop database if exists "+l.database+" with (force)"); err != nil {
		return err
	}
	return m.postgres.Create(ctx, l.database, template)
}
