package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations/bookkeeping"
	"pleat/migrations/conn"
	"pleat/spec"
)

// read gives who holds the lease and its fence; nobody is nil. A row that a
// person or another program has put together may lack anything.
func read(ctx context.Context, tx conn.Tx, name string) (*Holder, int64, error) {
	var h Holder
	var fence int64
	err := tx.QueryRow(ctx, `
		select fence, id, coalesce(run, ''), coalesce(host, ''), coalesce(pid, 0), coalesce(process, ''), coalesce(who, ''), coalesce(step, ''),
		       coalesce(since, now()), coalesce(beat, now()), coalesce(until, now()), clock_timestamp(),
		       array(select field from (values ('run', run), ('host', host), ('pid', pid::text), ('process', process), ('who', who), ('step', step),
		                                       ('since', since::text), ('beat', beat::text), ('until', until::text)) as f (field, value)
		             where value is null)
		from pleat.lease where name = $1 and id is not null`, name).
		Scan(&fence, &h.ID, &h.Run, &h.Host, &h.PID, &h.Process, &h.Who, &h.Step, &h.Since, &h.Beat, &h.Until, &h.Asked, &h.Lacks)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the lease %q: %w", name, err)
	}
	return &h, fence, nil
}

// claim takes the lease where it is free, expired, or still has the fence of a
// dead holder. No row is pgx.ErrNoRows.
func claim(ctx context.Context, c *pgx.Conn, name string, h Holder, expiry time.Duration, dead int64) (int64, error) {
	fence, err := claimOnce(ctx, c, name, h, expiry, dead)
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && refusal.Code == "23505" {
		// unique_violation: of two who make the row at the same moment, one may
		// meet the other's in the index on (name, fence), which ON CONFLICT does
		// not watch. Nothing was written, and now the row is there.
		return claimOnce(ctx, c, name, h, expiry, dead)
	}
	return fence, err
}

// freshFence is the server's clock in microseconds. A standby may take over that lacks
// the commit by which a lease was taken; counted on from what is there, the next holder
// would get the fence of the one before, who could then go on writing.
const freshFence = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"

func claimOnce(ctx context.Context, tx conn.Tx, name string, h Holder, expiry time.Duration, dead int64) (fence int64, err error) {
	err = tx.QueryRow(ctx, `
		insert into pleat.lease as l (name, fence, id, run, host, pid, process, who, step, since, beat, until)
		values ($1, `+freshFence+`, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), clock_timestamp(), clock_timestamp() + $9::interval)
		on conflict (name) do update
		set fence = greatest(l.fence + 1, `+freshFence+`), id = excluded.id, run = excluded.run, host = excluded.host, pid = excluded.pid,
		    process = excluded.process, who = excluded.who, step = excluded.step,
		    since = clock_timestamp(), beat = clock_timestamp(), until = clock_timestamp() + $9::interval
		where l.id is null or l.until < clock_timestamp() or l.fence = $10
		returning fence`,
		name, h.ID, h.Run, h.Host, h.PID, h.Process, h.Who, h.Step, expiry, dead).Scan(&fence)
	if err != nil {
		return 0, fmt.Errorf("taking the lease %q: %w", name, err)
	}
	return fence, nil
}

// renew changes no column of the key, so that a step's hold on the lease does
// not hold it up.
func renew(ctx context.Context, tx conn.Tx, name, id string, fence int64, run, step string, expiry time.Duration) (ours bool, err error) {
	tag, err := tx.Exec(ctx, `
		update pleat.lease set beat = clock_timestamp(), until = clock_timestamp() + $6::interval, run = $4, step = $5
		where name = $1 and id = $2 and fence = $3`, name, id, fence, run, step, expiry)
	if err != nil {
		return false, fmt.Errorf("renewing the lease %q: %w", name, err)
	}
	return tag.RowsAffected() == 1, nil
}

// release raises the fence as well: whoever held the lease can write nothing
// more.
func release(ctx context.Context, tx conn.Tx, name, id string, fence int64) (ours bool, err error) {
	tag, err := tx.Exec(ctx, `
		update pleat.lease
		set fence = fence + 1, id = null, run = null, host = null, pid = null, process = null, who = null,
		    step = null, since = null, beat = null, until = null
		where name = $1 and id = $2 and fence = $3`, name, id, fence)
	if err != nil {
		return false, err
	}
	return tag.RowsAffected() == 1, nil
}

// locked tells whether err is a wait for a step's transaction that was too
// long.
func locked(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code == "55P03" // lock_not_available
}

// Announce makes a fence known in a database other than the one that has the
// lease: a former holder can write nothing there from then on, although the
// new one has not written yet. In the lease's own database it changes nothing.
func Announce(ctx context.Context, url spec.Text, name string, fence int64) (err error) {
	c, err := conn.Open(ctx, url, conn.Options{Application: "pleat/lease"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	return conn.InTransaction(ctx, c, func(tx conn.Tx) error { return conn.RaiseFence(ctx, tx, name, fence) })
}

// Show gives who holds the lease, also when it expired; nil is nobody. It
// writes nothing, and pleat's tables need not exist.
func Show(ctx context.Context, url spec.Text, name string) (h *Holder, err error) {
	c, err := conn.Open(ctx, url, conn.Options{Application: "pleat/show", ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	installed, err := bookkeeping.Installed(ctx, c)
	if err != nil || installed == 0 {
		return nil, err
	}
	h, _, err = read(ctx, c, name)
	return h, err
}

// Unlock takes the lease away from the holder with that ID, who can write
// nothing from then on. Another ID is refused with an *UnlockError that says
// who holds it. A step's transaction that is still open is waited for, for 5 s
// at most.
func Unlock(ctx context.Context, url spec.Text, name, id string) (err error) {
	c, err := conn.Open(ctx, url, conn.Options{Application: "pleat/unlock"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	if err := conn.Preflight(ctx, c); err != nil {
		return err
	}
	installed, err := bookkeeping.Installed(ctx, c)
	if err != nil {
		return err
	}
	if installed == 0 {
		return &UnlockError{Given: id}
	}
	return unlock(ctx, c, name, id)
}

func unlock(ctx context.Context, tx conn.Tx, name, id string) error {
	held, fence, err := read(ctx, tx, name)
	if err != nil {
		return err
	}
	if held == nil || held.ID != id {
		return &UnlockError{id, held}
	}
	ours, err := release(ctx, tx, name, id, fence)
	if locked(err) {
		return fmt.Errorf("unlocking: a transaction of its step %s is still open: %w", held.Step, err)
	}
	if err != nil {
		return fmt.Errorf("unlocking: %w", err)
	}
	if !ours {
		return &UnlockError{Given: id}
	}
	return nil
}
