package planner_test

import (
	"testing"

	"pleat/planner"
	"pleat/spec"
)

// TestMissing: every action of an orchestrator and a router needs something, and
// what it is about needs more.
func TestMissing(t *testing.T) {
	all := []planner.Ability{
		planner.CanStart, planner.CanStop, planner.CanSmoke, planner.CanHandover, planner.CanTask, planner.CanRoles,
		planner.CanAttach, planner.CanDrain, planner.CanWeigh, planner.CanHold,
	}
	process := func(p planner.ProcessDefinition) planner.Action { return &planner.Start{Definition: p} }
	confined := func(c spec.Confinement) planner.Action { return process(planner.ProcessDefinition{Confinement: c}) }
	for _, c := range []struct {
		action planner.Action
		also   planner.Ability // that it needs
	}{
		{&planner.Start{}, ""}, {&planner.Stop{}, ""}, {&planner.Smoke{}, ""}, {&planner.Handover{}, ""}, {&planner.Task{}, ""},
		{&planner.Roles{}, ""}, {&planner.Attach{}, ""}, {&planner.Drain{}, ""}, {&planner.Weigh{}, ""}, {&planner.HoldTraffic{}, ""},
		{process(planner.ProcessDefinition{Checks: []*spec.Check{{Kind: spec.CheckGRPC}}}), planner.CanCheckGRPC},
		{process(planner.ProcessDefinition{Protocol: spec.HTTP2}), planner.CanHTTP2},
		{confined(spec.Confinement{Limits: spec.Limits{CPU: 1}}), planner.CanLimit},
		{confined(spec.Confinement{User: "app"}), planner.CanUser},
		{confined(spec.Confinement{WorkingDirectory: "/srv"}), planner.CanWorkingDirectory},
		{confined(spec.Confinement{Secrets: map[string]string{"A": "/a"}}), planner.CanSecrets},
		{&planner.Task{Definition: planner.ProcessDefinition{Confinement: spec.Confinement{User: "app"}}}, planner.CanUser},
		{&planner.Smoke{Checks: []*spec.Check{{Kind: spec.CheckExec}}}, planner.CanCheckExec},
		{&planner.Attach{HTTP2: true}, planner.CanHTTP2},
		{&planner.Weigh{Split: planner.Split{Rules: []planner.Rule{{Header: "X"}}}}, planner.CanMatch},
		{&planner.Weigh{Split: planner.Split{Sticky: &planner.Sticky{Cookie: "x"}}}, planner.CanStick},
	} {
		if planner.Missing(nil, c.action) == "" {
			t.Errorf("%T needs nothing", c.action)
		}
		if got := planner.Missing(all, c.action); got != c.also {
			t.Errorf("%+v needs %q besides, want %q", c.action, got, c.also)
		}
		if got := planner.Missing(append(all, c.also), c.action); got != "" {
			t.Errorf("%+v still needs %q", c.action, got)
		}
	}
}
