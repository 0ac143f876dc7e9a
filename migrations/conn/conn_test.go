package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

const canary = "c4n4ry-s3cr3t"

// sessionUnderTest is a connection on which a test writes rows.
type sessionUnderTest struct {
	t *testing.T
	*pgx.Conn
}

func (s *sessionUnderTest) insert(ctx context.Context, n int) error {
	return conn.InTransaction(ctx, s.Conn, func(tx conn.Tx) error {
		_, err := tx.Exec(ctx, "insert into public.written values ($1)", n)
		return err
	})
}

func TestLimitsAreOnTheServer(t *testing.T) {
	c := open(t, pgtest.New(t).Database(t)+"&statement_timeout=0&search_path=public")
	limits := map[string]string{
		"application_name":                    "pleat/test",
		"search_path":                         "pg_catalog",
		"statement_timeout":                   "30s",
		"lock_timeout":                        "5s",
		"idle_in_transaction_session_timeout": "10s",
		"tcp_keepalives_idle":                 "10",
	}
	if pgtest.Version(t, c.Conn) >= 14 {
		limits["client_connection_check_interval"] = "1s"
	}
	for name, want := range limits {
		if got := pgtest.Value[string](t, c.Conn, "select current_setting($1)", name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestALimitThatDoesNotHoldIsAnError(t *testing.T) {
	// The server cuts application_name at 63 bytes.
	_, err := conn.Open(t.Context(), spec.Plain(pgtest.New(t).Database(t)),
		conn.Options{Application: strings.Repeat("x", 64)})
	if err == nil || !strings.Contains(err.Error(), "application_name is") {
		t.Errorf("err = %v", err)
	}
}

func TestOpenOverTheUnixSocket(t *testing.T) {
	server := pgtest.New(t)
	if server.Socket() == "" {
		t.Skip("the server was not started here")
	}
	u, err := url.Parse(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	open(t, fmt.Sprintf("host=%s port=%s user=postgres dbname=%s", server.Socket(), u.Port(), u.Path[1:]))
}

func TestReadOnlyRefusesToWrite(t *testing.T) {
	url := pgtest.New(t).Database(t)
	c, err := conn.Open(t.Context(), spec.Plain(url), conn.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "create table public.t ()"); err == nil {
		t.Error("a read-only session made a table")
	}
	if err := conn.Close(t.Context(), c); err != nil {
		t.Error(err)
	}
	if err := conn.Close(t.Context(), c); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// The server counts a session until its process has ended.
func TestOpenWaitsForTheEndOfAnother(t *testing.T) {
	server := pgtest.New(t)
	server.Exec(t, "create role narrow login password 'pw' connection limit 1")
	t.Cleanup(func() { server.Exec(t, "drop role narrow") })
	url := spec.Secret("var.url", "postgres://narrow:pw@"+server.Address()+"/postgres?sslmode=disable")
	first, err := conn.Open(t.Context(), url, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { closed <- conn.Close(t.Context(), first) })
	second, err := conn.Open(t.Context(), url, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-closed, conn.Close(t.Context(), second)); err != nil {
		t.Error(err)
	}
}

func TestOpenSaysWhatIsWrongInOneLine(t *testing.T) {
	server := pgtest.New(t)
	server.Exec(t, "create role somebody login password '"+canary+"x' connection limit 0")
	t.Cleanup(func() { server.Exec(t, "drop role somebody") })
	address := server.Address()
	tests := []struct{ name, url, want, hint string }{
		{"wrong password", "postgres://somebody:" + canary + "@" + address + "/postgres?sslmode=disable",
			`connecting to database "postgres" at ` + address + ` as "somebody": password authentication failed for user "somebody" (28P01)`, "password"},
		{"unknown database", "postgres://postgres:" + canary + "@" + address + "/nowhere?sslmode=disable",
			`connecting to database "nowhere" at ` + address + ` as "postgres": database "nowhere" does not exist (3D000)`, "create the database"},
		{"too many connections", "postgres://somebody:" + canary + "x@" + address + "/postgres?sslmode=disable",
			`connecting to database "postgres" at ` + address + ` as "somebody": too many connections for role "somebody" (53300)`, "max_connections"},
		{"nobody listens", "postgres://u:" + canary + "@" + freeAddress(t) + "/d?sslmode=disable", "connection refused", "host and port"},
		{"unknown host", "postgres://u:" + canary + "@nowhere.invalid/d?sslmode=disable", `"d" at nowhere.invalid:5432 as "u": host not found`, "host and port"},
		{"no socket", "postgres://u:" + canary + "@/d?host=/nowhere", `at /nowhere/.s.PGSQL.5432 as "u": there is no socket`, "host and port"},
		{"no TLS", "postgres://postgres:" + canary + "@" + address + "/postgres?sslmode=require", "the server refuses TLS", "sslmode"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := conn.Open(t.Context(), spec.Secret("var.url", test.url), conn.Options{})
			var open *conn.OpenError
			if !errors.As(err, &open) {
				t.Fatalf("err = %v", err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("err = %q, want %q", err, test.want)
			}
			if !strings.Contains(open.Hint(), test.hint) {
				t.Errorf("hint = %q, want %q", open.Hint(), test.hint)
			}
			noSecret(t, err)
		})
	}
}

func TestAServerThatHangsUpIsSaidInOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(c, make([]byte, 8)); err == nil {
				c.Close()
			}
		}
	}()
	_, err = conn.Open(t.Context(), spec.Secret("x", "postgres://u:"+canary+"@"+l.Addr().String()+"/d?sslmode=disable"), conn.Options{})
	if err == nil || !strings.Contains(err.Error(), "lost while it was being made") {
		t.Errorf("err = %v", err)
	}
	noSecret(t, err)
}

func TestABrokenURLIsNeverShown(t *testing.T) {
	for _, broken := range []string{
		"", "postgres://u:a@h/" + canary + "@h/d", "postgres://u:1#" + canary + "@h/d", "postgres://u:" + canary + "@h:notaport/d", "postgres://u:" + canary + "%zz@h/d", "postgres://u:a/" + canary + "@h/d?x",
		"host=h password=" + canary + " port=x", "password='" + canary, canary, "postgres://u:" + canary + "@[::1/d",
		"postgres://u:p@h/d?sslmode=" + canary, "postgres://u:p@h/d?connect_timeout=" + canary,
	} {
		_, err := conn.Open(t.Context(), spec.Secret("var.url", broken), conn.Options{})
		var wrong *conn.URLError
		var other *conn.OpenError
		if !errors.As(err, &wrong) && !errors.As(err, &other) {
			t.Errorf("%q: err = %v", broken, err)
			continue
		}
		noSecret(t, err)
	}
}

func TestABrokenURLSaysWhichPart(t *testing.T) {
	const form = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters in the password percent-encoded (@ is %40)"
	for _, x := range []struct{ url, reason, hint string }{
		{"postgres://u:p@h/d?sslmode=on", "has an unknown sslmode", "it is disable, allow, prefer, require, verify-ca, verify-full"},
		{"postgres://u:p@h/d?sslmode=verify-full&sslrootcert=/missing.pem", "has an sslrootcert that cannot be read: no such file or directory", "it is a file where pleat runs"},
		{"postgresql://u:p@h/d?connect_timeout=10s", "has a connect_timeout that is no number of seconds", "write it as connect_timeout=10"},
		{"postgres://u:p@h:port/d", "cannot be read", form},
		{"mysql://u:p@h/d", "cannot be read", form},
	} {
		_, err := conn.Open(t.Context(), spec.Secret("var.url", x.url), conn.Options{})
		var wrong *conn.URLError
		if !errors.As(err, &wrong) || wrong.Reason != x.reason || wrong.Hint() != x.hint {
			t.Errorf("%s: %v, want %q and the hint %q", x.url, err, x.reason, x.hint)
		}
	}
}

// A session on this machine, or one with a server that has shown who it is, is none that
// somebody between could read.
func TestUnverifiedIsAHostElsewhereThatNobodyChecks(t *testing.T) {
	for _, x := range []struct{ url, host string }{
		{"postgres://u:p@db.example.com/d?sslmode=disable", "db.example.com"},
		{"postgres://u:p@db.example.com/d?sslmode=allow", "db.example.com"},
		{"postgres://u:p@db.example.com/d?sslmode=prefer", "db.example.com"},
		{"postgres://u:p@db.example.com/d", "db.example.com"},
		{"host=10.0.0.7 user=u dbname=d", "10.0.0.7"},
		{"postgres://u:p@localhost,db.example.com/d", "db.example.com"},
		{"postgres://u:p@[fe80::1]/d", "fe80::1"},
		{"postgres://u:p@db.example.com/d?sslmode=require", "db.example.com"},
		{"postgres://u:p@db.example.com/d?sslmode=verify-ca", "db.example.com"},
		{"postgres://u:p@db.example.com/d?sslmode=verify-full", ""},
		{"postgres://u:p@localhost/d", ""},
		{"postgres://u:p@127.0.0.5/d?sslmode=disable", ""},
		{"postgres://u:p@[::1]/d", ""},
		{"postgres://u:p@/d?host=/var/run/postgresql", ""},
		{"mysql://u:p@db.example.com/d", ""},
	} {
		if got := conn.Unverified(spec.Secret("var.url", x.url)); got != x.host {
			t.Errorf("%s: %q, want %q", x.url, got, x.host)
		}
	}
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, canary) {
			t.Errorf("the secret is in %s", text)
		}
	}
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func TestIdentityNamesTheDatabase(t *testing.T) {
	server := pgtest.New(t)
	a, b := open(t, server.Database(t)), open(t, server.Database(t))
	first, name, err := conn.Identity(t.Context(), a.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if want := pgtest.Value[string](t, a.Conn, "select current_database()"); name != want {
		t.Errorf("name = %q, want %q", name, want)
	}
	second, _, err := conn.Identity(t.Context(), b.Conn)
	if err != nil || first == second || !strings.Contains(first, "/") {
		t.Errorf("identities %q and %q, %v", first, second, err)
	}
}
