package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
)

// A server says at DEBUG1 of which tables it need not read the rows.
func TestAttachPartitionReadsNoRow(t *testing.T) {
	tests := []struct{ columns, by, bound string }{
		{"k timestamptz", "range (k)", `from = ["'2024-01-01'"]
			to = ["'2025-01-01'"]`},
		{"k date", "range (k)", `from = ["MINVALUE"]
			to = ["'2025-01-01'"]`},
		{"k bigint", "range (k)", `from = ["-5"]
			to = ["1000"]`},
		{"k numeric(9,2)", "range (k)", `from = ["1.5"]
			to = ["maxvalue"]`},
		{"k text", "range (k)", `from = ["'a'"]
			to = ["'b'"]`},
		{"k varchar(9)", "list (k)", `in = ["'a'", "'b'"]`},
		{"k int", "list (k)", `in = ["1"]`},
		{"k text", "list (k)", `in = ["'it''s'"]`},
		{"k boolean", "list (k)", `in = ["'true'"]`},
		{"k int, l date", "range (k, l)", `from = ["1", "'2025-01-01'"]
			to = ["3", "'2025-06-01'"]`},
		{"k int, l date", "range (k, l)", `from = ["1", "'2025-01-01'"]
			to = ["1.0", "'2025-06-01'"]`},
		{"k text, l bigint, m int", "range (k, l, m)", `from = ["'a'", "1", "MINVALUE"]
			to = ["'b'", "MAXVALUE", "MAXVALUE"]`},
		{"k text, l bigint, m int", "range (k, l, m)", `from = ["MINVALUE", "MINVALUE", "MINVALUE"]
			to = ["'b'", "1", "2"]`},
		{"k int, l int, m int", "range (k, l, m)", `from = ["1", "2", "3"]
			to = ["1", "5", "6"]`},
		{"k bigint", "hash (k)", `modulus = 4
			remainder = 2`},
		{"k int, l uuid", "hash (k, l)", `modulus = 2
			remainder = 0`},
	}
	for _, test := range tests {
		t.Run(test.by+" of "+test.columns, func(t *testing.T) {
			t.Parallel()
			setup := fmt.Sprintf("create table events (id int, %[1]s) partition by %[2]s; create table part (id int, %[1]s);", test.columns, test.by)
			implied := []string{`partition constraint for table "part" is implied`}
			if !strings.HasPrefix(test.by, "hash") {
				setup += "create table rest partition of events default"
				implied = append(implied, `constraint for default partition "rest" is implied`)
			}
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
			for _, want := range implied {
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

// Rows of a partition that is out of its table would be in the way of its return
// if the default partition took them.
func TestADefaultPartitionTakesNoRowThatWouldBeInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table events (k int) partition by range (k); create table rest partition of events default;
		create table part partition of events for values from (1) to (9)`)
	change := written(t, "contract {\ndetach_partition \"events\" \"part\" {\nfrom = [\"1\"]\nto = [\"9\"]\n}\n}")
	p := w.lower(change)
	w.do(p, p.Hide, migrations.Hidden)
	w.exec("insert into events values (9)")
	if _, err := w.admin.Exec(t.Context(), "insert into events values (5)"); err == nil {
		t.Error("the default partition took a row of the partition that is hidden")
	}
	w.undo(p, slices.DeleteFunc(p.Hide, func(u migrations.Unit) bool { return len(u.Undo) == 0 }), migrations.Verified)
	w.exec("insert into events values (5)")
	p = w.lower(change)
	w.do(p, p.Hide, migrations.Hidden)
	p = w.lower(change)
	w.do(p, p.Drop, migrations.Contracted)
	w.exec("insert into events values (6)")
	if got := w.value("select (select count(*) from part) || ' ' || (select count(*) from rest)"); got != "1 2" {
		t.Errorf("part and rest have %s rows, want 1 2", got)
	}
	if phase := w.phase(change); phase != migrations.Contracted {
		t.Errorf("phase is %s", phase)
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
