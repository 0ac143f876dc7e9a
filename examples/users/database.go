package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxConns bounds what one instance takes of the server's connections.
const maxConns = 8

// querier is a pool or a connection.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// database is where users are kept. Writes go to the pool; what reads go to
// is the release's good or bad habit.
type database struct {
	pool *pgxpool.Pool
	read func(ctx context.Context, f func(querier) error) error
	leak *leak // nil for a release that ends its transactions
}

// open connects lazily: the service starts without its database, and
// /healthz tells.
func open(ctx context.Context, url string, leaks bool) (*database, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The text of a parse error may quote the URL, password and all.
		return nil, fmt.Errorf("DATABASE_URL is not a Postgres URL")
	}
	config.MaxConns = maxConns
	// pgx's default prepares each statement once for a connection and reuses
	// its description. A change of the schema then makes the server answer
	// "cached plan must not change result type" (0A000) once on every
	// connection. This mode plans each time, in one round trip, and also works
	// behind a transaction pooler.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	if !leaks {
		return &database{pool: pool, read: pooled(pool)}, nil
	}
	l := newLeak(pool)
	return &database{pool: pool, read: l.read, leak: l}, nil
}

func pooled(pool *pgxpool.Pool) func(context.Context, func(querier) error) error {
	return func(_ context.Context, f func(querier) error) error { return f(pool) }
}

// close ends every connection, and with them what they hold.
func (d *database) close() {
	if d.leak != nil {
		d.leak.close()
	}
	d.pool.Close()
}
