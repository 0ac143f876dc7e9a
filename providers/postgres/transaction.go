package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
	// holds is how often a transaction is tried that was over its hold: a busy
	// machine is as likely as a statement that takes long.
	holds = 3
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

// effort is a transaction that may need several attempts.
type effort struct {
	what  string                 // the locks are on
	locks []migrations.TableLock // those that are known, in the order in which they are taken
	// named are those of authors' SQL, whose names its search path resolves.
	named []migrations.NamedLock
	path  spec.Table // whose schema the search path begins with
	once  func(ctx context.Context, limits planner.Limits) error
}

// transaction is the effort of a Transaction step.
func (w *work) transaction(a *planner.Transaction) effort {
	named := namedBy(a)
	l := &locking{Transaction: a, locks: locksOf(a), keeps: strong(a.Lock) ||
		slices.ContainsFunc(named, func(l migrations.NamedLock) bool { return strong(l.Lock) })}
	return effort{what: subject(a.Table), locks: l.locks, named: named, path: public, once: func(ctx context.Context, limits planner.Limits) error {
		return w.attempt(ctx, l, limits)
	}}
}

// locking is a Transaction step with what is read in it once, for all attempts.
type locking struct {
	*planner.Transaction
	locks []migrations.TableLock
	// keeps: its statements keep others away from a table that was there before
	// them, until the commit.
	keeps bool
}

// public is where the names in an author's SQL are looked for.
var public = spec.Table{Schema: "public"}

// namedBy are the locks of statements that declare none: an author's.
func namedBy(a *planner.Transaction) []migrations.NamedLock {
	if a.Lock != "" || a.Table != (spec.Table{}) {
		return nil
	}
	return migrations.LocksOf(a.SQL)
}

// locksOf are the locks of a transaction: other tables come before its own.
func locksOf(a *planner.Transaction) []migrations.TableLock {
	locks := slices.Clone(a.Also)
	if a.Table != (spec.Table{}) {
		locks = append(locks, migrations.TableLock{Table: a.Table, Lock: a.Lock})
	}
	return locks
}

// blockers are those that hold what any of the locks waits for.
func (e effort) blockers(ctx context.Context, q conn.Tx, least time.Duration) ([]Blocker, error) {
	var all []Blocker
	for _, l := range e.locks {
		found, err := blockers(ctx, q, l.Table, cmp.Or(l.Lock, migrations.AccessExclusive), least)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	found, err := blockersOf(ctx, q, e.named, e.path, least)
	if err != nil {
		return nil, err
	}
	return distinct(append(all, found...)), nil
}

// strong tells whether somebody would stand in a queue behind it.
func (e effort) strong() bool {
	return slices.ContainsFunc(e.locks, func(l migrations.TableLock) bool { return strong(l.Lock) }) ||
		slices.ContainsFunc(e.named, func(l migrations.NamedLock) bool { return strong(l.Lock) })
}

// transact tries until the locks are had or patience ends. Before each attempt
// it waits until nobody is known to be in the way: whoever stands in the queue
// for a strong lock keeps everybody behind it.
func (w *work) transact(ctx context.Context, e effort) (err error) {
	limits := w.limits()
	deadline := time.Now().Add(limits.Patience)
	pause := firstPause
	var seen []Blocker
	var met obstacle
	var crowd crowd
	over := 0
	defer func() { err = errors.Join(err, crowd.leave(ctx)) }()
	defer w.report(planner.Waiting{})
	for {
		if err := w.awaitClear(ctx, e, deadline); err != nil {
			return err
		}
		err := crowd.during(ctx, limits.LockWait, func() error { return e.once(ctx, limits) })
		var held *HoldError
		if errors.As(err, &held) {
			over++
		}
		if err == nil || !mayPass(err) || over == holds {
			return err
		}
		if met, seen, err = w.obstacle(ctx, e, err, seen); err != nil {
			return err
		}
		w.gather(ctx, &crowd)
		if locked, ok := met.(*LockBudgetError); ok {
			locked.Behind, locked.Wait = crowd.behind, limits.LockWait
			if err := w.askVacuum(ctx, e, seen); err != nil {
				return err
			}
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
	var met obstacle
	return errors.As(err, &met) || retryable(err)
}

// obstacle says what an attempt met. A session that was seen ends the quiet
// time of its change.
func (w *work) obstacle(ctx context.Context, e effort, failed error, seen []Blocker) (obstacle, []Blocker, error) {
	var unmet *EvidenceError
	if errors.As(failed, &unmet) {
		return unmet, seen, w.stopSoak(ctx, unmet.Change)
	}
	var met obstacle
	if errors.As(failed, &met) {
		return met, seen, nil
	}
	seen, err := w.lookAgain(ctx, e, seen)
	return &LockBudgetError{Table: e.what, Patience: w.limits().Patience, Blockers: seen}, seen, err
}

// lookAgain keeps those seen last: whoever was in the way may be gone by the
// time somebody asks.
func (w *work) lookAgain(ctx context.Context, e effort, seen []Blocker) ([]Blocker, error) {
	found, err := e.blockers(ctx, w.conn, 0)
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
func (w *work) awaitClear(ctx context.Context, e effort, deadline time.Time) error {
	if !e.strong() {
		return nil
	}
	said := ""
	for {
		found, err := e.blockers(ctx, w.conn, old)
		if err != nil || len(found) == 0 {
			return err
		}
		if text := lockText(e.what, found); text != said {
			w.report(planner.Waiting{For: text})
			said = text
		}
		if time.Now().After(deadline) {
			return &LockBudgetError{Table: e.what, Patience: w.limits().Patience, Blockers: found}
		}
		if err := w.evict(ctx, e.what, found); err != nil {
			return err
		}
		if err := w.askVacuum(ctx, e, found); err != nil {
			return err
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
