package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// writer changes and adds users all the time, in the shape that is there, and
// remembers what it was told is committed.
type writer struct {
	names   map[int64]string // read it after stop
	failure error
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newWriter writes nothing unless it is told to.
func newWriter(t *testing.T, url string, on bool) *writer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{names: map[int64]string{}, cancel: cancel}
	if on {
		w.running.Go(func() { w.failure = w.write(ctx, url) })
	}
	t.Cleanup(w.stop)
	return w
}

func (w *writer) stop() {
	w.cancel()
	w.running.Wait()
}

func (w *writer) write(ctx context.Context, url string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	pace := time.NewTicker(3 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		// Not cancelled: whether a write was committed must be known.
		if err := w.one(c, n); err != nil {
			return err
		}
	}
}

// one updates a user, and now and then adds one.
func (w *writer) one(c *pgx.Conn, n int) error {
	first, last := fmt.Sprintf("w%d", n), fmt.Sprintf("x%d", n)
	id := rand.Int64N(matrixRows) + 1
	var err error
	if n%10 == 0 {
		id, err = shaped(c, "insert into users (name) values ($1 || ' ' || $2) returning id",
			"insert into users (first, last) values ($1, $2) returning id", first, last)
	} else {
		_, err = shaped(c, "update users set name = $1 || ' ' || $2 where id = $3 returning id",
			"update users set first = $1, last = $2 where id = $3 returning id", first, last, id)
	}
	if err == nil {
		w.names[id] = first + " " + last
	}
	return err
}

// shaped writes in the old shape, and in the new one where the old is away.
func shaped(c *pgx.Conn, old, fresh string, args ...any) (id int64, err error) {
	ctx := context.Background()
	err = c.QueryRow(ctx, old, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&id)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42703" {
		err = c.QueryRow(ctx, fresh, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&id)
	}
	return id, err
}
