package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/spec"
)

var schemaMigrations = spec.ParseTable("schema_migrations")

func migrateTo(from, to uint64, sql string) *planner.Migrate {
	return &planner.Migrate{Database: "main", Migrations: "schema", Table: schemaMigrations, From: from, To: to, SQL: sql}
}

// live is what golang-migrate's table says: "6", "6 dirty", or "" for none.
func (w *world) live() string {
	w.Helper()
	return w.value(`select coalesce(string_agg(version || case when dirty then ' dirty' else '' end, ','), '') from schema_migrations`)
}

func (w *world) versions() map[string]planner.Version {
	w.Helper()
	db, err := w.provider.Observe(w.Context(), postgres.Scope{Migrations: map[string]spec.Table{"schema": schemaMigrations}})
	if err != nil {
		w.Fatal(err)
	}
	return db.Versions
}

func TestAMigrationAndItsVersionAreOneCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	if got := w.versions(); len(got) != 0 {
		t.Errorf("before anything: %v", got)
	}
	w.apply(migrateTo(0, 4, "create table a (id int); insert into a values (1), (2);\n-- done"))
	w.apply(migrateTo(4, 6, "alter table a add b int;"))
	if got := w.live(); got != "6" {
		t.Errorf("live version is %q", got)
	}
	if got := w.versions()["schema"]; got != (planner.Version{Version: 6}) {
		t.Errorf("observed %v", got)
	}
	err := w.try(t.Context(), w.step(migrateTo(6, 7, "drop table a;\nselect no_such_function();")))
	if err == nil || !strings.Contains(err.Error(), "schema 7, line 2, column 8: function no_such_function() does not exist") {
		t.Errorf("got %v", err)
	}
	if got := w.live() + " " + w.value("select count(*)::text from a"); got != "6 2" {
		t.Errorf("after the failure: %s", got)
	}
	w.apply(migrateTo(6, 4, "alter table a drop b"))
	w.apply(migrateTo(4, 0, "drop table a"))
	if got := w.live(); got != "" {
		t.Errorf("live version is %q after the way back", got)
	}
	if got := w.versions(); len(got) != 0 {
		t.Errorf("after the way back: %v", got)
	}
}

func TestAMigrationThatIsThereIsNotRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "create table a (id int)")
	first := w.step(migrateTo(0, 1, "insert into a values (1)"))
	for range 2 {
		if err := w.try(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	w.apply(migrateTo(0, 1, "insert into a values (1)"))
	if got := w.value("select count(*)::text from a"); got != "1" {
		t.Errorf("it ran %s times", got)
	}
}

func TestAMigrationFromAnotherVersionIsRefused(t *testing.T) {
	const table = "create table schema_migrations (version bigint not null primary key, dirty boolean not null);"
	tests := []struct {
		name, setup, want, hint string
		probe                   planner.Outcome
	}{
		{"another", table + "insert into schema_migrations values (5, false)", "the live version of migrations.schema is 5, the plan is for 4 → 6", "plan again", planner.Unknown},
		{"none", "", "the live version of migrations.schema is none, the plan is for 4 → 6", "plan again", planner.Unknown},
		{"dirty", table + "insert into schema_migrations values (4, true)", "schema_migrations is dirty at version 4", "pleat plan says what it finds", planner.Unknown},
		{"dirty where it goes", table + "insert into schema_migrations values (6, true)", "schema_migrations is dirty at version 6", "pleat plan says what it finds", planner.Unknown},
		{"dirty at the first", table + "insert into schema_migrations values (-1, true)", "schema_migrations is dirty at version none", "pleat plan says what it finds", planner.Unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.setup)
			step := w.step(migrateTo(4, 6, "create table a ()"))
			err := w.try(t.Context(), step)
			var hinted interface{ Hint() string }
			if err == nil || !strings.Contains(err.Error(), test.want) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), test.hint) {
				t.Errorf("got %v", err)
			}
			if got := w.value("select (to_regclass('a') is null)::text"); got != "true" {
				t.Error("the migration ran")
			}
			if got, err := w.provider.Probe(t.Context(), w.ticket, step); got != test.probe || err == nil {
				t.Errorf("probe says %v (%v)", got, err)
			}
		})
	}
}

func TestAMigrationThatEndsATransactionOfOursIsRefused(t *testing.T) {
	tests := []struct{ name, sql, want string }{
		{"rolled back", "begin; create table a (); rollback;", "would end the transaction"},
		{"without an end", "begin; create table a ();", "its BEGIN has no COMMIT"},
		{"concurrently in a block", "begin; create table a (); create index concurrently i on users (name); commit", "CONCURRENTLY cannot be between BEGIN and COMMIT"},
		{"only the server knows", "create table a (); discard all", "DISCARD ALL cannot run inside a transaction block (25001)"},
		{"inside of a function", "create table a (); do $$ begin commit; end $$", "invalid transaction termination (2D000)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, usersTable)
			s := w.step(migrateTo(0, 1, test.sql))
			s.Source = "migrations/0001_a.up.sql"
			err := w.try(t.Context(), s)
			var refused *postgres.MigrationError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), "migration schema 1 (migrations/0001_a.up.sql)") || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v", err)
			}
			if test.name != "inside of a function" && !strings.Contains(refused.Hint(), "pleat commits each part of a migration together") {
				t.Errorf("hint is %q", refused.Hint())
			}
			if got := w.value("select (to_regclass('a') is null and to_regclass('schema_migrations') is null)::text"); got != "true" {
				t.Error("something of it is there")
			}
		})
	}
}

// P21: from its first statement that keeps others away, a file has the hold and no
// more, however many statements there are; what comes before may take its time.
func TestAFileHoldsNoLongerThanItsBudget(t *testing.T) {
	for name, c := range map[string]struct {
		sql  string
		want string // "" = it runs through
	}{
		"nothing strong":           {"select pg_sleep(0.8); insert into users (name) values ('x'); select pg_sleep(0.8)", ""},
		"what it made itself":      {"create table fresh (id int); alter table fresh add note text; select pg_sleep(0.8)", ""},
		"time before":              {"select pg_sleep(0.8); alter table users add note text", ""},
		"one long statement after": {"alter table users add note text; select pg_sleep(5)", "holding what migration schema 1 changes for longer than 600ms: select pg_sleep(5)"},
		"many short ones":          {"alter table users add note text" + strings.Repeat("; select pg_sleep(0.15)", 20), "holding what migration schema 1 changes for longer than 600ms: select pg_sleep(0.15)"},
		"a piece of several":       {"create index concurrently by_name on users (name); begin; alter table users add note text; select pg_sleep(5); commit", "holding what migration schema 1 changes for longer than 600ms: select pg_sleep(5)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, usersTable)
			w.db.Lock.Hold = 600 * time.Millisecond
			err := w.try(t.Context(), w.step(migrateTo(0, 1, c.sql)))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var held *postgres.HoldError
			if !errors.As(err, &held) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if got := w.value("select count(*)::text from pg_attribute where attrelid = 'users'::regclass and attname = 'note'"); got != "0" {
				t.Error("the column is there")
			}
		})
	}
}

func TestAnErrorBehindAStrongLockIsFoundInItsLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	err := w.try(t.Context(), w.step(migrateTo(0, 1, "select 'é';\nalter table users\n  add note text;\n-- then\nselect\n  no_such_function();\n")))
	if err == nil || !strings.Contains(err.Error(), "line 6, column 3: function no_such_function() does not exist") {
		t.Errorf("got %v", err)
	}
}
