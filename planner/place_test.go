package planner_test

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"

	"pleat/planner"
)

// On another host there would soon be two of an instance that rests.
func TestRestingInstanceIsStartedWhereItIs(t *testing.T) {
	a, err := txtar.ParseFile("../testdata/plan/resting_instance.txtar")
	if err != nil {
		t.Fatal(err)
	}
	sp, st, goal := world(t, a)
	plan, diags := planner.Make(sp, st, goal)
	if plan == nil {
		t.Fatal(diags)
	}
	var got []string
	for _, s := range plan.Steps {
		switch a := s.Action.(type) {
		case *planner.Start:
			got = append(got, fmt.Sprint("start ", a.Release, " ", a.Instances))
		case *planner.Attach:
			got = append(got, fmt.Sprint("attach ", a.Release, " ", a.Instances))
		case *planner.Stop:
			got = append(got, fmt.Sprint("stop ", a.Release, " ", a.Instances))
		}
	}
	want := []string{
		"start 1.0.2 [{web.1 two}]", "attach 1.0.2 [{web.1 two}]", "stop 1.0.1 [{web.1 one}]",
		"start 1.0.2 [{web.2 one}]", "attach 1.0.2 [{web.2 one}]", "stop 1.0.1 [{web.2 two}]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("plan = %q, want %q", got, want)
	}
}
