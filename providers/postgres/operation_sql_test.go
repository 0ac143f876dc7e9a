package postgres_test

import "pleat/spec"

// sqlOperations are what pleat has no operation for, by the author's SQL.
func sqlOperations() []operation {
	return []operation{
		authored("author's own SQL",
			"create view v as select id from users; comment on view v is 'a;b'", "drop view v",
			shape{read: "select id from v where id = $1"}),
		authored("a view in another's place",
			"create view all_users as select id, name from users", "drop view all_users",
			shape{read: "select name from all_users where id = $1", writes: []string{"update all_users set name = 'Other Name' where id = $1"}}),
		authored("a materialized view",
			`create materialized view counted as select count(*) as n from users with no data;
			create unique index counted_n on counted (n);
			refresh materialized view counted`,
			"drop materialized view counted",
			shape{read: "select n from counted"}),
		authored("a function in SQL and one in PL/pgSQL",
			`create function initial(u users) returns text language sql stable as $$ select left(u.name, 1) $$;
			create function called(who bigint) returns text language plpgsql stable as $$
			begin return (select name from users where id = who); end $$`,
			"drop function called(bigint); drop function initial(users)",
			shape{read: "select initial(u), called(u.id) from users u where id = $1"}),
		authored("a trigger",
			`create function trimmed() returns trigger language plpgsql as $$ begin new.name := trim(new.name); return new; end $$;
			create trigger users_trimmed before insert or update of name on users for each row execute function trimmed()`,
			"drop trigger users_trimmed on users; drop function trimmed()",
			shape{writes: []string{"update users set name = ' Trimmed Name ' where id = $1"}}),
		authored("a sequence",
			"create sequence tickets as int increment by 5 cache 10", "drop sequence tickets",
			shape{read: "select nextval('tickets')"}),
		{
			name: "grants", setup: usersTable + "grant select on users to pg_monitor;",
			change: &spec.Change{Name: "c", Expand: []spec.Operation{&spec.SQL{Label: "1",
				Up:   "grant insert on users to pg_monitor; grant update (name) on users to pg_monitor",
				Down: "revoke update (name) on users from pg_monitor; revoke insert on users from pg_monitor"}}},
			end:    usersTable + "grant select, insert on users to pg_monitor; grant update (name) on users to pg_monitor",
			before: names,
			after:  shape{read: "select name from users where id = $1"},
		},
		authored("row security",
			"create policy named on users using (name <> ''); alter table users enable row level security",
			"alter table users disable row level security; drop policy named on users",
			shape{read: "select name from users where id = $1"}),
		authored("a type and a domain",
			"create type place as (city text, street text); create domain email as text check (value like '%@%')",
			"drop domain email; drop type place",
			shape{read: "select ('a', 'b')::place, 'a@b'::email"}),
		alone("an index by a statement that allows no transaction", "create index users_lower on users (lower(name))",
			"create index concurrently users_lower on users (lower(name))", "drop index concurrently users_lower"),
		alone("a vacuum", "", "vacuum (analyze) users", "select"),
		authored("an extension",
			"create extension if not exists plpgsql", "select",
			shape{read: "select name from users where id = $1"}),
	}
}

// authored is SQL on a table of users, under releases that do not care.
func authored(name, up, down string, after shape) operation {
	return operation{
		name: name, setup: usersTable,
		change: &spec.Change{Name: "c", Expand: []spec.Operation{&spec.SQL{Label: "1", Up: up, Down: down}}},
		end:    usersTable + up,
		before: names,
		after:  after,
	}
}

// alone is a statement that cannot be sent together with others; makes is DDL
// that ends with the same.
func alone(name, makes, up, down string) operation {
	o := authored(name, up, down, shape{read: "select name from users where id = $1"})
	o.end = usersTable + makes
	return o
}
