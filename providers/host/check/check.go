// Package check asks instances whether they can serve, and judges the answers.
// It owns the questions and the health clock; what follows from a verdict is
// its caller's.
package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"pleat/providers/tail"
	"pleat/spec"
)

// An instance is asked more often until it answers well for the first time, where
// its interval is longer: from eager on twice as long each time, up to patient. It
// costs next to nothing, and a start is not held up by a whole interval.
const (
	eager   = 10 * time.Millisecond
	patient = 100 * time.Millisecond
)

// quoted is how many bytes of an answer are looked at for its first line.
const quoted = 200

// longest is how many bytes of an answer are read at all.
const longest = 1 << 20

// Target is where an instance is asked.
type Target struct {
	Host string
	Port int
	// Of exec checks: their environment, directory and user. nil is the agent's.
	Env        []string
	Dir        string
	Credential *syscall.Credential
}

// Result is one answer. Err is nil when the check passed, and otherwise says
// what came instead.
type Result struct {
	Check int // index in the list of checks
	At    time.Time
	Err   error
}

// Watch asks every check again and again, each at its own pace, and sends the
// answers. It returns when ctx ends.
func Watch(ctx context.Context, t Target, checks []*spec.Check, answers chan<- Result) {
	var asking sync.WaitGroup
	for n, c := range checks {
		asking.Go(func() { repeat(ctx, t, n, c, answers) })
	}
	asking.Wait()
}

// Once asks a check one time. The error is what came instead of a good answer; a
// *CommandError where that was a program's.
func Once(ctx context.Context, t Target, c *spec.Check) error { return ask(ctx, t, c) }

// CommandError is a program that did not exit with 0.
type CommandError struct {
	Err    error
	Output []string // its last lines
}

// Error is how it ended, with the last line that it wrote.
func (e *CommandError) Error() string {
	if len(e.Output) == 0 {
		return e.Err.Error()
	}
	last := e.Output[len(e.Output)-1]
	return strings.TrimSuffix(e.Err.Error()+": "+strings.TrimSpace(whole(last)), ": ")
}

// Unwrap gives how it ended.
func (e *CommandError) Unwrap() error { return e.Err }

func repeat(ctx context.Context, t Target, n int, c *spec.Check, answers chan<- Result) {
	pause := min(c.Interval, eager)
	if c.Kind == spec.CheckExec {
		pause = c.Interval
	}
	for answered := false; ; {
		err := ask(ctx, t, c)
		answered = answered || err == nil
		if answered {
			pause = c.Interval
		}
		select {
		case <-ctx.Done():
			return
		case answers <- Result{Check: n, At: time.Now(), Err: err}:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if !answered && pause < c.Interval {
			pause = min(2*pause, patient, c.Interval)
		}
	}
}

func ask(ctx context.Context, t Target, c *spec.Check) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("none within %s", c.Timeout))
	defer cancel()
	err := question(ctx, t, c)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

func question(ctx context.Context, t Target, c *spec.Check) error {
	port := c.Port
	if port == 0 {
		port = t.Port
	}
	address := net.JoinHostPort(t.Host, strconv.Itoa(port))
	switch c.Kind {
	case spec.CheckHTTP:
		return get(ctx, address, c.Path)
	case spec.CheckTCP:
		return dial(ctx, address)
	case spec.CheckGRPC:
		return serving(ctx, address, c.Service)
	case spec.CheckExec:
		return run(ctx, c.Command, t)
	}
	return fmt.Errorf("check %q is unknown", c.Kind)
}

// get asks on a connection of its own, which proves that the instance still
// accepts some; and without a goroutine beside, as http.Transport would have three:
// an agent asks thousands of times a minute. A redirect is an answer.
func get(ctx context.Context, address, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	req.Close = true
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return plain(err)
	}
	defer conn.Close()
	cut := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer cut()
	if err := req.Write(conn); err != nil {
		return plain(err)
	}
	resp, err := response(conn, req)
	if err != nil {
		return plain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, quoted+1))
	if err != nil {
		return plain(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 400 {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(whole(string(body))), "\n")
	if first == "" {
		return errors.New(resp.Status)
	}
	return fmt.Errorf("%s: %s", resp.Status, first)
}

// response is the final one: what comes before it, such as early hints, is passed
// over.
func response(conn io.Reader, req *http.Request) (*http.Response, error) {
	r := bufio.NewReader(io.LimitReader(conn, longest))
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// whole leaves out the word at which a long text is cut off: half of a secret
// is not known for one.
func whole(text string) string {
	if len(text) <= quoted {
		return text
	}
	text = text[:quoted+1]
	return text[:strings.LastIndexFunc(text, unicode.IsSpace)+1]
}

func dial(ctx context.Context, address string) error {
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return plain(err)
	}
	return conn.Close()
}

// run ends the command's whole process group when its time is over.
func run(ctx context.Context, argv []string, t Target) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = t.Env, t.Dir
	var said tail.Tail
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: t.Credential}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return &CommandError{Err: err, Output: said.Lines()}
	}
	return nil
}

// dialer asks for no probes: no connection lives as long as it takes to send one.
var dialer = net.Dialer{KeepAlive: -1}

// plain leaves out who called whom: a check's reader knows that.
func plain(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
