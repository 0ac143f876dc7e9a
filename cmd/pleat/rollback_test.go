package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pleat/planner"
	"pleat/spec"
)

// A release that comes later has replaced nothing yet, and never served; one that is only
// kept for a while was replaced.
func TestNobodyGoesBackFromWhatComesLater(t *testing.T) {
	start := func(service, release, deferred string) planner.Step {
		return planner.Step{Action: &planner.Start{Service: service, Release: release}, Deferred: deferred}
	}
	stop := func(service, release, deferred string) planner.Step {
		return planner.Step{Action: &planner.Stop{Service: service, Release: release}, Deferred: deferred}
	}
	plan := &planner.Plan{Steps: []planner.Step{
		start("other", "r2", ""), stop("other", "r1", ""),
		start("kept", "r2", ""), stop("kept", "r1", "kept r1 kept for 30m"),
		stop("first", "r1", "it comes later"), start("first", "r2", "it comes later"),
		start("later", "r2", "it comes later"), stop("later", "r1", "it comes later"),
	}}
	if got, want := replaced(plan), map[string]string{"other": "r1", "kept": "r1"}; !maps.Equal(got, want) {
		t.Errorf("it replaced %v, want %v", got, want)
	}
	if got, want := brought(plan), []string{"other@r2", "kept@r2"}; !slices.Equal(got, want) {
		t.Errorf("it brought %v, want %v", got, want)
	}
}

// TestRollbackLeavesTheOthersWhereTheyAre: a service that is not named stays,
// in whatever state its instances are, and is never rolled out to what the spec
// says.
func TestRollbackLeavesTheOthersWhereTheyAre(t *testing.T) {
	tests := []struct {
		name      string
		instances []planner.Instance
		want      string // the release, or what the refusal says
	}{
		{"up", []planner.Instance{{Release: "1", State: planner.Up}}, "1"},
		{"starting", []planner.Instance{{Release: "1", State: planner.Starting}}, "1"},
		{"pending", []planner.Instance{{Release: "1", State: planner.Pending}}, "1"},
		{"down", []planner.Instance{{Release: "1", State: planner.Down}}, "1"},
		{"another one leaves", []planner.Instance{{Release: "1", State: planner.Stopping}, {Release: "2", State: planner.Up}}, "2"},
		{"several", []planner.Instance{{Release: "2", State: planner.Up}, {Release: "1", State: planner.Starting}}, "1 and 2 run"},
		{"none", nil, "nothing of it runs"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := &spec.Orchestrator{Kind: "host", Name: "local"}
			w := &world{spec: &spec.Spec{Services: []*spec.Service{
				{Name: "a", Orchestrator: o}, {Name: "b", Orchestrator: o},
			}}}
			live := &planner.Orchestrator{Instances: []planner.Instance{{Service: "a", Release: "3", State: planner.Up}}}
			for _, i := range test.instances {
				i.Service = "b"
				live.Instances = append(live.Instances, i)
			}
			st := &planner.State{Orchestrators: map[string]*planner.Orchestrator{string(o.Address()): live}}
			goal := planner.Goal{Rollback: true, Releases: map[string]string{"a": "1"}}
			err := w.stays(goal, st)
			if err == nil && goal.Releases["b"] != test.want {
				t.Errorf("b = %q, want %q", goal.Releases["b"], test.want)
			}
			if err != nil && (!strings.Contains(err.Error(), test.want) || codeOf(err) != exitError) {
				t.Errorf("err = %v, want %q", err, test.want)
			}
		})
	}
}
