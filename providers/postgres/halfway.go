package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// halfway reads how far the file of a directory has come that is under way; nil
// where none is, or where pleat's tables are not there.
func halfway(ctx context.Context, tx conn.Tx, t spec.Table) (*planner.Halfway, error) {
	there, err := isTable(ctx, tx, spec.Table{Schema: "pleat", Name: "halfway"})
	if err != nil || !there {
		return nil, err
	}
	var h planner.Halfway
	var from, to int64
	err = tx.QueryRow(ctx, `
		select from_version, to_version, statements, through, coalesce(doing, 0), problem
		from pleat.halfway where version_table = $1`, t.String()).
		Scan(&from, &to, &h.Statements, &h.Through, &h.Doing, &h.Problem)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading how far a file of %s has come: %w", t, err)
	}
	h.From, h.To = uint64(from), uint64(to)
	return &h, nil
}

func putHalfway(ctx context.Context, tx conn.Tx, t spec.Table, h planner.Halfway) error {
	_, err := tx.Exec(ctx, `
		insert into pleat.halfway as h (version_table, from_version, to_version, statements, through, doing, problem)
		values ($1, $2, $3, $4, $5, nullif($6, 0), $7)
		on conflict (version_table) do update set
		  from_version = $2, to_version = $3, statements = $4, through = $5, doing = nullif($6, 0), problem = $7,
		  updated = pg_catalog.clock_timestamp()`,
		t.String(), int64(h.From), int64(h.To), h.Statements, h.Through, h.Doing, h.Problem)
	if err != nil {
		return fmt.Errorf("recording how far a file of %s has come: %w", t, err)
	}
	return nil
}

func forgetHalfway(ctx context.Context, tx conn.Tx, t spec.Table) error {
	if _, err := tx.Exec(ctx, "delete from pleat.halfway where version_table = $1", t.String()); err != nil {
		return fmt.Errorf("forgetting how far a file of %s came: %w", t, err)
	}
	return nil
}

// file is a migration file that runs piece by piece.
type file struct {
	*planner.Migrate
	pieces []migrations.Piece
	at     planner.Halfway // what is recorded of it
	begun  bool            // something is
	done   bool            // the version is the one to reach, whoever brought it there
}

// migratePieces runs what is left of a file. While it is under way the version
// is dirty, as golang-migrate would have it; each piece commits with the record
// of how far the file came.
func (w *work) migratePieces(ctx context.Context, a *planner.Migrate, pieces []migrations.Piece) error {
	f := &file{Migrate: a, pieces: pieces, at: planner.Halfway{From: a.From, To: a.To, Through: migrations.Through(pieces, 0)}}
	if err := w.resume(ctx, f); err != nil || f.done {
		return err
	}
	rest, err := f.rest()
	if err != nil {
		return w.cannotGoOn(f, err)
	}
	defer w.report(planner.Waiting{})
	for _, p := range rest {
		w.report(planner.Progress{Done: int64(f.at.Statements), Total: int64(migrations.Statements(pieces)), Unit: "statements"})
		if err := w.piece(ctx, f, p); err != nil {
			return w.halted(ctx, f, err)
		}
	}
	return w.conclude(ctx, f)
}

func (f *file) rest() ([]migrations.Piece, error) {
	return migrations.Rest(f.pieces, f.at.Statements, f.at.Through)
}

func (w *work) cannotGoOn(f *file, err error) error {
	return &MigrationError{
		Migration: w.migration(f.Migrate), Reason: err.Error(), Ran: f.at.Statements, Of: migrations.Statements(f.pieces),
		hint: "put those statements of the file back; what comes after them may be changed",
	}
}

// resume finds out how far the file has come. With the version where it leads
// to already, it only writes the mark.
func (w *work) resume(ctx context.Context, f *file) error {
	return w.transact(ctx, w.effortOf(f.Migrate, migrations.Piece{}, func(ctx context.Context, tx conn.Tx, limits planner.Limits) (err error) {
		if f.done, err = w.marked(ctx, tx); err != nil || f.done {
			return err
		}
		if err := w.lockOut(ctx, tx, f.Table, limits); err != nil {
			return err
		}
		var live planner.Version
		err = w.asRole(ctx, tx, func() (err error) {
			live, err = lockVersion(ctx, tx, f.Table)
			return err
		})
		if err != nil {
			return err
		}
		at, err := halfway(ctx, tx, f.Table)
		switch {
		case err != nil:
			return err
		case live == planner.Version{Version: f.To}:
			f.done = true
			if err := forgetHalfway(ctx, tx, f.Table); err != nil {
				return err
			}
			return w.mark(ctx, tx)
		case live == planner.Version{Version: f.From}:
			return forgetHalfway(ctx, tx, f.Table)
		case live.Dirty && live.Version == f.To && at != nil && at.From == f.From && at.To == f.To:
			f.at, f.begun = *at, true
			return nil
		}
		return mayMigrate(f.Migrate, live)
	}))
}

// piece runs one piece and records it.
func (w *work) piece(ctx context.Context, f *file, p migrations.Piece) error {
	next := f.at
	next.Statements, next.Through, next.Doing, next.Problem = p.Last(), migrations.Through(f.pieces, p.Last()), 0, ""
	if p.Alone {
		return w.pieceAlone(ctx, f, p, next)
	}
	return w.advance(ctx, f, p, next, func(tx conn.Tx, limits planner.Limits) error {
		if err := w.replay(ctx, tx, f, p); err != nil {
			return err
		}
		return w.runPiece(ctx, tx, f.Migrate, p, limits)
	})
}

// replay gives a piece the settings that earlier statements of the file made
// for all after them, whichever session those had.
func (w *work) replay(ctx context.Context, q conn.Tx, f *file, p migrations.Piece) error {
	for _, earlier := range f.pieces {
		for _, s := range earlier.Statements {
			if !s.Session || s.Number >= p.First() {
				continue
			}
			if _, err := q.Exec(ctx, s.Text); err != nil {
				return w.migrationError(f.Migrate, migrations.Piece{Start: s.Start}, err)
			}
		}
	}
	return nil
}

// advance does something of a file in one transaction with the record of how
// far it then is.
func (w *work) advance(ctx context.Context, f *file, p migrations.Piece, next planner.Halfway, do func(tx conn.Tx, limits planner.Limits) error) error {
	err := w.transact(ctx, w.effortOf(f.Migrate, p, func(ctx context.Context, tx conn.Tx, limits planner.Limits) error {
		if err := w.lockOut(ctx, tx, f.Table, limits); err != nil {
			return err
		}
		if err := w.asRole(ctx, tx, func() error { return w.underWay(ctx, tx, f) }); err != nil {
			return err
		}
		if err := putHalfway(ctx, tx, f.Table, next); err != nil {
			return err
		}
		if err := w.asRole(ctx, tx, func() error { return do(tx, limits) }); err != nil {
			return err
		}
		w.at("step.sent")
		return nil
	}))
	if err != nil {
		return err
	}
	f.at, f.begun = next, true
	w.at("migrate.between")
	return nil
}

// underWay makes the version dirty, or confirms that it is.
func (w *work) underWay(ctx context.Context, tx conn.Tx, f *file) error {
	live, err := lockVersion(ctx, tx, f.Table)
	if err != nil {
		return err
	}
	dirty := planner.Version{Version: f.To, Dirty: true}
	if f.begun && live == dirty {
		return nil
	}
	if f.begun || live != (planner.Version{Version: f.From}) {
		return mayMigrate(f.Migrate, live)
	}
	return writeVersion(ctx, tx, f.Table, dirty)
}

// conclude records the version once the whole file ran.
func (w *work) conclude(ctx context.Context, f *file) error {
	return w.transact(ctx, w.effortOf(f.Migrate, migrations.Piece{}, func(ctx context.Context, tx conn.Tx, limits planner.Limits) error {
		if err := w.lockOut(ctx, tx, f.Table, limits); err != nil {
			return err
		}
		err := w.asRole(ctx, tx, func() error {
			if err := w.underWay(ctx, tx, f); err != nil {
				return err
			}
			return writeVersion(ctx, tx, f.Table, planner.Version{Version: f.To})
		})
		if err != nil {
			return err
		}
		if err := forgetHalfway(ctx, tx, f.Table); err != nil {
			return err
		}
		if err := w.recordApplied(ctx, tx, f.Migrate); err != nil {
			return err
		}
		return w.mark(ctx, tx)
	}))
}

// halted records what stopped the file. Where nothing of it ran, nothing says
// that it is under way.
func (w *work) halted(ctx context.Context, f *file, failed error) error {
	var refused *MigrationError
	if errors.As(failed, &refused) {
		refused.Ran, refused.Of = f.at.Statements, migrations.Statements(f.pieces)
	}
	if !f.begun || w.conn.IsClosed() || conn.Classify(failed) == conn.Unknown {
		return failed
	}
	// The recording is not what was cancelled.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), orphanEnd)
	defer cancel()
	err := conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		if err := w.begin(ctx, tx, f.Table, w.limits()); err != nil {
			return err
		}
		if f.at.Statements > 0 {
			f.at.Doing, f.at.Problem = 0, failed.Error()
			return putHalfway(ctx, tx, f.Table, f.at)
		}
		err := w.asRole(ctx, tx, func() error {
			if err := w.underWay(ctx, tx, f); err != nil {
				return err
			}
			return writeVersion(ctx, tx, f.Table, planner.Version{Version: f.From})
		})
		if err != nil {
			return err
		}
		return forgetHalfway(ctx, tx, f.Table)
	})
	return errors.Join(failed, err)
}
