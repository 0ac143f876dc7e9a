package executor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pleat/executor"
	"pleat/planner"
	"pleat/spec"
)

// rollout is what a release goes through, and a gate that closes while one of its
// steps is applied, and is open again once it was asked.
type rollout struct {
	calls  []string
	closes string // the step
	closed bool
	ill    bool // what was tried answers badly from its second time on
	tried  bool
}

func (r *rollout) Apply(_ context.Context, _ planner.Ticket, s planner.Step, _ func(planner.Report)) error {
	r.calls = append(r.calls, s.ID)
	if s.ID == r.closes {
		r.closed, r.closes = true, ""
	}
	if s.Kind != planner.KindSmoke {
		return nil
	}
	again := r.tried
	r.tried = true
	if again && r.ill {
		return errors.New("it is ill by now")
	}
	return nil
}

func (r *rollout) Probe(context.Context, planner.Ticket, planner.Step) (planner.Outcome, error) {
	return planner.NotDone, nil
}

func (r *rollout) Ask(context.Context, planner.Ticket, planner.Guard) (planner.Answer, error) {
	closed := r.closed
	r.closed = false
	if closed {
		return planner.Answer{Reason: "an incident", Closed: true}, nil
	}
	return planner.Answer{Met: true}, nil
}

// steps bring a release up beside another one, which has all requests until the last.
func (r *rollout) steps() []planner.Step {
	one := []planner.Placement{{Instance: "web.1", Host: "a"}}
	weigh := func(percent int) planner.Action {
		return &planner.Weigh{Router: "router.proxy.edge", Service: "users", Release: "r2", Split: planner.Split{
			Shares: []planner.Share{{Release: "r1", Percent: 100 - percent}, {Release: "r2", Percent: percent}},
		}}
	}
	step := func(id string, kind planner.Kind, a planner.Action) planner.Step {
		return planner.Step{
			ID: id, Address: "service.users", Kind: kind, Title: id, Cause: "it is a test", Action: a, Undo: &planner.Undo{Title: "-"},
			Safety: planner.Idempotent, Guards: calm(), Limits: planner.Limits{Evidence: 20 * time.Second},
		}
	}
	return []planner.Step{
		step("none", planner.KindWeight, weigh(0)),
		step("try", planner.KindSmoke, &planner.Smoke{Orchestrator: "orchestrator.host.local", Service: "users", Release: "r2", Process: "web", Instances: one}),
		step("attach", planner.KindAttach, &planner.Attach{Router: "router.proxy.edge", Service: "users", Release: "r2", Process: "web", Instances: one}),
		step("all", planner.KindWeight, weigh(100)),
		step("later", planner.KindWeight, weigh(100)),
	}
}

// A verdict is of the attempt that came to it: after a wait for the gate, who was tried
// is tried again before it gets requests, and not once it has them.
func TestWhoWaitedSinceItWasTriedIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    rollout
		want string
	}{
		"no wait":                     {rollout{}, "none try attach all later"},
		"before it was tried":         {rollout{closes: "none"}, "none try attach all later"},
		"before it is attached":       {rollout{closes: "try"}, "none try try attach all later"},
		"before it has a share":       {rollout{closes: "attach"}, "none try attach try all later"},
		"once it has all":             {rollout{closes: "all"}, "none try attach all later"},
		"and it is ill":               {rollout{closes: "try", ill: true}, "none try try"},
		"and it is ill, with a share": {rollout{closes: "attach", ill: true}, "none try attach try"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &c.r
			w := newWorld(t, r.steps()...)
			w.more = map[spec.Address]executor.Applier{"gate.calm": r, "router.proxy.edge": r, "orchestrator.host.local": r}
			result := w.execute(nil)
			if got := strings.Join(r.calls, " "); got != c.want {
				t.Errorf("%s: %v; it did %s, want %s", result.Status, result.Err, got, c.want)
			}
			if !c.r.ill {
				return
			}
			if result.Status != executor.RolledBack || result.Failed != "2 smoke try" || result.Err.Error() != "it is ill by now" {
				t.Errorf("%s: %v; failed: %s", result.Status, result.Err, result.Failed)
			}
		})
	}
}
