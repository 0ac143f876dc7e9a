package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

const expandedUsers = usersTable + `
	insert into users (name) values ('Mary Ann Smith'), ('Prince'), ('Ada Lovelace');
	create role app; grant usage on schema public to app; grant all on users, users_id_seq to app`

// The direction of a write is which columns it changed, whoever writes.
func TestWritesInEitherShapeKeepBothInStep(t *testing.T) {
	tests := []struct {
		name, sql string
		id        int
		want      string // name|first|last
		counted   int    // writes in the old shape
	}{
		{"old release inserts", "insert into users (id, name) values (9, 'Mary Ann Smith')", 9, "Mary Ann Smith|Mary|Ann Smith", 1},
		{"old release inserts one word", "insert into users (id, name) values (9, 'Prince')", 9, "Prince|Prince|", 1},
		{"new release inserts", "insert into users (id, first, last) values (9, 'Mary Ann', 'Smith')", 9, "Mary Ann Smith|Mary Ann|Smith", 0},
		{"new release inserts one word", "insert into users (id, first) values (9, 'Prince')", 9, "Prince|Prince|", 0},
		{"new release inserts both shapes", "insert into users (id, name, first, last) values (9, 'wrong', 'Mary Ann', 'Smith')", 9, "Mary Ann Smith|Mary Ann|Smith", 0},
		{"old release updates a row that is not filled", "update users set name = 'Grace Hopper' where id = 1", 1, "Grace Hopper|Grace|Hopper", 1},
		{"new release updates a part of a row that is not filled", "update users set last = 'Jones' where id = 1", 1, "Mary Jones|Mary|Jones", 0},
		{"new release updates both parts", "update users set first = 'Mary Ann', last = 'Smith' where id = 1", 1, "Mary Ann Smith|Mary Ann|Smith", 0},
		{"an update of nothing synced", "update users set id = 99 where id = 2", 99, "Prince||", 0},
		{"an update that changes nothing", "update users set name = name where id = 2", 2, "Prince||", 0},
		{"the back-fill's own write", "begin; set local pleat.sync = 'off'; update users set first = 'x' where id = 1; commit", 1, "Mary Ann Smith|x|", 0},
	}
	for _, other := range []string{"", otherTrigger} {
		t.Run(named(other), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, withApp(expandedUsers)+other)
			p := w.lower(splitName())
			w.do(p, p.Expand, migrations.Expanded)
			for _, test := range tests {
				w.exec(`truncate users; begin; set local pleat.sync = 'off';
					insert into users values (1, 'Mary Ann Smith'), (2, 'Prince'), (3, 'Ada Lovelace'); commit;
					alter sequence pleat.split_name_old_writes restart`)
				w.exec("set role " + appRole + ";" + test.sql + "; reset role")
				got := w.value("select concat_ws('|', name, coalesce(first, ''), coalesce(last, '')) from users where id = $1", test.id)
				if got != test.want {
					t.Errorf("%s: %s: got %q, want %q", test.name, test.sql, got, test.want)
				}
				counted := pgtest.Value[int](t, w.admin, "select case when is_called then last_value else 0 end::int from pleat.split_name_old_writes")
				if counted != test.counted {
					t.Errorf("%s: %s: counted %d writes in the old shape, want %d", test.name, test.sql, counted, test.counted)
				}
			}
		})
	}
}

// appRole has rights on the application's tables and nowhere else.
const appRole = "pleat_test_app"

func withApp(sql string) string {
	return strings.ReplaceAll(strings.ReplaceAll(sql, "create role app;", `
		do $$ begin create role pleat_test_app; exception when duplicate_object or unique_violation then null; end $$;`),
		" to app", " to "+appRole)
}

// otherTrigger changes nothing here; that it might is enough.
const otherTrigger = `;
	create function touch() returns trigger language plpgsql as 'begin return new; end';
	create trigger touch before insert or update on users for each row execute function touch()`

func named(other string) string {
	if other == "" {
		return "alone"
	}
	return "beside another trigger"
}

// Postgres looks at the statement, not at the row, to see whether a column of
// a trigger's list is updated.
func TestAChangeMadeByAnotherTriggerIsSynced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+`
		alter table users add raw text;
		create function parse() returns trigger language plpgsql as 'begin new.name := trim(new.raw); return new; end';
		create trigger parse before update of raw on users for each row execute function parse();
		insert into users (name) values ('Ada Lovelace')`)
	p := w.lower(splitName())
	w.do(p, p.Expand, migrations.Expanded)
	w.exec("update users set raw = ' Grace Hopper '")
	if got := w.value("select concat_ws('|', name, first, last) from users"); got != "Grace Hopper|Grace|Hopper" {
		t.Errorf("got %q", got)
	}
}

func TestHiddenColumnIsKeptRightSoThatUnhidingLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withApp(expandedUsers))
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(p))
	w.do(w.lower(c), w.lower(c).Hide, migrations.Hidden)
	w.exec("set role " + appRole)
	w.exec("insert into users (first, last) values ('Grace', 'Hopper'); update users set last = 'King' where first = 'Ada'")
	w.exec("reset role")
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Verified)
	if bad := w.value("select count(*)::text from (" + namesAgree + ") as q"); bad != "0" {
		t.Errorf("%s rows disagree after un-hiding", bad)
	}
	if got := w.value("select string_agg(name, ',' order by id) from users"); got != "Mary Ann Smith,Prince,Ada King,Grace Hopper" {
		t.Errorf("got %q", got)
	}
	w.exec("update users set name = 'Grace Jones' where first = 'Grace'")
	if got := w.value("select last from users where first = 'Grace'"); got != "Jones" {
		t.Errorf("after un-hiding, the old shape is not synced: last is %q", got)
	}
}

// A trigger that has gone missing, or does something else, is named.
func TestDriftOfTheTriggerIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withApp(expandedUsers))
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(p))
	w.exec("drop trigger zzz_pleat_split_name on users")
	phase, drift := w.lower(c).Phase(w.observe(c).Changes[c.Name])
	want := "trigger zzz_pleat_split_name on users is missing, and change split_name is recorded as backfilled"
	if phase != migrations.Absent || len(drift) != 1 || drift[0] != want {
		t.Errorf("got %s %q, want absent and %q", phase, drift, want)
	}
}

// D-07: old writers, new writers with the bug of users 2.0.0 (they do not
// maintain name), and the back-fill, all at once.
func TestMixedWritersAndTheBackfillEndWithoutAMismatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withApp(expandedUsers)+`;
		insert into users (name) select case when i % 3 = 0 then 'Mary Ann Smith' when i % 3 = 1 then 'Prince' else 'User No ' || i end
		from generate_series(1, 3000) i`)
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	stop, end := context.WithCancel(t.Context())
	writers, _ := errgroup.WithContext(t.Context())
	for seed := range 4 {
		connection := pgtest.Connect(t, w.url)
		writers.Go(func() error { return writeNames(stop, connection, uint64(seed)) })
	}
	w.apply(backfillOf(p))
	eventually(t, "the new release wrote names of two words", func() bool {
		return w.value("select count(*)::text from users where first = 'Mary Ann'") != "0"
	})
	end()
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
	if bad := w.value("select count(*)::text from (" + namesAgree + ") as q"); bad != "0" {
		t.Errorf("%s rows disagree", bad)
	}
	if empty := w.value("select count(*)::text from users where first is null"); empty != "0" {
		t.Errorf("%s rows are not filled", empty)
	}
	// A second fill finds everything right, also what only the new shape can say.
	before := w.value("select md5(string_agg(users::text, ',' order by id)) from users")
	w.apply(backfillOf(p))
	if after := w.value("select md5(string_agg(users::text, ',' order by id)) from users"); after != before {
		t.Error("a second back-fill changed rows")
	}
}

func writeNames(stop context.Context, c *pgx.Conn, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 7))
	old := []string{"Mary Ann Smith", "Prince", "Ada Lovelace"}
	for n := 0; stop.Err() == nil; n++ {
		sql, args := "update users set name = $1 where id = $2", []any{old[r.IntN(3)], r.IntN(3003) + 1}
		if seed%2 == 1 {
			sql, args = "update users set first = $1, last = $2 where id = $3", []any{"Mary Ann", fmt.Sprint("Smith", n), r.IntN(3003) + 1}
		}
		if _, err := c.Exec(context.WithoutCancel(stop), sql, args...); err != nil {
			return err
		}
	}
	return nil
}

// Expressions may call the columns by the table's name, end in a comment, and
// be of another type than their column.
func TestExpressionsAreTakenAsTheAuthorWroteThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create schema app; create table app."Order" (id int primary key, "Total" numeric(8, 2) not null);
		insert into app."Order" values (1, 12.50), (2, 0)`)
	table := spec.Table{Schema: "app", Name: "Order"}
	c := &spec.Change{
		Name: "cents",
		Expand: []spec.Operation{
			&spec.AddColumn{Table: table, Column: spec.Column{Name: "select", Type: "bigint"}},
			&spec.Sync{Table: table,
				Forward:  map[string]string{"select": `"Order"."Total" * 100 -- in cents`},
				Backward: map[string]string{"Total": `"select" / 100.0`}},
		},
		Backfills: []*spec.Backfill{{Table: table}},
		Contract:  &spec.Contract{Operations: []spec.Operation{&spec.DropColumn{Table: table, Column: "Total"}}},
	}
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(p))
	w.exec(`insert into app."Order" ("id", "Total") values (3, 7.25); update app."Order" set "select" = 999 where id = 1`)
	got := w.value(`select string_agg(id || ':' || "Total" || ':' || "select", ' ' order by id) from app."Order"`)
	if got != "1:9.99:999 2:0.00:0 3:7.25:725" {
		t.Errorf("got %q", got)
	}
	w.do(w.lower(c), w.lower(c).Hide, migrations.Hidden)
	w.exec(`update app."Order" set "select" = 100 where id = 2`)
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Verified)
	if got := w.value(`select "Total"::text from app."Order" where id = 2`); got != "1.00" {
		t.Errorf("after un-hiding, Total is %s", got)
	}
}

// Nobody fills a hidden column that has no sync, and the way back must not
// fail for it.
func TestAHiddenColumnWithoutASyncComesBackWithItsConstraint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) values ('Ada')")
	c := &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{&spec.DropColumn{Table: users, Column: "name"}}}}
	p := w.lower(c)
	w.do(p, p.Hide, migrations.Hidden)
	w.exec("insert into users default values")
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Expanded)
	if _, err := w.admin.Exec(t.Context(), "insert into users default values"); err == nil {
		t.Error("a row without a name was let in after un-hiding")
	}
	w.exec("insert into users (name) values ('Grace')")
}

// An edited sync replaces the trigger that releases live with: taking the edit
// back is that trigger again, and not none.
func TestTheUndoOfAnEditedSyncIsTheFormerTrigger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	const installed = `select pg_get_triggerdef(g.oid) || pg_get_functiondef(tgfoid) || obj_description(g.oid, 'pg_trigger')
		from pg_trigger g where tgname = 'zzz_pleat_split_name'`
	before := w.value(installed)
	edited := splitName()
	edited.Expand[2].(*spec.Sync).Forward["last"] = "upper(name)"
	p = w.lower(edited)
	sync := p.Expand[len(p.Expand)-1]
	w.apply(forward(p, sync, migrations.Expanded))
	if w.value(installed) == before {
		t.Fatal("the trigger was not replaced")
	}
	w.apply(backward(p, sync, migrations.Absent))
	if diff := cmp.Diff(before, w.value(installed)); diff != "" {
		t.Errorf("after the way back (-before +after):\n%s", diff)
	}
	w.apply(backward(p, sync.Whole(), migrations.Absent))
	if got := w.value("select count(*)::text from pg_trigger where tgname like 'zzz_pleat%'"); got != "0" {
		t.Errorf("%s triggers are left of a change that was taken back whole", got)
	}
}
