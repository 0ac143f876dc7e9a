package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"pleat/providers/postgres/pgtest"
)

const (
	pace   = 4 * time.Millisecond // between two statements of a client
	enough = 5                    // statements that a client does before anything goes on
)

// numbers are the readers and the writers of one shape. With PLEAT_TEST_LONG both
// shapes together have eight and four (T20).
func numbers() (readers, writers int) {
	if pgtest.Long() {
		return 4, 2
	}
	return 1, 1
}

// crowd is the readers and the writers of one shape.
type crowd struct {
	group   errgroup.Group
	end     context.CancelFunc
	clients []*client
}

// client repeats its statements until it is told to stop, or one fails.
type client struct {
	conn       *pgx.Conn
	statements []string
	mode       pgx.QueryExecMode
	done       atomic.Int64
	failed     atomic.Bool
	worst      atomic.Int64 // nanoseconds that one statement took
}

// holder reads users, if there are any, and stays in its transaction: whoever
// wants a strong lock has to wait for it, and must not keep others meanwhile.
// Between two transactions there is a gap in which a step can come through.
func (l *life) holder(hold time.Duration) {
	l.Helper()
	const gap = 100 * time.Millisecond
	c := pgtest.Connect(l, l.url)
	ctx, end := context.WithCancel(context.WithoutCancel(l.Context()))
	var group errgroup.Group
	group.Go(func() error {
		for ctx.Err() == nil {
			_, err := c.Exec(context.Background(), `begin; do $$ begin perform from users limit 1; exception when undefined_table then null; end $$`)
			if err != nil {
				return err
			}
			pass(ctx, hold)
			if _, err := c.Exec(context.Background(), "commit"); err != nil {
				return err
			}
			pass(ctx, gap)
		}
		return nil
	})
	l.Cleanup(func() {
		end()
		if err := group.Wait(); err != nil {
			l.Errorf("the holder met an error: %v", err)
		}
	})
}

func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// clients has a crowd begin, and returns once it is at work.
func (l *life) clients(c **crowd, s shape) {
	l.Helper()
	if s.empty() {
		return
	}
	ctx, end := context.WithCancel(context.WithoutCancel(l.Context()))
	fresh := &crowd{end: end}
	readers, writers := numbers()
	if s.read != "" {
		fresh.add(ctx, l.world, s, readers, []string{s.read})
	}
	if len(s.writes) > 0 {
		fresh.add(ctx, l.world, s, writers, s.writes)
	}
	l.Cleanup(func() { fresh.end(); fresh.group.Wait() }) // leave tells what Wait gives
	*c = fresh
	l.work(fresh)
}

// add has n more clients, which all repeat the statements.
func (c *crowd) add(ctx context.Context, w *world, s shape, n int, statements []string) {
	w.Helper()
	for range n {
		one := &client{conn: pgtest.Connect(w, w.url), statements: statements, mode: pgx.QueryExecModeCacheStatement}
		if s.unprepared {
			one.mode = pgx.QueryExecModeExec
		}
		if s.session != "" {
			if _, err := one.conn.Exec(w.Context(), s.session); err != nil {
				w.Fatal(err)
			}
		}
		c.clients = append(c.clients, one)
		c.group.Go(func() error { return one.repeat(ctx) })
	}
}

func (c *client) repeat(ctx context.Context) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		if err := c.do(c.statements[i%len(c.statements)]); err != nil {
			c.failed.Store(true)
			return err
		}
		c.done.Add(1)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

func (c *client) do(sql string) error {
	args := []any{c.mode}
	if strings.Contains(sql, "$1") {
		args = append(args, rand.IntN(operationRows)+1)
	}
	start := time.Now()
	// The test's end must not cut a statement off: that would be an error.
	_, err := c.conn.Exec(context.Background(), sql, args...)
	for movedAway(err) {
		_, err = c.conn.Exec(context.Background(), sql, args...)
	}
	if took := int64(time.Since(start)); took > c.worst.Load() {
		c.worst.Store(took)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// movedAway tells what Postgres says to whoever waited for a row while another client
// moved it to another partition: to do it again.
func movedAway(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "40001" && strings.Contains(refused.Message, "moved to another partition")
}

// work returns once each client has done enough statements more, so that
// every phase is one under load.
func (l *life) work(crowds ...*crowd) {
	l.Helper()
	for _, c := range crowds {
		if c == nil {
			continue
		}
		for _, one := range c.clients {
			least := one.done.Load() + enough
			eventually(l, "clients go on", func() bool { return one.done.Load() >= least || one.failed.Load() })
		}
	}
}

// leave has a crowd finish what it is about, and asserts that it met no error.
func (l *life) leave(c **crowd) {
	l.Helper()
	if *c == nil {
		return
	}
	l.work(*c)
	(*c).end()
	if err := (*c).group.Wait(); err != nil {
		l.Errorf("a client met an error: %v", err)
	}
	l.slowest((*c))
	*c = nil
}

func (l *life) slowest(c *crowd) {
	for _, one := range c.clients {
		if c == l.control {
			l.sampler.undisturbed = max(l.sampler.undisturbed, time.Duration(one.worst.Load()))
		}
	}
}
