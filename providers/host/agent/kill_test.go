package agent_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// The agent is killed as soon as its nth event is on disk, while instances
// start and while they stop. The next one finishes both: no process is left,
// none runs twice, and each instance's events tell one life.
func TestAgentKilledAtEachEvent(t *testing.T) {
	refs := []api.Ref{agenttest.Ref("1.0.0", "web.1"), agenttest.Ref("1.0.0", "web.2")}
	life := []string{"pending", "starting", "up", "stopping", "down"}
	for nth := 1; nth <= len(refs)*len(life); nth++ {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			a := agenttest.Start(t, agenttest.Options{})
			pids := filepath.Join(t.TempDir(), "pids")
			d := a.Definition("1.0.0")
			d.Command = append([]string{"sh", "-c", "echo $$ >> " + pids + `; exec "$0" "$@"`}, d.Command...)
			k := killer{t: t, Agent: a, nth: nth}
			for _, r := range refs {
				k.insist(func() error { return a.PutInstance(t.Context(), r, api.Put{Definition: d}) })
			}
			k.await(refs, planner.Up)
			running := 0
			for _, pid := range written(t, pids) {
				if syscall.Kill(-pid, 0) == nil {
					running++
				}
			}
			if running != len(refs) {
				t.Errorf("%d processes run, want %d", running, len(refs))
			}
			for _, r := range refs {
				k.insist(func() error { return a.StopInstance(t.Context(), r, api.Stop{Drain: agenttest.Drain()}) })
			}
			k.await(refs, planner.Down)
			for _, pid := range written(t, pids) {
				gone(t, pid)
			}
			for _, r := range refs {
				if got := history(t, a, r); !slices.Equal(got, life) {
					t.Errorf("history of %s = %q, want %q", r, got, life)
				}
			}
		})
	}
}

func written(t *testing.T, path string) []int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, f := range strings.Fields(string(b)) {
		var pid int
		if _, err := fmt.Sscan(f, &pid); err != nil {
			t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}

// killer kills an agent once, when it has written its nth event.
type killer struct {
	*agenttest.Agent
	t      *testing.T
	nth    int
	killed bool
}

func (k *killer) strike() {
	k.t.Helper()
	b, err := os.ReadFile(filepath.Join(k.Dir, "events.ndjson"))
	if err != nil {
		k.t.Fatal(err)
	}
	if k.killed || bytes.Count(b, []byte("\n")) < k.nth {
		return
	}
	k.killed = true
	k.Kill()
	k.Restart()
}

// insist repeats a call until it is answered, as a provider's retry does.
func (k *killer) insist(call func() error) {
	k.t.Helper()
	agenttest.Until(k.t, "the call is answered", func() error {
		err := call()
		k.strike()
		return err
	})
}

// await looks at the events, not at the agent: it may be dead.
func (k *killer) await(refs []api.Ref, want planner.InstanceState) {
	k.t.Helper()
	agenttest.Until(k.t, fmt.Sprintf("all are %s", want), func() error {
		k.strike()
		var errs []error
		for _, r := range refs {
			if h := history(k.t, k.Agent, r); len(h) == 0 || h[len(h)-1] != string(want) {
				errs = append(errs, fmt.Errorf("%s: %q", r, h))
			}
		}
		return errors.Join(errs...)
	})
}
