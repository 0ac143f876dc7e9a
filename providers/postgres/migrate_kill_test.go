package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"pleat/executor/crash"
	"pleat/planner"
	"pleat/providers/postgres"
)

// victim names the database in which a process of the tests works, to die on the
// way.
const (
	victim      = "PLEAT_TEST_VICTIM"
	victimFile  = "PLEAT_TEST_VICTIM_FILE"  // the SQL that it migrates by
	victimRows  = "PLEAT_TEST_VICTIM_ROWS"  // or the rows of a batch of its back-fill
	victimIndex = "PLEAT_TEST_VICTIM_INDEX" // or that an index comes or goes
)

func TestMain(m *testing.M) {
	if url := os.Getenv(victim); url != "" {
		os.Exit(workToDie(url))
	}
	os.Exit(m.Run())
}

func workToDie(url string) int {
	db := worldDatabase(url)
	step := killed(os.Getenv(victimFile))
	if rows := os.Getenv(victimRows); rows != "" {
		step = killedFill(rows)
	}
	switch os.Getenv(victimIndex) {
	case "comes":
		step = slowIndex()
	case "goes":
		step = goingIndex()
	}
	err := postgres.New(db, crash.At).Apply(context.Background(), planner.Ticket{Run: "r1", Lease: "test", Fence: 1}, step, func(planner.Report) {})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func killed(sql string) planner.Step {
	return planner.Step{ID: "killed", Action: migrateTo(1, 2, sql)}
}

// dies runs the file in a process that is killed at the n-th time that it comes
// to a point, and tells whether it came there.
func (w *world) dies(point string, n int, sql string) bool {
	w.Helper()
	program, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	c := exec.CommandContext(w.Context(), program)
	c.Env = append(os.Environ(), victim+"="+w.url, victimFile+"="+sql, fmt.Sprintf("%s=%s:%d", crash.Variable, point, n))
	err = c.Run()
	var died *exec.ExitError
	if err != nil && (!errors.As(err, &died) || died.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
		w.Fatalf("it was not killed: %v", err)
	}
	return err != nil
}

func TestAMigrationWhoseProcessIsKilledRunsOnce(t *testing.T) {
	for _, point := range []string{"step.sent", "step.commit_sent"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "create table ran (n int)")
			w.apply(migrateTo(0, 1, addRow(1)))
			if !w.dies(point, 1, addRow(2)) {
				t.Fatal("it did not come there")
			}
			step := killed(addRow(2))
			want := map[string]planner.Outcome{"1": planner.NotDone, "2": planner.Done}
			if got := w.probe(step); got != want[w.live()] {
				t.Errorf("probe says %v at version %s", got, w.live())
			}
			if err := w.try(t.Context(), step); err != nil {
				t.Errorf("applying again: %v", err)
			}
			if got := w.ran() + " at " + w.live() + " " + w.value("select count(*)::text from pleat.mark where step = 'killed'"); got != "1 2 at 2 1" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Killed wherever the file can stand, it is gone on with where it stood.
func TestAFileWhoseProcessIsKilledRunsEachStatementOnce(t *testing.T) {
	const sql = "insert into ran values (2);\ncreate index concurrently i on ran (n);\nbegin; insert into ran values (3); insert into ran values (4); commit;\nvacuum ran;\ninsert into ran values (5)"
	points := []string{"step.sent", "step.commit_sent", "migrate.intended", "migrate.sent", "migrate.between", "index.building"}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "create table ran (n int)")
			for n := 1; ; n++ {
				w.provider = postgres.New(w.db, nil) // this one never saw the marks that go
				w.exec("truncate ran; drop index if exists i; drop table if exists schema_migrations; delete from pleat.mark; delete from pleat.applied; delete from pleat.halfway")
				w.apply(migrateTo(0, 1, addRow(1)))
				if !w.dies(point, n, sql) {
					if n == 1 {
						t.Error("it never came there")
					}
					return
				}
				if got := w.probe(killed(sql)); got == planner.Unknown {
					t.Errorf("%d: probe says %v at version %s", n, got, w.live())
				}
				if err := w.try(t.Context(), killed(sql)); err != nil {
					t.Fatalf("%d: applying again: %v", n, err)
				}
				got := w.ran() + " at " + w.live() + " " + w.value("select count(*)::text from pg_index where indexrelid = to_regclass('i') and indisvalid") + w.value("select count(*)::text from pg_index where not indisvalid")
				if got != "1 2 3 4 5 at 2 10" {
					t.Errorf("%d: got %s", n, got)
				}
			}
		})
	}
}
