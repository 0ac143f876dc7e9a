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
	var met obstacle
	defer w.report(planner.Waiting{})
	for {
		if err := w.awaitClear(ctx, a, deadline); err != nil {
			return err
		}
		err := w.attempt(ctx, a, limits)
		if err == nil || !mayPass(err) {
			return err
		}
		if met, seen, err = w.obstacle(ctx, a, err, seen); err != nil {
			return err
		}
		if time.Now().Add(pause).After(deadline) {
			return met
		}
		w.report(planner.Waiting{For: met.reason()})
		if err := sleep(ctx, jittered(pause)); err != nil {
			return err
		}
		pause = min(2*pause, longest, limits.Patience/4+firstPause)
	}
}

// obstacle is what a transaction met that may pass, and fails it in the end.
type obstacle interface {
	error
	reason() string // what is waited for meanwhile
}

func mayPass(err error) bool {
	var unmet *EvidenceError
	return errors.As(err, &unmet) || retryable(err)
}

// obstacle says what an attempt met. A session that was seen ends the quiet
// time of its change.
func (w *work) obstacle(ctx context.Context, a *planner.Transaction, failed error, seen []Blocker) (obstacle, []Blocker, error) {
	var unmet *EvidenceError
	if errors.As(failed, &unmet) {
		return unmet, seen, w.stopSoak(ctx, unmet.Change)
	}
	seen, err := w.lookAgain(ctx, a, seen)
	return &LockBudgetError{Table: subject(a.Table), Patience: w.limits().Patience, Blockers: seen}, seen, err
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
		if text := lockText(subject(a.Table), found); text != said {
			w.report(planner.Waiting{For: text})
			said = text
		}
		if time.Now().After(deadline) {
			return &LockBudgetError{Table: subject(a.Table), Patience: w.limits().Patience, Blockers: found}
		}
		if err := sleep(ctx, look); err != nil {
			return err
		}
	}
}

// lockText is what is waited for. It has no age in it: a wait is told again
// when it changes.
func lockText(subject string, found []Blocker) string {
	text := "lock on " + subject
	if len(found) > 0 {
		first := found[0]
		first.Age = 0
		text += ": " + first.short()
	}
	if len(found) > 1 {
		text += fmt.Sprintf(" and %d more", len(found)-1)
	}
	return text
}
