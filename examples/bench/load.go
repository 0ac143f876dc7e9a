package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	writers = 8
	rate    = 400.0 // writes a second, of all writers
	// How many errors are kept with their text; the first tell the cause.
	keptErrors = 5
)

// write is one kind of transaction of an application.
type write struct {
	share int // of 10
	sql   string
	args  func(id int64) []any // of a row that is there
}

// shape is how releases of one kind write.
type shape struct {
	schema string // to be first in the search_path; "" is public
	writes []write
}

var counts = write{5, "update users set logins = logins + 1 where id = $1", func(id int64) []any { return []any{id} }}

// oldShape is how a release writes that knows users(name).
func oldShape() shape {
	return shape{writes: []write{counts,
		{4, "update users set name = $2 where id = $1", func(id int64) []any { return []any{id, fmt.Sprintf("Old%d Name%d", id, id)} }},
		{1, "insert into users (name, email) values ($1, $2)", func(id int64) []any { return []any{"New User", unique(id)} }},
	}}
}

// newShape is how a release writes that knows users(first, last).
func newShape(schema string) shape {
	return shape{schema: schema, writes: []write{counts,
		{4, "update users set first = $2, last = $3 where id = $1", func(id int64) []any { return []any{id, fmt.Sprintf("New%d", id), fmt.Sprintf("Name%d", id)} }},
		{1, "insert into users (first, last, email) values ($1, $2, $3)", func(id int64) []any { return []any{"New", "User", unique(id)} }},
	}}
}

func unique(id int64) string { return fmt.Sprintf("%d-%d@example.net", id, rand.Int64()) }

// suffering is what writers saw.
type suffering struct {
	p99, worst time.Duration
	writes     int
	errors     int
	texts      []string // of the first errors
}

// load writes steadily beside what is measured. It is an open loop: a write's
// latency counts from when it was due, so that a stall is felt by every write
// that was due during it.
type load struct {
	stop    context.CancelFunc
	running sync.WaitGroup

	mutex     sync.Mutex
	latencies []time.Duration
	errors    int
	texts     []string
}

// begin connects all writers before the first of them writes.
func begin(ctx context.Context, d database, s shape) (*load, error) {
	var sessions []*pgx.Conn
	for range writers {
		c, err := connect(ctx, d, s)
		if err != nil {
			return nil, errors.Join(err, closeAll(ctx, sessions))
		}
		sessions = append(sessions, c)
	}
	ctx, stop := context.WithCancel(ctx)
	l := &load{stop: stop}
	begun := time.Now()
	for i, c := range sessions {
		first := begun.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		l.running.Go(func() { l.write(ctx, c, d, s, first) })
	}
	return l, nil
}

func connect(ctx context.Context, d database, s shape) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(d.url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = "bench"
	if s.schema != "" {
		config.RuntimeParams["search_path"] = s.schema
	}
	return pgx.ConnectConfig(ctx, config)
}

func closeAll(ctx context.Context, sessions []*pgx.Conn) (err error) {
	for _, c := range sessions {
		err = errors.Join(err, c.Close(ctx))
	}
	return err
}

// pick is the next write, of a row at random.
func (s shape) pick(rows int64) (sql string, args []any) {
	n := rand.IntN(10)
	for _, w := range s.writes {
		if n -= w.share; n < 0 {
			return w.sql, w.args(rand.Int64N(rows) + 1)
		}
	}
	panic("shares of less than 10")
}

// write is the life of one writer.
func (l *load) write(ctx context.Context, c *pgx.Conn, d database, s shape, due time.Time) {
	// What has begun is waited for, also at the end.
	calm := context.WithoutCancel(ctx)
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := c.Close(calm); err != nil {
				l.fail(err)
			}
			return
		case <-timer.C:
		}
		sql, args := s.pick(d.rows)
		_, err := c.Exec(calm, sql, args...)
		l.note(time.Since(due), err)
		if c.IsClosed() {
			if c, err = connect(calm, d, s); err != nil {
				l.fail(err)
				return
			}
		}
		due = due.Add(time.Duration(writers / rate * float64(time.Second)))
		timer.Reset(time.Until(due))
	}
}

func (l *load) note(latency time.Duration, err error) {
	l.mutex.Lock()
	l.latencies = append(l.latencies, latency)
	l.mutex.Unlock()
	if err != nil {
		l.fail(err)
	}
}

func (l *load) fail(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.errors++
	if len(l.texts) < keptErrors {
		l.texts = append(l.texts, err.Error())
	}
}

// end waits for the writes in flight.
func (l *load) end() suffering {
	l.stop()
	l.running.Wait()
	s := suffering{writes: len(l.latencies), errors: l.errors, texts: l.texts}
	if len(l.latencies) == 0 {
		return s
	}
	slices.Sort(l.latencies)
	s.worst = l.latencies[len(l.latencies)-1]
	s.p99 = l.latencies[(len(l.latencies)-1)*99/100]
	return s
}

// under runs f while writers write, and tells what these saw and how long f
// took.
func under(ctx context.Context, d database, s shape, f func() error) (suffering, time.Duration, error) {
	l, err := begin(ctx, d, s)
	if err != nil {
		return suffering{}, 0, err
	}
	took, err := timed(f)
	return l.end(), took, err
}

// undisturbed is what writers see with nothing beside them.
func (b *bench) undisturbed(ctx context.Context, d database) (suffering, error) {
	seen, _, err := under(ctx, d, oldShape(), func() error { return wait(ctx, b.alone) })
	return seen, err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
