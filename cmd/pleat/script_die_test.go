package main

import (
	"context"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"pleat/providers/host/api"
)

// dieCommand kills an instance's process by hand, and returns once its agent has
// noticed: another process runs, or none does.
//
//	die AGENT RELEASE INSTANCE
func dieCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: die AGENT RELEASE INSTANCE")
	}
	pid := func() int { return instanceOf(ts, args[0], args[1], args[2]).PID }
	victim := pid()
	if victim == 0 {
		ts.Fatalf("%s %s does not run", args[1], args[2])
	}
	ts.Check(syscall.Kill(victim, syscall.SIGKILL))
	until(ts, "the end of "+args[2], func() bool { return pid() != victim })
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
