package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pleat/migrations/conn"
	"pleat/planner"
)

// settleTimeout bounds finding out what became of a COMMIT, which also happens
// when the caller's context is over: that may be how it got lost.
const settleTimeout = 30 * time.Second

// change is something to write.
type change struct {
	what string
	do   func(ctx context.Context, tx conn.Tx) error
	// done tells whether an earlier do, whose COMMIT was not answered, is there.
	done func(ctx context.Context, tx conn.Tx) (bool, error)
	// lasts: what was written is never changed, so that done tells for ever.
	lasts bool
}

// both is two changes in one transaction. That the first is there shows that
// both are.
func both(first, second change) change {
	return change{
		what: first.what,
		do: func(ctx context.Context, tx conn.Tx) error {
			if err := first.do(ctx, tx); err != nil {
				return err
			}
			return second.do(ctx, tx)
		},
		done:  first.done,
		lasts: first.lasts,
	}
}

// maxLosses is how often one write survives the loss of its connection.
const maxLosses = 10

// write makes a change under the ticket's fence. It is sent again when the
// connection turned out to be dead before COMMIT was sent, or when it was
// looked for and is not there; never otherwise.
func (j *Journal) write(ctx context.Context, t planner.Ticket, c change) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	err := j.attempt(ctx, t, c)
	for losses := 0; err != nil && losses < maxLosses; losses++ {
		done, final := j.lost(ctx, c, err)
		if done {
			j.remember(c)
			return nil
		}
		if final != nil {
			err = final
			break
		}
		err = j.attempt(ctx, t, c)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.what, err)
	}
	j.remember(c)
	return nil
}

// remember keeps what to look for on the next connection.
func (j *Journal) remember(c change) {
	if c.lasts {
		j.proof = c.done
	}
}

// lost tells what an error means for a change: it is there after all, or, with
// the error, it must not be sent again; otherwise it may be.
func (j *Journal) lost(ctx context.Context, c change, err error) (done bool, final error) {
	if errors.Is(err, conn.ErrOutcomeUnknown) {
		done, unsettled := j.settle(ctx, c)
		if unsettled != nil {
			return false, errors.Join(err, unsettled)
		}
		return done, nil
	}
	if ctx.Err() != nil || !j.conn.IsClosed() {
		return false, err
	}
	return false, nil
}

func (j *Journal) attempt(ctx context.Context, t planner.Ticket, c change) error {
	if err := j.reconnect(ctx); err != nil {
		return err
	}
	return conn.InTransaction(ctx, j.conn, func(tx conn.Tx) error {
		if err := conn.HoldFence(ctx, tx, t.Lease, t.Fence); err != nil {
			return err
		}
		return c.do(ctx, tx)
	})
}

// settle finds out whether a change is there whose COMMIT was not answered.
func (j *Journal) settle(ctx context.Context, c change) (done bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	pid := j.conn.PgConn().PID()
	if err := conn.Close(ctx, j.conn); err != nil {
		return false, err
	}
	if err := j.reconnect(ctx); err != nil {
		return false, err
	}
	if err := j.awaitEnd(ctx, pid); err != nil {
		return false, err
	}
	return c.done(ctx, j.conn)
}

// awaitEnd waits until the server's side of a lost connection is over: only
// then does a row that is not there mean that it never will be.
func (j *Journal) awaitEnd(ctx context.Context, pid uint32) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var alive bool
		err := j.conn.QueryRow(ctx, "select exists (select from pg_stat_activity where pid = $1)", int64(pid)).Scan(&alive)
		if err != nil || !alive {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the lost session %d to end: %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
}

// exists asks one question that has yes or no for an answer.
func exists(ctx context.Context, tx conn.Tx, sql string, args ...any) (bool, error) {
	var yes bool
	err := tx.QueryRow(ctx, "select exists ("+sql+")", args...).Scan(&yes)
	return yes, err
}
