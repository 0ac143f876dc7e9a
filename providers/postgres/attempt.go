package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// part is one transaction of a step: limits, fence, body.
func (w *work) part(ctx context.Context, t spec.Table, limits planner.Limits, body func(tx conn.Tx) error) error {
	transaction := conn.Transaction{Conn: w.conn, Sent: func() { w.at("step.commit_sent") }}
	return transaction.Run(ctx, func(tx conn.Tx) error {
		if err := w.begin(ctx, tx, t, limits); err != nil {
			return err
		}
		return body(tx)
	})
}

// attempt is a Transaction step. All that can be done before is done before the
// lock: mark and record are there once the commit is. With the mark there already
// it does nothing.
func (w *work) attempt(ctx context.Context, a *locking, limits planner.Limits) error {
	return w.part(ctx, a.Table, limits, func(tx conn.Tx) error {
		done, err := w.marked(ctx, tx)
		if err != nil || done {
			return err
		}
		if err := w.allow(ctx, tx); err != nil {
			return err
		}
		if err := record(ctx, tx, entry{change: a.Change, digest: a.Digest, unit: a.Unit, reverse: a.Reverse, phase: a.Phase}); err != nil {
			return err
		}
		if err := forgetFills(ctx, tx, a.Change); err != nil {
			return err
		}
		if err := w.mark(ctx, tx); err != nil {
			return err
		}
		if err := w.locked(ctx, tx, a, limits); err != nil {
			return err
		}
		w.at("step.sent")
		return nil
	})
}

// begin sets the transaction's limits and holds the fence.
func (w *work) begin(ctx context.Context, tx conn.Tx, t spec.Table, limits planner.Limits) error {
	err := setLocal(ctx, tx, map[string]string{
		"lock_timeout":      milliseconds(limits.LockWait),
		"statement_timeout": milliseconds(limits.Run),
		"search_path":       searchPath(t),
	})
	if err != nil {
		return err
	}
	return w.holdFence(ctx, tx)
}

// holdFence makes the fence known where the lease lives in another database.
func (w *work) holdFence(ctx context.Context, tx conn.Tx) error {
	err := conn.HoldFence(ctx, tx, w.ticket.Lease, w.ticket.Fence)
	var fenced *conn.FencedError
	if errors.As(err, &fenced) {
		return conn.RaiseFence(ctx, tx, w.ticket.Lease, w.ticket.Fence)
	}
	return err
}

// asRole runs body as the role that owns the application's schema. What is
// recorded is the login role's.
func (w *work) asRole(ctx context.Context, tx conn.Tx, body func() error) error {
	if w.db.Role == "" {
		return body()
	}
	if _, err := tx.Exec(ctx, setRole(w.db.Role)); err != nil {
		return fmt.Errorf("becoming role %s: %w", w.db.Role, err)
	}
	if err := body(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "set local role none")
	return err
}

// locked takes the lock first, on its own, so that what is waited for and what
// is held are bounded apart. The server waits for nobody while it has the lock,
// but where sessions have to be asked for: as the login role, because another
// one may not see their names.
func (w *work) locked(ctx context.Context, tx conn.Tx, a *locking, limits planner.Limits) error {
	var pieces []piece
	err := w.asRole(ctx, tx, func() (err error) {
		pieces, err = a.taking(ctx, tx, limits)
		return err
	})
	if err != nil {
		return err
	}
	pieces = append(w.become(w.db.Role), pieces...)
	if len(a.Evidence) > 0 {
		if err := w.sendAll(ctx, append(pieces, w.become("none")...)); err != nil {
			return err
		}
		if err := confirm(ctx, tx, a.Evidence); err != nil {
			return err
		}
		pieces = w.become(w.db.Role)
	}
	return w.sendAll(ctx, append(pieces, a.carryingOut(ctx, limits)...))
}

// piece is a statement, and how its error is told.
type piece struct {
	conn.Statement
	told func(error) error
}

// sendAll has the server carry out all of them at once.
func (w *work) sendAll(ctx context.Context, pieces []piece) error {
	statements := make([]conn.Statement, len(pieces))
	for i, p := range pieces {
		statements[i] = p.Statement
	}
	done, err := conn.Pipeline(ctx, w.conn, statements)
	if err == nil || done == len(pieces) {
		return err
	}
	return pieces[done].told(err)
}

// become takes on a role, where the database has one.
func (w *work) become(role string) []piece {
	if w.db.Role == "" {
		return nil
	}
	return []piece{{conn.Statement{SQL: setRole(role)}, func(err error) error { return fmt.Errorf("becoming role %s: %w", role, err) }}}
}

func setRole(role string) string {
	if role != "none" {
		role = migrations.Ident(role)
	}
	return "set local role " + role
}

// taking takes locks in their order. The wait for all of them together is
// bounded by what one attempt may wait: who queued behind the first one waits
// while the last one is waited for. A table that is not there is left alone: the
// statements say so, or do not mind.
func (a *locking) taking(ctx context.Context, tx conn.Tx, limits planner.Limits) ([]piece, error) {
	told := func(err error) error { return a.overHold(ctx, limits, "", err) }
	pieces := []piece{fromNow(told)}
	for _, l := range a.locks {
		there, err := isThere(ctx, tx, l)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		if len(pieces) > 1 {
			pieces = append(pieces, limit(limits.LockWait, told, "lock_timeout"))
		}
		pieces = append(pieces, piece{conn.Statement{SQL: lockSQL(l)}, func(err error) error { return fmt.Errorf("locking %s: %w", l.Table, err) }})
	}
	if a.keeps {
		pieces = append(pieces, fromNow(told), limit(limits.Hold, told, holdSettings...))
	}
	return pieces, nil
}

// carryingOut is the statements, each within what is left of the hold. The last
// quarter of that is for the commit.
func (a *locking) carryingOut(ctx context.Context, limits planner.Limits) []piece {
	told := func(err error) error { return a.overHold(ctx, limits, "", err) }
	var pieces []piece
	for _, sql := range a.SQL {
		if a.keeps {
			pieces = append(pieces, limit(limits.Hold-limits.Hold/4, told, holdSettings...))
		}
		pieces = append(pieces, piece{conn.Statement{SQL: sql}, func(err error) error {
			return a.overHold(ctx, limits, sql, fmt.Errorf("%s: %w", firstLine(sql), err))
		}})
	}
	if a.keeps {
		pieces = append(pieces, limit(limits.Hold, told, holdSettings...))
	}
	return pieces
}

// fromNow has the server remember the time, for limit.
func fromNow(told func(error) error) piece {
	return piece{conn.Statement{SQL: `
		select pg_catalog.set_config('pleat.since', extract(epoch from pg_catalog.clock_timestamp())::text, true)`}, told}
}

// limit has settings be what is left of a time that began at the last fromNow.
func limit(whole time.Duration, told func(error) error, settings ...string) piece {
	return piece{conn.Statement{SQL: `
		select pg_catalog.set_config(name, greatest(1, pg_catalog.floor($1::text::float8
		  - 1000 * (extract(epoch from pg_catalog.clock_timestamp())::float8 - pg_catalog.current_setting('pleat.since')::float8)))::text, true)
		from pg_catalog.unnest($2::text::text[]) as name`, Args: []string{milliseconds(whole), "{" + strings.Join(settings, ",") + "}"}}, told}
}

// lockTable leaves a table alone that is not there.
func lockTable(ctx context.Context, tx conn.Tx, l migrations.TableLock) error {
	there, err := isThere(ctx, tx, l)
	if err != nil || !there {
		return err
	}
	if _, err := tx.Exec(ctx, lockSQL(l)); err != nil {
		return fmt.Errorf("locking %s: %w", l.Table, err)
	}
	return nil
}

// isThere tells whether there is something to lock.
func isThere(ctx context.Context, tx conn.Tx, l migrations.TableLock) (bool, error) {
	if l.Lock == "" || l.Table == (spec.Table{}) {
		return false, nil
	}
	kinds := []string{"r", "p"}
	switch {
	case l.View && l.Only:
		kinds = []string{"v", "m"}
	case l.View:
		kinds = append(kinds, "v")
	}
	return isOf(ctx, tx, l.Table, kinds)
}

// lockSQL takes the lock. LOCK TABLE takes a view's on all that it shows as well,
// and none on a materialized one; to move a view of either kind to where it is takes
// it on the view and does nothing.
func lockSQL(l migrations.TableLock) string {
	if l.View && l.Only {
		return "alter table " + migrations.Ident(l.Table.Schema, l.Table.Name) + " set schema " + migrations.Ident(l.Table.Schema)
	}
	only := ""
	if l.Only {
		only = "only "
	}
	return "lock table " + only + migrations.Ident(l.Table.Schema, l.Table.Name) + " in " + string(l.Lock) + " mode"
}

func isTable(ctx context.Context, q conn.Tx, t spec.Table) (bool, error) {
	return isOf(ctx, q, t, []string{"r", "p"})
}

// isOf tells whether there is a relation of that name and of one of the kinds,
// as pg_class has them.
func isOf(ctx context.Context, q conn.Tx, t spec.Table, kinds []string) (there bool, err error) {
	err = q.QueryRow(ctx, `
		select exists (select from pg_catalog.pg_class
		               where oid = pg_catalog.to_regclass($1) and relkind::text = any($2))`,
		migrations.Ident(t.Schema, t.Name), kinds).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("looking for %s: %w", t, err)
	}
	return there, nil
}

// holdSettings bound the next statement, and how long a client that froze may
// keep the lock.
var holdSettings = []string{"statement_timeout", "idle_in_transaction_session_timeout"}

// overHold is the error of a statement under a strong lock on what is named; sql
// is "" for pleat's own, which take no time by themselves.
func overHold(ctx context.Context, what string, limits planner.Limits, sql string, err error) error {
	if sqlState(err) == queryCanceled && !stopped(ctx) {
		return &HoldError{Table: what, Hold: limits.Hold, SQL: sql}
	}
	return err
}

func (l *locking) overHold(ctx context.Context, limits planner.Limits, sql string, err error) error {
	if !l.keeps {
		return err
	}
	return overHold(ctx, subject(l.Table), limits, sql, err)
}
