package exec

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"pleat/providers/tail"
)

const (
	// longest is the longest line that is read.
	longest = 8 << 20
	// mostReports is how many reports one request may have.
	mostReports = 10_000
	// grace is how long a program may take to stop what it does, or to end.
	grace = 5 * time.Second
	// lingering is how long the output of a program that has ended is read:
	// what it started may hold it open.
	lingering = time.Second
)

// session is one process of the program. It has one request at a time.
type session struct {
	process *os.Process
	stdin   *os.File
	lines   chan []byte // closed when the program says no more
	ended   chan struct{}
	quit    chan struct{} // closed by end
	said    tail.Tail
	last    int64  // id of a request
	how     string // it ended; for whom ended is closed
	problem error  // of reading, for whom lines is closed
}

// inherited is what a program sees of pleat's own environment, which has secrets.
var inherited = []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"}

// begin runs the program. end has to be called.
func begin(command []string, dir string) (*session, error) {
	s := &session{lines: make(chan []byte), ended: make(chan struct{}), quit: make(chan struct{})}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{}
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	// A signal from the terminal is for pleat, which asks the program to stop.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var pipes [3][2]*os.File
	for n := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("running %s: %w", command[0], err), closeAll(pipes))
		}
		pipes[n] = [2]*os.File{r, w}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = pipes[0][0], pipes[1][1], pipes[2][1]
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("running %s: %w", command[0], err), closeAll(pipes))
	}
	err := errors.Join(pipes[0][0].Close(), pipes[1][1].Close(), pipes[2][1].Close())
	s.stdin, s.process = pipes[0][1], cmd.Process
	go s.look(cmd, pipes[1][0], pipes[2][0])
	if err != nil {
		return nil, errors.Join(err, s.end(0))
	}
	return s, nil
}

func closeAll(pipes [3][2]*os.File) (err error) {
	for _, p := range pipes {
		for _, f := range p {
			if f != nil {
				err = errors.Join(err, f.Close())
			}
		}
	}
	return err
}

// look reads what the program says until it has ended.
func (s *session) look(cmd *exec.Cmd, stdout, stderr *os.File) {
	var reading sync.WaitGroup
	reading.Go(func() { s.read(stdout) })
	reading.Go(func() { _, _ = io.Copy(&s.said, stderr) }) // until it is closed
	err := cmd.Wait()
	over := time.Now().Add(lingering)
	err = errors.Join(err, stdout.SetReadDeadline(over), stderr.SetReadDeadline(over))
	reading.Wait()
	_, _ = stdout.Close(), stderr.Close() // they were read
	s.how = "it ended"
	if err != nil {
		s.how += " with " + err.Error()
	}
	close(s.ended)
}

func (s *session) read(stdout io.Reader) {
	defer close(s.lines)
	r := bufio.NewReaderSize(stdout, 64<<10)
	for {
		line, err := lineOf(r)
		if err != nil {
			s.problem = err
			return
		}
		select {
		case s.lines <- line:
		case <-s.quit:
			return
		}
	}
}

var errTooLong = fmt.Errorf("it wrote a line of more than %d MiB", longest>>20)

// lineOf reads a line to its end.
func lineOf(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > longest {
			return nil, errTooLong
		}
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(line, []byte("\n")), err
		}
	}
}

// end has the program end, and ends it when it has not after that time. What it
// started itself goes with it, unless that is in a session of its own.
func (s *session) end(within time.Duration) error {
	close(s.quit)
	err := s.stdin.Close()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		_ = syscall.Kill(-s.process.Pid, syscall.SIGKILL) // it may have ended just now
		<-s.ended
	}
	return err
}

// brokenError is a conversation that cannot go on.
type brokenError struct {
	problem string
	said    []string // last, to its standard error; known once the process was given up
	sent    bool     // the request may have been read
}

// Error is what went wrong.
func (e *brokenError) Error() string { return e.problem }

// call is one request under way.
type call struct {
	method  Method
	params  any
	timeout time.Duration // 0: none
	sent    func()
	report  func(Report) error
}

// rest tells whether the program can be asked. One that has ended with nothing
// under way cannot, and that is no error: nobody asked it to stay.
func (s *session) rest() (there bool, err error) {
	select {
	case line, ok := <-s.lines:
		if ok {
			err = s.broken(fmt.Sprintf("it wrote %s without being asked", excerpt(line)), false)
		}
		return false, err
	default:
		return true, nil
	}
}

// ask sends a request and gives its result, an *Error where that is the answer,
// or a *brokenError, after which the session has to be ended.
func (s *session) ask(ctx context.Context, c call) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.last++
	params, err := json.Marshal(c.params)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	request, err := json.Marshal(Request{ID: s.last, Method: c.method, TimeoutMS: c.timeout.Milliseconds(), Params: params})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	if err := s.write(append(request, '\n')); errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, s.broken(fmt.Sprintf("it did not read the request within %s", grace), true)
	} // with any other error it has ended, which await tells
	c.sent()
	return s.await(ctx, c)
}

func (s *session) write(line []byte) error {
	if err := s.stdin.SetWriteDeadline(time.Now().Add(grace)); err != nil {
		return err
	}
	_, err := s.stdin.Write(line)
	return err
}

func (s *session) await(ctx context.Context, c call) (json.RawMessage, error) {
	over, cancelled := timer(c.timeout), ctx.Done()
	var patience <-chan time.Time
	reports := 0
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return nil, s.broken(s.gone()+" without an answer", true)
			}
			answer, err := s.decode(line)
			if err != nil {
				return nil, err
			}
			if answer.Report == nil {
				return answer.Result, asError(answer.Error)
			}
			if reports++; reports > mostReports {
				return nil, s.broken(fmt.Sprintf("it wrote more than %d reports", mostReports), true)
			}
			if err := c.report(*answer.Report); err != nil {
				return nil, s.broken(fmt.Sprintf("it wrote %s: %s", excerpt(line), err), true)
			}
		case <-cancelled:
			cancelled, patience = nil, timer(grace)
			s.cancel()
		case <-patience:
			return nil, s.broken(fmt.Sprintf("asked to stop, it did not within %s", grace), true)
		case <-over:
			return nil, s.broken(fmt.Sprintf("it did not answer within %s", c.timeout), true)
		}
	}
}

func timer(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}

func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// cancel asks the program to stop. One that does not read is ended in time.
func (s *session) cancel() {
	_ = s.write(fmt.Appendf(nil, "{\"id\":%d,\"method\":%q}\n", s.last, MethodCancel)) // or patience ends it
}

// decode reads one line that belongs to the request under way.
func (s *session) decode(line []byte) (Line, error) {
	var l Line
	if err := strict(line, &l); err != nil {
		return l, s.broken(fmt.Sprintf("it wrote %s, which is no line of the protocol: %s", excerpt(line), err), true)
	}
	if l.ID != s.last {
		return l, s.broken(fmt.Sprintf("it answered request %d, which is not under way; %d is", l.ID, s.last), true)
	}
	n := 0
	for _, there := range []bool{l.Report != nil, l.Result != nil, l.Error != nil} {
		if there {
			n++
		}
	}
	if n != 1 {
		return l, s.broken(fmt.Sprintf("it wrote %s, which is not exactly one of a report, a result and an error", excerpt(line)), true)
	}
	return l, nil
}

// gone is how the program came to say no more.
func (s *session) gone() string {
	if errors.Is(s.problem, errTooLong) {
		return s.problem.Error()
	}
	select {
	case <-s.ended:
	case <-time.After(2 * lingering):
		return "it closed its standard output"
	}
	return s.how
}

func (s *session) broken(problem string, sent bool) *brokenError {
	return &brokenError{problem: problem, sent: sent}
}

// giveUp ends the process and adds to the error what it said to its end.
func (s *session) giveUp(err error) error {
	ended := s.end(0)
	var broken *brokenError
	if errors.As(err, &broken) {
		broken.said = s.said.Lines()
	}
	return errors.Join(err, ended)
}

// shown is how much of a line is quoted.
const shown = 100

func excerpt(line []byte) string {
	text := fmt.Sprintf("%.*q", shown, line)
	if len(line) > shown {
		text += "…"
	}
	return text
}

// strict refuses what it does not know, and what comes after the value.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the value")
	}
	return nil
}

// Error is the message.
func (e *Error) Error() string { return e.Message }
