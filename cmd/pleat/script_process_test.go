package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// exitsCommand runs a program that must end with that code:
//
//	exits CODE PROGRAM ARGS ...
func exitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := exitCode(ts, ts.Exec(args[1], args[2:]...))
	sceneOf(ts).transcript.WriteString(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func exitCode(ts *testscript.TestScript, err error) int {
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode()
	}
	ts.Check(err)
	return 0
}

// backgroundProcess is a program that a script runs beside itself.
type backgroundProcess struct {
	cmd        *exec.Cmd
	ended      chan struct{}
	howItEnded error // read it after ended is closed
}

// beginCommand runs a program beside the script, under a name; what it prints
// goes to the files NAME.out and NAME.err:
//
//	begin NAME [VARIABLE=VALUE ...] PROGRAM ARGS ...
func beginCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: begin NAME [VARIABLE=VALUE ...] PROGRAM ARGS ...")
	}
	w, name, args := sceneOf(ts), args[0], args[1:]
	var extra []string
	for strings.Contains(args[0], "=") {
		extra, args = append(extra, args[0]), args[1:]
	}
	p := &backgroundProcess{cmd: exec.Command(program(ts, args[0]), args[1:]...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = ts.MkAbs("."), append(w.environ(ts), extra...)
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer out.Close()
	talk, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	defer talk.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, talk
	if w.screen != nil {
		p.cmd.Stdin = w.screen
	}
	if w.onScreen {
		p.cmd.Stdout = w.screen
		seen, err := os.OpenFile(out.Name(), os.O_WRONLY|os.O_APPEND, 0)
		ts.Check(err)
		go func() {
			io.Copy(seen, w.keyboard) // until the terminal is closed
			seen.Close()
		}()
	}
	ts.Check(p.cmd.Start())
	go func() { p.howItEnded = p.cmd.Wait(); close(p.ended) }()
	w.background[name] = p
}

// program finds what testscript put in front of PATH, or what has a path.
func program(ts *testscript.TestScript, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(strings.Split(ts.Getenv("PATH"), ":")[0], name)
}

// environ is the script's environment, as far as it was there at its start.
func (w *scene) environ(ts *testscript.TestScript) []string {
	var out []string
	for _, name := range w.variables {
		out = append(out, name+"="+ts.Getenv(name))
	}
	return out
}

// signalCommand sends a signal to what begin runs:
//
//	signal NAME INT|TERM|KILL|STOP|CONT
func signalCommand(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
	}
	if neg || len(args) != 2 || signals[args[1]] == nil {
		ts.Fatalf("usage: signal NAME INT|TERM|KILL|STOP|CONT")
	}
	ts.Check(sceneOf(ts).background[args[0]].cmd.Process.Signal(signals[args[1]]))
}

// finishCommand waits until what begin runs has ended, with that code (-1: by a
// signal), and prints what it printed:
//
//	finish NAME CODE
func finishCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: finish NAME CODE")
	}
	p := sceneOf(ts).background[args[0]]
	select {
	case <-p.ended:
	case <-time.After(deadline):
		ts.Fatalf("%s: not within %s", args[0], deadline)
	}
	out, talk := ts.ReadFile(args[0]+".out"), ts.ReadFile(args[0]+".err")
	fmt.Fprint(ts.Stdout(), out)
	fmt.Fprint(ts.Stderr(), talk)
	sceneOf(ts).transcript.WriteString(out + talk)
	if got := fmt.Sprint(exitCode(ts, p.howItEnded)); got != args[1] {
		ts.Fatalf("exit code %s, want %s\n%s%s", got, args[1], out, talk)
	}
}

func (p *backgroundProcess) kill() {
	p.cmd.Process.Kill() // one that has ended is no matter
	<-p.ended
}

// listenerCommand takes an address until the script ends:
//
//	listener HOST:PORT
func listenerCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listener HOST:PORT")
	}
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}
