package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leaked is how many connections an instance keeps idle in transaction. The
// rest of the pool stays free, so that the service goes on answering and
// nobody notices, until somebody wants a strong lock.
const leaked = 2

// leak is the fault of 1.0.0: a read begins a transaction and nothing ends
// it, so its lock on users stays until the process ends.
type leak struct {
	pool *pgxpool.Pool
	// idle holds the connections; nil stands for one that is still to be made.
	idle chan *pgxpool.Conn
}

func newLeak(pool *pgxpool.Pool) *leak {
	l := &leak{pool: pool, idle: make(chan *pgxpool.Conn, leaked)}
	for range leaked {
		l.idle <- nil
	}
	return l
}

// read runs f in a transaction that outlives it. It waits for its turn on one
// of the connections until ctx is done.
func (l *leak) read(ctx context.Context, f func(querier) error) error {
	var c *pgxpool.Conn
	select {
	case c = <-l.idle:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.idle <- usable(c) }()
	c, err := l.begun(ctx, c)
	if err != nil {
		return err
	}
	return f(c)
}

// begun gives a connection with an open transaction: c, or one in its place.
func (l *leak) begun(ctx context.Context, c *pgxpool.Conn) (*pgxpool.Conn, error) {
	if c != nil {
		return c, nil
	}
	c, err := l.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	_, err = c.Exec(ctx, "begin")
	return c, err
}

// usable is c while its transaction is good, else nil; the pool then throws
// the connection away.
func usable(c *pgxpool.Conn) *pgxpool.Conn {
	if c == nil {
		return nil
	}
	if !c.Conn().IsClosed() && c.Conn().PgConn().TxStatus() == 'T' {
		return c
	}
	c.Release()
	return nil
}

// close gives the connections back to the pool, which closes them because
// they are in a transaction. No read may follow.
func (l *leak) close() {
	for range leaked {
		if c := <-l.idle; c != nil {
			c.Release()
		}
	}
}
