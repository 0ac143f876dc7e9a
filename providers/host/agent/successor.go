package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// handoverVariable tells an agent that it succeeds another one, and by which
// numbers it has the files of that.
const handoverVariable = "PLEAT_AGENT_HANDOVER"

const (
	// readiness is how long a successor has until it answers.
	readiness = 20 * time.Second
	// trial is how long a program has to say that it is an agent.
	trial = 10 * time.Second
	// lingering is how long requests may go on in an agent that has handed over.
	lingering = 5 * time.Minute
	// unused is how long connections without a request are kept by then: longer
	// than the client of the API keeps one.
	unused = 11 * time.Second
)

// handover is what a successor is told: numbers of files.
type handover struct {
	Program string         `json:"program"` // its digest
	Locks   []int          `json:"locks"`   // of the directory and, for a socket, beside that
	API     int            `json:"api"`
	Routes  map[string]int `json:"routes"`
	Ready   int            `json:"ready"` // it writes a line there once it answers
	Busy    int            `json:"busy"`  // it ends once the one before answers no request any more
}

// inheritance is a handover opened.
type inheritance struct {
	program string
	locks   []*os.File
	api     net.Listener
	routes  map[string]net.Listener
	ready   *os.File
	before  chan struct{} // closed at the end of Busy
}

// inherit takes over what another agent left to this process; nil where none
// did.
func inherit() (*inheritance, error) {
	text, ok := os.LookupEnv(handoverVariable)
	if !ok {
		return nil, nil
	}
	var h handover
	if err := errors.Join(json.Unmarshal([]byte(text), &h), os.Unsetenv(handoverVariable)); err != nil {
		return nil, fmt.Errorf("taking over: %w", err)
	}
	in := &inheritance{program: h.Program, routes: map[string]net.Listener{}, ready: own(h.Ready, "ready"), before: make(chan struct{})}
	for _, n := range h.Locks {
		in.locks = append(in.locks, own(n, "lock"))
	}
	var err error
	if in.api, err = socket(h.API); err != nil {
		return nil, err
	}
	for listen, n := range h.Routes {
		if in.routes[listen], err = socket(n); err != nil {
			return nil, err
		}
	}
	busy := own(h.Busy, "busy")
	go func() { // it ends with the one before
		_, _ = io.Copy(io.Discard, busy)
		close(in.before)
		_ = busy.Close()
	}()
	return in, nil
}

// own opens an inherited file, and keeps it from what this process starts.
func own(n int, name string) *os.File {
	syscall.CloseOnExec(n)
	return os.NewFile(uintptr(n), name)
}

func socket(n int) (net.Listener, error) {
	f := own(n, "socket")
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("taking a socket over: %w", err)
	}
	return l, f.Close()
}

// tell says that this process answers now.
func (in *inheritance) tell() error {
	_, err := fmt.Fprintln(in.ready, os.Getpid())
	return errors.Join(err, in.ready.Close())
}

// heir is a successor that is being started.
type heir struct {
	cmd   *exec.Cmd
	busy  *os.File // closed once this agent answers no request any more
	ended chan error
}

// raise starts the program as a successor and waits until it answers. With an
// error there is none.
func (c Config) raise(program, digest string, api *os.File, locks []*os.File, routes map[string]*os.File) (*heir, error) {
	ready, tellReady, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	seeBusy, busy, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, tellReady.Close())
	}
	cmd := c.Successor(program)
	h := handover{Program: digest, Routes: map[string]int{}}
	add := func(f *os.File) int {
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		return 2 + len(cmd.ExtraFiles)
	}
	for _, l := range locks {
		h.Locks = append(h.Locks, add(l))
	}
	h.API, h.Ready, h.Busy = add(api), add(tellReady), add(seeBusy)
	for listen, f := range routes {
		h.Routes[listen] = add(f)
	}
	text, err := json.Marshal(h)
	if err == nil {
		cmd.Env = append(cmd.Env, handoverVariable+"="+string(text))
		err = cmd.Start()
	}
	err = errors.Join(err, tellReady.Close(), seeBusy.Close())
	if err != nil {
		return nil, errors.Join(err, busy.Close())
	}
	out := &heir{cmd: cmd, busy: busy, ended: make(chan error, 1)}
	go func() { out.ended <- cmd.Wait() }()
	return out, out.await(ready)
}

// await ends a successor that does not answer.
func (h *heir) await(ready *os.File) error {
	said := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(ready).ReadString('\n')
		said <- err
	}()
	select {
	case err := <-said:
		if err == nil {
			return nil
		}
		return errors.Join(fmt.Errorf("it ended: %w", h.stop()), h.busy.Close())
	case <-time.After(readiness):
		_ = h.stop() // that it was killed is no news
		return errors.Join(fmt.Errorf("it does not answer within %s", readiness), h.busy.Close())
	}
}

func (h *heir) stop() error {
	_ = h.cmd.Process.Kill() // it may have ended
	if err := <-h.ended; err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// try finds out whether the program runs here at all.
func (c Config) try(ctx context.Context, program string) error {
	ctx, cancel := context.WithTimeout(ctx, trial)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "version")
	cmd.Env, cmd.Dir = c.Successor(program).Env, c.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s version: %w: %s", filepath.Base(program)[:12], err, firstOf(out))
	}
	return nil
}

func firstOf(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}
