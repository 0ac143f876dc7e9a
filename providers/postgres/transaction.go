package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

const (
	look       = 20 * time.Millisecond // between two looks at who holds a table
	firstPause = 50 * time.Millisecond
	longest    = 30 * time.Second
)

// limits are the step's; what it leaves open is the database's budget. An
// attempt without a lock timeout does not exist.
func (w *work) limits() planner.Limits {
	l := w.step.Limits
	if l.LockWait <= 0 {
		l.LockWait = w.db.Lock.Timeout
	}
	if l.Hold <= 0 {
		l.Hold = w.db.Lock.Hold
	}
	if l.Patience <= 0 {
		l.Patience = w.db.Lock.Patience
	}
	l.LockWait = max(l.LockWait, time.Millisecond)
	l.Hold = max(l.Hold, time.Millisecond)
	return l
}

// transact tries until the locks are had or patience ends. Before each attempt
// it waits until nobody is known to be in the way: whoever stands in the queue
// for a strong lock keeps everybody behind it.
func (w *work) transact(ctx context.Context, a *planner.Transaction) error {
	limits := w.limits()
	deadline := time.Now().Add(limits.Patience)
	pause := firstPause
	var seen []Blocker
	defer w.report(planner.Waiting{})
	for {
		if err := w.awaitClear(ctx, a, deadline); err != nil {
			return err
		}
		err := w.attempt(ctx, a, limits)
		if err == nil || !retryable(err) {
			return err
		}
		if seen, err = w.lookAgain(ctx, a, seen); err != nil {
			return err
		}
		if time.Now().Add(pause).After(deadline) {
			return &LockBudgetError{Table: subject(a.Table), Patience: limits.Patience, Blockers: seen}
		}
		w.report(planner.Waiting{For: lockText(a.Table, seen)})
		if err := sleep(ctx, jittered(pause)); err != nil {
			return err
		}
		pause = min(2*pause, longest, limits.Patience/4+firstPause)
	}
}

// lookAgain keeps those seen last: whoever was in the way may be gone by the
// time somebody asks.
func (w *work) lookAgain(ctx context.Context, a *planner.Transaction, seen []Blocker) ([]Blocker, error) {
	found, err := blockers(ctx, w.conn, a.Table, cmp.Or(a.Lock, migrations.AccessExclusive), 0)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return seen, nil
	}
	return found, nil
}

func subject(t spec.Table) string {
	if t == (spec.Table{}) {
		return "tables of raw SQL"
	}
	return t.String()
}

// retryable names the errors after which the same transaction may be sent
// again: the server rolled it back for the sake of somebody else's.
func retryable(err error) bool {
	if conn.Classify(err) == conn.Unknown {
		return false
	}
	switch sqlState(err) {
	case lockNotAvailable, deadlockDetected, serializationFailure:
		return true
	}
	return false
}

func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitClear polls until no old transaction holds what the lock waits for.
func (w *work) awaitClear(ctx context.Context, a *planner.Transaction, deadline time.Time) error {
	if !strong(a.Lock) {
		return nil
	}
	said := ""
	for {
		found, err := blockers(ctx, w.conn, a.Table, a.Lock, old)
		if err != nil || len(found) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return &LockBudgetError{Table: subject(a.Table), Patience: w.limits().Patience, Blockers: found}
		}
		if text := lockText(a.Table, found); text != said {
			w.report(planner.Waiting{For: text})
			said = text
		}
		if err := sleep(ctx, look); err != nil {
			return err
		}
	}
}

func lockText(t spec.Table, found []Blocker) string {
	text := "lock on " + subject(t)
	if len(found) > 0 {
		text += ": " + found[0].short()
	}
	if len(found) > 1 {
		text += fmt.Sprintf(" and %d more", len(found)-1)
	}
	return text
}

// attempt is one transaction: limits, fence, lock, statements, record, mark.
func (w *work) attempt(ctx context.Context, a *planner.Transaction, limits planner.Limits) error {
	t := conn.Transaction{Conn: w.conn, Sent: func() { w.at("step.commit_sent") }}
	return t.Run(ctx, func(tx conn.Tx) error {
		if err := w.begin(ctx, tx, a.Table, limits); err != nil {
			return err
		}
		done, err := w.marked(ctx, tx)
		if err != nil || done {
			return err
		}
		if err := w.allow(ctx, tx); err != nil {
			return err
		}
		if err := w.asRole(ctx, tx, func() error { return w.statements(ctx, tx, a, limits) }); err != nil {
			return err
		}
		w.at("step.sent")
		e := entry{change: a.Change, digest: a.Digest, unit: a.Unit, reverse: a.Reverse, phase: a.Phase}
		if err := record(ctx, tx, e); err != nil {
			return err
		}
		if err := forgetFills(ctx, tx, a.Change); err != nil {
			return err
		}
		return w.mark(ctx, tx)
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

// statements takes the lock first, on its own, so that what is waited for and
// what is held are bounded apart.
func (w *work) statements(ctx context.Context, tx conn.Tx, a *planner.Transaction, limits planner.Limits) error {
	if err := lockTable(ctx, tx, a); err != nil {
		return err
	}
	held := time.Now()
	for _, sql := range a.SQL {
		if strong(a.Lock) {
			if err := limitHold(ctx, tx, limits.Hold-limits.Hold/4-time.Since(held)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, sql); err != nil {
			return w.statementError(ctx, a, limits, sql, err)
		}
	}
	if !strong(a.Lock) {
		return nil
	}
	// The last quarter is for what is recorded.
	return limitHold(ctx, tx, limits.Hold-time.Since(held))
}

// lockTable leaves a table alone that is not there: the statements say so, or
// do not mind.
func lockTable(ctx context.Context, tx conn.Tx, a *planner.Transaction) error {
	if a.Lock == "" || a.Table == (spec.Table{}) {
		return nil
	}
	name := migrations.Ident(a.Table.Schema, a.Table.Name)
	var there bool
	err := tx.QueryRow(ctx, `
		select exists (select from pg_catalog.pg_class
		               where oid = pg_catalog.to_regclass($1) and relkind in ('r', 'p'))`, name).Scan(&there)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", a.Table, err)
	}
	if !there {
		return nil
	}
	if _, err := tx.Exec(ctx, "lock table "+name+" in "+string(a.Lock)+" mode"); err != nil {
		return fmt.Errorf("locking %s: %w", a.Table, err)
	}
	return nil
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

func (w *work) statementError(ctx context.Context, a *planner.Transaction, limits planner.Limits, sql string, err error) error {
	if sqlState(err) == queryCanceled && strong(a.Lock) && !stopped(ctx) {
		return &HoldError{Table: a.Table.String(), Hold: limits.Hold, SQL: sql}
	}
	return fmt.Errorf("%s: %w", firstLine(sql), err)
}
