package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// contendCommand runs a program N times at once. Once all but one have ended it
// makes FILE, which the last one waits for. It prints how many ended with which
// code, and puts what those that ended first said into refusals:
//
//	contend N FILE PROGRAM ARGS ...
func contendCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: contend N FILE PROGRAM ARGS ...")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	outcomes := make(chan outcome)
	var all sync.WaitGroup
	defer all.Wait()
	for range n {
		cmd := exec.Command(program(ts, args[2]), args[3:]...)
		cmd.Dir, cmd.Env = ts.MkAbs("."), sceneOf(ts).environ(ts)
		all.Go(func() {
			out, err := cmd.CombinedOutput()
			outcomes <- outcome{string(out), err}
		})
	}
	codes := map[int]int{}
	refusals := ""
	for i := range n {
		if i == n-1 {
			ts.Check(os.WriteFile(args[1], nil, 0o644))
		}
		o := <-outcomes
		codes[exitCode(ts, o.err)]++
		if i < n-1 {
			refusals += o.output
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("refusals"), []byte(refusals), 0o644))
	for code := range 256 {
		if codes[code] > 0 {
			fmt.Fprintf(ts.Stdout(), "exit %d: %d\n", code, codes[code])
		}
	}
}

// outcome is how a program ended and what it said.
type outcome struct {
	output string
	err    error
}

// chainCommand deploys N times, r2 and r1 by turns, each as soon as the events of
// the one before have its end: that one's process may still be there. None may be
// refused.
//
//	chain N
func chainCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: chain N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := range n {
		turn(ts, i)
		name := fmt.Sprintf("deploy%d", i)
		events := ts.MkAbs(name + ".jsonl")
		ts.Check(os.RemoveAll(events)) // of a chain before
		beginCommand(ts, false, []string{name, "pleat", "apply", "--auto-approve", "--events", events})
		until(ts, name, func() bool {
			if sceneOf(ts).background[name].failed() {
				finishCommand(ts, false, []string{name, "0"})
			}
			b, err := os.ReadFile(events)
			return err == nil && bytes.Contains(b, []byte(`"type":"run","status":"complete"`))
		})
	}
	for i := range n {
		finishCommand(ts, false, []string{fmt.Sprintf("deploy%d", i), "0"})
	}
}

// failed tells whether the process has ended, and not well.
func (p *backgroundProcess) failed() bool {
	select {
	case <-p.ended:
		return p.howItEnded != nil
	default:
		return false
	}
}

// turn makes the spec want the other one of r1 and r2.
func turn(ts *testscript.TestScript, i int) {
	from, to := "r1", "r2"
	if i%2 == 1 {
		from, to = to, from
	}
	replaceCommand(ts, false, []string{"demo.pleat.hcl", `release  = "` + from + `"`, `release  = "` + to + `"`})
}
