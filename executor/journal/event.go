package journal

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/planner"
)

// Event is something that happened, for others to read. Seq begins at 1 in
// each environment, rises by one, and has no gaps.
type Event struct {
	Seq  int64
	Run  string
	At   time.Time // the server's clock
	Body json.RawMessage
}

// Emit appends events of the ticket's run, all or none, and gives the Seq of
// the last one.
func (j *Journal) Emit(ctx context.Context, t planner.Ticket, bodies ...json.RawMessage) (last int64, err error) {
	err = j.write(ctx, t, j.events(t.Run, &last, bodies...))
	return last, err
}

// events is the change that appends events and puts the Seq of the last one
// into last.
func (j *Journal) events(run string, last *int64, bodies ...json.RawMessage) change {
	texts := make([]string, len(bodies))
	for i, b := range bodies {
		texts[i] = string(b)
	}
	return change{
		what: "writing events",
		do: func(ctx context.Context, tx conn.Tx) error {
			// Whoever holds the fence is alone, so that the next number is free.
			return tx.QueryRow(ctx, `
				with written as (
					insert into pleat.event (environment, seq, run, body)
					select $1, before.seq + b.n, $2, b.body::json
					from (select coalesce(max(seq), 0) as seq from pleat.event where environment = $1) before,
					     unnest($3::text[]) with ordinality as b (body, n)
					returning seq)
				select coalesce(max(seq), 0) from written`, j.environment, run, texts).Scan(last)
		},
		done: func(ctx context.Context, tx conn.Tx) (bool, error) {
			return exists(ctx, tx, "select from pleat.event where environment = $1 and seq = $2 and run = $3", j.environment, *last, run)
		},
		lasts: true,
	}
}

// Events gives the events after since, in order, limit at most.
func (j *Journal) Events(ctx context.Context, since int64, limit int) (events []Event, err error) {
	err = j.read(ctx, "reading events", func(tx conn.Tx) error {
		rows, err := tx.Query(ctx, `
			select seq, run, at, body::text from pleat.event
			where environment = $1 and seq > $2 order by seq limit $3`, j.environment, since, limit)
		if err != nil {
			return err
		}
		events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Event, error) {
			var e Event
			var body string
			err := row.Scan(&e.Seq, &e.Run, &e.At, &body)
			e.Body = json.RawMessage(body)
			return e, err
		})
		return err
	})
	return events, err
}

const (
	followInterval = 200 * time.Millisecond
	followBatch    = 500
)

// Follow gives show every event after since, in order, each once, and then
// those that come, until show returns an error, which it returns, or ctx ends,
// whose error it returns. What is written is shown 200 ms later at most.
func (j *Journal) Follow(ctx context.Context, since int64, show func(Event) error) error {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		events, err := j.Events(ctx, since, followBatch)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := show(e); err != nil {
				return err
			}
			since = e.Seq
		}
		if len(events) == followBatch {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
