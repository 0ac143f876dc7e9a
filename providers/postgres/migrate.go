package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

// versionLock keeps every other writer of the version away, and no reader.
const versionLock = migrations.ShareRowExclusive

// migrate runs a file of a golang-migrate directory and records its version in
// one transaction, tried again while locks are not to be had.
func (w *work) migrate(ctx context.Context, a *planner.Migrate) error {
	if why := migrations.TransactionProblem(a.SQL); why != "" {
		return &MigrationError{Migration: w.migration(a), Reason: why, hint: oneTransaction}
	}
	return w.transact(ctx, effort{
		what: "what " + w.migration(a) + " changes", locks: []migrations.TableLock{{Table: a.Table, Lock: versionLock}},
		once: func(ctx context.Context, limits planner.Limits) error {
			return w.once(ctx, a.Table, limits, func(tx conn.Tx) error { return w.migrateIn(ctx, tx, a, limits) })
		},
	})
}

// migration names the file that a step runs: what takes a step back says of
// itself where the step is, not where it is.
func (w *work) migration(a *planner.Migrate) string {
	if a.To < a.From {
		return fmt.Sprintf("the down migration of %s %d", a.Migrations, a.From)
	}
	if w.step.Source == "" {
		return fmt.Sprintf("migration %s %d", a.Migrations, a.To)
	}
	return fmt.Sprintf("migration %s %d (%s)", a.Migrations, a.To, w.step.Source)
}

func (w *work) migrateIn(ctx context.Context, tx conn.Tx, a *planner.Migrate, limits planner.Limits) error {
	if err := w.lockOut(ctx, tx, a.Table, limits); err != nil {
		return err
	}
	done := false
	err := w.asRole(ctx, tx, func() (err error) {
		done, err = w.runFile(ctx, tx, a)
		return err
	})
	if err != nil || done {
		return err
	}
	w.at("step.sent")
	// As the role once more: the file may have become another one.
	return w.asRole(ctx, tx, func() error { return writeVersion(ctx, tx, a.Table, a.To) })
}

// runFile leaves the file alone where the version is the one to reach.
func (w *work) runFile(ctx context.Context, tx conn.Tx, a *planner.Migrate) (done bool, err error) {
	if err := makeVersionTable(ctx, tx, a.Table); err != nil {
		return false, err
	}
	if err := lockTable(ctx, tx, a.Table, versionLock); err != nil {
		return false, err
	}
	live, err := readVersion(ctx, tx, a.Table)
	if err != nil || live == (planner.Version{Version: a.To}) {
		return true, err
	}
	if err := mayMigrate(a, live); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, a.SQL); err != nil {
		return false, w.migrationError(a, err)
	}
	return false, nil
}

// mayMigrate is about a live version that is not the one to reach.
func mayMigrate(a *planner.Migrate, live planner.Version) error {
	if live.Dirty {
		return &DirtyError{Table: a.Table.String(), Version: live.Version}
	}
	if live.Version != a.From {
		return &VersionError{Migrations: a.Migrations, Live: live.Version, From: a.From, To: a.To}
	}
	return nil
}

// versionOutcome tells by the live version whether a migration took effect.
func (w *work) versionOutcome(ctx context.Context, a *planner.Migrate) (planner.Outcome, error) {
	var live planner.Version
	err := conn.InTransaction(ctx, w.conn, func(tx conn.Tx) (err error) {
		live, err = w.version(ctx, tx, a.Table)
		return err
	})
	switch {
	case err != nil:
		return planner.Unknown, w.explain(err)
	case live == planner.Version{Version: a.To}:
		return planner.Done, nil
	case live == planner.Version{Version: a.From}:
		return planner.NotDone, nil
	}
	return planner.Unknown, mayMigrate(a, live)
}

// VersionError is a live version at which a migration cannot begin. Nothing
// was changed.
type VersionError struct {
	Migrations     string
	Live, From, To uint64 // 0: none
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the live version of migrations.%s is %s, the plan is for %s → %s",
		e.Migrations, versionText(e.Live), versionText(e.From), versionText(e.To))
}

// Hint is what to do about it.
func (e *VersionError) Hint() string { return "somebody else migrates the database; plan again" }

func versionText(v uint64) string {
	if v == 0 {
		return "none"
	}
	return fmt.Sprint(v)
}

// DirtyError is a migration that golang-migrate began and did not finish.
// Nothing was changed since.
type DirtyError struct {
	Table   string
	Version uint64
}

func (e *DirtyError) Error() string {
	return fmt.Sprintf("%s is dirty at version %s: golang-migrate began a migration and did not finish it", e.Table, versionText(e.Version))
}

// Hint is what to do about it.
func (e *DirtyError) Hint() string {
	return "look at what of the migration is there, put it right, and record by `migrate force VERSION` which version that is"
}

const oneTransaction = "pleat runs a migration in one transaction, together with the record of its version: " +
	"leave BEGIN and COMMIT out of the file, build indexes by create_index of a change, " +
	"and run with golang-migrate itself what cannot be in a transaction"

// MigrationError is a migration that the server refused, or pleat before it
// was sent. Nothing of it is there.
type MigrationError struct {
	Migration    string // "migration schema 6 (migrations/0006_phone.up.sql)"
	Line, Column int    // in the file, from 1; 0 = unknown
	Reason       string
	hint         string
	cause        error
}

func (e *MigrationError) Error() string {
	where := ""
	if e.Line > 0 {
		where = fmt.Sprintf(", line %d, column %d", e.Line, e.Column)
	}
	return e.Migration + where + ": " + e.Reason
}

// Hint is what to do about it; "" when there is nothing to add.
func (e *MigrationError) Hint() string { return e.hint }

// Unwrap gives the server's own error.
func (e *MigrationError) Unwrap() error { return e.cause }

func (w *work) migrationError(a *planner.Migrate, err error) error {
	e := &MigrationError{Migration: w.migration(a), Reason: err.Error(), cause: err}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return e
	}
	e.Reason = refusal.Message + " (" + refusal.Code + ")"
	e.Line, e.Column = position(a.SQL, int(refusal.Position))
	switch refusal.Code {
	case activeTransaction:
		e.hint = oneTransaction
	case insufficientRight:
		e.hint = w.grant(refusal.Message)
	}
	return e
}

// position tells line and column of the nth character; 0, 0 where there is
// none.
func position(sql string, n int) (line, column int) {
	text := []rune(sql)
	if n < 1 || n > len(text) {
		return 0, 0
	}
	before := string(text[:n-1])
	last := before[strings.LastIndexByte(before, '\n')+1:]
	return strings.Count(before, "\n") + 1, len([]rune(last)) + 1
}
