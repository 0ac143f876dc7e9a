package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
)

// marked tells whether this run has carried out the step.
func (w *work) marked(ctx context.Context, tx conn.Tx) (bool, error) {
	return marked(ctx, tx, w.ticket.Run, w.step.ID)
}

func marked(ctx context.Context, tx conn.Tx, run, step string) (bool, error) {
	var one int
	err := tx.QueryRow(ctx, "select 1 from pleat.mark where run = $1 and step = $2", run, step).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the step's mark: %w", err)
	}
	return true, nil
}

func (w *work) mark(ctx context.Context, tx conn.Tx) error {
	_, err := tx.Exec(ctx, "insert into pleat.mark (run, step) values ($1, $2)", w.ticket.Run, w.step.ID)
	if err != nil {
		return fmt.Errorf("writing the step's mark: %w", err)
	}
	w.marks = true
	return nil
}

// recordPhase records how far a change has come; "" leaves the phase as it is
// for as long as it was recorded of the same text of the change.
func recordPhase(ctx context.Context, tx conn.Tx, change, digest string, phase migrations.Phase) error {
	_, err := tx.Exec(ctx, `
		insert into pleat.change as c (name, phase, digest, hidden_at)
		values ($1, coalesce(nullif($2, ''), 'absent'), $3,
		        case when $2 = 'hidden' then pg_catalog.clock_timestamp() end)
		on conflict (name) do update set
		  phase = case when $2 <> '' then $2 when c.digest = $3 then c.phase else 'absent' end,
		  digest = $3,
		  hidden_at = case when $2 = 'hidden' then coalesce(c.hidden_at, pg_catalog.clock_timestamp())
		                   when $2 in ('', 'contracted') then c.hidden_at end,
		  updated = pg_catalog.clock_timestamp()`, change, string(phase), digest)
	if err != nil {
		return fmt.Errorf("recording change %s: %w", change, err)
	}
	return nil
}

// entry is what a step leaves in the record of a change.
type entry struct {
	change, digest, unit string
	reverse              bool // the unit was taken back
	phase                migrations.Phase
}

func record(ctx context.Context, tx conn.Tx, e entry) error {
	if err := recordPhase(ctx, tx, e.change, e.digest, e.phase); err != nil || e.unit == "" {
		return err
	}
	_, err := tx.Exec(ctx, `
		update pleat.change set
		  units = case when $3 then units - $2::text else units || pg_catalog.jsonb_build_object($2::text, true) end,
		  quiet_since = case when $3 then null else quiet_since end
		where name = $1`, e.change, e.unit, e.reverse)
	if err != nil {
		return fmt.Errorf("recording unit %s: %w", e.unit, err)
	}
	return nil
}

// forgetFills is for what changes the table's shape: what was filled may be
// gone with the columns, or was unguarded while the trigger was.
func forgetFills(ctx context.Context, tx conn.Tx, change string) error {
	_, err := tx.Exec(ctx, `
		with forgotten as (delete from pleat.cursor where change = $1)
		update pleat.change set units = (
		  select coalesce(pg_catalog.jsonb_object_agg(key, value), '{}') from pg_catalog.jsonb_each(units)
		  where key not like 'backfill.%')
		where name = $1`, change)
	if err != nil {
		return fmt.Errorf("forgetting the fills of %s: %w", change, err)
	}
	return nil
}

// finish records what a step did that is not one transaction.
func (w *work) finish(ctx context.Context, e entry, also func(ctx context.Context, tx conn.Tx) error) error {
	limits := w.limits()
	t := conn.Transaction{Conn: w.conn, Sent: func() { w.at("step.commit_sent") }}
	return t.Run(ctx, func(tx conn.Tx) error {
		if err := setLocal(ctx, tx, map[string]string{"lock_timeout": milliseconds(limits.Hold)}); err != nil {
			return err
		}
		if err := w.holdFence(ctx, tx); err != nil {
			return err
		}
		done, err := w.marked(ctx, tx)
		if err != nil || done {
			return err
		}
		if err := record(ctx, tx, e); err != nil {
			return err
		}
		if err := also(ctx, tx); err != nil {
			return err
		}
		return w.mark(ctx, tx)
	})
}

func nothingElse(context.Context, conn.Tx) error { return nil }

// allow lets the owner of the application's schema make sync functions in the
// schema pleat, and lets every role's triggers reach the sequence there. It
// changes nothing where that is so already.
func (w *work) allow(ctx context.Context, tx conn.Tx) error {
	role := w.db.Role
	if role == "" {
		role = w.conn.Config().User
	}
	var all, owner bool
	err := tx.QueryRow(ctx, `
		select pg_catalog.has_schema_privilege('public', 'pleat', 'usage'),
		       pg_catalog.has_schema_privilege($1::name, 'pleat', 'create')
		   and pg_catalog.has_schema_privilege($1::name, 'pleat', 'usage')`, role).Scan(&all, &owner)
	if err != nil {
		return fmt.Errorf("asking for rights in the schema pleat: %w", err)
	}
	if !all {
		if _, err := tx.Exec(ctx, "grant usage on schema pleat to public"); err != nil {
			return fmt.Errorf("letting triggers count: %w", err)
		}
	}
	if owner {
		return nil
	}
	if _, err := tx.Exec(ctx, "grant usage, create on schema pleat to "+migrations.Ident(role)); err != nil {
		return fmt.Errorf("letting %s make sync functions: %w", role, err)
	}
	return nil
}
