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

// errHalfway is a live version that is dirty because pleat has the file under
// way.
var errHalfway = errors.New("the file is under way")

// migrate runs a file of a golang-migrate directory and records its version,
// in one transaction where the file allows that, tried again while locks are
// not to be had.
func (w *work) migrate(ctx context.Context, a *planner.Migrate) error {
	pieces, err := migrations.Pieces(a.SQL)
	if err != nil {
		return &MigrationError{Migration: w.migration(a), Reason: err.Error(), hint: ownTransactions}
	}
	if len(pieces) > 1 || len(pieces) == 1 && pieces[0].Alone {
		return w.migratePieces(ctx, a, pieces)
	}
	var whole migrations.Piece
	if len(pieces) == 1 {
		whole = pieces[0]
	}
	err = w.transact(ctx, w.effortOf(a, whole, func(ctx context.Context, tx conn.Tx, limits planner.Limits) error {
		return w.migrateIn(ctx, tx, a, whole, limits)
	}))
	if errors.Is(err, errHalfway) {
		return w.migratePieces(ctx, a, pieces)
	}
	return err
}

// effortOf is a transaction of a file, which waits first for those who hold the
// tables that the piece locks.
func (w *work) effortOf(a *planner.Migrate, p migrations.Piece, body func(context.Context, conn.Tx, planner.Limits) error) effort {
	var locks []migrations.NamedLock
	if !p.Alone {
		locks = p.Locks()
	}
	return effort{
		what: w.changedBy(a), named: locks, path: a.Table,
		once: func(ctx context.Context, limits planner.Limits) error {
			return w.part(ctx, a.Table, limits, func(tx conn.Tx) error { return body(ctx, tx, limits) })
		},
	}
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

// changedBy names what a file locks: which tables those are, its text knows.
func (w *work) changedBy(a *planner.Migrate) string { return "what " + w.migration(a) + " changes" }

// migrateIn records all that there is to record before the file takes a lock: it is
// there once the commit is. The version alone comes last, as golang-migrate has it,
// whatever the file made of it, and goes to the server together with the file.
func (w *work) migrateIn(ctx context.Context, tx conn.Tx, a *planner.Migrate, p migrations.Piece, limits planner.Limits) error {
	if done, err := w.marked(ctx, tx); err != nil || done {
		return err
	}
	if err := w.lockOut(ctx, tx, a.Table, limits); err != nil {
		return err
	}
	done := false
	err := w.asRole(ctx, tx, func() (err error) {
		done, err = w.begun(ctx, tx, a)
		return err
	})
	if err != nil {
		return err
	}
	if !done {
		if err := w.recordApplied(ctx, tx, a); err != nil {
			return err
		}
	}
	if err := w.mark(ctx, tx); err != nil || done {
		return err
	}
	// As the role once more: the file may have become another one.
	last := append(w.become(w.db.Role), versionPieces(a.Table, planner.Version{Version: a.To})...)
	if err := w.asRole(ctx, tx, func() error { return w.runPiece(ctx, tx, a, p, limits, last...) }); err != nil {
		return err
	}
	w.at("step.sent")
	return nil
}

// begun locks the version, and tells whether it is the one to reach.
func (w *work) begun(ctx context.Context, tx conn.Tx, a *planner.Migrate) (done bool, err error) {
	live, err := lockVersion(ctx, tx, a.Table)
	if err != nil || live == (planner.Version{Version: a.To}) {
		return true, err
	}
	if live == (planner.Version{Version: a.From}) {
		return false, nil
	}
	if live == (planner.Version{Version: a.To, Dirty: true}) {
		// Whoever asks next finds out whose.
		return false, errHalfway
	}
	return false, mayMigrate(a, live)
}

// runPiece sends the piece at once as far as it keeps nobody away. From there on the
// server carries it out statement by statement, each within what is left of the hold,
// and waits for nobody; what is to come last goes with it.
func (w *work) runPiece(ctx context.Context, tx conn.Tx, a *planner.Migrate, p migrations.Piece, limits planner.Limits, last ...piece) error {
	strong := p.Strong()
	if strong == len(p.Statements) {
		if err := w.send(ctx, tx, a, p); err != nil || len(last) == 0 {
			return err
		}
		return w.sendAll(ctx, last)
	}
	from := p.Statements[strong].Start
	if strong > 0 {
		if err := w.send(ctx, tx, a, migrations.Piece{Text: p.Text[:from-p.Start], Start: p.Start}); err != nil {
			return err
		}
	}
	told := func(err error) error { return overHold(ctx, w.changedBy(a), limits, "", err) }
	pieces := []piece{fromNow(told)}
	for _, s := range p.Statements[strong:] {
		// The last quarter is for what is recorded of a part, and for the commit.
		pieces = append(pieces, limit(limits.Hold-limits.Hold/4, told, holdSettings...), piece{conn.Statement{SQL: s.Text}, func(err error) error {
			return overHold(ctx, w.changedBy(a), limits, s.Text, w.migrationError(a, migrations.Piece{Text: s.Text, Start: s.Start}, err))
		}})
	}
	pieces = append(pieces, limit(limits.Hold, told, holdSettings...))
	return w.sendAll(ctx, append(pieces, last...))
}

func (w *work) send(ctx context.Context, tx conn.Tx, a *planner.Migrate, p migrations.Piece) error {
	if _, err := tx.Exec(ctx, p.Text); err != nil {
		return w.migrationError(a, p, err)
	}
	return nil
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

// versionOutcome tells by the live version whether a migration took effect. A
// file that is half through and can be gone on with did not.
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
	case live.Halfway != nil && live.Halfway.From == a.From && live.Halfway.To == a.To:
		return w.halfwayOutcome(ctx, a, live.Halfway)
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
	return "look at what of the migration is there, and put it right; pleat plan says what it finds, and how to record which version that is"
}

const ownTransactions = "pleat commits each part of a migration together with the record of it: " +
	"what must commit together may stand between BEGIN and COMMIT, and nothing else may end a transaction"

// MigrationError is a migration that the server refused, or pleat before it
// was sent.
type MigrationError struct {
	Migration    string // "migration schema 6 (migrations/0006_phone.up.sql)"
	Line, Column int    // in the file, from 1; 0 = unknown
	Reason       string
	// Ran is how many statements of it took effect before, each for good, of
	// how many. 0: nothing of it is there.
	Ran, Of int
	hint    string
	cause   error
}

func (e *MigrationError) Error() string {
	where := ""
	if e.Line > 0 {
		where = fmt.Sprintf(", line %d, column %d", e.Line, e.Column)
	}
	text := e.Migration + where + ": " + e.Reason
	if e.Ran > 0 {
		text += fmt.Sprintf("; %d of its %d statements ran before that and stay", e.Ran, e.Of)
	}
	return text
}

// Hint is what to do about it; "" when there is nothing to add.
func (e *MigrationError) Hint() string { return e.hint }

// Unwrap gives the server's own error.
func (e *MigrationError) Unwrap() error { return e.cause }

func (w *work) migrationError(a *planner.Migrate, p migrations.Piece, err error) error {
	e := &MigrationError{Migration: w.migration(a), Reason: err.Error(), cause: err}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return e
	}
	e.Reason = refusal.Message + " (" + refusal.Code + ")"
	if refusal.Position > 0 {
		e.Line, e.Column = position(a.SQL, len([]rune(a.SQL[:p.Start]))+int(refusal.Position))
	}
	switch refusal.Code {
	case activeTransaction:
		e.hint = ownTransactions
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
