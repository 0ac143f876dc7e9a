package executor_test

import (
	"slices"
	"testing"
	"time"

	"pleat/executor"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

func migrateTo(to uint64, up string, undo *planner.Undo) planner.Step {
	return planner.Step{
		ID: "migrations.schema/1", Address: "migrations.schema", Kind: planner.KindMigrate, Title: "schema to 1", Cause: "it is wanted",
		Action: migration(to-1, to, up), Undo: undo, Safety: planner.Probed,
	}
}

func migration(from, to uint64, sql string) *planner.Migrate {
	return &planner.Migrate{Database: "main", Migrations: "schema", Table: spec.ParseTable("schema_migrations"), From: from, To: to, SQL: sql}
}

func checkpoint() planner.Step {
	return planner.Step{
		ID: "checkpoint/1", Address: "checkpoint", Kind: planner.KindCheckpoint, Title: "1", Cause: "-",
		Action: &planner.Checkpoint{}, Undo: &planner.Undo{Title: "-"}, Safety: planner.Idempotent,
	}
}

// A migration that the releases before live with stays when a run is taken
// back, also past a checkpoint; one that they do not live with is taken back.
func TestWhatBecomesOfAMigrationWhenARunIsTakenBack(t *testing.T) {
	down := &planner.Undo{Title: "down", Action: migration(1, 0, "drop table made")}
	tests := []struct {
		name  string
		steps []planner.Step
		stays bool
	}{
		{"it stays", []planner.Step{migrateTo(1, "create table made ()", &planner.Undo{Title: "stays"})}, true},
		{"it stays behind a checkpoint", []planner.Step{migrateTo(1, "create table made ()", &planner.Undo{Title: "stays"}), checkpoint()}, true},
		{"it goes", []planner.Step{migrateTo(1, "create table made ()", down)}, false},
		{"it goes past a checkpoint", []planner.Step{migrateTo(1, "create table made ()", down), checkpoint()}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, append(test.steps, hold(&planner.Pause{For: time.Hour}))...)
			w.execute(w.stopWhile("it waits", func() bool { return w.waits("users 1.0.1 kept") }))
			way, err := executor.WayBack(t.Context(), w.config(nil))
			if err != nil {
				t.Fatal(err)
			}
			isIt := func(s planner.Step) bool { return s.Kind == planner.KindMigrate }
			if slices.ContainsFunc(way.Kept, isIt) != test.stays || slices.ContainsFunc(way.Undone, isIt) == test.stays {
				t.Errorf("the way back keeps %v and undoes %v", way.Kept, way.Undone)
			}
			result, err := executor.Back(t.Context(), w.config(nil))
			if err != nil || result.Status != executor.RolledBack {
				t.Fatalf("%s: %v, %v", result.Status, result.Err, err)
			}
			if got := pgtest.Value[bool](t, w.admin, "select to_regclass('made') is not null"); got != test.stays {
				t.Errorf("the table is there: %v", got)
			}
			if slices.Contains(result.Done, "1 migrate schema to 1") != test.stays || slices.Contains(result.Undone, "1 migrate schema to 1") == test.stays {
				t.Errorf("done %q, undone %q", result.Done, result.Undone)
			}
		})
	}
}

// The step after a migration fails: what was migrated stays where the plan
// says so.
func TestAMigrationStaysWhenALaterStepFails(t *testing.T) {
	t.Parallel()
	fails := migrateTo(2, "select no_such_function()", nil)
	fails.ID = "migrations.schema/2"
	w := newWorld(t, migrateTo(1, "create table made ()", &planner.Undo{Title: "stays"}), fails)
	result := w.execute(nil)
	if result.Status != executor.RolledBack || len(result.Done) != 1 || len(result.Undone) != 0 {
		t.Errorf("%s: done %q, undone %q", result.Status, result.Done, result.Undone)
	}
	if got := pgtest.Value[int64](t, w.admin, "select version from schema_migrations"); got != 1 {
		t.Errorf("live version is %d", got)
	}
}
