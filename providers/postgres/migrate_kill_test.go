package postgres_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"pleat/executor/crash"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/spec"
)

// victim names the database in which a process of the tests migrates, to die
// on the way.
const victim = "PLEAT_TEST_VICTIM"

func TestMain(m *testing.M) {
	if url := os.Getenv(victim); url != "" {
		os.Exit(migrateToDie(url))
	}
	os.Exit(m.Run())
}

func migrateToDie(url string) int {
	db := &spec.Database{Name: "main", URL: spec.Secret("test", url)}
	err := postgres.New(db, crash.At).Apply(context.Background(), planner.Ticket{Run: "r1", Lease: "test", Fence: 1}, killed, func(planner.Report) {})
	if err != nil {
		return 1
	}
	return 0
}

var killed = planner.Step{ID: "killed", Action: migrateTo(1, 2, addRow(2))}

func TestAMigrationWhoseProcessIsKilledRunsOnce(t *testing.T) {
	for _, point := range []string{"step.sent", "step.commit_sent"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "create table ran (n int)")
			w.apply(migrateTo(0, 1, addRow(1)))
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), program)
			c.Env = append(os.Environ(), victim+"="+w.url, crash.Variable+"="+point)
			err = c.Run()
			var died *exec.ExitError
			if !errors.As(err, &died) || died.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed: %v", err)
			}
			want := map[string]planner.Outcome{"1": planner.NotDone, "2": planner.Done}
			if got := w.probe(killed); got != want[w.live()] {
				t.Errorf("probe says %v at version %s", got, w.live())
			}
			if err := w.try(t.Context(), killed); err != nil {
				t.Errorf("applying again: %v", err)
			}
			if got := w.ran() + " at " + w.live() + " " + w.value("select count(*)::text from pleat.mark where step = 'killed'"); got != "1 2 at 2 1" {
				t.Errorf("got %s", got)
			}
		})
	}
}
