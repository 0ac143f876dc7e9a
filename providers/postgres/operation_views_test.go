package postgres_test

import "testing"

// throughView is what a release says that knows the change c of written.
const throughView = `set search_path = pleat_c, "$user", public`

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
	}
}
