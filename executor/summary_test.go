package executor_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pleat/executor"
	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

func backfill() planner.Step {
	return planner.Step{
		ID: "change.fill/backfill.items", Address: "change.fill", Kind: planner.KindBackfill, Title: "items rows", Cause: "it is wanted",
		Action: &planner.Backfill{
			Database: "main", Change: "fill", Unit: "backfill.items", Table: spec.ParseTable("items"), Key: []string{"id"},
			Set: []migrations.Assignment{{Column: "full_name", Expression: "name"}}, Where: "full_name is null",
			Batch: 2, Cursor: "one", Digest: "one",
		},
		Undo: &planner.Undo{Title: "may stay half done"}, Safety: planner.Idempotent,
	}
}

// A back-fill of a run that is taken back stays, and the summary says so: no step
// is left out of it, whether the run goes back at once or after it was killed.
func TestASummaryLeavesNoStepOut(t *testing.T) {
	t.Parallel()
	fails := migrateTo(2, "select no_such_function()", nil)
	fails.ID = "migrations.schema/2"
	never := named("never", hold(&planner.Pause{}))
	for _, killed := range []bool{false, true} {
		t.Run(map[bool]string{false: "at once", true: "after it was killed"}[killed], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, down(), backfill(), fails, never)
			w.exec("create table items (id bigint primary key, name text not null, full_name text)")
			w.exec("insert into items select n, 'x' from generate_series(1, 5) n")
			var result executor.Result
			if killed {
				w.dies("rollback.in_undo:1")
				result = w.resume(nil)
			} else {
				result = w.execute(nil)
			}
			if result.Status != executor.RolledBack {
				t.Fatalf("%s: %v", result.Status, result.Err)
			}
			is := func(what string, got []string, want ...string) {
				if !slices.Equal(got, want) {
					t.Errorf("%s: %q, not %q", what, got, want)
				}
			}
			is("done", result.Done, "2 backfill items rows")
			is("undone", result.Undone, "1 migrate schema to 1")
			is("failed", []string{result.Summary.Failed}, "3 migrate schema to 1")
			is("not started", result.NotStarted, "4 hold users 1.0.1 kept")
			if got := pgtest.Value[int64](t, w.admin, "select count(*) from items where full_name = name"); got != 5 {
				t.Errorf("%d rows are filled", got)
			}
		})
	}
}

// What a run put off is told by the step's ID and the reason. A journal of a run from
// before that had a line of text is read as well.
func TestWhatWasPutOffIsReadBack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]executor.PutOff{
		`{"id": "change.names/expand", "step": "1 expand users", "reason": "not: yet"}`: {ID: "change.names/expand", Step: "1 expand users", Reason: "not: yet"},
		`"1 expand users: not: yet"`: {Step: "1 expand users", Reason: "not: yet"},
	} {
		e, err := executor.ReadEvent(json.RawMessage(`{"type": "run", "status": "deferred", "summary": {"deferred": [` + text + `]}}`))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := e.(executor.RunChanged).Summary.Deferred; !slices.Equal(got, []executor.PutOff{want}) {
			t.Errorf("%s is read as %+v", text, got)
		}
	}
}
