package journal

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/planner"
)

// Entry is one thing that happened to a step of a run.
type Entry struct {
	Step   string
	Status string
	Detail string
	At     time.Time // the server's clock; Write does not ask for it
}

// Write appends an entry to the ticket's run and returns once it is durable.
func (j *Journal) Write(ctx context.Context, t planner.Ticket, e Entry) error {
	return j.write(ctx, t, j.entry("writing the journal", t.Run, t.Fence, e, anyRun))
}

func anyRun(context.Context, conn.Tx) error { return nil }

// Record appends entries to the ticket's run, of which there is one at least,
// together with the events that tell of them: all or none. It gives the Seq of
// the last event.
func (j *Journal) Record(ctx context.Context, t planner.Ticket, entries []Entry, events ...json.RawMessage) (last int64, err error) {
	all := j.events(t.Run, &last, events...)
	for _, e := range slices.Backward(entries) {
		all = both(j.entry("writing the journal", t.Run, t.Fence, e, anyRun), all)
	}
	err = j.write(ctx, t, all)
	return last, err
}

// entry is the change that appends e once check has nothing against it. Its
// nonce tells this entry from an equal one.
func (j *Journal) entry(what, run string, fence int64, e Entry, check func(context.Context, conn.Tx) error) change {
	mine := nonce()
	return change{
		what: what,
		do: func(ctx context.Context, tx conn.Tx) error {
			if err := check(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `
				insert into pleat.entry (run, step, status, fence, detail, nonce)
				values ($1, $2, $3, $4, $5, $6)`, run, e.Step, e.Status, fence, e.Detail, mine)
			return err
		},
		done: func(ctx context.Context, tx conn.Tx) (bool, error) {
			return exists(ctx, tx, "select from pleat.entry where nonce = $1", mine)
		},
		lasts: true,
	}
}

// Entries gives a run's entries in the order in which they were written.
func (j *Journal) Entries(ctx context.Context, run string) (entries []Entry, err error) {
	err = j.read(ctx, "reading the journal", func(tx conn.Tx) error {
		rows, err := tx.Query(ctx, "select step, status, detail, at from pleat.entry where run = $1 order by seq", run)
		if err != nil {
			return err
		}
		entries, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Entry])
		return err
	})
	return entries, err
}
