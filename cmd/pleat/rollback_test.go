package main

import (
	"strings"
	"testing"

	"pleat/planner"
	"pleat/spec"
)

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
