package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
)

// What a swap of names in a table and all its partitions does not carry stops the
// change, with the list.
func TestWhatASwapOfPartitionsDoesNotCarryIsRefused(t *testing.T) {
	const table = `create table events (id int not null, at date not null, note text, kind int) partition by range (at);
		create table events_1 partition of events for values from ('2025-01-01') to ('2026-01-01');
		create table plain (note text);
		create function f() returns trigger language plpgsql as 'begin return null; end';`
	const note = "change_type \"events\" \"note\" {\n\ttype = \"varchar(99)\"\n}"
	for name, test := range map[string]struct{ setup, change, want string }{
		"the key":                 {change: "change_type \"events\" \"at\" {\n\ttype = \"timestamptz\"\n}", want: "Column tells partitions apart; events is partitioned by RANGE (at)."},
		"a partition":             {change: "change_type \"events_1\" \"note\" {\n\ttype = \"varchar(99)\"\n}", want: "events_1 is a partition of events, and has the columns of that. Replace the column of events."},
		"parts of parts":          {setup: "create table events_2 partition of events for values from ('2026-01-01') to ('2027-01-01') partition by list (kind)", want: "partition events_2 (it is partitioned itself)"},
		"parted key to its key":   {setup: "alter table events add primary key (note, at); create table o (note text, at date, foreign key (note, at) references events) partition by list (note)", want: "constraint o_note_at_fkey of o, which is partitioned as well"},
		"key from parts of parts": {setup: "create unique index u on plain (note); create table o (note text references plain (note)) partition by list (note); create table o_1 partition of o for values in ('x') partition by list (note)", change: "change_type \"plain\" \"note\" {\n\ttype = \"varchar(99)\"\n}", want: "constraint o_note_fkey of o, of which partition o_1 cannot have its own (it is partitioned itself)"},
		"part's index":            {setup: "create index own on events_1 (note)", want: "index public.own of partition events_1"},
		"part's check":            {setup: "alter table events_1 add constraint own check (note <> '')", want: "constraint own on table public.events_1 of partition events_1"},
		"part's unique":           {setup: "alter table events_1 add constraint own unique (note)", want: "constraint own on table public.events_1 of partition events_1"},
		"part's trigger":          {setup: "create trigger g after update of note on events_1 for each row execute function f()", want: "trigger g on table public.events_1 of partition events_1"},
		"part's trigger's state":  {setup: "create trigger g after update of note on events for each row execute function f(); alter table events_1 disable trigger g", want: "the state of trigger g on table public.events_1 of partition events_1"},
		"part's view":             {setup: "create view own as select note from events_1", want: "view public.own of partition events_1"},
		"part's policy":           {setup: "create policy own on events_1 using (note <> '')", want: "policy own on table public.events_1 of partition events_1"},
		"part's statistics":       {setup: "create statistics own on note, kind from events_1", want: "statistics object public.own of partition events_1"},
		"part's default":          {setup: "alter table events_1 alter note set default 'x'", want: "its default of partition events_1"},
		"part's NOT NULL":         {setup: "alter table events_1 alter note set not null", want: "its NOT NULL of partition events_1"},
		"part's rights":           {setup: "grant select (note) on events_1 to pg_monitor", want: "its settings of partition events_1"},
		"part's storage":          {setup: "alter table events_1 alter note set storage external", want: "its settings of partition events_1"},
		"part's key to it":        {setup: "create unique index u on events_1 (note); create table o (note text references events_1 (note))", want: "constraint o_note_fkey on table public.o of partition events_1"},
		"part's other columns":    {setup: "create index own on events_1 (kind); alter table events_1 alter kind set not null", want: "no diagnostics"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == "" {
				change = note
			}
			if got := lowered(t, table+test.setup, change); !strings.Contains(got, test.want) {
				t.Errorf("got %s\nwant one that says %q", got, test.want)
			}
		})
	}
}

// The key's index in a partition is built before anybody is kept waiting, and not
// again when the key takes it. A partition that comes in between stops the drop.
func TestTheKeyOfAPartitionedTableTakesWhatWasBuilt(t *testing.T) {
	w := newWorld(t, `create table events (at date, id int, primary key (id, at)) partition by range (at);
		create table events_1 partition of events for values from ('2025-01-01') to ('2026-01-01');
		insert into events select '2025-05-05', i from generate_series(1, 100) i`)
	c := written(t, "change_type \"events\" \"id\" {\n\ttype = \"bigint\"\n}")
	w.replaceUntil(c, migrations.Hidden, "select")
	const files = "select string_agg(relfilenode::text, ' ' order by relname) from pg_class where relname = any (array['events_1', $1])"
	p := w.lower(c)
	builds, last := p.Drop[:len(p.Drop)-1], p.Drop[len(p.Drop)-1]
	w.do(p, builds, "")
	built := w.value(files, "events_1_pleat_key_events_pkey")
	w.exec("create table events_2 partition of events for values from ('2026-01-01') to ('2027-01-01')")
	err := w.try(t.Context(), w.step(forward(p, last, migrations.Contracted)))
	if err == nil || !strings.Contains(err.Error(), "partition public.events_2 came after the plan was made") {
		t.Errorf("with a partition that came meanwhile: %v", err)
	}
	p = w.lower(c)
	w.do(p, p.Drop[:len(p.Drop)-1], "")
	w.exec("create table notes (at date, id int, constraint noted foreign key (id, at) references events (id, at)); insert into notes select at, id from events")
	err = w.try(t.Context(), w.step(forward(p, p.Drop[len(p.Drop)-1], migrations.Contracted)))
	if err == nil || !strings.Contains(err.Error(), "constraint noted of public.notes came after the plan was made") {
		t.Errorf("with a foreign key that came meanwhile: %v", err)
	}
	p = w.lower(c)
	w.do(p, slices.DeleteFunc(p.Drop, func(u migrations.Unit) bool { return u.Applied }), migrations.Contracted)
	if got := w.value("select convalidated::text from pg_constraint where conname = 'noted'"); got != "true" {
		t.Errorf("the foreign key is valid: %s", got)
	}
	if got := w.value(files, "events_1_pkey"); got != built {
		t.Errorf("files of the partition and of its key are %s, and were %s", got, built)
	}
	if left := w.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
}

// A column of which nothing is made in each partition changes its type whatever they are
// called.
func TestAPartitionWithADotGoesAlong(t *testing.T) {
	w := newWorld(t, `create table days (at date primary key, note text not null) partition by range (at);
		create table "days.rest" partition of days default; insert into days select date '2025-01-01' + i, i from generate_series(1, 100) i`)
	c := written(t, "change_type \"days\" \"note\" {\n\ttype = \"int\"\n}\ncontract {\n}")
	const kinds = "select string_agg(format_type(atttypid, null) || ' ' || attnotnull, ', ' order by attrelid::regclass::text) from pg_attribute where attname = 'note' and not attisdropped"
	w.advance(c, migrations.Hidden)
	w.retreat(c)
	if got := w.value(kinds); got != "text true, text true" {
		t.Errorf("after the way back: %s", got)
	}
	w.advance(c, migrations.Contracted)
	if got := w.value(kinds); got != "integer true, integer true" {
		t.Errorf("at the end: %s", got)
	}
	if left := w.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
}

// The table takes over the foreign keys of its partitions without a look at a row. A
// partition that comes in between stops that.
func TestTheForeignKeyOfAPartitionedTableIsThatOfItsParts(t *testing.T) {
	w := newWorld(t, `create table kinds (kind int primary key); insert into kinds select generate_series(1, 9);
		create table events (at date, kind int references kinds) partition by range (at);
		create table events_1 partition of events for values from ('2025-01-01') to ('2026-01-01');
		insert into events select '2025-05-05', i from generate_series(1, 9) i`)
	c := written(t, "change_type \"events\" \"kind\" {\n\ttype = \"bigint\"\n}")
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(w.lower(c)))
	p = w.lower(c)
	parts, last := p.Validate[:len(p.Validate)-1], p.Validate[len(p.Validate)-1]
	w.do(p, parts, "")
	w.exec("create table events_2 partition of events for values from ('2026-01-01') to ('2027-01-01')")
	err := w.try(t.Context(), w.step(forward(p, last, migrations.Verified)))
	if err == nil || !strings.Contains(err.Error(), "partition public.events_2 came after the plan was made") {
		t.Errorf("with a partition that came meanwhile: %v", err)
	}
	p = w.lower(c)
	parts, last = p.Validate[:len(p.Validate)-1], p.Validate[len(p.Validate)-1]
	if len(parts) != 4 || !parts[0].Applied || !parts[1].Applied || parts[2].Applied {
		t.Fatalf("of %d steps before the last, those of the first partition are not the ones that are done", len(parts))
	}
	w.do(p, parts[2:], "")
	w.exec("set session_replication_role = replica; insert into events (at, kind, pleat_new_kind) values ('2025-05-05', 77, 77); reset session_replication_role")
	w.do(p, []migrations.Unit{last}, migrations.Verified)
}

// A key to a partitioned table has another one to each of its partitions. They come
// with it, and none of them is made for itself: it would refuse the rows of the others.
func TestAKeyToAPartitionedTableIsCarriedAsOne(t *testing.T) {
	const setup = `create table events (at date, id bigint, primary key (id, at)) partition by range (at);
		create table events_1 partition of events for values from ('2025-01-01') to ('2026-01-01');
		create table events_2 partition of events for values from ('2026-01-01') to ('2027-01-01');
		insert into events select d, i from generate_series(1, 100) i, (values (date '2025-05-05'), ('2026-05-05')) as v (d);
		create table notes (at date, id %s, constraint noted foreign key (id, at) references events); insert into notes (id, at) select id, at from events;`
	w := newWorld(t, fmt.Sprintf(setup, "int"))
	w.replaceUntil(written(t, "change_type \"notes\" \"id\" {\n\ttype = \"bigint\"\n}"), migrations.Contracted, "insert into notes (id, at) select id, at from events")
	if diff := cmp.Diff(newWorld(t, fmt.Sprintf(setup, "bigint")).dump(), w.dump()); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
}

// A row that goes to another partition is inserted there, with what both shapes say of
// it. What only the old shape can say is not lost by that, before the swap and after.
func TestARowThatMovesToAnotherPartitionStaysAsItIs(t *testing.T) {
	w := newWorld(t, `create table users (id int, at date, name text) partition by range (at);
		create table users_1 partition of users for values from ('2025-01-01') to ('2026-01-01');
		create table users_2 partition of users for values from ('2026-01-01') to ('2027-01-01');
		insert into users select i, '2025-05-05', '00' || i from generate_series(1, 4) i`)
	c := changeType("users", "name", "int", "name::int", "pleat_new_name::text")
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(w.lower(c)))
	p = w.lower(c)
	w.do(p, p.Validate, migrations.Verified)
	w.exec("update users set at = '2026-05-05' where id = 1")
	w.exec("update users set at = '2026-05-05', name = '0055' where id = 2")
	p = w.lower(c)
	w.do(p, p.Hide, migrations.Hidden)
	w.exec("update users set at = '2026-05-05' where id = 3")
	w.exec("update users set at = '2026-05-05', name = 77 where id = 4")
	if got := w.value("select string_agg(name::text, ' ' order by id) from users_2"); got != "1 55 3 77" {
		t.Errorf("releases of the new shape read %s", got)
	}
	p = w.lower(c)
	w.undo(p, p.Hide, migrations.Verified)
	if got := w.value("select string_agg(name, ' ' order by id) from users_2"); got != "001 0055 003 77" {
		t.Errorf("releases of the old shape read %s", got)
	}
}
