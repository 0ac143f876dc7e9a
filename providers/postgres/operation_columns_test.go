package postgres_test

import "pleat/spec"

// names is what a release does that knows users.name.
var names = shape{
	read:   "select id, name from users where id = $1",
	writes: []string{"update users set name = 'Ada King' where id = $1", "insert into users (name) values ('Grace Hopper')"},
}

// nameless is what one does that knows nothing of users but its key.
var nameless = shape{
	read:   "select id from users where id = $1",
	writes: []string{"insert into users default values", "delete from users where id = $1 and id % 5 = 0"},
}

const numbered = "create table users (id serial primary key, name text not null);" +
	"create table orders (id serial primary key, user_id int references users (id));"

// set is what users.id has of its own.
const set = `grant select (id) on users to pg_monitor; grant select (id), update (id) on users to pg_read_all_stats with grant option;
	alter table users alter id set statistics 200, alter id set (n_distinct = -1);`

func unprepared(s shape) shape {
	s.unprepared = true
	return s
}

func columnOperations() []operation {
	return []operation{
		{
			name: "split a column", setup: usersTable, change: splitName(),
			end:    "create table users (id bigserial primary key, name text not null); alter table users add first text, add last text; alter table users drop name",
			before: names,
			after: shape{
				read: "select id, first, last from users where id = $1",
				writes: []string{
					"update users set last = 'Jones' where id = $1",
					"insert into users (first, last) values ('Mary Ann', 'Smith')",
				},
			},
			agree: namesAgree,
		},
		{
			name: "add a column with a default", setup: usersTable,
			change: &spec.Change{Name: "c", Expand: []spec.Operation{
				&spec.AddColumn{Table: users, Column: spec.Column{Name: "at", Type: "timestamptz", NotNull: true, Default: "now()"}},
			}},
			end:    usersTable + "alter table users add at timestamptz not null default now()",
			before: names,
			after: shape{
				read:   "select id, at from users where id = $1",
				writes: []string{"update users set at = now() where id = $1", "insert into users (name, at) values ('Ada', '2024-01-01')"},
			},
		},
		{
			name: "drop a column that writers need not know", setup: usersTable + "comment on column users.name is 'theirs'",
			change: &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.DropColumn{Table: users, Column: "name"},
			}}},
			end:    "create table users (id bigserial primary key, name text); alter table users drop name",
			before: names,
			after:  shape{read: nameless.read, writes: []string{"delete from users where id = $1 and id % 5 = 0"}},
		},
		{
			name: "change the type of a primary key", setup: numbered + set,
			fill:   "insert into users (name) select 'User Number' || i from generate_series(1, 2000) i; insert into orders (user_id) select i from generate_series(1, 2000) i",
			change: changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int"),
			end: `create sequence users_id_seq;
				create table users (name text not null, id bigint default nextval('users_id_seq') not null);
				alter sequence users_id_seq owned by users.id;
				alter table users add primary key (id);
				create table orders (id serial primary key, user_id int references users (id));` + set,
			// Who has prepared a query for users.id meets "cached plan must not
			// change result type" (0A000) once at the swap, as at any change of
			// a column's type under its name.
			before: unprepared(names), after: unprepared(names),
		},
	}
}
