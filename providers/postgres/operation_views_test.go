package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/spec"
)

// throughView is what a release says that knows the change c of written.
const throughView = `set search_path = pleat_c, "$user", public`

// servedUsers is the table users as the change full_name leaves it that serves
// name as full_name, and the view that it made.
const servedUsers = usersTable + `
	alter table users add note text default 'none', add extra text not null default 'x';
	create schema pleat_full_name; grant usage on schema pleat_full_name to public;
	create view pleat_full_name.users as select id, name as full_name, note, extra from users;` + invoked

// invoked has the view ask for the rights of whoever goes through it, on servers
// that know it: from PostgreSQL 15 on.
const invoked = `do $$ begin
	if current_setting('server_version_num')::int >= 150000 then
		execute 'alter view pleat_full_name.users set (security_invoker = true)';
	end if;
end $$;`

// afterViews is a change that comes after the one of servedUsers.
func afterViews(t testing.TB, blocks string) *spec.Change {
	renames := written(t, `rename_column "users" "name" {
		to    = "full_name"
		serve = "views"
	}`)
	renames.Name = "full_name"
	for _, op := range renames.Expand {
		if v, ok := op.(*spec.ServeView); ok {
			v.Schema = "pleat_full_name"
		}
	}
	c := written(t, blocks)
	c.After, c.Serving = append(c.After, renames), append(c.Serving, renames)
	return c
}

// throughFullName is what a release says that knows the change of servedUsers.
const throughFullName = `set search_path = pleat_full_name, "$user", public`

func viewOperations(t testing.TB) []operation {
	return []operation{
		{
			name: "rename columns by a view", setup: worn + renamer + `alter table users add mail text default 'none', add upper text generated always as (upper(name)) stored;
				grant select, update (name) on users to renamer; grant insert, delete on users to renamer;`,
			change: written(t, `rename_column "users" "name" {
				to    = "full_name"
				serve = "views"
			}
			rename_column "users" "id" {
				to    = "number"
				serve = "views"
			}`),
			end: worn + renamer + `alter table users add mail text default 'none', add upper text generated always as (upper(name)) stored;
				grant select, update (name) on users to renamer; grant insert, delete on users to renamer;
				alter table users rename name to full_name; alter table users rename id to number;`,
			before: names,
			after: shape{
				session: "set role renamer; " + throughView,
				read:    "select * from users where number = $1",
				writes: []string{
					"update users set full_name = 'Ada King' where number = $1",
					"insert into users (full_name) values ('Grace Hopper') returning number, full_name, mail, upper",
					"insert into users (number, full_name) values ($1, 'Ada') on conflict (number) do update set full_name = excluded.full_name || '.'",
					"select full_name from users where number = $1 for update",
					"with gone as (delete from users where number = $1 and number > 1900 returning number) select count(*) from gone",
				},
			},
		},
		{
			name: "rename a table and a column by a view", setup: usersTable + "create table orders (id bigserial primary key, user_id bigint references users);",
			fill: "insert into orders (user_id) select id from users where id < 50",
			change: written(t, `rename_table "users" {
				to    = "people"
				serve = "views"
			}
			rename_column "users" "name" {
				to    = "full_name"
				serve = "views"
			}`),
			end: usersTable + `create table orders (id bigserial primary key, user_id bigint references users);
				alter table users rename name to full_name; alter table users rename to people;`,
			before: names,
			after: shape{
				session: throughView,
				read:    "select p.id, p.full_name, o.id from people p left join orders o on o.user_id = p.id where p.id = $1",
				writes: []string{
					"update people set full_name = 'Ada King' where id = $1",
					"insert into people (full_name) values ('Grace Hopper') returning id",
				},
			},
		},
		{
			name: "rename a column by a view, unprepared", setup: usersTable,
			change: written(t, `rename_column "users" "name" {
				to    = "full_name"
				serve = "views"
			}`),
			end:    usersTable + "alter table users rename name to full_name",
			before: shape{unprepared: true, read: names.read, writes: names.writes},
			after: shape{
				session: throughView, unprepared: true,
				read:   "select id, full_name from users where id = $1",
				writes: []string{"update users set full_name = 'Ada King' where id = $1", "insert into users (full_name) values ('Grace Hopper')"},
			},
		},
		{
			name: "add columns to a table that a view serves", setup: servedUsers,
			change: afterViews(t, `expand {
				add_column "users" "born" {
					type = "date"
				}
				add_column "users" "token" {
					type    = "uuid"
					null    = false
					default = "gen_random_uuid()"
				}
			}`),
			end: servedUsers + `alter table users add born date, add token uuid not null default gen_random_uuid();
				create or replace view pleat_full_name.users as select id, name as full_name, note, extra, born, token from users;` + invoked,
			before: shape{
				session: throughFullName,
				read:    "select id, full_name, note from users where id = $1",
				writes:  []string{"update users set full_name = 'Ada King' where id = $1", "insert into users (full_name) values ('Grace Hopper') returning id"},
			},
			after: shape{
				session: throughFullName,
				read:    "select id, full_name, born, token from users where id = $1",
				writes:  []string{"update users set full_name = 'Ada', born = '1815-12-10' where id = $1", "insert into users (full_name, born) values ('Grace Hopper', '1906-12-09') returning token"},
			},
		},
		{
			name: "drop a column of a table that a view serves", setup: servedUsers,
			change: afterViews(t, `contract {
				drop_column "users" "note" {}
			}`),
			end: usersTable + `alter table users add note text default 'none', add extra text not null default 'x'; alter table users drop note;
				create schema pleat_full_name; grant usage on schema pleat_full_name to public;
				create view pleat_full_name.users as select id, name as full_name, extra from users;` + invoked,
			before: shape{
				session: throughFullName,
				read:    "select id, full_name, note from users where id = $1",
				writes:  []string{"update users set full_name = 'Ada King', note = 'n' where id = $1", "insert into users (full_name) values ('Grace Hopper') returning note"},
			},
			after: shape{
				session: throughFullName,
				read:    "select id, full_name, extra from users where id = $1",
				writes:  []string{"update users set full_name = 'Ada' where id = $1", "insert into users (full_name) values ('Grace Hopper') returning extra"},
			},
		},
	}
}

// What a view shows of a later change goes out of it before it goes from the table,
// also a column of numbers, which comes by a step of its own.
func TestAColumnOfNumbersGoesOutOfTheView(t *testing.T) {
	w := newWorld(t, usersTable)
	view := &spec.ServeView{Table: users, Columns: map[string]string{"name": "full_name"}, Schema: "pleat_full_name"}
	shows := &spec.Change{Name: "shows", Expand: []spec.Operation{view}, Contract: &spec.Contract{Operations: []spec.Operation{&spec.EndView{View: view}}}}
	numbers := &spec.Change{
		Name: "numbers", After: []*spec.Change{shows}, Serving: []*spec.Change{shows},
		Expand: []spec.Operation{&spec.AddColumn{Table: users, Column: spec.Column{Name: "number", Type: "bigint", Identity: true}}},
	}
	w.advance(shows, migrations.Expanded)
	before := w.schema()
	for _, far := range []migrations.Phase{migrations.Expanded, migrations.Verified} {
		w.advance(numbers, far)
		w.retreat(numbers)
		if diff := cmp.Diff(before, w.schema()); diff != "" {
			t.Errorf("after the way back from %s (-before +after):\n%s", far, diff)
		}
	}
}
