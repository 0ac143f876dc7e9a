package postgres_test

import (
	"strings"
	"testing"

	"pleat/providers/postgres/pgtest"
)

const (
	dropName  = "contract {\n\tdrop_column \"users\" \"name\" {}\n}"
	dropUsers = "contract {\n\tdrop_table \"users\" {}\n}"
)

func indexed(method, column string) string {
	return "expand {\n\tcreate_index \"seen\" {\n\t\ttable = \"users\"\n\t\tmethod = \"" + method + "\"\n\t\tcolumns = [\"" + column + "\"]\n\t}\n}"
}

// What Postgres would refuse in the middle of a run is named before the first step.
func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	const table = `create table users (id serial primary key, name text); create table other (id int);
		create function f() returns trigger language plpgsql as 'begin return null; end';`
	for name, test := range map[string]struct{ setup, change, want string }{
		"a rule of its own": {
			setup:  "create rule r as on update to users where new.name = 'x' do also insert into other values (new.id)",
			change: dropName, want: "rule r on table public.users depends on it",
		},
		"a rule of its own, which goes with the table": {
			setup:  "create rule r as on update to users where new.name = 'x' do also insert into other values (new.id)",
			change: dropUsers, want: "no diagnostics",
		},
		"a rule of its own, and another type": {
			setup:  "create rule r as on update to users where new.name = 'x' do also insert into other values (new.id)",
			change: "change_type \"users\" \"name\" {\n\ttype = \"varchar(99)\"\n}", want: "cannot be replaced while there is: rule r on table public.users",
		},
		"a generated column":  {setup: "alter table users add upper text generated always as (upper(name)) stored", change: dropName, want: "generated column upper depends on it"},
		"one that goes first": {setup: "alter table users add upper text generated always as (upper(name)) stored", change: "contract {\n\tdrop_column \"users\" \"upper\" {}\n\tdrop_column \"users\" \"name\" {}\n}", want: "no diagnostics"},
		"a trigger":           {setup: "create trigger g after update of name on users for each row execute function f()", change: dropName, want: "trigger g depends on it"},
		"nothing, in a database with settings of its own": {
			setup: `create index by_name on users (lower(name)) where name <> 'a\b'; create view seen as select name from users;
				do $$ begin
				  execute format('alter database %I set standard_conforming_strings = off', current_database());
				  execute format('alter database %I set quote_all_identifiers = on', current_database());
				end $$`,
			change: "change_type \"users\" \"name\" {\n\ttype = \"varchar(99)\"\n}", want: "no diagnostics",
		},
		"a table that inherits":              {setup: "create table admins () inherits (users); alter table admins alter id drop default", change: dropUsers, want: "Table admins inherits from users, so Postgres would refuse the drop"},
		"a table that inherits, gone before": {setup: "create table admins () inherits (users)", change: "contract {\n\tdrop_table \"admins\" {}\n\tdrop_table \"users\" {}\n}", want: "no diagnostics"},
		"a column of a partition": {
			setup:  "create table days (at date, note text) partition by range (at); create table days_rest partition of days default",
			change: "contract {\n\tdrop_column \"days_rest\" \"note\" {}\n}", want: "Column of a partition; days_rest is a partition of days",
		},
		"a column that tells partitions apart": {
			setup:  "create table days (at date, note text) partition by range (at)",
			change: "contract {\n\tdrop_column \"days\" \"at\" {}\n}", want: "Column tells partitions apart; days is partitioned by RANGE (at)",
		},
		"a column for a partition": {
			setup:  "create table days (at date, note text) partition by range (at); create table days_rest partition of days default",
			change: "expand {\n\tadd_column \"days_rest\" \"more\" {\n\t\ttype = \"text\"\n\t}\n}", want: "days_rest is a partition of days",
		},
		"what a trigger runs": {
			setup:  "create function g() returns trigger language plpgsql as 'begin new.name := upper(new.name); return new; end'; create trigger g before update on users for each row execute function g()",
			change: dropName, want: "Trigger may read the column by its name; What the trigger g of users runs has the word name in it. If that is the column, writes fail once it is hidden",
		},
		"a function's body": {setup: "create function most() returns text begin atomic select max(name) from users; end", change: dropName, want: "function public.most() depends on it"},
		"a function's body, and another type": {
			setup:  "create function most() returns text begin atomic select max(name) from users; end",
			change: "change_type \"users\" \"name\" {\n\ttype = \"varchar(99)\"\n}", want: "cannot be replaced while there is: function public.most()",
		},
		"a function's argument": {setup: "create function label(users) returns text language sql as 'select $1.name'", change: dropUsers, want: "function public.label(public.users) depends on it"},
		"a column of its type":  {setup: "alter table other add was users[]", change: dropUsers, want: "column was of table public.other depends on it"},
		"another's default": {
			setup:  "alter table other alter id set default nextval('users_id_seq')",
			change: dropUsers, want: "default value for column id of table public.other depends on it",
		},
		"another's default, and another type": {
			setup:  "alter table other alter id set default nextval('users_id_seq')",
			change: widerID, want: "no diagnostics",
		},
		"a view that has the name to come": {
			setup:  "create view people as select 1 as one",
			change: "rename_table \"users\" {\n\tto = \"people\"\n}", want: "Name is taken; The view public.people has that name; table users cannot be renamed to it.",
		},
		"a view that has the name of a unique constraint": {
			setup: "create view people as select 1 as one", change: "expand {\n\tadd_unique \"users\" \"people\" {\n\t\tcolumns = [\"name\"]\n\t}\n}",
			want: "Name is taken; The view public.people has the name people already",
		},
		"a table that has the name of an index": {
			change: "expand {\n\tcreate_index \"other\" {\n\t\ttable = \"users\"\n\t\tcolumns = [\"name\"]\n\t}\n}",
			want:   "Name is taken; The table public.other has the name other already",
		},
		"a sequence that has the name of a primary key": {
			setup: "create sequence seen", change: "expand {\n\tadd_primary_key \"other\" \"seen\" {\n\t\tcolumns = [\"id\"]\n\t}\n}",
			want: "Name is taken; The sequence public.seen has the name seen already",
		},
		"an index of another table that has the name": {
			setup: "create index seen on other (id)", change: "expand {\n\tcreate_index \"seen\" {\n\t\ttable = \"users\"\n\t\tcolumns = [\"name\"]\n\t}\n}",
			want: "Name is taken; The index seen of table other has the name seen already",
		},
		"a view that has the name of a table to come": {
			setup: "create view people as select 1 as one", change: "expand {\n\tcreate_table \"people\" {\n\t\tcolumn \"id\" {\n\t\t\ttype = \"int\"\n\t\t}\n\t}\n}",
			want: "Name is taken; The view public.people has the name people already",
		},
		"a type without an order": {
			setup: "alter table users add doc json", change: "expand {\n\tadd_unique \"users\" \"docs\" {\n\t\tcolumns = [\"doc\"]\n\t}\n}",
			want: `No operator class; Postgres says of a column of index docs: data type json has no default operator class for access method "btree"`,
		},
		"a key of a new table over a type without an order": {
			change: "expand {\n\tcreate_table \"docs\" {\n\t\tcolumn \"doc\" {\n\t\t\ttype = \"json\"\n\t\t}\n\t\tprimary_key = [\"doc\"]\n\t}\n}", want: `Postgres says of a column of index docs_pkey: data type json has no default operator class for access method "btree"`,
		},
		"a key, a check and an index of a new table over a serial column": {
			change: "expand {\n\tcreate_table \"docs\" {\n\t\tcolumn \"id\" {\n\t\t\ttype = \"bigserial\"\n\t\t}\n\t\tprimary_key = [\"id\"]\n\t\tcheck \"few\" {\n\t\t\tcheck = \"id < 9\"\n\t\t}\n\t\tindex \"near\" {\n\t\t\tcolumns = [\"(id + 1)\"]\n\t\t}\n\t}\n}", want: "no diagnostics",
		},
		"a type without a hash": {
			setup: "alter table users add doc json", change: indexed("hash", "doc"), want: `No operator class; Postgres says of a column of index seen: data type json has no default operator class for access method "hash"`,
		},
		"an expression of a type without an order": {
			setup: "alter table users add doc json", change: indexed("btree", "(doc -> 'a') desc"), want: `data type json has no default operator class for access method "btree"`,
		},
		"a method that has no class for a type": {change: indexed("gin", "name"), want: `data type text has no default operator class for access method "gin"`},
		"a class of another type":               {change: indexed("btree", "id text_pattern_ops"), want: `operator class "text_pattern_ops" does not accept data type integer`},
		"a class that is not there":             {change: indexed("btree", "name collate \\\"C\\\" none_ops desc"), want: `operator class "none_ops" does not exist for access method "btree"`},
		"a class of the type":                   {change: indexed("btree", "name collate \\\"C\\\" text_pattern_ops desc"), want: "no diagnostics"},
		"a class in its schema":                 {setup: "alter table users add tags jsonb", change: indexed("gin", "(tags) pg_catalog.jsonb_path_ops"), want: "no diagnostics"},
		"classes for any type of a kind, and for what a domain is of": {
			setup:  "create domain few as smallint; create type size as enum ('small'); alter table users add few few, add size size, add parts text[]",
			change: "expand {\n\tcreate_index \"seen\" {\n\t\ttable = \"users\"\n\t\tmethod = \"hash\"\n\t\tcolumns = [\"few\", \"size\", \"parts\"]\n\t}\n}", want: "no diagnostics",
		},
		"a type of which the server makes the former by no cast": {
			setup: "create type mood as enum ('ok'); alter table users add feels mood", change: "change_type \"users\" \"feels\" {\n\ttype = \"text\"\n}",
			want: `a.pleat.hcl:5,1-28: No way back from the new type; Releases of before read users.feels as public.mood, which Postgres does not make of text by itself. Say how: back = "CAST(feels AS public.mood)"`,
		},
		"a type of which the server makes the former where it is told to": {
			setup: "create type mood as enum ('ok'); alter table users add feels mood", change: "change_type \"users\" \"feels\" {\n\ttype = \"text\"\n\tback = \"CAST(feels AS mood)\"\n}",
			want: "no diagnostics",
		},
		"a number that is to be a truth": {
			setup: "alter table users add active int", change: "change_type \"users\" \"active\" {\n\ttype = \"boolean\"\n}",
			want: `which Postgres does not make of boolean by itself. Say how: back = "CAST(active AS integer)"`,
		},
		"a text that is to be a number":            {change: "change_type \"users\" \"name\" {\n\ttype = \"int\"\n}", want: "no diagnostics"},
		"a way there that gives another type":      {change: "change_type \"users\" \"name\" {\n\ttype = \"int\"\n\tusing = \"name || '1'\"\n}", want: `Value of another type; What column pleat_new_name of table users is set to is "name || '1'", of which Postgres makes no integer by itself. Say how, such as: CAST(name || '1' AS integer)`},
		"a type that there is no cast to":          {setup: "alter table users add doc json", change: "change_type \"users\" \"doc\" {\n\ttype = \"text[]\"\n\tusing = \"ARRAY[doc::text]\"\n}", want: "cannot cast type text[] to json"},
		"a default of another type":                {change: "expand {\n\tadd_column \"users\" \"seen\" {\n\t\ttype = \"int\"\n\t\tdefault = \"true\"\n\t}\n}", want: `The default of column seen of table users is "true", of which Postgres makes no int by itself. Say how, such as: CAST(true AS int)`},
		"a default of another type of a new type":  {change: "change_type \"users\" \"name\" {\n\ttype = \"int\"\n\tdefault = \"true\"\n}", want: `The default of column name of table users is "true", of which Postgres makes no int by itself`},
		"a default that the server makes one of":   {change: "expand {\n\tadd_column \"users\" \"seen\" {\n\t\ttype = \"int\"\n\t\tdefault = \"2.5\"\n\t}\n}", want: "no diagnostics"},
		"what is filled in, which is another type": {change: "expand {\n\tadd_column \"users\" \"seen\" {\n\t\ttype = \"int\"\n\t}\n}\nbackfill \"users\" {\n\tset = {\n\t\tseen = \"name\"\n\t}\n}", want: `Value of another type; What column seen of table users is set to is "name"`},
		"a column of a type": {
			setup:  "create type person as (name text); create table people of person",
			change: "contract {\n\tdrop_column \"people\" \"name\" {}\n}", want: `Columns of a type; "public"."people" has the columns of the type public.person`,
		},
		"a column for a table of a type": {
			setup:  "create type person as (name text); create table people of person",
			change: "expand {\n\tadd_column \"people\" \"more\" {\n\t\ttype = \"text\"\n\t}\n}", want: "Columns of a type",
		},
		"a column of a type, and another type": {
			setup:  "create type person as (name text); create table people of person (primary key (name))",
			change: "change_type \"people\" \"name\" {\n\ttype = \"varchar(99)\"\n}", want: "Columns of a type",
		},
		"a column of a type, and another name": {
			setup:  "create type person as (name text); create table people of person (primary key (name))",
			change: "rename_column \"people\" \"name\" {\n\tto = \"label\"\n\tserve = \"views\"\n}", want: "Columns of a type",
		},
		"a table of a type, which gets another name": {
			setup:  "create type person as (name text); create table people of person",
			change: "rename_table \"people\" {\n\tto = \"persons\"\n}", want: "no diagnostics",
		},
		"a default that is an array of another type": {
			setup:  "alter table users add tags varchar[] default '{}'",
			change: "change_type \"users\" \"tags\" {\n\ttype = \"integer[]\"\n}", want: "Default of the former type",
		},
		"a default that is an array, of which the elements fit": {
			setup:  "alter table users add tags varchar[] default '{}'",
			change: "change_type \"users\" \"tags\" {\n\ttype = \"text[]\"\n}", want: "no diagnostics",
		},
		"a key of a table with a dot": {
			setup: `create table "a.b" (u int references users)`, change: widerID, want: `Name with a dot in it; What hangs on users has a dot in its name, by which pleat tells a schema from what is in it: "a.b"`,
		},
		"a view with a dot": {
			setup: `create view "my.view" as select id from users; create view top as select id from "my.view"`, change: widerID, want: `what is in it: "my.view". `,
		},
		"a sequence and statistics with a dot": {
			setup: `alter sequence users_id_seq rename to "s.q"; create statistics "s.t" on id, name from users`, change: widerID, want: `what is in it: "s.t", "s.q". `,
		},
		"a partition with a dot": {
			setup:  `create table days (at date) partition by range (at); create table "days.rest" partition of days default`,
			change: "expand {\n\tcreate_index \"days_at\" {\n\t\ttable = \"days\"\n\t\tcolumns = [\"at\"]\n\t}\n}", want: `what is in it: "days.rest". `,
		},
		"a partition with a dot, and a column of an index": {
			setup:  `create table days (at date, note text) partition by range (at); create table "days.rest" partition of days default; create index on days (lower(note))`,
			change: "change_type \"days\" \"note\" {\n\ttype = \"varchar(99)\"\n}", want: `what is in it: "days.rest". `,
		},
		"names with a dot that have nothing to do with the column": {
			setup: `alter table users add code int default 1 unique; create sequence "s.q" owned by users.code; create table "a.b" (c int unique references users (code)); alter table users add foreign key (code) references "a.b" (c) not valid;
				create statistics "s.t" on code, name from users; create view "my.view" as select code from users`,
			change: widerID, want: "no diagnostics",
		},
		"a dot behind a schema": {
			setup: `create schema a; create table a.b (u int references users); create table "c.d" ()`, change: widerID, want: "no diagnostics",
		},
		"columns that were dropped, and one for which there is no room": {
			setup: `do $$ begin
				execute (select 'alter table users ' || string_agg('add c' || i || ' bool', ', ') from generate_series(1, 1597) i);
				alter table users drop c1;
			end $$`,
			change: "expand {\n\tadd_column \"users\" \"one\" {\n\t\ttype = \"text\"\n\t}\n\tadd_column \"users\" \"two\" {\n\t\ttype = \"text\"\n\t}\n}", want: "a.pleat.hcl:9,2-26: No room for a column; A table can have 1600 columns",
		},
		"an index that is gone, beside one that the server gave a number": {
			setup:  "create index on users (name); create index on users (name); drop index users_name_idx",
			change: "contract {\n\tdrop_index \"users_name_idx\" {}\n}", want: "no diagnostics",
		},
		"an index that is gone, beside one of which the name is like it": {
			setup:  "create index users_name_idx on users (name)",
			change: "contract {\n\tdrop_index \"users_nmae_idx\" {}\n}", want: "Did you mean users_name_idx?",
		},
		"a column from elsewhere": {
			setup:  "create table people (name text); alter table users inherit people",
			change: dropName, want: "Inherited column; Column name of users comes from a table that this one inherits from",
		},
		"a column from elsewhere, and another type": {
			setup:  "create table people (name text); alter table users inherit people",
			change: "change_type \"users\" \"name\" {\n\ttype = \"varchar(99)\"\n}", want: "Inherited column; Column name of users comes from",
		},
		"a column from elsewhere, and another name": {
			setup:  "create table people (name text); alter table users inherit people",
			change: "rename_column \"users\" \"name\" {\n\tto = \"label\"\n\tserve = \"views\"\n}", want: "Inherited column; Column name of users comes from",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(test.setup, "begin atomic") && pgtest.Version(t, newWorld(t, "").admin) < 14 {
				t.Skip("the server has no such functions")
			}
			if got := lowered(t, table+test.setup, test.change); !strings.Contains(got, test.want) {
				t.Errorf("got %s\nwant one that says %q", got, test.want)
			}
		})
	}
}
