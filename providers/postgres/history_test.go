package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/spec"
)

func (w *world) observeFiles(files []spec.Migration) *planner.Database {
	w.Helper()
	db, err := w.provider.Observe(w.Context(), postgres.Scope{
		Migrations: map[string]spec.Table{"schema": schemaMigrations}, Files: map[string][]spec.Migration{"schema": files},
	})
	if err != nil {
		w.Fatal(err)
	}
	return db
}

// recorded is the history as text: "1 taken over, 2".
func recorded(db *planner.Database) []string {
	var out []string
	for _, a := range db.Applied["schema"] {
		text := string(rune('0'+a.Version)) + " " + a.SHA256[:4]
		if a.TakenOver {
			text += " taken over"
		}
		out = append(out, text)
	}
	return out
}

func digestOf(sql string) string { return planner.AppliedOf(spec.Migration{Up: sql}).SHA256[:4] }

func TestWhatRanOfADirectoryIsRecordedWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+`create table schema_migrations (version bigint not null primary key, dirty boolean not null);
		insert into schema_migrations values (2, false)`)
	first := migrateTo(2, 3, "create table a ()")
	first.TakenOver = []planner.Applied{{Version: 1, SHA256: "aaaa"}, {Version: 2, SHA256: "bbbb"}}
	w.apply(first)
	w.apply(migrateTo(3, 4, "create index concurrently i on users (name)"))
	got := recorded(w.observeFiles(nil))
	want := []string{"1 aaaa taken over", "2 bbbb taken over", "3 " + digestOf("create table a ()"), "4 " + digestOf("create index concurrently i on users (name)")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.apply(migrateTo(4, 3, "drop index concurrently i"))
	w.apply(migrateTo(3, 2, "drop table a"))
	if got := recorded(w.observeFiles(nil)); len(got) != 2 {
		t.Errorf("after the way back: %q", got)
	}
}

func TestForceRecordsWhatAPersonSays(t *testing.T) {
	t.Parallel()
	const sql = "create table a ();\nvacuum a;\ncreate table b ()"
	w := newWorld(t, `create table schema_migrations (version bigint not null primary key, dirty boolean not null);
		insert into schema_migrations values (2, true); create table a ()`)
	force := func(f postgres.Force) planner.Version {
		f.Table = schemaMigrations
		before, err := w.provider.Force(t.Context(), w.ticket, f)
		if err != nil {
			t.Fatal(err)
		}
		return before
	}
	before := force(postgres.Force{
		Version: planner.Version{Version: 2, Dirty: true, Halfway: &planner.Halfway{From: 1, To: 2, Statements: 1, Through: through(t, sql, 1)}},
		Applied: []planner.Applied{{Version: 1, SHA256: "aaaa"}},
	})
	if before != (planner.Version{Version: 2, Dirty: true}) {
		t.Errorf("before: %+v", before)
	}
	w.apply(migrateTo(1, 2, sql))
	if got := w.live() + w.value("select (to_regclass('b') is not null)::text"); got != "2true" {
		t.Errorf("gone on with: %s", got)
	}
	force(postgres.Force{Version: planner.Version{Version: 1}, Applied: []planner.Applied{{Version: 1, SHA256: "cccc"}}})
	if got := recorded(w.observeFiles(nil)); w.live() != "1" || len(got) != 1 || got[0] != "1 cccc taken over" {
		t.Errorf("at 1: %s, %q", w.live(), got)
	}
	force(postgres.Force{})
	if got := w.live(); got != "" {
		t.Errorf("at none: %s", got)
	}
	stale := w.ticket
	stale.Fence = 0
	if _, err := w.provider.Force(t.Context(), stale, postgres.Force{Table: schemaMigrations, Version: planner.Version{Version: 9}}); err == nil || w.live() != "" {
		t.Errorf("by who lost the lease: %v", err)
	}
}

func TestWhatIsThereOfAFileThatSomebodyLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+`create table schema_migrations (version bigint not null primary key, dirty boolean not null);
		insert into schema_migrations values (2, true);
		create schema app; create table app."Odd" (id int, note text); create index i on users (name);
		set allow_system_table_mods = on; update pg_index set indisvalid = false where indexrelid = 'i'::regclass;`)
	got := w.observeFiles([]spec.Migration{{Version: 2, File: "2.sql", Up: `create table app."Odd" (id int);
		alter table app."Odd" add column "note" text; alter table users add phone text; alter table users drop phone;
		create index concurrently i on users (name); create index j on users (name); drop index k; drop table users;
		create type mood as enum (); alter table users add constraint c check (true); alter table users add primary key (id); update users set name = ''`}}).Traces["schema"]
	var found []string
	for _, trace := range got {
		found = append(found, string(trace.Found))
	}
	want := []string{"there", "there", "not there", "there", "invalid", "not there", "there", "not there", "not there", "not there", "", ""}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}
