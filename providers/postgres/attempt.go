package postgres

import (
	"context"
	"errors"
	"fmt"
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

// once is one transaction that makes a step's effect, with its mark. With the
// mark there already it does nothing.
func (w *work) once(ctx context.Context, t spec.Table, limits planner.Limits, body func(tx conn.Tx) error) error {
	return w.part(ctx, t, limits, func(tx conn.Tx) error {
		done, err := w.marked(ctx, tx)
		if err != nil || done {
			return err
		}
		if err := body(tx); err != nil {
			return err
		}
		return w.mark(ctx, tx)
	})
}

// attempt is a Transaction step: lock, statements, record.
func (w *work) attempt(ctx context.Context, a *planner.Transaction, limits planner.Limits) error {
	return w.once(ctx, a.Table, limits, func(tx conn.Tx) error {
		if err := w.allow(ctx, tx); err != nil {
			return err
		}
		if err := w.locked(ctx, tx, a, limits); err != nil {
			return err
		}
		w.at("step.sent")
		e := entry{change: a.Change, digest: a.Digest, unit: a.Unit, reverse: a.Reverse, phase: a.Phase}
		if err := record(ctx, tx, e); err != nil {
			return overHold(ctx, a, limits, "", err)
		}
		return overHold(ctx, a, limits, "", forgetFills(ctx, tx, a.Change))
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
	if _, err := tx.Exec(ctx, "set local role "+migrations.Ident(w.db.Role)); err != nil {
		return fmt.Errorf("becoming role %s: %w", w.db.Role, err)
	}
	if err := body(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "set local role none")
	return err
}

// locked takes the lock first, on its own, so that what is waited for and what
// is held are bounded apart. Sessions are asked for as the login role: another
// one may not see their names.
func (w *work) locked(ctx context.Context, tx conn.Tx, a *planner.Transaction, limits planner.Limits) error {
	if err := w.asRole(ctx, tx, func() error { return lockTables(ctx, tx, locksOf(a), limits.LockWait) }); err != nil {
		return err
	}
	held := time.Now()
	if keeps(a) {
		if err := limitHold(ctx, tx, limits.Hold); err != nil {
			return err
		}
	}
	if err := confirm(ctx, tx, a.Evidence); err != nil {
		return err
	}
	return w.asRole(ctx, tx, func() error { return w.statements(ctx, tx, a, limits, held) })
}

func (w *work) statements(ctx context.Context, tx conn.Tx, a *planner.Transaction, limits planner.Limits, held time.Time) error {
	keeps := keeps(a)
	for _, sql := range a.SQL {
		if keeps {
			if err := limitHold(ctx, tx, limits.Hold-limits.Hold/4-time.Since(held)); err != nil {
				return overHold(ctx, a, limits, "", err)
			}
		}
		if _, err := tx.Exec(ctx, sql); err != nil {
			return overHold(ctx, a, limits, sql, fmt.Errorf("%s: %w", firstLine(sql), err))
		}
	}
	if !keeps {
		return nil
	}
	// The last quarter is for what is recorded.
	return overHold(ctx, a, limits, "", limitHold(ctx, tx, limits.Hold-time.Since(held)))
}

// lockTables takes locks in their order. The wait for all of them together is
// bounded by what one attempt may wait: who queued behind the first one waits
// while the last one is waited for.
func lockTables(ctx context.Context, tx conn.Tx, locks []migrations.TableLock, wait time.Duration) error {
	began := time.Now()
	for i, l := range locks {
		if i > 0 {
			left := max(wait-time.Since(began), time.Millisecond)
			if err := setLocal(ctx, tx, map[string]string{"lock_timeout": milliseconds(left)}); err != nil {
				return err
			}
		}
		if err := lockTable(ctx, tx, l); err != nil {
			return err
		}
	}
	return nil
}

// lockTable leaves a table alone that is not there: the statements say so, or
// do not mind.
func lockTable(ctx context.Context, tx conn.Tx, l migrations.TableLock) error {
	t := l.Table
	if l.Lock == "" || t == (spec.Table{}) {
		return nil
	}
	kinds := []string{"r", "p"}
	if l.View {
		kinds = append(kinds, "v")
	}
	there, err := isOf(ctx, tx, t, kinds)
	if err != nil || !there {
		return err
	}
	only := ""
	if l.Only {
		only = "only "
	}
	if _, err := tx.Exec(ctx, "lock table "+only+migrations.Ident(t.Schema, t.Name)+" in "+string(l.Lock)+" mode"); err != nil {
		return fmt.Errorf("locking %s: %w", t, err)
	}
	return nil
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

// limitHold bounds the next statement, and how long a client that froze may
// keep the lock.
func limitHold(ctx context.Context, tx conn.Tx, left time.Duration) error {
	left = max(left, time.Millisecond)
	return setLocal(ctx, tx, map[string]string{
		"statement_timeout":                   milliseconds(left),
		"idle_in_transaction_session_timeout": milliseconds(left),
	})
}

// overHold is the error of a statement under the lock; sql is "" for pleat's own,
// which take no time by themselves.
func overHold(ctx context.Context, a *planner.Transaction, limits planner.Limits, sql string, err error) error {
	if sqlState(err) == queryCanceled && keeps(a) && !stopped(ctx) {
		return &HoldError{Table: subject(a.Table), Hold: limits.Hold, SQL: sql}
	}
	return err
}
