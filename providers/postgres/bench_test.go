package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
)

const (
	benchRows  = 1_000_000
	benchBatch = 5000
	// The best of some rounds that alternate: what else the machine does
	// slows each.
	benchRounds = 3
	// benchWorkers is for a machine of two cores.
	benchWorkers = 3
)

// BenchmarkBackfill compares a back-fill with one UPDATE of the whole table,
// which keeps everybody from its rows until it is done, and with the barest
// loop that could do its work: the same rows and writer beside it, in the same
// run.
func BenchmarkBackfill(b *testing.B) {
	for b.Loop() {
		var update, loop, one, several float64
		for range benchRounds {
			update = max(update, rowsPerSecond(b, bareUpdate))
			one = max(one, rowsPerSecond(b, ourBackfill(1)))
			loop = max(loop, rowsPerSecond(b, bareLoop))
			several = max(several, rowsPerSecond(b, ourBackfill(benchWorkers)))
		}
		fmt.Printf("\nfigure backfill_vs_bare_update %.2f ratio\n", one/update)
		fmt.Printf("figure backfill_vs_bare %.2f ratio\n", one/loop)
		fmt.Printf("figure backfill_workers_vs_bare_update %.2f ratio\n", several/update)
		fmt.Printf("figure bare_update_rate %.0f rows/s\n", update)
		fmt.Printf("figure backfill_rate_one_worker %.0f rows/s\n", one)
		fmt.Printf("figure backfill_rate_%d_workers %.0f rows/s\n", benchWorkers, several)
	}
}

func ourBackfill(workers int) func(*world, *migrations.Program) {
	return func(w *world, p *migrations.Program) {
		a := backfillOf(p)
		a.Batch, a.Workers, a.Sample = benchBatch, workers, true
		w.apply(a)
	}
}

func rowsPerSecond(b *testing.B, fill func(*world, *migrations.Program)) float64 {
	b.Helper()
	w := newWorld(b, usersTable+fmt.Sprintf(
		"insert into users (name) select 'User Number' || i from generate_series(1, %d) i; analyze users", benchRows))
	w.exec("vacuum users")
	w.exec("checkpoint")
	p := w.lower(splitName())
	w.do(p, p.Expand, migrations.Expanded)
	stop, end := context.WithCancel(b.Context())
	writer := pgtest.Connect(b, w.url)
	var writers errgroup.Group
	writers.Go(func() error { return writeSteadily(stop, writer) })
	start := time.Now()
	fill(w, p)
	took := time.Since(start)
	end()
	if err := writers.Wait(); err != nil {
		b.Fatal(err)
	}
	if empty := w.value("select count(*)::text from users where first is null"); empty != "0" {
		b.Fatalf("%s rows are not filled", empty)
	}
	w.exec("drop table users") // the next round has the disk and its cache to itself
	return benchRows / took.Seconds()
}

const splitUpdate = `update users set first = split_part(name, ' ', 1), last = nullif(substr(name, strpos(name || ' ', ' ') + 1), '')`

func bareUpdate(w *world, _ *migrations.Program) {
	c := pgtest.Connect(w, w.url)
	for _, sql := range []string{"set pleat.sync = 'off'", splitUpdate} {
		if _, err := c.Exec(w.Context(), sql); err != nil {
			w.Fatal(err)
		}
	}
}

// bareLoop knows that the keys have no gaps, and records nothing.
func bareLoop(w *world, _ *migrations.Program) {
	c := pgtest.Connect(w, w.url)
	if _, err := c.Exec(w.Context(), "set pleat.sync = 'off'"); err != nil {
		w.Fatal(err)
	}
	for from := 0; from < benchRows; from += benchBatch {
		if _, err := c.Exec(w.Context(), splitUpdate+" where id > $1 and id <= $2", from, from+benchBatch); err != nil {
			w.Fatal(err)
		}
	}
}

// writeSteadily is an application's writer: a hundred small writes a second.
func writeSteadily(stop context.Context, c *pgx.Conn) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-stop.Done():
			return nil
		case <-tick.C:
		}
		if _, err := c.Exec(context.WithoutCancel(stop), "update users set name = 'Writer ' || $1 where id = $1 * 7919 % 1000000 + 1", n); err != nil {
			return err
		}
	}
}
