package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// every is how often the writer writes.
	every = 50 * time.Millisecond
	// patience is how long it tries to get one row in.
	patience = time.Minute
)

// writer writes numbers and remembers which of them the cluster has confirmed.
type writer struct {
	cluster
	conn      *pgx.Conn
	confirmed []int
	longest   time.Duration // without a confirmation
}

// write inserts a row every 50 ms into whichever node is the primary, until ctx
// ends. Then it looks whether each row that was confirmed is there, and that the
// cluster takes writes.
func write(ctx context.Context, c cluster) error {
	w := &writer{cluster: c}
	background := context.WithoutCancel(ctx)
	for last := time.Now(); ctx.Err() == nil; {
		began := time.Now()
		if err := w.one(background); err != nil {
			return err
		}
		w.longest = max(w.longest, time.Since(last))
		last = time.Now()
		select {
		case <-ctx.Done():
		case <-time.After(every - time.Since(began)):
		}
	}
	lost, err := w.lost(background)
	if err != nil {
		return err
	}
	fmt.Printf("%d rows confirmed, %d lost, longest pause %s\n", len(w.confirmed), lost, w.longest.Round(time.Millisecond))
	if lost > 0 {
		return errors.New("rows that were confirmed are lost")
	}
	return w.conn.Close(background)
}

// one gets a row in, wherever the primary is by then. A row whose confirmation
// was lost may be there or not, and is not counted: the cluster gives each one a
// number of its own.
func (w *writer) one(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		n, err := w.insert(ctx)
		if err == nil {
			w.confirmed = append(w.confirmed, n)
			return nil
		}
		if w.conn != nil {
			_ = w.conn.Close(ctx) // it may be of no use
			w.conn = nil
		}
		if pause(ctx) != nil {
			return fmt.Errorf("no row got in within %s: %w", patience, err)
		}
	}
}

func (w *writer) insert(ctx context.Context) (n int, err error) {
	if w.conn == nil {
		conn, err := w.toPrimary(ctx)
		if err != nil {
			return 0, err
		}
		w.conn = conn
		if _, err := conn.Exec(ctx, "create table if not exists written (n int generated always as identity primary key)"); err != nil {
			return 0, err
		}
	}
	// A primary that does not hear from its synchronous standby waits.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = w.conn.QueryRow(ctx, "insert into written default values returning n").Scan(&n)
	return n, err
}

func (w *writer) toPrimary(ctx context.Context) (*pgx.Conn, error) {
	_, addr := w.primary()
	return connect(ctx, addr)
}

func (w *writer) lost(ctx context.Context) (int, error) {
	if err := w.one(ctx); err != nil { // it takes writes at the end
		return 0, err
	}
	var lost int
	err := w.conn.QueryRow(ctx, "select count(*) from unnest($1::int[]) as c (n) where not exists (select from written as w where w.n = c.n)", w.confirmed).Scan(&lost)
	return lost, err
}
