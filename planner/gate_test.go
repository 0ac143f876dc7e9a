package planner_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pleat/planner"
	"pleat/spec"
)

func open(gate string, kind spec.InquiryKind, service, release string) *planner.Open {
	return &planner.Open{Gate: gate, Inquiry: &spec.Inquiry{Kind: kind}, Service: service, Release: release}
}

func guarded(address spec.Address, deferred string, opens ...*planner.Open) planner.Step {
	s := planner.Step{ID: string(address), Address: address, Deferred: deferred, Limits: planner.Limits{Evidence: time.Minute}}
	for _, o := range opens {
		s.Guards = append(s.Guards, o)
	}
	return s
}

func TestGatesOfARunAreAskedOnceAndCheapOnesFirst(t *testing.T) {
	plan := planner.Plan{Steps: []planner.Step{
		guarded("change.a", "its soak"), guarded("change.free", ""),
		guarded("change.b", "", open("rate", spec.InquiryPrometheus, "", ""), open("rows", spec.InquirySQL, "", ""), open("ci", spec.InquiryFile, "", "")),
		guarded("change.c", "its soak", open("late", spec.InquiryHTTP, "", ""), open("ci", spec.InquiryFile, "", "")),
		guarded("service.users", "", open("ci", spec.InquiryFile, "users", "2"), open("calm", spec.InquiryCommand, "users", "2"), open("rate", spec.InquiryPrometheus, "users", "2")),
		guarded("service.ledger", "", open("calm", spec.InquiryCommand, "ledger", "5"), open("status", spec.InquiryHTTP, "ledger", "5")),
		guarded("service.gone", "", open("gone", spec.InquiryFile, "gone", "1")),
	}}
	plan.Steps[0].Guards = []planner.Guard{&planner.Soak{}}
	plan.Steps[4].Limits.Evidence = time.Hour
	var got []string
	for _, q := range plan.GateQuestions(func(s planner.Step) bool { return s.Address != "service.gone" }) {
		got = append(got, fmt.Sprintf("%s for %s, %s, %q", q.Open.Provider(), q.For, q.Wait, q.Deferred))
	}
	want := []string{
		`gate.ci for [change.b change.c users 2], 1h0m0s, ""`,
		`gate.late for [change.c], 1m0s, "its soak"`,
		`gate.calm for [users 2], 1h0m0s, ""`,
		`gate.calm for [ledger 5], 1m0s, ""`,
		`gate.status for [ledger 5], 1m0s, ""`,
		`gate.rows for [change.b], 1m0s, ""`,
		`gate.rate for [change.b], 1m0s, ""`,
		`gate.rate for [users 2], 1h0m0s, ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// Who asks for more instances gets them, also while something is wrong.
func TestNoGateKeepsAServiceFromBeingScaled(t *testing.T) {
	plan, _ := planned(t, "scaling_asked_for", "2026-11-20T12:00:00Z", "service \"users\" {\n", `gate "calm" {
  file {
    path = "calm.json"
  }
}

service "users" {
  gates = [gate.calm]
`)
	if asked := plan.GateQuestions(func(planner.Step) bool { return true }); plan.Now() == 0 || len(asked) > 0 {
		t.Errorf("%d steps now, and %d gates are asked", plan.Now(), len(asked))
	}
}
