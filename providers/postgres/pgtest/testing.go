package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Variable names a running server by its superuser's URL. When it is set, New
// uses that server instead of starting one.
const Variable = "PLEAT_TEST_POSTGRES"

const cleanupTimeout = 30 * time.Second

// shared starts one cluster for all tests of a process. Nobody stops it: no
// test knows whether it is the last one. It ends when the process does.
var shared = sync.OnceValues(func() (*Server, error) {
	if named := os.Getenv(Variable); named != "" {
		return existing(named)
	}
	return Start(context.Background(), "")
})

func existing(named string) (*Server, error) {
	base, err := url.Parse(named)
	if err != nil {
		return nil, fmt.Errorf("%s is no URL", Variable)
	}
	return &Server{base: base}, nil
}

// New gives the cluster that all tests of this process share; the first call
// starts it. Do not stop or restart it: a test that needs that has its own,
// by Own.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Own starts a cluster for this test alone and stops it at its end.
func Own(t testing.TB) *Server {
	t.Helper()
	s, err := Start(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Database makes a fresh database and gives its URL. It is dropped, and its
// sessions ended, at the end of the test.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text()[:12])
	if err := s.Create(context.WithoutCancel(t.Context()), name, "template1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Exec(t, "drop database if exists "+name+" with (force)") })
	return s.URL(name)
}

// Create makes a database of that name, a copy of template. The template's files
// are copied where the server can (15 and later): through the log, as it does
// by itself, takes three times as long.
func (s *Server) Create(ctx context.Context, name, template string) error {
	c, err := pgx.Connect(ctx, s.base.String())
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	sql := "create database " + name + " template " + template
	if version, _, _ := strings.Cut(c.PgConn().ParameterStatus("server_version"), "."); len(version) == 2 && version >= "15" {
		sql += " strategy file_copy"
	}
	_, err = c.Exec(ctx, sql)
	return err
}

// Exec runs SQL as the superuser in the database postgres.
func (s *Server) Exec(t testing.TB, sql string) {
	t.Helper()
	Exec(t, s.base.String(), sql)
}

// Exec runs SQL, one or several statements, in a session of its own.
func Exec(t testing.TB, url, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanupTimeout)
	defer cancel()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Restart stops the server in that mode and returns once it accepts
// connections again, on the same port.
func (s *Server) Restart(t testing.TB, mode Mode) {
	t.Helper()
	s.Halt(t, mode)
	s.Resume(t)
}

// Halt stops the server in that mode and keeps its files for Resume.
func (s *Server) Halt(t testing.TB, mode Mode) {
	t.Helper()
	if s.postgres == nil {
		t.Fatal("a server that pgtest did not start cannot be stopped")
	}
	signal, ok := signals[mode]
	if !ok {
		t.Fatalf("there is no mode %q", mode)
	}
	if err := s.postgres.stop(signal); err != nil {
		t.Fatal(err)
	}
}

// Resume starts a halted server on the port that it had.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := s.launch(ctx); err != nil {
		t.Fatal(err)
	}
}

// Connect opens a plain session for a test's own questions; it is closed at
// the end of the test.
func Connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanupTimeout)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Version is the first number of the version of c's server: 15.
func Version(t testing.TB, c *pgx.Conn) int {
	t.Helper()
	return Value[int](t, c, "select current_setting('server_version_num')::int / 10000")
}

// Value asks a question that has one value for an answer.
func Value[T any](t testing.TB, c *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}
