// Package lease says who may apply now: one row of pleat.lease for each
// environment, taken by one statement on the server's clock, kept by
// heartbeats, with a fence that rises each time it changes hands. It owns that
// row. A holder that lost the lease cannot write: whatever it does checks the
// fence in the same transaction.
package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/executor/crash"
	"pleat/migrations/conn"
	"pleat/spec"
)

const (
	heartbeat      = 5 * time.Second
	expiry         = 30 * time.Second
	cleanupTimeout = 5 * time.Second
	answered       = 1500 * time.Millisecond // within which a connection that carries anything does
	resending      = time.Second             // for which it is tried again where it cannot be reached
	pause          = 100 * time.Millisecond  // between two tries to free it
)

// Terms are how a lease is kept. The zero value means the defaults: a
// heartbeat every 5 s, expiry after 30 s without one.
type Terms struct {
	Heartbeat time.Duration
	Expiry    time.Duration
}

func (t Terms) filled() Terms {
	if t.Heartbeat == 0 {
		t.Heartbeat = heartbeat
	}
	if t.Expiry == 0 {
		t.Expiry = expiry
	}
	return t
}

// Lease is a lease that was taken. Its methods may be called from several
// goroutines.
type Lease struct {
	url    spec.Text
	name   string
	holder Holder
	fence  int64
	where  string // identity of the database that has it
	terms  Terms

	// These are the heartbeat's while it runs, and Release's afterwards.
	conn     *pgx.Conn
	deadline time.Time // until then it is ours, by our own clock
	trouble  error     // of the last heartbeat

	stop    context.CancelFunc
	stopped chan struct{}
	wake    chan struct{}

	mutex    sync.Mutex
	run      string // in hand
	step     string
	cause    error // why it was lost; nil while it is not
	released bool
	guards   map[int]context.CancelCauseFunc
	guarded  int
}

// Take takes the lease of that name for h in the database at url, on default
// terms; see Terms.Take.
func Take(ctx context.Context, url spec.Text, name string, h Holder) (*Lease, error) {
	return Terms{}.Take(ctx, url, name, h)
}

// Take takes the lease, or refuses at once with a *HeldError when somebody
// else has it. One that expired is taken over, and so is one whose holder ran
// on this machine and is dead; a step's transaction that is still open there
// is waited for, for 5 s at most. pleat's tables must exist. The caller ends
// it with Release; ctx bounds the taking only.
func (t Terms) Take(ctx context.Context, url spec.Text, name string, h Holder) (*Lease, error) {
	crash.At("lease.before_take")
	c, err := conn.Open(ctx, url, conn.Options{Application: "pleat/" + h.Run})
	if err != nil {
		return nil, err
	}
	l := &Lease{
		url: url, name: name, holder: h, terms: t.filled(), conn: c, run: h.Run, step: h.Step,
		stopped: make(chan struct{}), wake: make(chan struct{}, 1), guards: map[int]context.CancelCauseFunc{},
	}
	if err := l.take(ctx); err != nil {
		return nil, errors.Join(err, conn.Close(ctx, l.conn))
	}
	crash.At("lease.taken")
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.keep(beating)
	return l, nil
}

func (l *Lease) take(ctx context.Context) error {
	if err := conn.Preflight(ctx, l.conn); err != nil {
		return err
	}
	where, _, err := conn.Identity(ctx, l.conn)
	if err != nil {
		return err
	}
	l.where = where
	var before int64 // the fence of a dead holder; 0 = there is none
	// Asking first keeps the refusal quick: the statement that takes the lease
	// queues behind a step's hold on it even if it then finds it held.
	held, fence, err := read(ctx, l.conn, l.name)
	if err != nil {
		return err
	}
	if held != nil && held.dead() {
		before = fence
	} else if held != nil && !held.Expired() {
		return &HeldError{l.name, *held}
	}
	asked := time.Now()
	l.fence, err = claim(ctx, l.conn, l.name, l.holder, l.terms.Expiry, before)
	l.deadline = asked.Add(l.terms.Expiry)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows) || locked(err):
		return l.refused(ctx)
	case conn.Classify(err) == conn.Unknown && ctx.Err() == nil:
		return l.settle(ctx, err)
	}
	return err
}

// settle looks whether a claim that was not answered has us as the holder.
func (l *Lease) settle(ctx context.Context, lost error) error {
	if err := l.reconnect(ctx); err != nil {
		return errors.Join(lost, err)
	}
	held, fence, err := read(ctx, l.conn, l.name)
	if err != nil || held == nil || held.ID != l.holder.ID {
		return errors.Join(lost, err)
	}
	l.fence = fence
	return nil
}

// refused says who has it, when the statement found that somebody does.
func (l *Lease) refused(ctx context.Context) error {
	held, _, err := read(ctx, l.conn, l.name)
	if err != nil {
		return err
	}
	if held == nil {
		return fmt.Errorf("the lease %q was in use for a moment, and is free", l.name)
	}
	return &HeldError{l.name, *held}
}

// Fence is the number by which what this holder writes is told from what
// others write.
func (l *Lease) Fence() int64 { return l.fence }

// Authority tells the lease from all others, also from one of the same name in
// another database.
func (l *Lease) Authority() string { return l.where + "/" + l.name }

// Name is the lease's name.
func (l *Lease) Name() string { return l.name }

// SetRun says which run is in hand, for others to read: one that was cut short
// is gone on with under the lease of the next. It never blocks; the row has it a
// moment later.
func (l *Lease) SetRun(run string) { l.say(func() { l.run = run }) }

// SetStep says which step is in hand, for others to read. It never blocks; the
// row has it a moment later.
func (l *Lease) SetStep(step string) { l.say(func() { l.step = step }) }

func (l *Lease) say(change func()) {
	l.mutex.Lock()
	change()
	l.mutex.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Guard gives a context that ends, with a cause that wraps ErrLost, when the
// lease is lost or could not be renewed in time, and when ctx ends. The
// caller calls the second result when the work is over.
func (l *Lease) Guard(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.cause != nil {
		cancel(l.cause)
		return ctx, func() {}
	}
	l.guarded++
	n := l.guarded
	l.guards[n] = cancel
	return ctx, func() {
		l.mutex.Lock()
		delete(l.guards, n)
		l.mutex.Unlock()
		cancel(nil)
	}
}

// lose ends everything that is guarded.
func (l *Lease) lose(reason error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.cause = fmt.Errorf("%w: %w", ErrLost, reason)
	for _, cancel := range l.guards {
		cancel(l.cause)
	}
}

// Release stops the heartbeat, waits for it, and frees the lease, also when
// ctx was cancelled. Releasing again, or after the lease was lost, does
// nothing. After an error the lease ends by expiry: where its database cannot be
// reached nobody waits for that. A connection that swallows everything leaves time
// for another one.
func (l *Lease) Release(ctx context.Context) error {
	l.mutex.Lock()
	again := l.released
	l.released = true
	l.mutex.Unlock()
	l.stop()
	<-l.stopped
	if again {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	crash.At("lease.before_release")
	err := l.free(ctx)
	crash.At("lease.released")
	return errors.Join(err, conn.Close(ctx, l.conn))
}

// free may be sent again: it then finds the row as it should be.
func (l *Lease) free(ctx context.Context) error {
	if l.trouble != nil && !errors.Is(l.trouble, context.Canceled) { // it could not be reached just now either
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, resending)
		defer cancel()
	}
	err := l.freeOnce(ctx)
	for end := time.Now().Add(resending); err != nil && l.conn.IsClosed() && ctx.Err() == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		err = l.freeOnce(ctx)
	}
	if err != nil {
		return fmt.Errorf("releasing the lease: %w", err)
	}
	return nil
}

func (l *Lease) freeOnce(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, answered)
	defer cancel()
	if l.conn.IsClosed() {
		if err := l.reconnect(limited); err != nil {
			return err
		}
	} else {
		ctx = limited
	}
	_, err := release(ctx, l.conn, l.name, l.holder.ID, l.fence)
	return err
}

// reconnect makes a new connection where the last one is dead.
func (l *Lease) reconnect(ctx context.Context) error {
	if !l.conn.IsClosed() {
		return nil
	}
	c, err := conn.Open(ctx, l.url, conn.Options{Application: "pleat/" + l.holder.Run})
	if err != nil {
		return err
	}
	l.conn = c
	return nil
}
