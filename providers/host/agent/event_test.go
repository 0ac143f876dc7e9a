package agent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
	"pleat/spec"
)

// A follower hears every event once and in order, through the death of the
// agent, while instances come and go.
func TestFollowHasNoGapAndNoDuplicateThroughARestart(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	f, err := fleet.New(&spec.Orchestrator{Agents: []string{a.URL}}, "")
	if err != nil {
		t.Fatal(err)
	}
	members, err := f.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var heard []api.Event
	var following sync.WaitGroup
	following.Go(func() {
		err := fleet.Follow(ctx, members, func(_ fleet.Member, e api.Event) error {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, e)
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Follow = %v", err)
		}
	})
	defer following.Wait()
	defer cancel()
	d := a.Definition("1.0.0")
	for round := range 3 {
		for n := range 3 {
			a.Keep(agenttest.Ref("1.0.0", fmt.Sprintf("web.%d", n+1)), d)
		}
		if round == 1 {
			a.Kill()
			a.Restart()
		}
		for n := range 3 {
			r := agenttest.Ref("1.0.0", fmt.Sprintf("web.%d", n+1))
			a.Await(r, planner.Up)
			if err := a.StopInstance(t.Context(), r, api.Stop{Drain: agenttest.Drain()}); err != nil {
				t.Fatal(err)
			}
		}
		agenttest.Until(t, "all are gone", func() error {
			s, err := a.State(t.Context())
			if err != nil || len(s.Instances) > 0 {
				return fmt.Errorf("%v, %v", s.Instances, err)
			}
			return nil
		})
	}
	all, err := a.Events(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "every event was heard", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(heard) < len(all) {
			return fmt.Errorf("%d of %d", len(heard), len(all))
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	// 3 rounds of 3 instances, each pending starting up stopping down.
	if len(heard) != 45 {
		t.Errorf("heard %d events, want 45", len(heard))
	}
	for n, e := range heard {
		if e.Seq != int64(n+1) {
			t.Fatalf("event %d has number %d", n+1, e.Seq)
		}
	}
}

func TestEventsOfOneKey(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	a.Keep(web1, a.Definition("1.0.0"))
	a.Await(web1, planner.Up)
	if err := a.StopInstance(t.Context(), web1, api.Stop{Drain: agenttest.Drain(), Key: "r1/s2"}); err != nil {
		t.Fatal(err)
	}
	events, err := a.Events(t.Context(), 0, "r1/s2")
	if err != nil || len(events) == 0 || events[0].State != planner.Stopping {
		t.Errorf("Events = %v, %v, want those from stopping on", events, err)
	}
}
