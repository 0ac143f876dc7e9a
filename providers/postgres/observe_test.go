package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// Nothing of pleat's is there yet, and nothing is after it.
func TestObserveReadsTheCatalogOfADatabaseThatPleatNeverSaw(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t).Database(t)
	pgtest.Exec(t, url, `
		create type mood as enum ('low', 'high');
		create table users (b text default 'x', id int, a varchar(10) not null, primary key (id, a));
		alter table users drop b;
		comment on table users is 'people'; comment on column users.a is 'name';
		alter table users add constraint short check (length(a) < 9) not valid;
		create unique index by_a on users (a) where id > 0;
		create view names as select a from users;
		create table orders (user_id int, user_a varchar(10), foreign key (user_id, user_a) references users);
		create table notes (m mood[], n text default 'low'::mood);
		create view lows as select 'low'::mood;
		create function felt(mood) returns int language sql as 'select 1';
		create table pleat_hidden_gone (id int primary key);
		alter table pleat_hidden_gone replica identity using index pleat_hidden_gone_pkey`)
	p := postgres.New(&spec.Database{Name: "main", URL: spec.Secret("test", url)}, nil)
	scope := postgres.Scope{Tables: []spec.Table{users, spec.ParseTable("gone"), spec.ParseTable("never")}, Types: []spec.Table{spec.ParseTable("mood"), spec.ParseTable("none")}, Changes: []string{"c"}}
	got, err := p.Observe(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	want := &migrations.Catalog{Version: pgtest.Version(t, pgtest.Connect(t, url)), Tables: map[string]*migrations.Table{
		"users": {
			Columns:    []migrations.Column{{Name: "id", Type: "integer", NotNull: true}, {Name: "a", Type: "character varying(10)", NotNull: true, Comment: "name"}},
			PrimaryKey: []string{"id", "a"},
			Indexes: []migrations.Index{
				{Name: "by_a", Definition: "CREATE UNIQUE INDEX by_a ON public.users USING btree (a) WHERE (id > 0)", Unique: true, Valid: true},
				{Name: "users_pkey", Definition: "CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id, a)", Unique: true, Valid: true, Constraint: "users_pkey", Key: []string{"id", "a"}},
			},
			Constraints: []migrations.Constraint{{Name: "short", Definition: "CHECK ((length((a)::text) < 9)) NOT VALID", Kind: migrations.Check, Columns: []string{"a"}}},
			Dependents: []migrations.Dependent{
				{Column: "a", Object: "constraint orders_user_id_user_a_fkey on table public.orders"},
				{Column: "id", Object: "constraint orders_user_id_user_a_fkey on table public.orders"},
				{Column: "a", Object: "view public.names"},
			},
			Views:   []migrations.View{{Name: "names", Object: "view public.names", Columns: []string{"a"}, Reads: []string{}, Groups: []string{}, Stays: []string{}}},
			Comment: "people", PrimaryKeyName: "users_pkey",
			References: []migrations.ForeignKey{{
				Name: "orders_user_id_user_a_fkey", Table: "orders", Columns: []string{"user_id", "user_a"}, Referenced: []string{"id", "a"}, OtherTypes: []string{"integer", "character varying(10)"},
				Definition: "FOREIGN KEY (user_id, user_a) REFERENCES public.users(id, a)", Valid: true,
			}},
		},
		"pleat_hidden_gone": {
			Columns:    []migrations.Column{{Name: "id", Type: "integer", NotNull: true}},
			PrimaryKey: []string{"id"}, PrimaryKeyName: "pleat_hidden_gone_pkey",
			Indexes: []migrations.Index{{Name: "pleat_hidden_gone_pkey", Definition: "CREATE UNIQUE INDEX pleat_hidden_gone_pkey ON public.pleat_hidden_gone USING btree (id)", Unique: true, Valid: true, Constraint: "pleat_hidden_gone_pkey", Identity: true, Key: []string{"id"}}},
		},
	}, Enums: map[string][]string{"mood": {"low", "high"}}, TypeUses: map[string][]migrations.TypeUse{"mood": {
		{Table: "notes", Columns: []string{"m"}, Object: "column m of table public.notes"},
		{Table: "lows", Columns: []string{"mood"}, Object: "column mood of view public.lows"},
		{Table: "notes", Columns: []string{"n"}, Object: "default value for column n of table public.notes"},
		{Columns: []string{}, Object: "function public.felt(public.mood)"},
		{Columns: []string{}, Object: "view public.lows"},
	}}}
	if diff := cmp.Diff(want, got.Catalog); diff != "" {
		t.Errorf("catalog (-want +got):\n%s", diff)
	}
	if got.Identity == "" || got.Name == "" || got.Changes != nil {
		t.Errorf("got identity %q, name %q, changes %v", got.Identity, got.Name, got.Changes)
	}
	c := pgtest.Connect(t, url)
	if n := pgtest.Value[int](t, c, "select count(*)::int from pg_namespace where nspname = 'pleat'"); n != 0 {
		t.Error("observing made the schema pleat")
	}
}

func TestObserveReadsSessionsAndRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	w.as("users@1.0.0/web.1")
	w.as("users@1.0.0/web.2")
	w.as("users@feature/x/web.1")
	w.as("not one of ours")
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	got := w.observe(c)
	want := []planner.Sessions{{Service: "users", Release: "1.0.0", Count: 2}, {Service: "users", Release: "feature/x", Count: 1}}
	if diff := cmp.Diff(want, got.Sessions); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	record := map[string]migrations.Recorded{c.Name: {
		Phase: migrations.Expanded, Digest: p.Digest, Units: map[string]bool{"expand.users": true, "sync.users": true},
	}}
	if updated := got.Changes[c.Name].Updated; updated == nil || time.Since(*updated).Abs() > time.Minute {
		t.Errorf("recorded at %v", updated)
	}
	if diff := cmp.Diff(record, got.Changes, cmpopts.IgnoreFields(migrations.Recorded{}, "Updated")); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
