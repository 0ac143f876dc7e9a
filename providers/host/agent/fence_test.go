package agent_test

import (
	"context"
	"errors"
	"testing"

	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// A holder that lost its lease changes nothing at an agent that has heard of
// the next one, also after the agent was started anew.
func TestAFormerHolderIsRefused(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	by := func(lease string, number int64) context.Context {
		return api.WithFence(t.Context(), api.Fence{Lease: lease, Number: number})
	}
	r := agenttest.Ref("1.0.0", "web.1")
	a.Keep(r, a.Definition("1.0.0"))
	if err := a.Announce(by("a", 2)); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at once", "after a restart"} {
		var refused *api.Error
		if err := a.StopInstance(by("a", 1), r, api.Stop{}); !errors.As(err, &refused) || refused.Code != api.CodeFenced {
			t.Errorf("%s: the former holder got %v", when, err)
		}
		if _, err := a.State(by("a", 1)); err != nil {
			t.Errorf("%s: the former holder may not even look: %v", when, err)
		}
		if when == "at once" {
			a.Kill()
			a.Restart()
		}
	}
	if err := a.StopInstance(by("b", 1), r, api.Stop{}); err != nil {
		t.Errorf("the holder of another lease: %v", err)
	}
	if err := a.StopInstance(by("a", 2), r, api.Stop{}); err != nil {
		t.Errorf("the holder: %v", err)
	}
}
