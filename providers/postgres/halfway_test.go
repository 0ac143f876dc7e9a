package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// What golang-migrate runs with x-multi-statement, or by itself in a file.
func TestAFileRunsPieceByPieceWhereOneTransactionIsNotEnough(t *testing.T) {
	tests := []struct{ name, setup, sql, want string }{
		{"its own transaction", "", "begin;\ncreate table a (); insert into users (name) values ('x');\ncommit;",
			"select (to_regclass('a') is not null and count(*) = 1)::text from users"},
		{"one index", "", "create index concurrently i on users (name);", valid("i")},
		{"an index with a name and a schema that need quotes", `create schema "Odd s"; create table "Odd s"."T" ("C" int)`,
			`create unique index concurrently "I x" on only "Odd s"."T" ("C")`, valid(`"Odd s"."I x"`)},
		{"an index without a name", "", "create index concurrently on users (name)", valid("users_name_idx")},
		{"among others", "", "create table a (id int);\ncreate index concurrently i on a (id);\ninsert into a values (1)",
			"select (i.indisvalid and (select count(*) = 1 from a))::text from pg_index i where indexrelid = 'i'::regclass"},
		{"an index that is gone", "create index i on users (name)", "drop index concurrently i", "select (to_regclass('i') is null)::text"},
		{"an index built anew", "create index i on users (name)", "reindex index concurrently i; reindex (concurrently) table users", valid("i")},
		{"a partition", "create table p (n int) partition by list (n); create table c partition of p for values in (1)",
			"alter table p detach partition c concurrently", "select (count(*) = 0)::text from pg_inherits"},
		{"a value that is used", "create type mood as enum ('sad')", "alter type mood add value 'glad'; create table m (v mood default 'glad')",
			"select (count(*) = 2)::text from pg_enum"},
		{"vacuum", "", "vacuum users; analyze users", "select 'true'"},
		{"settings for what follows", "create schema app; create table app.t (id int)",
			"set search_path to app;\ncreate index concurrently i on t (id);\ncreate table made ();\nset lock_timeout = '1ms'", "select (i.indisvalid and to_regclass('app.made') is not null)::text from pg_index i where indexrelid = 'app.i'::regclass"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, usersTable+test.setup)
			since14(t, w, test.sql)
			w.apply(migrateTo(0, 1, test.sql))
			if got := w.value(test.want); got != "true" {
				t.Errorf("it is not there: %s", test.want)
			}
			if got := w.live() + w.value("select count(*)::text from pleat.halfway"); got != "10" {
				t.Errorf("live version and files under way: %s", got)
			}
		})
	}
}

// since14 skips what servers before 14 do not know.
func since14(t *testing.T, w *world, sql string) {
	t.Helper()
	if pgtest.Version(t, w.admin) < 14 && (strings.Contains(sql, "detach") || strings.Contains(sql, "(concurrently)")) {
		t.Skip("PostgreSQL 14 is the first that knows it")
	}
}

func valid(index string) string {
	return "select coalesce((select indisvalid from pg_index where indexrelid = to_regclass('" + index + "')), false)::text"
}

func TestAFileThatStoppedHalfWayIsGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) values ('a'), ('a'); create table ran (n int)")
	const before = "insert into ran values (1);\nvacuum ran;\n"
	broken := before + "create unique index concurrently i on users (name);\ninsert into ran values (2);"
	err := w.try(t.Context(), w.step(migrateTo(0, 3, broken)))
	var refused *postgres.MigrationError
	if !errors.As(err, &refused) || refused.Ran != 2 || !strings.Contains(err.Error(), "could not create unique index") ||
		!strings.Contains(err.Error(), "2 of its 4 statements ran before that and stay") {
		t.Fatalf("got %v", err)
	}
	if got := w.live() + ", invalid indexes: " + w.value("select count(*)::text from pg_index where not indisvalid"); got != "3 dirty, invalid indexes: 0" {
		t.Errorf("after the failure: %s", got)
	}
	half := w.versions()["schema"].Halfway
	if half == nil || half.Statements != 2 || half.From != 0 || half.To != 3 || half.Doing != 0 || !strings.Contains(half.Problem, "could not create unique index") {
		t.Errorf("observed %+v", half)
	}
	if got := w.probe(w.step(migrateTo(0, 3, broken))); got != planner.NotDone {
		t.Errorf("probe says %v", got)
	}
	err = w.try(t.Context(), w.step(migrateTo(0, 3, "insert into ran values (7);\n"+broken)))
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "its first 2 statements are not those that ran") || !strings.Contains(refused.Hint(), "put those statements") {
		t.Errorf("with what ran changed: %v", err)
	}
	w.apply(migrateTo(0, 3, before+"create index concurrently i on users (name);\ninsert into ran values (3);"))
	if got := w.ran() + " at " + w.live(); got != "1 3 at 3" {
		t.Errorf("in the end: %s", got)
	}
	if got := w.versions()["schema"]; got != (planner.Version{Version: 3}) {
		t.Errorf("observed %+v", got)
	}
}

// Where the first statement of a file fails, nothing of it is there.
func TestAFileOfWhichNothingRanLeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) values ('a'), ('a')")
	w.apply(migrateTo(0, 1, "select 1"))
	if err := w.try(t.Context(), w.step(migrateTo(1, 2, "create unique index concurrently i on users (name)"))); err == nil {
		t.Fatal("it was built")
	}
	if got := w.live() + w.value("select count(*)::text from pleat.halfway") + w.value("select (to_regclass('i') is null)::text"); got != "10true" {
		t.Errorf("left: %s", got)
	}
}

// What others left, or a killed process of ours, is cleared away or taken for
// what it is.
func TestWhatAnInterruptedStatementLeft(t *testing.T) {
	const half = `create table schema_migrations (version bigint not null primary key, dirty boolean not null);
		insert into schema_migrations values (1, true);
		insert into pleat.halfway (version_table, from_version, to_version, statements, through, doing) values ('schema_migrations', 0, 1, 0, '%', 1);`
	invalid := "create index i on users (name); update pg_index set indisvalid = false where indexrelid = 'i'::regclass;"
	tests := []struct {
		name, setup, sql string
		begun            bool
		want             string
	}{
		{"somebody else's invalid index", invalid, "create index concurrently if not exists i on users (name)", false, valid("i")},
		{"our invalid index", invalid, "create index concurrently i on users (name)", true, valid("i")},
		{"our index", "create index i on users (name);", "create index concurrently i on users (name)", true, valid("i")},
		{"an index that was not begun", "", "create index concurrently i on users (name)", true, valid("i")},
		{"an index that was dropped", "", "drop index concurrently i", true, "select 'true'"},
		{"an index that was not dropped", "create index i on users (name);", "drop index concurrently i", true, "select (to_regclass('i') is null)::text"},
		{"indexes built anew by halves", `create index i on users (name); create index i_ccnew on users (name); update pg_index set indisvalid = false where indexrelid = 'i_ccnew'::regclass;`,
			"reindex table concurrently users", true, "select (to_regclass('i_ccnew') is null)::text"},
		{"a partition that was detached", "create table p (n int) partition by list (n); create table c (n int);", "alter table p detach partition c concurrently", true, "select 'true'"},
		{"a partition that is on its way", `create table p (n int) partition by list (n); create table c partition of p for values in (1); update pg_inherits set inhdetachpending = true;`,
			"alter table p detach partition c concurrently", true, "select (count(*) = 0)::text from pg_inherits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, usersTable)
			since14(t, w, test.sql)
			w.exec("set allow_system_table_mods = on")
			w.exec(test.setup)
			step := w.step(migrateTo(0, 1, test.sql))
			if test.begun {
				w.exec(strings.Replace(half, "%", through(t, test.sql, 0), 1))
				if got := w.probe(step); got != planner.NotDone {
					t.Errorf("probe says %v", got)
				}
			}
			if err := w.try(t.Context(), step); err != nil {
				t.Fatal(err)
			}
			if got := w.value(test.want) + " at " + w.live(); got != "true at 1" {
				t.Errorf("got %s", got)
			}
		})
	}
}

func through(t testing.TB, sql string, statements int) string {
	t.Helper()
	pieces, err := migrations.Pieces(sql)
	if err != nil {
		t.Fatal(err)
	}
	return migrations.Through(pieces, statements)
}

// A statement that no catalog shows is a person's to look at.
func TestAStatementOfWhichNobodyKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	const sql = "select 1;\ncreate index concurrently on users (name);"
	w.exec(`create table schema_migrations (version bigint not null primary key, dirty boolean not null);
		insert into schema_migrations values (2, true);`)
	w.exec("insert into pleat.halfway (version_table, from_version, to_version, statements, through, doing) values ('schema_migrations', 1, 2, 1, $1, 2)", through(t, sql, 1))
	step := w.step(migrateTo(1, 2, sql))
	outcome, probed := w.provider.Probe(t.Context(), w.ticket, step)
	if outcome != planner.Unknown {
		t.Errorf("probe says %v", outcome)
	}
	for _, err := range []error{probed, w.try(t.Context(), step)} {
		var unsettled *postgres.UnsettledError
		if !errors.As(err, &unsettled) || !errors.Is(err, planner.ErrOutcomeUnknown) || unsettled.Number != 2 ||
			!strings.Contains(unsettled.Hint(), "pleat migrations force schema 2 --through 2") {
			t.Errorf("got %v", err)
		}
	}
	if got := w.value("select count(*)::text from pg_indexes where tablename = 'users'"); got != "1" {
		t.Error("it was sent again")
	}
}

// Whoever waits in a queue for a strong lock keeps everybody behind it: who
// holds what a file locks is looked for before it asks.
func TestAFileWaitsForWhoHoldsItsTablesBeforeItAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+`create schema app; create table app."Other" (id int)`)
	holder := w.as("users@1.0.0/web.1")
	begin(t, holder, `select 1 from app."Other"`)
	eventually(t, "the transaction is old", func() bool {
		return w.value("select (max(clock_timestamp() - xact_start) > '60 ms')::text from pg_stat_activity where application_name = 'users@1.0.0/web.1'") == "true"
	})
	w.db.Lock.Patience = 300 * time.Millisecond
	a := migrateTo(0, 1, `create index i on users (name); alter table "Other" add note text`)
	a.Table = spec.Table{Schema: "app", Name: "versions"}
	asked := 0
	w.provider = postgres.New(w.db, func(point string) { asked++ })
	err := w.try(t.Context(), w.step(a))
	var locked *postgres.LockBudgetError
	if !errors.As(err, &locked) || len(locked.Blockers) != 1 || locked.Blockers[0].Application != "users@1.0.0/web.1" {
		t.Errorf("got %v", err)
	}
	if asked > 0 || w.value(`select (to_regclass('app.versions') is null)::text`) != "true" {
		t.Error("it asked for the table")
	}
}
