package postgres_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/spec"
)

// written is a change as an author writes its blocks.
func written(t testing.TB, blocks string) *spec.Change {
	t.Helper()
	dir := t.TempDir()
	text := "database \"main\" {\n  url = \"postgres://localhost/app\"\n}\nchange \"c\" {\n" + blocks + "\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "a.pleat.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return s.Changes[0]
}

// worn is a table of users with much that hangs on its name.
const worn = usersTable + `
	alter table users alter name set default 'nobody', add constraint named check (name <> ''), add constraint once unique (id, name);
	comment on column users.name is 'who it is';
	create index by_name on users (lower(name)) where name <> 'nobody';`

// renamer is a role, which all databases of a server have together.
const renamer = renamerAlone + "grant usage on sequence users_id_seq to renamer;"

const renamerAlone = "do $$ begin create role renamer; exception when duplicate_object or unique_violation then end $$;"

// notNullNamed gives a NOT NULL of users another name, on servers on which it
// has one: from PostgreSQL 18 on. Renaming a column leaves it alone.
func notNullNamed(from, to string) string {
	return fmt.Sprintf("do $$ begin alter table users rename constraint %s to %s; exception when undefined_object then end $$;", from, to)
}

func shorthandOperations(t testing.TB) []operation {
	return []operation{
		{
			name: "rename a column by a copy", setup: worn + "create view seen as select id, name from users where name <> ''; create view \"Both\" as select * from seen union all select id, lower(name) from users;" + saying + "create trigger named after insert or update of name on users for each row when (new.name <> '') execute function say();",
			change: written(t, `rename_column "users" "name" {
				to   = "full_name"
			}`),
			end: "create table users (id bigserial primary key, name text not null);" + `
				alter table users add full_name text not null default 'nobody', add constraint named check (full_name <> ''), add constraint once unique (id, full_name);
				comment on column users.full_name is 'who it is';
				create index by_name on users (lower(full_name)) where full_name <> 'nobody';
				create view seen as select id, full_name as name from users where full_name <> ''; create view "Both" as select * from seen union all select id, lower(full_name) from users;` + saying + `create trigger named after insert or update of full_name on users for each row when (new.full_name <> '') execute function say();
				alter table users drop name;` + notNullNamed("users_full_name_not_null", "users_name_not_null"),
			before: unprepared(names),
			after: shape{
				unprepared: true,
				read:       "select u.id, u.full_name, s.name from users u left join seen s using (id) where u.id = $1",
				writes:     []string{"update users set full_name = 'Ada King' where id = $1", "insert into users (full_name) values ('Grace Hopper')"},
			},
			agree: "select id from users where name is distinct from full_name",
		},
		{
			name: "rename a column of which rights are granted", setup: usersTable + renamer + "grant select (id, name), insert (name), update (name) on users to renamer;",
			change: written(t, `rename_column "users" "name" {
				to = "full_name"
			}`),
			end: "create table users (id bigserial primary key, name text, full_name text not null); alter table users drop name;" + renamer + "grant select (id, full_name), insert (full_name), update (full_name) on users to renamer;" +
				notNullNamed("users_full_name_not_null", "users_name_not_null"),
			before: shape{session: "set role renamer", unprepared: true, read: names.read, writes: names.writes},
			after: shape{
				session: "set role renamer", unprepared: true, read: "select full_name from users where id = $1",
				writes: []string{"update users set full_name = 'Ada King' where id = $1", "insert into users (full_name) values ('Grace Hopper')"},
			},
			agree: "select id from users where name is distinct from full_name",
		},
		{
			name: "rename the key by a copy", setup: usersTable + "create table orders (id bigserial primary key, user_id bigint references users);",
			fill: "insert into orders (user_id) select id from users where id < 50",
			change: written(t, `rename_column "users" "id" {
				to   = "number"
			}`),
			end: `create sequence users_id_seq; create table users (id bigint not null, name text not null, number bigint not null default nextval('users_id_seq'));
				alter sequence users_id_seq owned by users.number; alter table users drop id, add constraint users_pkey primary key (number);
				create table orders (id bigserial primary key, user_id bigint references users);` + notNullNamed("users_number_not_null", "users_id_not_null"),
			before: names,
			after: shape{
				read:   "select number, name from users where number = $1",
				writes: []string{"update users set name = 'Ada' where number = $1", "insert into orders (user_id) values (7)"},
			},
			agree: "select id from users where number is distinct from id",
		},
		{
			name: "rename a table", setup: usersTable + `create table orders (id bigserial primary key, user_id bigint references users);
				` + renamer + `grant select, insert on users to renamer with grant option; grant update (name) on users to public;`,
			change: written(t, `rename_table "users" {
				to   = "people"
			}`),
			end: usersTable + `create table orders (id bigserial primary key, user_id bigint references users); alter table users rename to people;
				` + renamer + `grant select, insert on people to renamer with grant option; grant update (name) on people to public;`,
			before: shape{session: "set role renamer", read: names.read, writes: names.writes},
			after: shape{
				read:   "select id, name from people where id = $1",
				writes: []string{"update people set name = 'Ada King' where id = $1", "insert into people (name) values ('Grace Hopper')"},
			},
		},
		{
			name: "split a column by the shorthand", setup: usersTable,
			change: written(t, `split_column "users" "name" {
				into "first" {
					type  = "text"
					using = "split_part(name, ' ', 1)"
					null  = false
				}
				into "last" {
					type  = "text"
					using = "nullif(substr(name, strpos(name || ' ', ' ') + 1), '')"
				}
				back = "concat_ws(' ', first, last)"
			}`),
			end:    "create table users (id bigserial primary key, name text not null); alter table users add first text not null, add last text; alter table users drop name",
			before: names,
			after: shape{
				read:   "select id, first, last from users where id = $1",
				writes: []string{"update users set last = 'Jones' where id = $1", "insert into users (first, last) values ('Mary Ann', 'Smith')"},
			},
			agree: namesAgree,
		},
		{
			name: "merge columns", setup: "create table users (id bigserial primary key, name text, town text);",
			change: written(t, `merge_columns "users" "label" {
				type  = "text"
				using = "coalesce(name, '') || '@' || coalesce(town, '')"
				back  = {
					name = "nullif(split_part(label, '@', 1), '')"
					town = "nullif(split_part(label, '@', 2), '')"
				}
				null  = false
			}`),
			end:    "create table users (id bigserial primary key, name text, town text); alter table users add label text not null; alter table users drop name, drop town",
			before: shape{read: "select name, town from users where id = $1", writes: []string{"update users set town = 'Paris' where id = $1", "insert into users (name) values ('Ada')"}},
			after: shape{
				read:   "select id, label from users where id = $1",
				writes: []string{"update users set label = 'Ada@London' where id = $1", "insert into users (label) values ('Grace@')"},
			},
			agree: "select id from users where label is distinct from coalesce(name, '') || '@' || coalesce(town, '')",
		},
	}
}

// Whoever goes through the view of a renamed table locks the view before the
// table. The way back must not do it the other way round: with many clients one
// of them is always between the two.
func TestARenamedTableComesBackUnderManyClients(t *testing.T) {
	w := newWorld(t, usersTable+"insert into users (name) select i::text from generate_series(1, 100) i; analyze")
	w.db.Lock.Timeout, w.db.Lock.Patience = 200*time.Millisecond, 5*time.Second
	c := written(t, `rename_table "users" {
		to = "people"
	}`)
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	stop, end := context.WithCancel(t.Context())
	var readers errgroup.Group
	var worst atomic.Int64
	for range 6 {
		reader := w.as("users@1.0.0/web.1")
		readers.Go(func() error { return readPoints(stop, reader, "users", &worst) })
	}
	eventually(t, "clients go through the view", func() bool { return worst.Load() > 0 })
	p = w.lower(c)
	w.undo(p, p.Expand, migrations.Absent)
	end()
	if err := readers.Wait(); err != nil {
		t.Errorf("a client met an error: %v", err)
	}
}
