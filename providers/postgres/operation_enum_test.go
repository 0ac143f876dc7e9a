package postgres_test

import "testing"

// orderStates is an enum that a table uses in all the ways that go with the
// column.
const orderStates = `create type state as enum ('open', 'done');
	create table users (id serial primary key, name text not null, state state not null default 'open');
	create index users_done on users (name) where state = 'done';
	alter table users add constraint named check (name <> '' or state in ('done'::state, 'done'));`

var stated = shape{
	read:   "select id, state from users where id = $1",
	writes: []string{"update users set state = 'done' where id = $1", "insert into users (name, state) values ('Grace Hopper', 'open')"},
}

func enumOperations(t testing.TB) []operation {
	return []operation{
		{
			name: "create an enum with a column of it", setup: usersTable,
			change: written(t, `expand {
				add_column "users" "mood" {
					type    = "mood"
					default = "'low'"
				}
				create_enum "mood" {
					values = ["low", "it's \\ high"]
				}
			}`),
			end:    `create type mood as enum ('low', E'it''s \\ high');` + usersTable + `alter table users add mood mood default 'low'`,
			before: names, after: shape{writes: []string{"update users set mood = E'it''s \\\\ high' where id = $1"}},
		},
		{
			name: "add values to an enum", setup: orderStates,
			change: written(t, `expand {
				add_enum_value "state" "new" {
					before = "open"
				}
				add_enum_value "state" "paid" {
					after = "open"
				}
				add_enum_value "state" "lost" {}
				set_default "users" "state" {
					default = "'new'"
					from    = "'open'"
				}
			}`),
			end:    orderStates + "alter type state add value 'new' before 'open'; alter type state add value 'paid' after 'open'; alter type state add value 'lost'; commit; alter table users alter state set default 'new'",
			stays:  "alter type state add value 'new' before 'open'; alter type state add value 'paid' after 'open'; alter type state add value 'lost'",
			before: stated,
			after:  shape{read: stated.read, writes: []string{"update users set state = 'paid' where id = $1", "insert into users (name) values ('Ada King')"}},
		},
		{
			name: "add a value and nothing else", setup: orderStates,
			change: written(t, `expand {
				add_enum_value "state" "lost" {}
			}`),
			end: orderStates + "alter type state add value 'lost'", stays: "alter type state add value 'lost'",
			before: stated, after: shape{writes: []string{"update users set state = 'lost' where id = $1"}},
		},
		{
			name: "rename a value", setup: orderStates,
			change: written(t, `contract {
				rename_enum_value "state" "done" {
					to = "it's finished"
				}
			}`),
			end:    orderStates + "alter type state rename value 'done' to 'it''s finished'",
			before: stated,
			after:  shape{read: stated.read},
		},
		{
			name: "replace an enum", setup: orderStates,
			change: written(t, `expand {
				create_enum "Order State" {
					values = ["new", "done"]
				}
			}
			change_type "users" "state" {
				type    = "\"Order State\""
				using   = "replace(state::text, 'open', 'new')::\"Order State\""
				back    = "replace(state::text, 'new', 'open')::state"
				default = "'new'"
				hide    = "0s"
			}
			contract {
				drop_enum "state" {}
			}`),
			end: `create type "Order State" as enum ('new', 'done');
				create table users (id serial primary key, name text not null, state "Order State" not null default 'new');
				create index users_done on users (name) where state = 'done';
				alter table users add constraint named check (name <> '' or state in ('done'::"Order State", 'done'));`,
			before: stated,
		},
		{
			name: "drop an enum", setup: usersTable + "create type mood as enum ('low', 'high');",
			change: written(t, `contract {
				drop_enum "mood" {}
			}`),
			end: usersTable, before: names,
		},
		{
			name: "drop an enum with all that uses it", setup: orderStates + "create table moods (s state[], t text default 'open'::state);",
			change: written(t, `contract {
				drop_enum "state" {}
				drop_column "users" "state" {
					hide = "0s"
				}
				drop_table "moods" {
					hide = "0s"
				}
			}`),
			end:    "create table users (id serial primary key, name text not null)",
			before: stated,
		},
	}
}
