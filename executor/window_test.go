package executor_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/spec"
)

// noon is within the window of the tests, and midnight is not.
var (
	noon     = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	midnight = noon.Add(12 * time.Hour)
)

// windowed is a pause of 100ms that is kept to daylight.
func windowed(id string) planner.Step {
	s := hold(&planner.Pause{For: 100 * time.Millisecond})
	s.ID, s.Title = id, id
	s.Guards = []planner.Guard{&planner.Within{Window: &spec.Window{
		Name: "days", Zone: "UTC", Allows: []spec.Allow{{Days: spec.Days, From: 8 * 60, To: 18 * 60}},
	}}}
	return s
}

// at executes the plan by a clock that begins there and goes on.
func (w *world) at(now func() time.Time) executor.Result {
	w.Helper()
	ctx, cancel := w.bounded()
	defer cancel()
	c := w.config(nil)
	c.Now = now
	result, err := executor.Execute(ctx, c, journal.Run{ID: "r1", Kind: "apply", Plan: json.RawMessage("{}")})
	if err != nil {
		w.Fatal(err)
	}
	return result
}

func since(from time.Time) func() time.Time {
	began := time.Now()
	return func() time.Time { return from.Add(time.Since(began)) }
}

func TestNothingRunsWhileItsWindowIsClosed(t *testing.T) {
	t.Parallel()
	free := hold(&planner.Pause{For: time.Millisecond})
	after := hold(&planner.Pause{For: time.Millisecond})
	after.ID, after.Needs = "after", []string{"kept"}
	w := newWorld(t, windowed("kept"), after, free)
	result := w.at(since(midnight))
	if result.Status != executor.Deferred || !result.Blocked || len(result.Done) != 1 || len(result.Deferred) != 2 {
		t.Fatalf("%s; done %q, deferred %q", result.Status, result.Done, result.Deferred)
	}
	if off := result.Deferred[0]; off.ID != "kept" || !strings.Contains(off.Reason, "window days opens Tue 08:00 UTC") {
		t.Errorf("deferred: %q", off)
	}
}

// The window closes while a step runs: that one finishes, the next one waits.
func TestAStepThatRunsFinishesAndTheNextOneWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, windowed("first"), windowed("second"))
	began := func() bool {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		return slices.ContainsFunc(w.told, func(e executor.StepChanged) bool { return e.Step == "first" && e.Status == executor.StepDone })
	}
	day, night := since(noon), since(midnight)
	result := w.at(func() time.Time {
		if began() {
			return night()
		}
		return day()
	})
	if result.Status != executor.Deferred || len(result.Done) != 1 || len(result.Deferred) != 1 {
		t.Errorf("%s: %v; done %q, deferred %q", result.Status, result.Err, result.Done, result.Deferred)
	}
}

func TestAWindowThatIsAboutToOpenIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := windowed("kept")
	s.Limits.Evidence = 10 * time.Second
	w := newWorld(t, s)
	result := w.at(since(noon.Add(-4*time.Hour - time.Second)))
	if result.Status != executor.Complete || !w.waits("window days opens Mon 08:00 UTC") {
		t.Errorf("%s: %v; told %v", result.Status, result.Err, w.told)
	}
}

// Who overrides a window is in the stream.
func TestAWindowIsOverriddenByNameAndOnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, windowed("kept"))
	w.plan.Overrides = []planner.Override{{Window: "nights", Reason: "wrong one", By: "me"}}
	if result := w.at(since(midnight)); result.Status != executor.Deferred {
		t.Errorf("by the name of another: %s", result.Status)
	}
	w = newWorld(t, windowed("kept"))
	w.plan.Overrides = []planner.Override{{Window: "days", Reason: "incident 4711", By: "me on here"}}
	if result := w.at(since(midnight)); result.Status != executor.Complete {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
	var said string
	if err := w.admin.QueryRow(t.Context(), "select body::text from pleat.event where body->>'type' = 'override'").Scan(&said); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"days"`, `"incident 4711"`, `"me on here"`} {
		if !strings.Contains(said, part) {
			t.Errorf("%s does not say %s", said, part)
		}
	}
}

// The first step was cut short, and may have taken services down: they come back
// whatever the clock says.
func TestNoWindowLeavesServicesHalfDown(t *testing.T) {
	t.Parallel()
	up := hold(&planner.Pause{For: time.Millisecond})
	up.Together = true
	first := down()
	first.Guards = windowed("").Guards
	w, _ := gated(t, first, up, guardedStep())
	w.exec("drop table made")
	w.exec("update schema_migrations set version = 0")
	w.exec("update pleat.entry set status = 'started'")
	ctx, cancel := w.bounded()
	defer cancel()
	c := w.config(nil)
	c.Now = since(midnight)
	result, err := executor.Resume(ctx, c)
	if err != nil || len(result.Done) != 2 {
		t.Errorf("%s: %v, %v; done %q, deferred %q", result.Status, err, result.Err, result.Done, result.Deferred)
	}
}

// A way back keeps to no window.
func TestNoWindowKeepsARunFromGoingBack(t *testing.T) {
	t.Parallel()
	first := down()
	first.Guards = windowed("").Guards
	w, _ := gated(t, first, guardedStep())
	c := w.config(nil)
	c.Now = since(midnight)
	result, err := executor.Back(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.goesBack(result)
}
