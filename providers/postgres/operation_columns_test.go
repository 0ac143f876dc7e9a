package postgres_test

import (
	"fmt"
	"testing"

	"pleat/spec"
)

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

// noted is what hangs on both columns of a table, and what is said of it.
const noted = `create index users_both on users (id, name);
	create statistics seen (dependencies, mcv) on id, name from users;
	create index users_next on users ((id + 1)); alter index users_next alter column 1 set statistics 300; alter table users cluster on users_both;
	alter statistics seen set statistics 200; alter statistics seen owner to pg_monitor; comment on statistics seen is 'seen together'; comment on index users_both is 'both'; comment on constraint users_pkey on users is 'who';
	comment on constraint orders_user_id_fkey on orders is 'whose';`

// stored is how a text is kept.
const stored = "alter table users alter note set storage external;"

// set is what users.id has of its own.
const set = `grant select (id) on users to pg_monitor; grant select (id), update (id) on users to pg_read_all_stats with grant option;
	alter table users alter id set statistics 200, alter id set (n_distinct = -1);`

// countingRights is who may count with a sequence, and what is said of it.
const countingRights = "grant usage, select on sequence numbers to renamer with grant option; grant usage on sequence numbers to public; comment on sequence numbers is 'who';"

func unprepared(s shape) shape {
	s.unprepared = true
	return s
}

// family is a table that refers to itself and is referred to.
func family(key string) string {
	return fmt.Sprintf(`create table people (id %[1]s primary key, name text not null, parent %[1]s references people on update cascade on delete set null);
		create table orders (id bigserial primary key, user_id %[1]s references people on update cascade on delete cascade);
		create index orders_user on orders (user_id);`, key)
}

const familyRows = `insert into people (id, name, parent) select i%[1]s, 'User Number' || i, case when i > 1 then (i / 2)%[1]s end from generate_series(1, 2000) i;
	insert into orders (user_id) select i%[1]s from generate_series(1, 2000) i`

// looked is views of users and orders, one of which shows another, and all that a
// view may have.
const looked = renamer + `
	create view seen with (security_barrier) as select id, name from users where id > 0 with local check option;
	create view busy as select s.id as who, s.name, count(*) as orders from seen s join orders o on o.user_id = s.id group by s.id, s.name;
	create view "Both" ("Id", "a name") as select id, name from users union all select who, name from busy where who::text <> '7';
	create view apart as select name from users;
	create function never() returns trigger language plpgsql as 'begin return null; end';
	create trigger not_busy instead of insert or delete on busy for each row execute function never();
	create rule renamed as on update to busy do instead update users set name = new.name where id = old.who;
	alter view busy alter name set default 'Nobody';
	comment on view busy is 'they have orders'; comment on column busy.who is 'users.id'; comment on rule renamed on busy is 'by id'; comment on trigger not_busy on busy is 'never';
	grant select, insert, update on seen to renamer; grant select on busy, "Both" to public; grant update (name) on busy to renamer with grant option;
	alter view "Both" owner to renamer; grant select on users to renamer;
	grant create on schema public to renamer;`

// stocked is a materialized view with all that one may have, between a view that it
// reads and one that reads it.
const stocked = renamer + `
	create view seen as select id, name from users where id > 0;
	create materialized view kept with (fillfactor = 70) as select s.id, s.name, count(o) as orders from seen s left join orders o on o.user_id = s.id group by s.id, s.name;
	create unique index kept_id on kept (id);
	create index "Kept name" on kept (lower(name), id) with (fillfactor = 80) where id > 1;
	create view busy as select id, name, orders from kept where orders > 0;
	create function now_and_then(n int) returns void language plpgsql security definer as 'begin if n % 100 = 0 then refresh materialized view kept; end if; end';
	alter index "Kept name" alter column 1 set statistics 300;
	alter materialized view kept cluster on kept_id;
	alter materialized view kept alter name set statistics 200, alter name set (n_distinct = -1), alter name set storage external;
	comment on materialized view kept is 'theirs'; comment on column kept.orders is 'many'; comment on index kept_id is 'who';
	create statistics of_kept (ndistinct) on id, name from kept; alter statistics of_kept set statistics 300; comment on statistics of_kept is 'both'; create statistics more_of_kept on name, orders from kept; comment on view busy is 'they have orders';
	grant select on kept, busy to renamer; grant select, update on users to renamer; grant select (id) on kept to public;`

// throughStocked is what a release does that reads what is materialized.
var throughStocked = shape{
	session: "set role renamer", unprepared: true,
	read:   "select name, orders from busy where id = $1",
	writes: []string{"select now_and_then($1)", "select name from kept where id = $1", "update users set name = 'Ada King' where id = $1"},
}

// throughViews is what a release does that knows users by views.
var throughViews = shape{
	session: "set role renamer", unprepared: true,
	read: `select s.name, b.orders, o."a name" from seen s left join busy b on b.who = s.id left join "Both" o on o."Id" = s.id where s.id = $1`,
	writes: []string{
		"update seen set name = 'Ada King' where id = $1", "insert into seen (name) values ('Grace Hopper')",
		"update busy set name = 'Ada' where who = $1",
	},
}

// saying is what a trigger may run that others can tell.
const saying = `
	create table said (id bigserial primary key, what text);
	create function say() returns trigger language plpgsql as 'begin insert into said (what) values (tg_name); return null; end';
`

// told is what fires on users.note, in all the ways that there are.
const told = saying + `
	create function fill() returns trigger language plpgsql as 'begin new.note := ''none''; return new; end';
	create trigger "A first" before insert on users for each row when (new.note is null) execute function fill();
	create trigger changed after update of note, name on users for each row when (old.note is distinct from new.note and new.name <> 'note') execute function say();
	create constraint trigger later after update of note on users deferrable initially deferred for each row when (new.note = 'much') execute function say('note');
	create trigger off after update of note on users for each statement execute function say();
	create trigger anyway after update of note on users for each row execute function say();
	create trigger other after update of name on users for each row when (new.name = 'Nobody') execute function say();
	comment on trigger later on users is 'in the end';
	alter table users disable trigger off, enable always trigger anyway;`

func columnOperations(t testing.TB) []operation {
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
			name: "change the type of a primary key", setup: numbered + set + noted,
			fill:   "insert into users (name) select 'User Number' || i from generate_series(1, 2000) i; insert into orders (user_id) select i from generate_series(1, 2000) i",
			change: changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int"),
			end: `create sequence users_id_seq;
				create table users (name text not null, id bigint default nextval('users_id_seq') not null);
				alter sequence users_id_seq owned by users.id;
				alter table users add primary key (id);
				create table orders (id serial primary key, user_id int references users (id));` + set + noted,
			// Who has prepared a query for users.id meets "cached plan must not
			// change result type" (0A000) once at the swap, as at any change of
			// a column's type under its name.
			before: unprepared(names), after: unprepared(names),
		},
		{
			name: "change the type of a key that views show", setup: numbered + looked,
			fill:   "insert into orders (user_id) select i from generate_series(1, 2000) i",
			change: changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int"),
			end: `create sequence users_id_seq;
				create table users (name text not null, id bigint default nextval('users_id_seq') not null);
				alter sequence users_id_seq owned by users.id;
				alter table users add primary key (id);
				create table orders (id serial primary key, user_id int references users (id));` + looked,
			before: throughViews, after: throughViews,
		},
		{
			name: "change the type of a key that materialized views show", setup: numbered + stocked,
			fill:   "insert into orders (user_id) select i from generate_series(1, 2000) i; refresh materialized view kept",
			change: changeType("users", "id", "bigint", "id::bigint", "pleat_new_id::int"),
			end: `create sequence users_id_seq;
				create table users (name text not null, id bigint default nextval('users_id_seq') not null);
				alter sequence users_id_seq owned by users.id;
				alter table users add primary key (id);
				create table orders (id serial primary key, user_id int references users (id));` + stocked,
			before: throughStocked, after: throughStocked,
		},
		{
			name: "change the type of a text", setup: usersTable + "alter table users add note varchar(20) constraint short check (note <> ''); comment on constraint short on users is 'said';" + stored,
			change: written(t, `change_type "users" "note" {
				type = "text"
			}`),
			end:    usersTable + "alter table users add note text constraint short check (note <> ''); comment on constraint short on users is 'said';" + stored,
			before: unprepared(names),
			after:  shape{unprepared: true, read: names.read, writes: []string{"update users set note = 'much' where id = $1"}},
		},
		{
			name: "change the type of an identity that counts in its own way", setup: renamerAlone + "create table users (id int generated always as identity (sequence name numbers start 7 increment 10 maxvalue 100000 cache 3) primary key, name text);" + countingRights,
			change: written(t, widerID),
			end:    renamerAlone + "create table users (name text, id bigint generated always as identity (sequence name numbers start 7 increment 10 maxvalue 100000 cache 3) primary key);" + countingRights,
			before: unprepared(names), after: unprepared(names),
		},
		{
			// No operator finds a json equal to another, and intervals are equal that are not the same.
			name: "change the type of what equality does not tell apart", setup: usersTable + "alter table users add doc json, add wait interval, add rate numeric;",
			change: written(t, `change_type "users" "doc" {
				type  = "jsonb"
				using = "doc::jsonb"
				back  = "doc::json"
			}
			change_type "users" "wait" {
				type = "text"
				back = "wait::interval"
			}
			change_type "users" "rate" {
				type = "text"
				back = "rate::numeric"
			}`),
			end: usersTable + "alter table users add doc jsonb, add wait text, add rate text;",
			before: shape{
				unprepared: true, read: "select doc, wait, rate from users where id = $1",
				writes: []string{
					"update users set doc = '{\"a\": 1}', wait = '1 mon', rate = 1.0 where id = $1", "update users set wait = '30 days', rate = 1.00 where id = $1",
					"insert into users (name, doc) values ('Ada', '[]')",
				},
			},
			after: shape{
				unprepared: true, read: "select doc, wait, rate from users where id = $1",
				writes: []string{"update users set doc = '{\"b\": 2}' where id = $1", "insert into users (name, wait) values ('Grace', '24:00:00')"},
			},
			agree: "select id from users where doc::jsonb is distinct from pleat_new_doc or wait::text is distinct from pleat_new_wait or rate::text is distinct from pleat_new_rate",
		},
		{
			// Rows are there that break the key, and it stays as it is.
			name: "change the type of a column of a key that is not valid", setup: usersTable + "create table orders (id int primary key, user_id int);",
			fill: "insert into orders values (1, 100000), (2, 5); alter table orders add foreign key (user_id) references users not valid",
			change: written(t, `change_type "orders" "user_id" {
				type = "bigint"
			}`),
			end:    usersTable + "create table orders (id int primary key, user_id bigint); alter table orders add foreign key (user_id) references users not valid;",
			before: unprepared(names), after: unprepared(names),
		},
		{
			name: "change the type of a column that triggers name", setup: usersTable + "alter table users add note varchar(20);" + told,
			change: written(t, `change_type "users" "note" {
				type = "text"
			}`),
			end:    usersTable + "alter table users add note text;" + told,
			before: noting, after: noting,
		},
		{
			name: "change the type of both ends of a key", setup: family("int"), fill: fmt.Sprintf(familyRows, ""),
			change: written(t, `change_type "people" "id" {
				type = "bigint"
			}
			change_type "orders" "user_id" {
				type = "bigint"
			}
			change_type "people" "parent" {
				type = "bigint"
			}`),
			end: `create table people (name text not null, id bigint primary key, parent bigint references people on update cascade on delete set null);
				create table orders (id bigserial primary key, user_id bigint references people on update cascade on delete cascade);
				create index orders_user on orders (user_id);`,
			before: unprepared(relatives), after: unprepared(relatives),
		},
		{
			// One end after the other would have a text refer to a uuid in between.
			name: "change both ends of a key to a type that does not compare", setup: family("text"), fill: fmt.Sprintf(familyRows, "::text"),
			change: written(t, `change_type "orders" "user_id" {
				type  = "uuid"
				using = "lpad(user_id, 32, '0')::uuid"
				back  = "ltrim(replace(user_id::text, '-', ''), '0')"
			}
			change_type "people" "parent" {
				type  = "uuid"
				using = "lpad(parent, 32, '0')::uuid"
				back  = "ltrim(replace(parent::text, '-', ''), '0')"
			}
			change_type "people" "id" {
				type  = "uuid"
				using = "lpad(id, 32, '0')::uuid"
				back  = "ltrim(replace(id::text, '-', ''), '0')"
			}`),
			end: `create table people (name text not null, parent uuid, id uuid primary key);
				alter table people add foreign key (parent) references people on update cascade on delete set null;
				create table orders (id bigserial primary key, user_id uuid references people on update cascade on delete cascade);
				create index orders_user on orders (user_id);`,
			before: shape{unprepared: true, read: "select name from people where id = $1::int::text", writes: []string{
				"update people set parent = '7' where id = $1::int::text", "delete from people where id = $1::int::text and $1 % 50 = 0",
			}},
		},
	}
}

// noting is what a release does that has triggers work.
var noting = shape{
	unprepared: true,
	read:       "select u.note, (select count(*) from said) from users u where u.id = $1",
	writes:     []string{"update users set note = 'much' where id = $1", "update users set note = 'little', name = 'Ada' where id = $1", "insert into users (name) values ('Grace Hopper')"},
}

var relatives = shape{
	read: "select u.id, count(o) from people u left join orders o on o.user_id = u.id where u.parent = $1 group by u.id",
	writes: []string{
		"update people set parent = 7 where id = $1", "insert into orders (user_id) select id from people where id = $1",
		"delete from people where id = $1 and id % 50 = 0", "update people set id = id + 100000 where id = $1 and id % 50 = 1",
	},
}
