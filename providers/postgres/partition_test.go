package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
)

// A server says at DEBUG1 of which tables it need not read the rows.
func TestAttachPartitionReadsNoRow(t *testing.T) {
	tests := []struct{ column, by, bound string }{
		{"timestamptz", "range", `from = ["'2024-01-01'"]
			to = ["'2025-01-01'"]`},
		{"date", "range", `from = ["MINVALUE"]
			to = ["'2025-01-01'"]`},
		{"bigint", "range", `from = ["-5"]
			to = ["1000"]`},
		{"numeric(9,2)", "range", `from = ["1.5"]
			to = ["maxvalue"]`},
		{"text", "range", `from = ["'a'"]
			to = ["'b'"]`},
		{"varchar(9)", "list", `in = ["'a'", "'b'"]`},
		{"int", "list", `in = ["1"]`},
		{"text", "list", `in = ["'it''s'"]`},
		{"boolean", "list", `in = ["'true'"]`},
	}
	for _, test := range tests {
		t.Run(test.by+" of "+test.column, func(t *testing.T) {
			t.Parallel()
			setup := fmt.Sprintf(`create table events (id int, k %[1]s) partition by %[2]s (k); create table rest partition of events default;
				create table part (id int, k %[1]s)`, test.column, test.by)
			w := newWorld(t, setup)
			change := written(t, "expand {\nattach_partition \"events\" \"part\" {\n"+test.bound+"\n}\n}")
			p := w.lower(change)
			var said []string
			c := noticing(t, w.url, &said)
			for _, u := range p.Expand {
				for _, sql := range u.Statements {
					if _, err := c.Exec(t.Context(), sql); err != nil {
						t.Fatalf("%s: %v", sql, err)
					}
				}
			}
			for _, want := range []string{`partition constraint for table "part" is implied`, `constraint for default partition "rest" is implied`} {
				if !strings.Contains(strings.Join(said, "\n"), want) {
					t.Errorf("the server did not say %q: %q", want, said)
				}
			}
		})
	}
}

// A detach that was cut short leaves the partition half way out, for any server
// that can do it concurrently.
func TestAnInterruptedDetachIsFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "create table events (k int) partition by range (k); create table part partition of events for values from (1) to (9)")
	change := written(t, "contract {\ndetach_partition \"events\" \"part\" {\nfrom = [\"1\"]\nto = [\"9\"]\n}\n}")
	p := w.lower(change)
	detach := p.Hide[len(p.Hide)-1]
	if detach.Mode != migrations.Alone {
		t.Skip("this server detaches in a transaction")
	}
	reader, cut := pgtest.Connect(t, w.url), pgtest.Connect(t, w.url)
	for c, sql := range map[*pgx.Conn]string{reader: "begin; select from events", cut: "set statement_timeout = '300ms'"} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cut.Exec(t.Context(), detach.Statements[0]); err == nil {
		t.Fatal("nobody was waited for")
	}
	if _, err := reader.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if pending := w.value("select inhdetachpending::text from pg_inherits where inhrelid = 'part'::regclass"); pending != "true" {
		t.Fatalf("pending is %s", pending)
	}
	w.apply(forward(p, detach, migrations.Hidden))
	if left := w.value("select count(*)::text from pg_inherits where inhrelid = 'part'::regclass"); left != "0" {
		t.Errorf("events has %s partitions, want none", left)
	}
}

// noticing is a session that keeps what the server says.
func noticing(t *testing.T, url string, said *[]string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { *said = append(*said, n.Message) }
	config.RuntimeParams["client_min_messages"] = "debug1"
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return c
}
