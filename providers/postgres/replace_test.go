package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/spec"
)

// changeType is what the shorthand change_type lowers to.
func changeType(table, column, kind, forward, backward string) *spec.Change {
	t, by := spec.ParseTable(table), "pleat_new_"+column
	return &spec.Change{
		Name: "wider",
		Expand: []spec.Operation{
			&spec.AddColumn{Table: t, Column: spec.Column{Name: by, Type: kind}},
			&spec.Sync{Table: t, Forward: map[string]string{by: forward}, Backward: map[string]string{column: backward}},
		},
		Backfills: []*spec.Backfill{{Table: t, Batch: 500}},
		Contract: &spec.Contract{Operations: []spec.Operation{
			&spec.ReplaceColumn{Table: t, Column: column, By: by, Type: kind},
		}},
	}
}

// A column changes its type with all that hangs on it, goes back from each
// phase, and ends as the direct change of type would, but for its place.
func TestAColumnIsReplacedWithAllThatHangsOnIt(t *testing.T) {
	tests := []struct {
		name, setup string
		change      *spec.Change
		write       string // in the old shape and in the new one
		end         string
	}{
		{
			name: "serial primary key with keys in and out",
			setup: `create table orgs (id int primary key);
				create table users (id serial primary key, org int references orgs (id) on delete cascade, name text);
				create table orders (id int primary key, "user" int not null constraint of references users (id) on update cascade, n int);
				create index by_name on users (lower(name), id) where id > 0;
				alter table users add constraint positive check (id > 0 and name <> 'id');
				comment on column users.id is 'the id';
				insert into orgs values (1);
				insert into users (org, name) select 1, 'n' || i from generate_series(1, 2000) i;
				insert into orders select i, i, i from generate_series(1, 500) i;`,
			change: changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int"),
			write:  "insert into users (org, name) values (1, 'written'); update orders set n = n + 1 where id = 3",
			end: `create table orgs (id int primary key);
				create sequence users_id_seq;
				create table users (org int references orgs (id) on delete cascade, name text, id bigint default nextval('users_id_seq') not null);
				alter sequence users_id_seq owned by users.id;
				alter table users add primary key (id);
				create table orders (id int primary key, "user" int not null constraint of references users (id) on update cascade, n int);
				create index by_name on users (lower(name), id) where id > 0;
				alter table users add constraint positive check (id > 0 and name <> 'id');
				comment on column users.id is 'the id';`,
		},
		{
			name: "identity",
			setup: `create table users (id int generated always as identity primary key, name text);
				insert into users (name) select 'n' || i from generate_series(1, 1000) i;`,
			change: changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int"),
			write:  "insert into users (name) values ('written')",
			end:    `create table users (name text, id bigint generated always as identity primary key);`,
		},
		{
			name: "foreign key out, unique, default",
			setup: `create table orgs (code int primary key);
				create table users (id int primary key, org int not null default 7 references orgs (code), unique (org, id));
				insert into orgs values (7), (8);
				insert into users (id) select i from generate_series(1, 1000) i;`,
			change: changeType("users", "org", "bigint", "org::bigint", "pleat_new_org::int"),
			write:  "insert into users (id) select max(id) + 1 from users; update users set org = 8 where id = 5",
			end: `create table orgs (code int primary key);
				create table users (id int primary key, org bigint not null default 7 references orgs (code), unique (org, id));`,
		},
		{
			name: "text to integer",
			setup: `create table users (id int primary key, age text default '0');
				insert into users select i, (i % 90)::text from generate_series(1, 1000) i;`,
			change: func() *spec.Change {
				c := changeType("users", "age", "integer", "age::int", "pleat_new_age::text")
				c.Contract.Operations[0].(*spec.ReplaceColumn).Default = "0"
				return c
			}(),
			write: "insert into users (id) select max(id) + 1 from users",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.setup)
			before := w.dump()
			w.replaceUntil(test.change, migrations.Hidden, test.write)
			p := w.lower(test.change)
			w.undo(p, p.Hide, migrations.Verified)
			w.exec(test.write)
			p = w.lower(test.change)
			w.undo(p, p.Validate, migrations.Backfilled)
			p = w.lower(test.change)
			w.undo(p, p.Expand, migrations.Absent)
			if diff := cmp.Diff(before, w.dump()); diff != "" {
				t.Errorf("after the way back (-before +after):\n%s", diff)
			}
			w.replaceUntil(test.change, migrations.Contracted, test.write)
			w.exec(test.write)
			if test.end != "" {
				if diff := cmp.Diff(newWorld(t, test.end).dump(), w.dump()); diff != "" {
					t.Errorf("at the end (-want +got):\n%s", diff)
				}
			}
			if left := w.leftovers(); left != "" {
				t.Errorf("left over: %s", left)
			}
		})
	}
}

// replaceUntil goes forward phase by phase, writing after each.
func (w *world) replaceUntil(c *spec.Change, to migrations.Phase, write string) {
	w.Helper()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.exec(write)
	w.apply(backfillOf(w.lower(c)))
	p = w.lower(c)
	w.do(p, p.Validate, migrations.Verified)
	w.exec(write)
	if to == migrations.Verified {
		return
	}
	p = w.lower(c)
	w.do(p, p.Hide, migrations.Hidden)
	w.exec(write)
	if got := w.phase(c); got != migrations.Hidden {
		w.Fatalf("phase is %s after the swap", got)
	}
	if to == migrations.Hidden {
		return
	}
	p = w.lower(c)
	w.do(p, p.Drop, migrations.Contracted)
	if got := w.phase(c); got != migrations.Contracted {
		w.Fatalf("phase is %s after the drop", got)
	}
}

// What is built beside an index is where that is, which its definition does not say.
func TestAnIndexStaysInItsTablespace(t *testing.T) {
	w := newWorld(t, usersTable)
	if w.value("select current_setting('server_version_num')") < "150000" {
		t.Skip("a tablespace needs a directory of the server's before PostgreSQL 15")
	}
	w.exec("set allow_in_place_tablespaces = on")
	w.exec("create tablespace aside location ''")
	w.exec(`create index by_name on users (name) tablespace aside; create index few on users (lower(name)) with (fillfactor = 70) tablespace aside where name <> 'x'; create index here on users (name)`)
	w.advance(written(t, "change_type \"users\" \"name\" {\n\ttype = \"varchar(99)\"\n}\ncontract {\n}"), migrations.Contracted)
	got := w.value("select string_agg(c.relname || ' ' || coalesce(s.spcname, '-'), ', ' order by c.relname) from pg_class c left join pg_tablespace s on s.oid = c.reltablespace where c.relname in ('by_name', 'few', 'here')")
	if want := "by_name aside, few aside, here -"; got != want {
		t.Errorf("indexes are in %s, want %s", got, want)
	}
}
