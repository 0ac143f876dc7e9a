package conn

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
)

// ErrOutcomeUnknown is migrations.ErrOutcomeUnknown: COMMIT was sent and no
// answer came.
var ErrOutcomeUnknown = migrations.ErrOutcomeUnknown

// Class is what an error of InTransaction says about the change. The zero
// value is the safe answer.
type Class int

// The classes.
const (
	Unknown    Class = iota // it may or may not have happened
	RolledBack              // it did not happen
	NotSent                 // it did not happen, and the server never saw any of it
	Committed               // it happened: there is no error
)

// failure is an error of which InTransaction knows the class by where it came
// from. It reads like the error that it holds.
type failure struct {
	class Class
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// idleInTransaction is the SQLSTATE of idle_in_transaction_session_timeout.
const idleInTransaction = "25P03"

// Classify tells what an error that InTransaction returned, or that answered
// a single statement, says about the change. Only an error that the server
// itself sent, from a session that goes on, proves that nothing happened: a
// FATAL one may come after the commit. What the driver thinks is safe to
// retry is never asked: it is wrong after a lost COMMIT.
func Classify(err error) Class {
	if err == nil {
		return Committed
	}
	if errors.Is(err, ErrOutcomeUnknown) {
		return Unknown
	}
	var f *failure
	if errors.As(err, &f) {
		return f.class
	}
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && (severity(refusal) == "ERROR" || refusal.Code == idleInTransaction) {
		return RolledBack
	}
	return Unknown
}

// severity is the untranslated one.
func severity(e *pgconn.PgError) string {
	if e.SeverityUnlocalized != "" {
		return e.SeverityUnlocalized
	}
	return e.Severity
}
