package executor_test

import (
	"slices"
	"strings"
	"testing"

	"pleat/executor"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// cleanup takes away what it takes away, and the server refuses it.
func cleanup() planner.Step {
	s := migrateTo(1, "select 1 / 0", &planner.Undo{Title: "down", Action: &planner.Migrate{
		Database: "main", Migrations: "other", Table: spec.ParseTable("others"), From: 1, To: 0, SQL: "select 1",
	}})
	a := *s.Action.(*planner.Migrate)
	a.Migrations, a.Table = "other", spec.ParseTable("others")
	s.ID, s.Address, s.Action, s.Safety = "migrations.other/1", "migrations.other", &a, planner.Idempotent
	s.Cleanup, s.Title = true, "users 1.0.0 web 1"
	return s
}

func named(id string, s planner.Step, needs ...string) planner.Step {
	s.ID, s.Needs = id, needs
	return s
}

// What was rolled out stands when what it took the place of cannot be taken away:
// the run goes on with all that does not need it, and says what is left.
func TestACleanupThatFailsTakesNothingBack(t *testing.T) {
	t.Parallel()
	needs := named("needs", hold(&planner.Pause{}), cleanup().ID)
	w := newWorld(t, down(), cleanup(), needs, named("other", hold(&planner.Pause{})))
	result := w.execute(nil)
	if result.Status != executor.Deferred || result.Err != nil {
		t.Fatalf("%s: %v", result.Status, result.Err)
	}
	if len(result.Done) != 2 || len(result.Summary.Deferred) != 2 || result.Summary.Failed != "" {
		t.Errorf("done %q, deferred %q, failed %q", result.Done, result.Summary.Deferred, result.Summary.Failed)
	}
	for _, off := range result.Summary.Deferred {
		if !strings.Contains(off.Reason, "users 1.0.0 web 1 could not be stopped: ") || !strings.Contains(off.Reason, "division by zero") {
			t.Errorf("%q does not say why", off)
		}
	}
	if !slices.ContainsFunc(w.told, func(e executor.StepChanged) bool {
		return e.Status == executor.StepFailed && e.Detail == "going on: what was rolled out stands"
	}) {
		t.Errorf("nobody was told: %v", w.told)
	}
	if !pgtest.Value[bool](t, w.admin, "select to_regclass('made') is not null") {
		t.Error("what came before was taken back")
	}
}

// A run that fails later takes back also what a cleanup that failed may have done.
func TestACleanupThatFailedIsTakenBackWithTheRest(t *testing.T) {
	t.Parallel()
	fails := named("fails", cleanup())
	fails.Cleanup = false
	w := newWorld(t, down(), cleanup(), fails)
	w.goesBack(w.execute(nil))
	if !slices.ContainsFunc(w.told, func(e executor.StepChanged) bool {
		return e.Step == cleanup().ID && e.Status == executor.StepUndone
	}) {
		t.Errorf("the cleanup was not taken back: %v", w.told)
	}
}
