package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"pleat/planner"
	"pleat/providers/host/api"
)

// views are what of an agent's state can be sampled; "" is nothing to tell.
var views = map[string]func(api.State) string{"roles": clusterOf, "serving": servingIn, "performing": performing}

// samples are what an agent was seen to be, without what it was just before.
type samples struct {
	cancel context.CancelFunc
	ended  sync.WaitGroup
	seen   []string // read it after ended
}

// sampleCommand looks at an agent all the time:
//
//	sample start roles|serving|performing AGENT
//	sample stop     (prints what it saw, a line whenever that changed)
//
// roles are the releases of a cluster that is whole, as PRIMARY/SYNC/[ASYNC,...];
// serving is how many instances get requests from the agent's router; performing how
// many say that they are about to take over, for whatever run.
func sampleCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := sceneOf(ts)
	switch {
	case !neg && len(args) == 3 && args[0] == "start" && views[args[1]] != nil:
		w.samples = startSamples(w.client(ts, args[2]), views[args[1]])
	case !neg && len(args) == 1 && args[0] == "stop":
		w.samples.stop()
		fmt.Fprintln(ts.Stdout(), strings.Join(w.samples.seen, "\n"))
	default:
		ts.Fatalf("usage: sample start roles|serving|performing AGENT, sample stop")
	}
}

func startSamples(agent *api.Client, view func(api.State) string) *samples {
	ctx, cancel := context.WithCancel(context.Background())
	s := &samples{cancel: cancel}
	s.ended.Go(func() {
		for ctx.Err() == nil {
			st, err := agent.State(ctx)
			if now := view(st); err == nil && now != "" && (len(s.seen) == 0 || s.seen[len(s.seen)-1] != now) {
				s.seen = append(s.seen, now)
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return s
}

// stop ends the samples; a second call does nothing.
func (s *samples) stop() {
	s.cancel()
	s.ended.Wait()
}

func clusterOf(st api.State) string {
	by := map[planner.Role][]string{}
	up := 0
	for _, i := range st.Instances {
		if i.State == planner.Up {
			by[planner.Role(i.Role)] = append(by[planner.Role(i.Role)], i.Release)
			up++
		}
	}
	asyncs := by[planner.Async]
	if len(by[planner.Primary]) != 1 || len(by[planner.Sync]) != 1 || 2+len(asyncs) != up {
		return ""
	}
	slices.Sort(asyncs)
	return fmt.Sprintf("%s/%s/[%s]", by[planner.Primary][0], by[planner.Sync][0], strings.Join(asyncs, ","))
}

func servingIn(st api.State) string {
	n := 0
	for _, r := range st.Routes {
		for _, b := range r.Backends {
			if b.Serving {
				n++
			}
		}
	}
	return fmt.Sprint(n)
}

func performing(st api.State) string {
	n := 0
	for _, i := range st.Instances {
		if strings.HasSuffix(i.Handover, " performing") {
			n++
		}
	}
	return fmt.Sprint(n)
}
