// Package conn is how pleat talks to Postgres: one dedicated native connection
// for one purpose, with limits that were set and read back, and transactions
// whose end is known, or known to be unknown. It never pools, never uses
// database/sql, never sends anything again, and never shows a URL.
package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/spec"
)

const (
	connectTimeout = 10 * time.Second
	cleanupTimeout = 10 * time.Second
	lingering      = time.Second           // that a session which was closed may be counted
	pause          = 20 * time.Millisecond // between two tries meanwhile
)

// Options are what one connection is for. The zero value is a connection that
// may write, with the default limits.
type Options struct {
	// Application is the application_name that others see, such as
	// "pleat/RUN"; "" is "pleat".
	Application string
	// ReadOnly makes every transaction read-only unless it says otherwise.
	ReadOnly bool
	// StatementTimeout is the longest that a statement may run; default 30s.
	// What takes longer sets its own.
	StatementTimeout time.Duration
	// LockTimeout is the longest wait for a lock; default 5s. What asks for
	// an application's tables sets its own.
	LockTimeout time.Duration
}

// Open connects to the database at url and returns once the session's limits
// are set and were read back. The caller closes it. Errors are *URLError or
// *OpenError where the connection could not be had; none shows a secret.
// Cancelling ctx stops the attempt, which by itself takes 10 s at most.
func Open(ctx context.Context, url spec.Text, opts Options) (*pgx.Conn, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3,
	}}
	config.DialFunc = dialer.DialContext
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := connect(ctx, config)
	if err != nil {
		return nil, openError(config, err)
	}
	err = limit(ctx, c, opts)
	if err != nil && c.IsClosed() {
		return nil, openError(config, err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting the session's limits: %w", err), Close(ctx, c))
	}
	return c, nil
}

// connect tries again for a moment where the server has no room: it counts a session
// until its process has ended, also one of ours that was closed just now.
func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	for end := time.Now().Add(lingering); ; {
		c, err := pgx.ConnectConfig(ctx, config)
		var refusal *pgconn.PgError
		if !errors.As(err, &refusal) || refusal.Code != tooManyConnections || time.Now().After(end) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// Renew makes a session that was used what Open would give with opts: nothing
// of what was set, taken on, locked or made for the session only is left, but
// for what the driver prepared. After an error the session is of no use; the
// caller closes it.
func Renew(ctx context.Context, c *pgx.Conn, opts Options) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	results, err := c.PgConn().Exec(ctx, discard).ReadAll()
	if err != nil {
		return fmt.Errorf("clearing a session: %w", err)
	}
	if prepared := results[len(results)-1].Rows; string(prepared[0][0]) != "0" {
		return errors.New("clearing a session: statements were prepared by name")
	}
	return limitAgain(ctx, c, opts)
}

// discard is DISCARD ALL without DEALLOCATE ALL, which would have the driver's
// statements planned anew.
const discard = `
	close all; reset session authorization; reset all; unlisten *;
	select pg_catalog.pg_advisory_unlock_all(); discard sequences; discard temp;
	select pg_catalog.count(*) from pg_catalog.pg_prepared_statements where from_sql`

// Close ends the session, also when ctx was cancelled. Closing a closed one
// does nothing.
func Close(ctx context.Context, c *pgx.Conn) error {
	if c == nil || c.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return c.Close(ctx)
}
