package postgres

import (
	"context"

	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// Force is what a person says is there of a golang-migrate directory.
type Force struct {
	Table spec.Table
	// Version is recorded as it is. With Halfway it is dirty, and the next apply
	// goes on with the file from there.
	Version planner.Version
	Applied []planner.Applied // the versions that are there, with the files' digests as they are now
}

// Force records what a person says is there, under the ticket's fence, and runs
// nothing. It gives what was recorded before.
func (p *Provider) Force(ctx context.Context, t planner.Ticket, f Force) (before planner.Version, err error) {
	nobody := func(planner.Report) {}
	_, err = p.on(ctx, t, nobody, func(w *work) error {
		if err := conn.Preflight(ctx, w.conn); err != nil {
			return err
		}
		return w.explain(w.transact(ctx, effort{what: "golang-migrate's table " + f.Table.String(), once: func(ctx context.Context, limits planner.Limits) error {
			return w.part(ctx, f.Table, limits, func(tx conn.Tx) (err error) {
				before, err = w.force(ctx, tx, f, limits)
				return err
			})
		}}))
	})
	return before, err
}

func (w *work) force(ctx context.Context, tx conn.Tx, f Force, limits planner.Limits) (before planner.Version, err error) {
	if err := w.lockOut(ctx, tx, f.Table, limits); err != nil {
		return before, err
	}
	err = w.asRole(ctx, tx, func() (err error) {
		if before, err = lockVersion(ctx, tx, f.Table); err != nil {
			return err
		}
		return writeVersion(ctx, tx, f.Table, planner.Version{Version: f.Version.Version, Dirty: f.Version.Dirty})
	})
	if err != nil {
		return before, err
	}
	there := f.Version.Version
	if f.Version.Halfway == nil {
		err = forgetHalfway(ctx, tx, f.Table)
	} else {
		there = f.Version.Halfway.From
		err = putHalfway(ctx, tx, f.Table, *f.Version.Halfway)
	}
	if err != nil {
		return before, err
	}
	if err := forgetApplied(ctx, tx, f.Table, there); err != nil {
		return before, err
	}
	return before, takeOver(ctx, tx, f.Table, f.Applied,
		"do update set sha256 = excluded.sha256, run = '', applied_at = pg_catalog.clock_timestamp() where a.sha256 <> excluded.sha256")
}
