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
	// slows either.
	benchRounds = 3
)

// BenchmarkBackfill compares a back-fill with the barest loop that could do
// its work: the same rows, batch size and writer beside it, in the same run.
// It prints one figure.
func BenchmarkBackfill(b *testing.B) {
	for b.Loop() {
		bare, ours := 0.0, 0.0
		for range benchRounds {
			bare = max(bare, rowsPerSecond(b, bareLoop))
			ours = max(ours, rowsPerSecond(b, ourBackfill))
		}
		fmt.Printf("\nfigure backfill_vs_bare %.2f ratio\n", ours/bare)
	}
}

func ourBackfill(w *world, p *migrations.Program) {
	a := backfillOf(p)
	a.Batch = benchBatch
	w.apply(a)
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
	return benchRows / took.Seconds()
}

// bareLoop knows that the keys have no gaps, and records nothing.
func bareLoop(w *world, _ *migrations.Program) {
	c := pgtest.Connect(w, w.url)
	if _, err := c.Exec(w.Context(), "set pleat.sync = 'off'"); err != nil {
		w.Fatal(err)
	}
	for from := 0; from < benchRows; from += benchBatch {
		_, err := c.Exec(w.Context(), `
			update users set first = split_part(name, ' ', 1), last = nullif(substr(name, strpos(name || ' ', ' ') + 1), '')
			where id > $1 and id <= $2`, from, from+benchBatch)
		if err != nil {
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
