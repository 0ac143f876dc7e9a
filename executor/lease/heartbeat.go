package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"pleat/executor/crash"
	"pleat/migrations/conn"
)

var (
	// errMoved is a row that is not ours any more.
	errMoved = errors.New("somebody else took it, or it was unlocked")
	// errSlept is a heartbeat that came too late although nothing went wrong.
	errSlept = errors.New("this process or its machine stood still")
)

// calm is how long the row may be behind the step in hand: of steps that take
// milliseconds nobody could read each.
const calm = 100 * time.Millisecond

// keep renews the lease until ctx ends or it is lost.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.stopped)
	timer := time.NewTimer(l.terms.Heartbeat)
	defer timer.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			if rest := min(calm, l.terms.Heartbeat) - time.Since(last); rest > 0 {
				timer.Reset(rest)
				continue
			}
		case <-timer.C:
			crash.At("lease.before_heartbeat")
		}
		last = time.Now()
		next, err := l.beat(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.lose(err)
			return
		}
		timer.Reset(next)
	}
}

// beat renews the lease once and says when the next try is due. An error is
// final: the lease is lost.
func (l *Lease) beat(ctx context.Context) (time.Duration, error) {
	if l.late() {
		return 0, fmt.Errorf("it could not be renewed in time: %w", cmp.Or(l.trouble, errSlept))
	}
	asked := time.Now()
	l.trouble = l.renew(ctx)
	if errors.Is(l.trouble, errMoved) {
		return 0, l.trouble
	}
	if l.trouble != nil {
		return min(l.terms.Heartbeat/5, max(0, time.Until(l.deadline))), nil
	}
	l.deadline = asked.Add(l.terms.Expiry)
	return l.terms.Heartbeat, nil
}

// late compares the wall clocks too: the monotonic one stands still while a
// machine sleeps, and others may have taken the lease meanwhile.
func (l *Lease) late() bool {
	now := time.Now()
	return !now.Before(l.deadline) || !now.Round(0).Before(l.deadline.Round(0))
}

// renew takes a heartbeat's time at most, so that a connection that swallows
// everything leaves time for another one.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(l.terms.Heartbeat, time.Until(l.deadline)))
	defer cancel()
	if err := l.reconnect(ctx); err != nil {
		return err
	}
	l.mutex.Lock()
	run, step := l.run, l.step
	l.mutex.Unlock()
	ours, err := renew(ctx, l.conn, l.name, l.holder.ID, l.fence, run, step, l.terms.Expiry)
	if err != nil {
		return errors.Join(err, conn.Close(ctx, l.conn))
	}
	if !ours {
		return errMoved
	}
	return nil
}
