package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/planner"
)

// The SQLSTATEs that decide something.
const (
	lockNotAvailable     = "55P03"
	deadlockDetected     = "40P01"
	serializationFailure = "40001"
	queryCanceled        = "57014"
	uniqueViolation      = "23505"
	insufficientRight    = "42501"
	undefinedTable       = "42P01"
	undefinedFunction    = "42883"
	undefinedObject      = "42704"
	tooManyConnections   = "53300"
	diskFull             = "53100"
	duplicateTable       = "42P07"
	activeTransaction    = "25001" // what cannot be in a transaction
)

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// LockBudgetError is a lock that could not be had in the time given, because
// of others. Nothing was changed.
type LockBudgetError struct {
	Table    string
	Patience time.Duration
	Blockers []Blocker
	Behind   []Blocker     // those that stood in the queue behind the step, for Wait at most
	Wait     time.Duration // of one attempt
}

func (e *LockBudgetError) Error() string {
	text := fmt.Sprintf("lock budget exhausted: %s was not to be had within %s", e.Table, e.Patience)
	for _, b := range e.Blockers {
		text += "\n  blocked by " + b.String()
	}
	if kept := behindText(e.Behind, e.Wait); kept != "" {
		text += "\n  " + kept
	}
	return text
}

// Hint says what to do about the first blocker.
func (e *LockBudgetError) Hint() string {
	for _, b := range e.Blockers {
		if hint := b.hint(); hint != "" {
			return hint
		}
	}
	return "end what holds the table, or give the lock more patience"
}

func (e *LockBudgetError) reason() string { return lockText(e.Table, e.Blockers) }

// EvidenceError is a session that needs what a step takes away. It was seen
// once the step had its lock, and nothing was changed.
type EvidenceError struct {
	Change, Found string
}

func (e *EvidenceError) Error() string {
	return fmt.Sprintf("change %s is still needed: %s came while the step waited for its lock", e.Change, e.Found)
}

// Hint is what to do about it.
func (e *EvidenceError) Hint() string {
	return "find out who starts the old release again; apply once its sessions are gone"
}

func (e *EvidenceError) reason() string { return e.Found }

// HoldError is a transaction that would have kept others away from a table for
// longer than the budget. It was rolled back, each time that it was tried.
type HoldError struct {
	Table string
	Hold  time.Duration
	SQL   string // the statement that was at work; "" = the budget was used up between them
}

func (e *HoldError) Error() string {
	text := fmt.Sprintf("holding %s for longer than %s", e.Table, e.Hold)
	if e.SQL != "" {
		text += ": " + firstLine(e.SQL)
	}
	return text
}

func (e *HoldError) reason() string { return "a quieter moment: " + e.Error() }

// Hint is what to do about it.
func (e *HoldError) Hint() string {
	if e.SQL == "" {
		return "the server, or the way to it, is too slow for the budget: apply again, or raise lock.hold"
	}
	return "the statement scans or rewrites the table; do it in smaller steps, or raise lock.hold"
}

// DuplicateError is a unique index that the rows do not allow. No invalid
// index is left.
type DuplicateError struct {
	Index, Detail string
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("unique index %s cannot be built: %s", e.Index, e.Detail)
}

// Hint is what to do about it.
func (e *DuplicateError) Hint() string { return "make the rows differ, then apply again" }

// CursorError is a back-fill that another text of the change began.
type CursorError struct {
	Change, Table string
	Rows          int64
}

func (e *CursorError) Error() string {
	return fmt.Sprintf("the backfill of %s was begun by other expressions of change %s and stopped after %d rows", e.Table, e.Change, e.Rows)
}

// Hint is what to do about it.
func (e *CursorError) Hint() string {
	return fmt.Sprintf("put the expressions back; or, to begin again with the new ones: DELETE FROM pleat.cursor WHERE change = %s;",
		migrations.Literal(e.Change))
}

// VerifyError is rows that break a promise.
type VerifyError struct {
	Name    string
	Rows    int
	More    bool // there are more than Rows
	Max     int
	Samples []string
	// Writers counts the rows by the release that wrote them, "users 2.0.0", as
	// far as a column written_by has the application_name of the session.
	Writers map[string]int
}

func (e *VerifyError) Error() string {
	count := fmt.Sprintf("%d rows", e.Rows)
	if e.Rows == 1 {
		count = "1 row"
	}
	if e.More {
		count = "more than " + count
	}
	text := fmt.Sprintf("verify %s: %s, at most %d allowed", e.Name, count, e.Max)
	if writers := e.writers(); writers != "" {
		text += "; written by " + writers
	}
	for _, s := range e.Samples {
		text += "\n  " + s
	}
	return text
}

// writers are the releases, the one of most rows first.
func (e *VerifyError) writers() string {
	names := slices.SortedFunc(maps.Keys(e.Writers), func(a, b string) int {
		return cmp.Or(e.Writers[b]-e.Writers[a], strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%d)", name, e.Writers[name])
	}
	return strings.Join(names, ", ")
}

// RightError is a right that the role in the database's url lacks.
type RightError struct {
	hint  string
	cause *pgconn.PgError
}

func (e *RightError) Error() string { return e.cause.Message + " (" + e.cause.Code + ")" }

// Unwrap gives the server's own error.
func (e *RightError) Unwrap() error { return e.cause }

// Hint is the statement that gives the right.
func (e *RightError) Hint() string { return e.hint }

// FullError is a disk of the server's that has no room left. What was committed
// before is there, and the step goes on behind it.
type FullError struct{ cause error }

func (e *FullError) Error() string { return e.cause.Error() }

// Unwrap gives the server's own error.
func (e *FullError) Unwrap() error { return e.cause }

// Hint is what to do about it.
func (e *FullError) Hint() string {
	return "make room on the server's disk; apply goes on behind what is done, and an index begins anew"
}

// PathError is a name that a function of the author's, such as that of an event trigger,
// does not find in a session of pleat's.
type PathError struct {
	within string // as the server tells where it was
	cause  error
}

func (e *PathError) Error() string { return e.cause.Error() }

// Unwrap gives the server's own error.
func (e *PathError) Unwrap() error { return e.cause }

// Hint is what to do about it.
func (e *PathError) Hint() string {
	return "that is in the " + e.within + ": pleat's sessions find names without a schema in that of the table and in public. " +
		"Write the schema there, or give the function a path of its own: ALTER FUNCTION … SET search_path"
}

// lostIn is the function that does not find a name; "" where an error is another.
func lostIn(e *pgconn.PgError) string {
	if !slices.Contains([]string{undefinedTable, undefinedFunction, undefinedObject}, e.Code) {
		return ""
	}
	innermost, _, _ := strings.Cut(e.Where, "\n")
	if !strings.Contains(innermost, "function ") || strings.Contains(innermost, "inline_code_block") {
		return ""
	}
	return innermost
}

// explain says what a person can do about an error that is a missing right, a name that
// is not found, or a full disk.
func (w *work) explain(err error) error {
	var told *MigrationError
	if errors.As(err, &told) {
		return err
	}
	if sqlState(err) == diskFull {
		return &FullError{err}
	}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return err
	}
	if refusal.Code == insufficientRight {
		return &RightError{hint: w.grant(refusal.Message), cause: refusal}
	}
	if where := lostIn(refusal); where != "" {
		return &PathError{where, err}
	}
	return err
}

// own are pleat's tables; the server's message leaves their schema out.
var own = []string{
	"lease", "run", "entry", "event", "release", "change", "mark", "cursor", "halfway", "applied", "fill", "failed_row", "control", "statements",
}

func (w *work) grant(message string) string {
	user := migrations.Ident(w.conn.Config().User)
	role := user
	if w.db.Role != "" {
		role = migrations.Ident(w.db.Role)
	}
	_, alters := w.step.Action.(*planner.Transaction)
	switch {
	case strings.Contains(message, "schema pleat"):
		return fmt.Sprintf("as the owner of the schema: GRANT USAGE, CREATE ON SCHEMA pleat TO %s;", role)
	case strings.HasPrefix(message, "permission denied to set role"):
		return fmt.Sprintf("GRANT %s TO %s;", role, user)
	case strings.HasPrefix(message, "must be owner"),
		alters && strings.HasPrefix(message, "permission denied for table"):
		return fmt.Sprintf("let the role %s own it, or name its owner as `role` of the database and GRANT that role TO %s;", role, user)
	case strings.HasPrefix(message, "permission denied for table "):
		table := strings.TrimPrefix(message, "permission denied for table ")
		if slices.Contains(own, table) {
			return fmt.Sprintf("GRANT USAGE ON SCHEMA pleat TO %[1]s; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pleat TO %[1]s;", user)
		}
		return fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s;", migrations.Ident(table), role)
	case strings.HasPrefix(message, "permission denied for schema "):
		schema := strings.TrimPrefix(message, "permission denied for schema ")
		return fmt.Sprintf("GRANT USAGE, CREATE ON SCHEMA %s TO %s;", migrations.Ident(schema), role)
	}
	return "give the role " + role + " the right that the message names"
}

func firstLine(sql string) string { return cut(strings.TrimSpace(sql), 120) }

// cut gives the first line of a text, of at most n runes.
func cut(s string, n int) string {
	line, _, more := strings.Cut(s, "\n")
	runes := []rune(line)
	if len(runes) > n {
		runes, more = runes[:n], true
	}
	if more {
		return string(runes) + "…"
	}
	return string(runes)
}

// stopped tells whether the context ended the work, and not the server.
func stopped(ctx context.Context) bool { return ctx.Err() != nil }
