package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations/conn"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

func open(t *testing.T, url string) *sessionUnderTest {
	t.Helper()
	c, err := conn.Open(t.Context(), spec.Secret("var.url", url), conn.Options{Application: "pleat/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.WithoutCancel(t.Context()), c); err != nil {
			t.Error(err)
		}
	})
	return &sessionUnderTest{t, c}
}

func TestCommitCutAfterItWasSentIsUnknown(t *testing.T) {
	url := pgtest.New(t).Database(t)
	watcher := pgtest.Connect(t, url)
	pgtest.Exec(t, url, "create table public.written (n int primary key)")
	proxy, through := pgtest.NewProxy(t, url)
	for n := range 20 {
		c := open(t, through)
		cut := &pgtest.Cut{At: isCommit}
		proxy.Arm(cut)
		err := c.insert(t.Context(), n)
		<-cut.Happened
		if !errors.Is(err, conn.ErrOutcomeUnknown) || conn.Classify(err) != conn.Unknown {
			t.Errorf("round %d: %v is not unknown", n, err)
		}
		if !pgtest.Value[bool](t, watcher, "select exists (select from public.written where n = $1)", n) {
			t.Errorf("round %d: the row is not there, so the test does not test", n)
		}
	}
}

func TestCommitCutBeforeTheServerGotItIsUnknownToo(t *testing.T) {
	url := pgtest.New(t).Database(t)
	watcher := pgtest.Connect(t, url)
	pgtest.Exec(t, url, "create table public.written (n int primary key)")
	proxy, through := pgtest.NewProxy(t, url)
	c := open(t, through)
	proxy.Arm(&pgtest.Cut{At: isCommit, Before: true})
	if err := c.insert(t.Context(), 1); !errors.Is(err, conn.ErrOutcomeUnknown) {
		t.Errorf("%v is not unknown", err)
	}
	if pgtest.Value[bool](t, watcher, "select exists (select from public.written)") {
		t.Error("the row is there")
	}
}

func TestConnectionLostInTheBodyIsRolledBack(t *testing.T) {
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, "create table public.written (n int primary key)")
	proxy, through := pgtest.NewProxy(t, url)
	c := open(t, through)
	proxy.Arm(&pgtest.Cut{At: func(_ byte, body []byte) bool { return bytes.Contains(body, []byte("insert")) }})
	if err := c.insert(t.Context(), 1); conn.Classify(err) != conn.RolledBack {
		t.Errorf("%v is not rolled back", err)
	}
}

func TestConnectionLostBeforeBeginIsNotSent(t *testing.T) {
	url := pgtest.New(t).Database(t)
	c := open(t, url)
	pgtest.Exec(t, url, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pleat/test'")
	eventuallyNone(t, url)
	if err := c.insert(t.Context(), 1); conn.Classify(err) != conn.NotSent {
		t.Errorf("%v is not unsent", err)
	}
}

func TestErrorAtCommitIsRolledBackAndTheSessionGoesOn(t *testing.T) {
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, "create table public.written (n int unique deferrable initially deferred)")
	c := open(t, url)
	if err := c.insert(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	err := c.insert(t.Context(), 1)
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Code != "23505" || conn.Classify(err) != conn.RolledBack {
		t.Errorf("%v is no rolled back unique violation", err)
	}
	if err := c.insert(t.Context(), 2); err != nil {
		t.Errorf("the session is of no use any more: %v", err)
	}
}

func TestCommitOfAFailedTransactionIsRolledBack(t *testing.T) {
	c := open(t, pgtest.New(t).Database(t))
	err := conn.InTransaction(t.Context(), c.Conn, func(tx conn.Tx) error {
		if _, err := tx.Exec(t.Context(), "select 1/$1::int", 0); err == nil {
			t.Error("division by zero")
		}
		return nil
	})
	if err == nil || conn.Classify(err) != conn.RolledBack {
		t.Errorf("%v is not rolled back", err)
	}
}

func TestCancelInTheBodyRollsBackAndCommitsNothing(t *testing.T) {
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, "create table public.written (n int primary key)")
	c := open(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	err := conn.InTransaction(ctx, c.Conn, func(tx conn.Tx) error {
		_, err := tx.Exec(ctx, "insert into public.written values ($1)", 1)
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) || conn.Classify(err) != conn.RolledBack {
		t.Errorf("%v is no rolled back cancel", err)
	}
	if pgtest.Value[bool](t, pgtest.Connect(t, url), "select exists (select from public.written)") {
		t.Error("the row is there")
	}
}

func TestSentIsCalledBetweenCommitAndItsAnswer(t *testing.T) {
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, "create table public.written (n int primary key)")
	watcher := pgtest.Connect(t, url)
	c := open(t, url)
	seen := false
	err := conn.Transaction{Conn: c.Conn, Sent: func() {
		seen = eventually(t, func() bool {
			return pgtest.Value[bool](t, watcher, "select exists (select from public.written)")
		})
	}}.Run(t.Context(), func(tx conn.Tx) error {
		_, err := tx.Exec(t.Context(), "insert into public.written values ($1)", 1)
		return err
	})
	if err != nil || !seen {
		t.Errorf("err = %v, committed when Sent was called: %v", err, seen)
	}
}

func TestClassify(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		err  error
		want conn.Class
	}{
		{"nothing", nil, conn.Committed},
		{"server error", &pgconn.PgError{Severity: "ERROR", Code: "23505"}, conn.RolledBack},
		{"lock timeout", &pgconn.PgError{Severity: "ERROR", Code: "55P03"}, conn.RolledBack},
		{"deadlock", &pgconn.PgError{Severity: "ERROR", Code: "40P01"}, conn.RolledBack},
		{"statement cancelled by the server", &pgconn.PgError{Severity: "ERROR", Code: "57014"}, conn.RolledBack},
		{"disk full", &pgconn.PgError{Severity: "ERROR", Code: "53100"}, conn.RolledBack},
		{"read-only", &pgconn.PgError{Severity: "ERROR", Code: "25006"}, conn.RolledBack},
		{"server error in another language", &pgconn.PgError{Severity: "FEHLER", SeverityUnlocalized: "ERROR"}, conn.RolledBack},
		{"wrapped server error", fmt.Errorf("x: %w", &pgconn.PgError{Severity: "ERROR"}), conn.RolledBack},
		{"session that was idle in its transaction", &pgconn.PgError{Severity: "FATAL", Code: "25P03"}, conn.RolledBack},
		{"session ended by an administrator", &pgconn.PgError{Severity: "FATAL", Code: "57P01"}, conn.Unknown},
		{"crash of another session", &pgconn.PgError{Severity: "FATAL", Code: "57P02"}, conn.Unknown},
		{"panic of the server", &pgconn.PgError{Severity: "PANIC", Code: "XX000"}, conn.Unknown},
		{"FATAL in another language", &pgconn.PgError{Severity: "SCHWERWIEGEND", SeverityUnlocalized: "FATAL"}, conn.Unknown},
		{"server error whose outcome somebody called unknown", fmt.Errorf("%w: %w", conn.ErrOutcomeUnknown, &pgconn.PgError{Severity: "ERROR"}), conn.Unknown},
		{"end of file", io.EOF, conn.Unknown},
		{"end of file within a message", io.ErrUnexpectedEOF, conn.Unknown},
		{"closed connection", pgconn.ErrConnClosed, conn.Unknown},
		{"closed socket", net.ErrClosed, conn.Unknown},
		{"connection reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, conn.Unknown},
		{"broken pipe", &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, conn.Unknown},
		{"host unreachable", syscall.EHOSTUNREACH, conn.Unknown},
		{"time out of the network", os.ErrDeadlineExceeded, conn.Unknown},
		{"context cancelled", context.Canceled, conn.Unknown},
		{"context's deadline", context.DeadlineExceeded, conn.Unknown},
		{"context cancelled in flight", canceled.Err(), conn.Unknown},
		{"anything else", errors.New("x"), conn.Unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := conn.Classify(test.err); got != test.want {
				t.Errorf("Classify(%v) = %v, want %v", test.err, got, test.want)
			}
		})
	}
}

func isCommit(kind byte, body []byte) bool {
	return kind == 'P' && bytes.Equal(bytes.TrimSpace(bytes.Trim(body[:8], "\x00")), []byte("commit"))
}

func eventuallyNone(t *testing.T, url string) {
	t.Helper()
	c := pgtest.Connect(t, url)
	if !eventually(t, func() bool {
		return pgtest.Value[int](t, c, "select count(*) from pg_stat_activity where application_name = 'pleat/test'") == 0
	}) {
		t.Fatal("the session is still there")
	}
}

func eventually(t *testing.T, ok func() bool) bool {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}
