package conn

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// poolerQuestions is how often the server is asked which session answers. A
// pooler that happens to give the same session each time still has a process
// id other than the one it told us at the start.
const poolerQuestions = 3

// UnfitError is a server that answers and on which pleat must not write.
type UnfitError struct {
	Reason string
	hint   string
}

func (e *UnfitError) Error() string { return e.Reason }

// Hint is what to do about it.
func (e *UnfitError) Hint() string { return e.hint }

// Preflight refuses, with an *UnfitError, servers and poolers on which locks
// and limits would only seem to hold. It writes nothing.
func Preflight(ctx context.Context, c *pgx.Conn) error {
	if err := refusePooler(ctx, c); err != nil {
		return err
	}
	var replica, readOnly bool
	err := c.QueryRow(ctx, `
		select pg_catalog.pg_is_in_recovery(),
		       pg_catalog.current_setting('transaction_read_only')::boolean`).Scan(&replica, &readOnly)
	if err != nil {
		return fmt.Errorf("asking what kind of server it is: %w", err)
	}
	if replica {
		return &UnfitError{"the server is a replica", "give the url of the primary"}
	}
	if readOnly {
		return &UnfitError{"the session is read-only",
			"use a role without default_transaction_read_only, or give the url of the primary"}
	}
	return nil
}

// refusePooler compares the process id that came with the connection with the
// one that answers.
func refusePooler(ctx context.Context, c *pgx.Conn) error {
	for range poolerQuestions {
		var pid uint32
		if err := c.QueryRow(ctx, "select pg_catalog.pg_backend_pid()").Scan(&pid); err != nil {
			return fmt.Errorf("asking which session answers: %w", err)
		}
		if pid != c.PgConn().PID() {
			return &UnfitError{"a pooler is in between, which may give each transaction another session",
				"give the url of the server itself, or of a pool in session mode that passes process ids through"}
		}
	}
	return nil
}

// Identity tells which database this is: "SYSTEM_IDENTIFIER/DATABASE_OID",
// which no other database has, and its name.
func Identity(ctx context.Context, c *pgx.Conn) (identity, name string, err error) {
	err = c.QueryRow(ctx, `
		select s.system_identifier || '/' || d.oid, d.datname
		from pg_catalog.pg_control_system() s, pg_catalog.pg_database d
		where d.datname = pg_catalog.current_database()`).Scan(&identity, &name)
	if err != nil {
		return "", "", fmt.Errorf("asking which database it is: %w", err)
	}
	return identity, name, nil
}
