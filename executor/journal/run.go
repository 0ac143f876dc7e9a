package journal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"pleat/migrations/conn"
	"pleat/planner"
)

// Begin records a run that starts now. There is one open run at most.
func (j *Journal) Begin(ctx context.Context, t planner.Ticket, r Run) error {
	return j.write(ctx, t, change{
		what: "recording the run",
		do: func(ctx context.Context, tx conn.Tx) error {
			_, err := tx.Exec(ctx, `
				insert into pleat.run (id, environment, kind, status, fingerprint, wish, plan, who, host)
				values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				r.ID, j.environment, r.Kind, r.Status, r.Fingerprint, r.Wish, []byte(r.Plan), r.Who, r.Host)
			return err
		},
		done: func(ctx context.Context, tx conn.Tx) (bool, error) {
			return exists(ctx, tx, "select from pleat.run where id = $1", r.ID)
		},
		lasts: true,
	})
}

// The entry that Resume writes.
const (
	resumedStep   = "run"
	resumedStatus = "resumed"
)

// Resume records that an open run goes on under this ticket.
func (j *Journal) Resume(ctx context.Context, t planner.Ticket, run string) error {
	e := Entry{Step: resumedStep, Status: resumedStatus}
	return j.write(ctx, t, j.entry("resuming the run", run, t.Fence, e, func(ctx context.Context, tx conn.Tx) error {
		open, err := exists(ctx, tx, "select from pleat.run where id = $1 and environment = $2 and finished is null", run, j.environment)
		if err == nil && !open {
			return fmt.Errorf("%s: %w", run, ErrNotOpen)
		}
		return err
	}))
}

// Finish records how an open run ended, together with the event that tells of
// it: whoever reads the event finds the run finished. It gives the event's Seq.
func (j *Journal) Finish(ctx context.Context, t planner.Ticket, run, status string, event json.RawMessage) (seq int64, err error) {
	err = j.write(ctx, t, both(j.finish(run, status), j.events(run, &seq, event)))
	return seq, err
}

// Finished tells whether a run has ended. One that was never recorded has not.
func (j *Journal) Finished(ctx context.Context, run string) (yes bool, err error) {
	err = j.read(ctx, "reading the run", func(tx conn.Tx) (err error) {
		yes, err = exists(ctx, tx, "select from pleat.run where id = $1 and environment = $2 and finished is not null", run, j.environment)
		return err
	})
	return yes, err
}

func (j *Journal) finish(run, status string) change {
	return change{
		what: "recording the run's end",
		do: func(ctx context.Context, tx conn.Tx) error {
			tag, err := tx.Exec(ctx, `
				update pleat.run set status = $3, finished = clock_timestamp()
				where id = $1 and environment = $2 and finished is null`, run, j.environment, status)
			if err == nil && tag.RowsAffected() == 0 {
				return fmt.Errorf("%s: %w", run, ErrNotOpen)
			}
			return err
		},
		done: func(ctx context.Context, tx conn.Tx) (bool, error) {
			return exists(ctx, tx, "select from pleat.run where id = $1 and status = $2 and finished is not null", run, status)
		},
	}
}

func nonce() string { return rand.Text() }
