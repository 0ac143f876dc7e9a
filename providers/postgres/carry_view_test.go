package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/spec"
)

// lowered is what is said of a change before any of it runs.
func lowered(t *testing.T, setup, blocks string) string {
	t.Helper()
	w := newWorld(t, setup)
	c := written(t, blocks)
	cat := w.observe(c).Catalog
	p, _ := migrations.Lower(c, cat)
	var err error
	if cat.Refusals, cat.Wordings, err = w.provider.Read(t.Context(), p.Readings(migrations.Recorded{})); err != nil {
		t.Fatal(err)
	}
	p, diags := migrations.Lower(c, cat)
	return append(diags, p.Conflicts(migrations.Recorded{})...).Error()
}

const (
	fullName     = "rename_column \"users\" \"name\" {\n\tto = \"full_name\"\n}"
	lengthOfName = "change_type \"users\" \"name\" {\n\ttype = \"integer\"\n\tusing = \"length(name)\"\n}"
)

const widerID = `change_type "users" "id" {
	type = "bigint"
}`

// A view or trigger that could not be made again as it was stops the change, with
// the reason.
func TestViewsThatASwapCannotMakeAgainAreRefused(t *testing.T) {
	const table = "create table users (id int primary key, name text); create view seen as select id, name from users;"
	for name, test := range map[string]struct{ setup, change, want string }{
		"materialized, with its row type in a signature": {
			setup: "create materialized view kept as select id from users; create function f(kept) returns int language sql as 'select 1'", change: widerID,
			want: "materialized view public.kept (function public.f(public.kept) needs it as it is)",
		},
		"row type in a signature": {
			setup: "create function f(seen) returns int language sql as 'select 1'", change: widerID,
			want: "view public.seen (function public.f(public.seen) needs it as it is)",
		},
		"row type in a column": {
			setup: "create table other (s seen[])", change: widerID,
			want: "view public.seen (column s of table public.other needs it as it is)",
		},
		"policy": {
			setup:  "create table other (id int); create policy p on other using (id in (select id from seen))",
			change: widerID,
			want:   "view public.seen (policy p on table public.other needs it as it is)",
		},
		"rule of a table": {
			setup: "create table other (id int); create rule r as on insert to other do also select id from seen", change: widerID,
			want: "table public.other (its rule shows it)",
		},
		"grouped by the key": {
			setup: "create view many as select u.id, u.name, count(*) from users u group by u.id", change: widerID,
			want: "view public.many (it groups by a key that moves to the new column last)",
		},
		"an operator that the new type has not": {
			setup: "create view calls as select s.id, s.name from seen s where s.name like 'A%'", change: lengthOfName,
			want: "view public.calls (with the new type it would not be valid: operator does not exist: integer ~~ text)",
		},
		"a constant that is no value of the new type": {
			setup: "create view calls as select id from users where name <> 'A'", change: lengthOfName,
			want: "view public.calls (with the new type it would not be valid: ",
		},
		"an index by an operator class of the former type": {
			setup: "create index by_name on users (id, name text_pattern_ops desc)", change: lengthOfName,
			want: `The index by_name of users is made anew for the column of the new type, and Postgres says of it there: operator class "text_pattern_ops" does not accept data type integer.`,
		},
		"an index by a method without a class for the type": {
			setup: "create index by_name on users using hash (name)", change: "change_type \"users\" \"name\" {\n\ttype = \"json\"\n\tusing = \"to_json(name)\"\n}",
			want: `Postgres says of it there: data type json has no default operator class for access method "hash".`,
		},
		"an index of an expression that has no class then": {
			setup: "alter table users add doc jsonb; create index by_doc on users ((doc -> 'a'))", change: "change_type \"users\" \"doc\" {\n\ttype = \"json\"\n}",
			want: `The index by_doc of users is made anew for the column of the new type, and Postgres says of it there: data type json has no default operator class for access method "btree".`,
		},
		"a trigger's condition": {
			setup: `create function f() returns trigger language plpgsql as 'begin return null; end';
				create trigger g after insert on users for each row when (new.name like 'A%') execute function f()`,
			change: lengthOfName,
			want:   "trigger g (with the new type it would not be valid: operator does not exist: integer ~~ text)",
		},
		"a trigger that changes a column with another name": {
			setup: `create function f() returns trigger language plpgsql as 'begin return new; end';
				create trigger g before insert on users for each row when (new.name like 'A%') execute function f()`,
			change: fullName,
			want:   "trigger g, which fires before a row has by one name what is written by the other",
		},
		"a trigger with a function that says the former name": {
			setup: `create function f() returns trigger language plpgsql as 'begin perform new.Name; return null; end';
				create trigger g after insert on users for each row when (new.name like 'A%') execute function f()`,
			change: fullName,
			want:   "trigger g, whose function says the former name",
		},
		"a trigger that is told the former name": {
			setup: `create function f() returns trigger language plpgsql as 'begin return null; end';
				create trigger g after insert on users for each row when (new.name like 'A%') execute function f('a', 'name')`,
			change: fullName,
			want:   "trigger g, whose function says the former name",
		},
		"a trigger of the row that runs what says the former name": {
			setup: `create function f() returns trigger language plpgsql as 'begin perform new.name; return new; end';
				create trigger g before insert on users for each row execute function f()`,
			change: fullName,
			want:   "Trigger may read the column by its name",
		},
		"another name, with the row type in a signature": {
			setup: "create function f(seen) returns int language sql as 'select 1'", change: "rename_column \"users\" \"id\" {\n\tto = \"number\"\n}",
			want: "view public.seen (function public.f(public.seen) needs it as it is)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := lowered(t, table+test.setup, test.change); !strings.Contains(got, test.want) {
				t.Errorf("got %s\nwant one that says %q", got, test.want)
			}
		})
	}
}

// What an index takes by a cast that changes nothing, or for any type of a kind, is no
// obstacle.
func TestIndexesThatCanBeMadeOfOtherTypesAreNoObstacle(t *testing.T) {
	for _, test := range []struct{ column, index, to string }{
		{"varchar(9)", "(c text_pattern_ops, id)", "text"},
		{"text", "using hash (c)", "varchar(20)"},
		{"text", "(c)", "size"},
		{"integer", "(id) include (c)", "json"},
		{"integer", "(c)", "few"},
		{"text[]", "using gin (c)", "integer[]"},
		{"int4range", "using gist (c)", "int8range"},
		{"size", "(c)", "text"},
	} {
		t.Run(test.column+" to "+test.to, func(t *testing.T) {
			t.Parallel()
			setup := fmt.Sprintf("create type size as enum ('small'); create domain few as smallint; create table users (id int primary key, c %s); create index i on users %s", test.column, test.index)
			if got := lowered(t, setup, fmt.Sprintf("change_type \"users\" \"c\" {\n\ttype = %q\n}", test.to)); strings.Contains(got, "index i ") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A trigger whose condition names a column that gets another name is told of what is
// written by either name, before the swap and after.
func TestATriggersConditionGoesAlongWithAName(t *testing.T) {
	w := newWorld(t, `create table users (id int primary key, name text); create table told (id int);
		create function tell() returns trigger language plpgsql as 'begin insert into told values (new.id); return null; end';
		create trigger tell after insert or update on users for each row when (new.name like 'A%') execute function tell();
		comment on trigger tell on users is 'said'`)
	before := w.dump()
	c := written(t, fullName)
	told := func(when, want string) {
		t.Helper()
		if got := w.value("select coalesce(string_agg(id::text, ' ' order by id), '') from told"); got != want {
			t.Errorf("%s the trigger was told of %q, want %q", when, got, want)
		}
	}
	w.replaceUntil(c, migrations.Verified, "select")
	w.exec("insert into users (id, name) values (1, 'Ada'), (2, 'Bob'); insert into users (id, full_name) values (3, 'Alan'), (4, 'Grace')")
	told("before the swap", "1 3")
	p := w.lower(c)
	w.do(p, p.Hide, migrations.Hidden)
	w.exec("insert into users (id, full_name) values (5, 'Alonzo'), (6, 'Barbara'); update users set full_name = 'Annie' where id = 6")
	told("after it", "1 3 5 6")
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Verified)
	w.exec("insert into users (id, name) values (7, 'Anita'); insert into users (id, full_name) values (8, 'Adele')")
	told("after the way back", "1 3 5 6 7 8")
	for _, units := range []func(*migrations.Program) []migrations.Unit{
		func(p *migrations.Program) []migrations.Unit { return p.Validate },
		func(p *migrations.Program) []migrations.Unit { return p.Expand },
	} {
		p = w.lower(c)
		w.undo(p, units(p), migrations.Absent)
	}
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("taken back, the schema differs (-before +after):\n%s", diff)
	}
	w.replaceUntil(c, migrations.Contracted, "select")
	if got := w.value("select pg_get_triggerdef(oid) || obj_description(oid, 'pg_trigger') from pg_trigger where tgname = 'tell'"); !strings.Contains(got, "new.full_name ~~ 'A%'") || !strings.Contains(got, "said") {
		t.Errorf("in the end the trigger is %s", got)
	}
}

// A trigger that fires for a column fires for it by either name, from when releases
// write the new one on, and back-filling fires it for nobody.
func TestATriggersColumnsGoAlongWithAName(t *testing.T) {
	w := newWorld(t, `create table users (id int primary key, name text, note text); create table told (id int);
		insert into users select i, 'user ' || i from generate_series(1, 9) i;
		create function tell() returns trigger language plpgsql as 'begin insert into told values (coalesce(new.id, 0)); return null; end';
		create constraint trigger tell after update of note, name on users deferrable initially deferred for each row when (old.name is distinct from new.name) execute function tell();
		create trigger each after update of name on users for each statement execute function tell();
		create trigger off after insert or update of name, id on users for each row execute function tell();
		create trigger other after update of note on users for each row when (new.note = 'all') execute function tell();
		alter table users disable trigger off; comment on trigger tell on users is 'said'`)
	before := w.dump()
	c := written(t, fullName)
	told := func(when, sql, want string) {
		t.Helper()
		w.exec(sql)
		if got := w.value("select coalesce(string_agg(id::text, ' ' order by id), '') from told"); got != want {
			t.Errorf("%s the triggers were told of %q, want %q", when, got, want)
		}
		w.exec("delete from told")
	}
	w.replaceUntil(c, migrations.Verified, "select")
	told("before the swap", `select`, "")
	told("before the swap", `update users set name = 'Ada' where id = 1; update users set full_name = 'Bob' where id = 2; update users set note = 'x' where id = 3`, "0 0 1 2")
	p := w.lower(c)
	w.do(p, p.Hide, migrations.Hidden)
	told("after it", `update users set full_name = 'Alan' where id = 1; update users set note = 'all' where id = 2`, "0 1 2")
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Verified)
	told("after the way back", `update users set name = 'Eve' where id = 4; update users set full_name = 'Joe' where id = 5`, "0 0 4 5")
	for _, units := range []func(*migrations.Program) []migrations.Unit{
		func(p *migrations.Program) []migrations.Unit { return p.Validate },
		func(p *migrations.Program) []migrations.Unit { return p.Expand },
	} {
		p = w.lower(c)
		w.undo(p, units(p), migrations.Absent)
	}
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("taken back, the schema differs (-before +after):\n%s", diff)
	}
	w.replaceUntil(c, migrations.Contracted, "select")
	got := w.value("select string_agg(substring(pg_get_triggerdef(oid) from '(AFTER.*) ON .*FOR') || tgenabled::text || coalesce(obj_description(oid, 'pg_trigger'), ''), '; ' order by tgname) from pg_trigger where tgrelid = 'users'::regclass and not tgisinternal")
	if want := "AFTER UPDATE OF full_nameO; AFTER INSERT OR UPDATE OF full_name, idD; AFTER UPDATE OF noteO; AFTER UPDATE OF note, full_nameOsaid"; got != want {
		t.Errorf("in the end the triggers are %s, want %s", got, want)
	}
}

// A view that came after the plan would be left on the column that goes: the swap
// stops, and all is as before.
func TestAViewThatCameAfterThePlanStopsTheSwap(t *testing.T) {
	w := newWorld(t, "create table users (id int primary key, name text); create view seen as select id, name from users; insert into users select i from generate_series(1, 10) i")
	c := changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int")
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(w.lower(c)))
	p = w.lower(c)
	w.do(p, p.Validate, migrations.Verified)
	p = w.lower(c)
	w.exec("create view late as select id from seen")
	before := w.dump()
	err := w.try(t.Context(), w.step(forward(p, p.Hide[0], migrations.Hidden)))
	if err == nil || !strings.Contains(err.Error(), "view late shows what is replaced, and came after the plan") {
		t.Errorf("got %v", err)
	}
	if after := w.dump(); after != before {
		t.Errorf("it left\n%s\nof\n%s", after, before)
	}
	p = w.lower(c)
	w.do(p, p.Hide, migrations.Hidden)
	if got := w.value("select string_agg(format_type(atttypid, atttypmod), ' ') from pg_attribute where attname = 'id' and attrelid in ('seen'::regclass, 'late'::regclass)"); got != "bigint bigint" {
		t.Errorf("the views have %s", got)
	}
}

// The former views that one change keeps show the column of another as well. Made
// again for that, they would not be what the first goes back to: the second waits.
func TestASwapWaitsForTheFormerViewsOfAnotherChange(t *testing.T) {
	w := newWorld(t, "create table users (id int primary key, name varchar(9)); create view seen as select id, name from users; insert into users select i from generate_series(1, 10) i")
	first, second := changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int"), changeType("users", "name", "text", "name", "pleat_new_name")
	second.Name = "text"
	untilSwap := func(c *spec.Change) {
		p := w.lower(c)
		w.do(p, p.Expand, migrations.Expanded)
		w.apply(backfillOf(w.lower(c)))
		p = w.lower(c)
		w.do(p, p.Validate, migrations.Verified)
	}
	untilSwap(first)
	p := w.lower(first)
	w.do(p, p.Hide, migrations.Hidden)
	untilSwap(second)
	p = w.lower(second)
	err := w.try(t.Context(), w.step(forward(p, p.Hide[0], migrations.Hidden)))
	if err == nil || !strings.Contains(err.Error(), "belongs to another change that is not contracted") {
		t.Errorf("got %v", err)
	}
	p = w.lower(first)
	w.do(p, p.Drop, migrations.Contracted)
	p = w.lower(second)
	w.do(p, p.Hide, migrations.Hidden)
	p = w.lower(second)
	w.do(p, p.Drop, migrations.Contracted)
	if got := w.value("select string_agg(format_type(atttypid, atttypmod), ' ' order by attnum) from pg_attribute where attnum > 0 and attrelid = 'seen'::regclass"); got != "bigint text" {
		t.Errorf("the view has %s", got)
	}
	if left := w.value("select count(*)::text from pg_class where relname like 'pleat_former_%'"); left != "0" {
		t.Errorf("%s former views are left", left)
	}
}

// kept is a change of users.id, which materialized views show: of a view, of each
// other, of another owner and one that nobody has filled.
const kept = "do $$ begin create role renamer; exception when duplicate_object or unique_violation then end $$;" + `
	create table users (id int primary key, name text);
	create view seen as select id, name from users;
	create materialized view kept as select id, name from seen;
	create unique index kept_id on kept (id);
	create materialized view most as select max(id) as id from kept;
	create materialized view never as select id from users with no data;
	create index never_id on never (id);
	create view last as select k.* from kept k join most m using (id);
	grant create on schema public to renamer; grant select on users, kept to renamer; grant select on most to public;
	alter materialized view most owner to renamer;
	insert into users (id, name) select i, 'n' || i from generate_series(1, 10) i; refresh materialized view kept; refresh materialized view most;`

// A materialized view has its rows at all times, and those of the table as it is at
// the swap from then on; the way back has the former one.
func TestMaterializedViewsTakeOverWithTheirRows(t *testing.T) {
	w := newWorld(t, kept)
	c := changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int")
	before, fresh := w.dump(), "select count(*) || ' ' || (select max(id) from most) || ' ' || (select count(*) from last) || ' ' || pg_typeof(min(id)) from kept"
	untilSwap := func() *migrations.Program {
		p := w.lower(c)
		w.do(p, p.Expand, migrations.Expanded)
		w.apply(backfillOf(w.lower(c)))
		p = w.lower(c)
		w.do(p, p.Validate, migrations.Verified)
		return w.lower(c)
	}
	p := untilSwap()
	w.exec("insert into users (id, name) values (11, 'later')")
	for _, u := range p.Hide[:len(p.Hide)-1] {
		w.apply(forward(p, u, ""))
		if got := w.value(fresh); got != "10 10 1 integer" {
			t.Errorf("after %s releases read %s", u.ID, got)
		}
	}
	w.apply(forward(p, p.Hide[len(p.Hide)-1], migrations.Hidden))
	if got := w.value(fresh); got != "11 11 1 bigint" {
		t.Errorf("after the swap releases read %s", got)
	}
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Verified)
	if got := w.value(fresh); got != "10 10 1 integer" {
		t.Errorf("after the way back releases read %s", got)
	}
	p = w.lower(c)
	w.undo(p, p.Validate, migrations.Backfilled)
	p = w.lower(c)
	w.undo(p, p.Expand, migrations.Absent)
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("after the way back (-before +after):\n%s", diff)
	}
	p = untilSwap()
	w.do(p, p.Hide, migrations.Hidden)
	p = w.lower(c)
	w.do(p, p.Drop, migrations.Contracted)
	end := newWorld(t, strings.Replace(kept, "(id int primary key, name text)", "(name text, id bigint primary key)", 1))
	if diff := cmp.Diff(end.dump(), w.dump()); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	if left := w.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
}

// A view goes on bringing out a column under the name that it has there, whatever the
// table calls it; so does one that is materialized.
func TestViewsGoAlongWithAnotherName(t *testing.T) {
	for _, materialized := range []string{"", "create materialized view filled as select name, id from seen; create index filled_name on filled (name);"} {
		const setup = "create table users (id int primary key, %s); create view seen as select id, %s from users; create view all_of as select s.name from seen s join users u using (id) where u.%[3]s <> ''; create rule r as on update to all_of do instead update users set %[3]s = new.name where %[3]s = old.name;"
		rows := "insert into users select i, 'n' || i from generate_series(1, 10) i;"
		w := newWorld(t, fmt.Sprintf(setup, "name text", "name", "name")+rows+materialized)
		before, content := w.dump(), "select string_agg(name, ' ' order by id) || (select count(*) from all_of) from seen"
		rowsBefore := w.value(content)
		c := written(t, fullName)
		write := "update all_of set name = name"
		w.replaceUntil(c, migrations.Hidden, write)
		p := w.lower(c)
		w.undo(p, p.Hide, migrations.Verified)
		w.exec(write)
		p = w.lower(c)
		w.undo(p, p.Validate, migrations.Backfilled)
		p = w.lower(c)
		w.undo(p, p.Expand, migrations.Absent)
		if diff := cmp.Diff(before, w.dump()); diff != "" {
			t.Errorf("after the way back (-before +after):\n%s", diff)
		}
		w.replaceUntil(c, migrations.Contracted, write)
		end := newWorld(t, fmt.Sprintf(setup, "full_name text", "full_name as name", "full_name")+rows+materialized)
		if diff := cmp.Diff(end.dump(), w.dump()); diff != "" {
			t.Errorf("at the end (-want +got):\n%s", diff)
		}
		if got := w.value(content); got != rowsBefore {
			t.Errorf("the views show %s, and showed %s", got, rowsBefore)
		}
		if left := w.leftovers(); left != "" {
			t.Errorf("left over: %s", left)
		}
	}
}

// What is done to a view after its copy was made would be lost: the swap stops, and
// a copy that is made anew has it.
func TestAChangedViewStopsTheSwap(t *testing.T) {
	w := newWorld(t, kept)
	c := changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int")
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(w.lower(c)))
	p = w.lower(c)
	w.do(p, p.Validate, migrations.Verified)
	p = w.lower(c)
	last := len(p.Hide) - 1
	w.do(p, p.Hide[:last], "")
	w.exec("create index late on kept (name)")
	err := w.try(t.Context(), w.step(forward(p, p.Hide[last], migrations.Hidden)))
	if err == nil || !strings.Contains(err.Error(), `"public"."kept" is no longer what its copy with the new columns was made of. Apply again after `) {
		t.Fatalf("got %v", err)
	}
	_, drop, _ := strings.Cut(err.Error(), "Apply again after ")
	drop, _, _ = strings.Cut(drop, ": they")
	w.exec(drop)
	p = w.lower(c)
	w.do(p, p.Hide, migrations.Hidden)
	if got := w.value("select indexdef from pg_indexes where indexname = 'late'"); !strings.Contains(got, " public.kept ") {
		t.Errorf("the index is %s", got)
	}
}

// Who was given or refused a view while the former one is out of sight has it, or
// not, on the way back too.
func TestAFormerViewComesBackWithTheRightsOfByThen(t *testing.T) {
	w := newWorld(t, `do $$ begin create role renamer; exception when duplicate_object or unique_violation then end $$;
		create table users (id int primary key, name text); insert into users select i from generate_series(1, 10) i;
		create view seen as select id, name from users; create view "Same" as select id from users; create materialized view kept as select id from users;
		grant select on seen, "Same", kept to renamer; grant insert, update (name) on seen to public;`)
	c := changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int")
	w.advance(c, migrations.Hidden)
	w.exec(`revoke all on seen from renamer; revoke update (name) on seen from public; grant delete on seen to renamer with grant option;
		grant update (id) on seen to renamer; grant select on kept to public`)
	rights := `select string_agg(c.relname || coalesce(c.relacl::text, '') || coalesce((
			select string_agg(t.attname || t.attacl::text, ' ' order by t.attname) from pg_attribute t where t.attrelid = c.oid), ''), ' ' order by c.relname)
		from pg_class c where c.relname in ('seen', 'Same', 'kept')`
	given := w.value(rights)
	w.retreat(c)
	if back := w.value(rights); back != given {
		t.Errorf("rights are %s\nand were %s", back, given)
	}
}
