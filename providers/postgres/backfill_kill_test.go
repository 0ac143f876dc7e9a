package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

func killedFill(rows string) planner.Step {
	batch, err := strconv.Atoi(rows)
	if err != nil {
		panic(err)
	}
	a := counting(batch)
	a.Workers = 2
	return planner.Step{ID: "killed", Action: a}
}

// P4: the process is killed at any moment, again and again, beside writers. With
// PLEAT_TEST_LONG it is killed 50 times on 1,000,000 rows.
func TestABackfillWhoseProcessIsKilledFillsEachRowOnce(t *testing.T) {
	t.Parallel()
	rows, kills, batch := 60_000, 6, "50"
	if pgtest.Long() {
		rows, kills, batch = 1_000_000, 50, "500"
	}
	w := newWorld(t, fmt.Sprintf(`create table users (id bigint primary key, n int not null default 0, w int not null default 0);
		insert into users (id) select i * 7 from generate_series(1, %d) i; analyze users`, rows))
	stop, end := context.WithCancel(t.Context())
	writer := pgtest.Connect(t, w.url)
	var writers errgroup.Group
	writers.Go(func() error { return writeAround(stop, writer) })
	for n := range kills {
		w.killWhileItFills(batch, rows*(n+1)/(kills+1))
	}
	if err := w.fillToDie(batch).Run(); err != nil {
		t.Errorf("what is not killed ends with %v", err)
	}
	end()
	if err := writers.Wait(); err != nil {
		t.Error(err)
	}
	if got := w.value("select concat_ws(' ', count(*) filter (where n > 1), count(*) filter (where n < 1 and w < 1000000)) from users"); got != "0 0" {
		t.Errorf("rows twice, rows missed: %s, want 0 0", got)
	}
	if outcome := w.probe(killedFill(batch)); outcome != planner.Done {
		t.Errorf("probe says %v, want Done", outcome)
	}
}

func (w *world) fillToDie(batch string) *exec.Cmd {
	w.Helper()
	program, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	c := exec.CommandContext(w.Context(), program)
	c.Env = append(os.Environ(), victim+"="+w.url, victimRows+"="+batch)
	return c
}

// killWhileItFills kills a process that fills once about so many rows are passed,
// and no others.
func (w *world) killWhileItFills(batch string, passed int) {
	w.Helper()
	c := w.fillToDie(batch)
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	passed += rand.IntN(1000)
	eventually(w, fmt.Sprintf("%d rows are passed", passed), func() bool {
		return w.value("select (coalesce(sum(rows), 0) >= $1)::text from pleat.cursor", passed) == "true"
	})
	if err := c.Process.Kill(); err != nil {
		w.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.Exited() {
		w.Fatalf("it ended before it was killed: %v", err)
	}
}
