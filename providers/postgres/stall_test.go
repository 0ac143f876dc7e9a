package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
)

const (
	stallRows    = 100_000
	stallReaders = 4
)

// BenchmarkStall takes a change through every schema step of the demo while
// readers look rows up, and one reader after the other takes most of a second:
// the one that a lock would have to wait for. It prints the longest that a
// look-up took, and the same without any schema step.
func BenchmarkStall(b *testing.B) {
	for b.Loop() {
		quiet := worstRead(b, func(w *world) { <-time.After(5 * time.Second) })
		steps := worstRead(b, func(w *world) {
			p := w.lower(splitName())
			w.do(p, p.Expand, migrations.Expanded)
			w.apply(backfillOf(p))
			p = w.lower(splitName())
			w.do(p, p.Hide, migrations.Hidden)
			p = w.lower(splitName())
			w.do(p, p.Drop, migrations.Contracted)
		})
		fmt.Printf("\nfigure worst_stall_ms %d ms\n", steps.Milliseconds())
		fmt.Printf("figure worst_stall_without_steps_ms %d ms\n", quiet.Milliseconds())
	}
}

// worstRead is the longest that a look-up takes while work goes on.
func worstRead(b *testing.B, work func(*world)) time.Duration {
	b.Helper()
	w := newWorld(b, usersTable+fmt.Sprintf(
		"insert into users (name) select 'User Number' || i from generate_series(1, %d) i; analyze users", stallRows))
	ctx, end := context.WithCancel(b.Context())
	var worst atomic.Int64
	var readers errgroup.Group
	for range stallReaders {
		c := pgtest.Connect(b, w.url)
		readers.Go(func() error { return readOften(ctx, c, &worst) })
	}
	slow := pgtest.Connect(b, w.url)
	readers.Go(func() error { return readSlowly(ctx, slow) })
	work(w)
	end()
	if err := readers.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Duration(worst.Load())
}

func readOften(ctx context.Context, c *pgx.Conn, worst *atomic.Int64) error {
	for n := 1; ctx.Err() == nil; n++ {
		began := time.Now()
		_, err := c.Exec(context.WithoutCancel(ctx), "select from users where id = $1", pgx.QueryExecModeExec, n*7919%stallRows+1)
		if err != nil {
			return err
		}
		for took := int64(time.Since(began)); ; {
			if seen := worst.Load(); took <= seen || worst.CompareAndSwap(seen, took) {
				break
			}
		}
	}
	return nil
}

// readSlowly holds a lock for most of a second, again and again, with gaps in
// which a step can come through.
func readSlowly(ctx context.Context, c *pgx.Conn) error {
	for ctx.Err() == nil {
		_, err := c.Exec(context.WithoutCancel(ctx), "select pg_sleep(0.8) from (select from users limit 1) u", pgx.QueryExecModeExec)
		if err != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}
