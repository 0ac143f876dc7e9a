package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"pleat/planner"
	"pleat/providers/host/api"
)

// dieCommand kills an instance's process by hand, and returns once its agent has
// noticed: another process runs, or none does. With -away, for an agent that was
// killed, it returns once the process has ended.
//
//	die [-away] AGENT RELEASE INSTANCE
func dieCommand(ts *testscript.TestScript, neg bool, args []string) {
	away := len(args) > 0 && args[0] == "-away"
	if away {
		args = args[1:]
	}
	if neg || len(args) != 3 {
		ts.Fatalf("usage: die [-away] AGENT RELEASE INSTANCE")
	}
	pid := func() int { return instanceOf(ts, args[0], args[1], args[2]).PID }
	if away {
		pid = func() int { return recordedPID(ts, args[0], args[1], args[2]) }
	}
	victim := pid()
	if victim == 0 {
		ts.Fatalf("%s %s does not run", args[1], args[2])
	}
	ts.Check(syscall.Kill(victim, syscall.SIGKILL))
	until(ts, "the end of "+args[2], func() bool { return away && dead(victim) || !away && pid() != victim })
}

// strayCommand asks an agent for an instance by hand, as nobody who carries out a run
// does, with a program that is not there, and has it forgotten once that is seen.
//
//	stray AGENT SERVICE RELEASE INSTANCE
func strayCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: stray AGENT SERVICE RELEASE INSTANCE")
	}
	ctx, agent := context.Background(), sceneOf(ts).client(ts, args[0])
	process, _, _ := strings.Cut(args[3], ".")
	ref := api.Ref{Service: args[1], Release: args[2], Instance: args[3]}
	ts.Check(agent.PutInstance(ctx, ref, api.Put{Definition: api.Definition{Process: process, Command: []string{"not-there"}}}))
	until(ts, "the end of "+ref.String(), func() bool { return instanceOf(ts, args[0], args[2], args[3]).State == planner.Down })
	ts.Check(agent.StopInstance(ctx, ref, api.Stop{}))
}

// recordedPID is what an agent wrote down of an instance's process.
func recordedPID(ts *testscript.TestScript, agent, release, instance string) int {
	files, err := filepath.Glob(filepath.Join(sceneOf(ts).sockets, agent, "instances", "*,"+release+","+instance+".json"))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("%s has %d records of %s %s", agent, len(files), release, instance)
	}
	b, err := os.ReadFile(files[0])
	ts.Check(err)
	return pidIn(b)
}

// dead tells whether a process has ended, collected or not.
func dead(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ") || syscall.Kill(pid, 0) == syscall.ESRCH
}

// instanceOf is what an agent knows of an instance, zero when that is nothing.
func instanceOf(ts *testscript.TestScript, agent, release, instance string) api.Instance {
	st, err := sceneOf(ts).client(ts, agent).State(context.Background())
	ts.Check(err)
	for _, i := range st.Instances {
		if i.Release == release && i.Instance == instance {
			return i
		}
	}
	return api.Instance{}
}
