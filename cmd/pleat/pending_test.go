package main

import (
	"slices"
	"testing"

	"pleat/executor"
	"pleat/planner"
)

// The end of a run says why steps are put off as of now, each by itself: what the plan had
// put off may wait for something else by then, and what the run put off keeps its reason.
func TestReasonsAreThoseOfNow(t *testing.T) {
	step := func(id, why string) planner.Step {
		return planner.Step{ID: id, Kind: planner.KindContract, Title: "hide users.name", Deferred: why}
	}
	word := planner.NeedsWords([]string{"db:users.name"})
	plan := &planner.Plan{Steps: []planner.Step{
		step("a", "no quiet time yet"), step("b", "no quiet time yet"), step("gone", "no quiet time yet"), step("word", word), step("run", ""),
	}}
	fresh := &planner.Plan{Steps: []planner.Step{step("a", "soak 24h left"), step("b", "soak 1h left"), step("word", "soak 2h left"), step("run", "soak 3h left")}}
	var off []executor.PutOff
	for _, s := range plan.Steps {
		off = append(off, executor.PutOff{ID: s.ID, Step: "1 contract hide users.name", Reason: s.Deferred})
	}
	off[4].Reason = "window nights opens Tue 01:00"
	var got []string
	for _, o := range reasonsNow(off, plan, fresh) {
		got = append(got, o.Reason)
	}
	want := []string{"soak 24h left", "soak 1h left", "no quiet time yet", word, "window nights opens Tue 01:00"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
