package postgres

import (
	"context"
	"slices"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// askVacuum has autovacuum leave the tables of an effort that it is in the way
// of. PostgreSQL ends an autovacuum, but for one against wraparound, once
// somebody has waited for its lock for deadlock_timeout, which is longer than
// anybody may wait behind a step. So the wait is for a vacuum's own lock: it
// conflicts with maintenance alone, and no reader or writer queues behind it.
// What a person started, and what is not to be had, stays as it is.
func (w *work) askVacuum(ctx context.Context, e effort, found []Blocker) error {
	if !e.strong() || !slices.ContainsFunc(found, Blocker.mayBeAutovacuum) {
		return nil
	}
	for _, l := range e.locks {
		w.report(planner.Waiting{For: "autovacuum of " + l.Table.String() + " to make way"})
		if err := w.askVacuumOf(ctx, l.Table); err != nil && !retryable(err) {
			return err
		}
	}
	return nil
}

func (w *work) askVacuumOf(ctx context.Context, t spec.Table) error {
	return w.part(ctx, t, w.limits(), func(tx conn.Tx) error {
		_, err := tx.Exec(ctx, `
			select pg_catalog.set_config('lock_timeout', ceil(1.5 * extract(epoch from
			  pg_catalog.current_setting('deadlock_timeout')::interval) * 1000)::int::text, true)`)
		if err != nil {
			return err
		}
		return w.asRole(ctx, tx, func() error {
			return lockTable(ctx, tx, migrations.TableLock{Table: t, Lock: migrations.ShareUpdateExclusive})
		})
	})
}
