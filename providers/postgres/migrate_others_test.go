package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/spec"
)

// theirs is golang-migrate's own driver, as its command opens it or as a
// program does that has a connection.
func theirs(w *world, command bool) database.Driver {
	w.Helper()
	d, err := (&pgx.Postgres{}).Open(w.url)
	if !command {
		if err == nil {
			err = d.Close()
		}
		var db *sql.DB
		if db, err = sql.Open("pgx/v5", w.url); err == nil {
			d, err = pgx.WithInstance(db, &pgx.Config{})
		}
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := d.Close(); err != nil {
			w.Error(err)
		}
	})
	return d
}

// golangMigrate has three migrations, each of which adds a row to `ran`.
func golangMigrate(w *world, d database.Driver) *migrate.Migrate {
	w.Helper()
	files := fstest.MapFS{}
	for n := 1; n <= 3; n++ {
		files[fmt.Sprintf("%d_add.up.sql", n)] = &fstest.MapFile{Data: []byte(addRow(n))}
		files[fmt.Sprintf("%d_add.down.sql", n)] = &fstest.MapFile{Data: []byte(fmt.Sprintf("delete from ran where n = %d", n))}
	}
	source, err := iofs.New(files, ".")
	if err != nil {
		w.Fatal(err)
	}
	m, err := migrate.NewWithInstance("files", source, "pgx5", d)
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func addRow(n int) string { return fmt.Sprintf("insert into ran values (%d)", n) }

func (w *world) ran() string {
	w.Helper()
	return w.value("select coalesce(string_agg(n::text, ' ' order by n), '') from ran")
}

func TestGolangMigrateGoesOnFromPleatAndPleatFromIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "create table ran (n int primary key)")
	w.apply(migrateTo(0, 1, addRow(1)))
	m := golangMigrate(w, theirs(w, true))
	if v, dirty, err := m.Version(); v != 1 || dirty || err != nil {
		t.Errorf("golang-migrate reads %d, %v, %v", v, dirty, err)
	}
	if err := m.Steps(1); err != nil {
		t.Fatal(err)
	}
	if got := w.versions()["schema"]; got != (planner.Version{Version: 2}) {
		t.Errorf("pleat reads %v", got)
	}
	w.apply(migrateTo(2, 3, addRow(3)))
	if err := m.Up(); !errors.Is(err, migrate.ErrNoChange) {
		t.Errorf("golang-migrate has more to do: %v", err)
	}
	w.apply(migrateTo(3, 2, "delete from ran where n = 3"))
	if err := m.Down(); err != nil {
		t.Fatal(err)
	}
	w.apply(migrateTo(0, 1, addRow(1)))
	w.apply(migrateTo(1, 0, "delete from ran"))
	if _, _, err := m.Version(); !errors.Is(err, migrate.ErrNilVersion) {
		t.Errorf("golang-migrate sees a version at the start: %v", err)
	}
	if got := w.ran(); got != "" {
		t.Errorf("left: %s", got)
	}
}

// The table that pleat makes is theirs to the last column.
func TestTheVersionTableIsAsGolangMigrateMakesIt(t *testing.T) {
	t.Parallel()
	ours, other := newWorld(t, ""), newWorld(t, "")
	ours.apply(migrateTo(0, 1, "select 1"))
	theirs(other, true)
	if ours.dump() != other.dump() {
		t.Errorf("pleat:\n%s\ngolang-migrate:\n%s", ours.dump(), other.dump())
	}
}

func TestPleatStaysAwayWhileGolangMigrateWorks(t *testing.T) {
	for name, command := range map[string]bool{"its command": true, "its library": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "create table ran (n int primary key)")
			d := theirs(w, command)
			if err := d.Lock(); err != nil {
				t.Fatal(err)
			}
			w.db.Lock.Patience = 300 * time.Millisecond
			step := w.step(migrateTo(0, 1, addRow(1)))
			err := w.try(t.Context(), step)
			var locked *postgres.LockBudgetError
			if !errors.As(err, &locked) || len(locked.Blockers) != 1 || !strings.Contains(err.Error(), "golang-migrate's lock of schema_migrations was not to be had within 300ms") {
				t.Errorf("got %v", err)
			}
			w.db.Lock.Patience = 20 * time.Second
			done := make(chan error, 1)
			go func() { done <- w.try(t.Context(), step) }()
			eventually(t, "it tells what it waits for", func() bool { return strings.Contains(strings.Join(w.watch.waits(), "\n"), "golang-migrate's lock") })
			if err := d.Unlock(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("once it is free: %v", err)
			}
			if got := w.ran(); got != "1" {
				t.Errorf("ran: %s", got)
			}
		})
	}
}

func TestGolangMigrateStaysAwayWhilePleatWorks(t *testing.T) {
	for name, command := range map[string]bool{"its command": true, "its library": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "create table ran (n int primary key)")
			m := golangMigrate(w, theirs(w, command))
			up := make(chan error, 1)
			w.provider = postgres.New(w.db, func(point string) {
				if point != "step.sent" {
					return
				}
				go func() { up <- m.Up() }()
				eventually(t, "golang-migrate waits", func() bool {
					return w.value("select count(*)::text from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())") == "1"
				})
			})
			w.apply(migrateTo(0, 1, addRow(1)))
			if err := <-up; err != nil {
				t.Errorf("golang-migrate: %v", err)
			}
			if got := w.ran() + " at " + w.live(); got != "1 2 3 at 3" {
				t.Errorf("ran: %s", got)
			}
		})
	}
}

// Without the same lease or lock name, the row itself keeps a second one away.
func TestTwoOfOneMigrationRunItOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "create table ran (n int)")
	errs := make(chan error)
	for n := range 4 {
		step := w.step(migrateTo(0, 1, addRow(1)))
		step.ID = fmt.Sprintf("of %d", n)
		go func() { errs <- w.try(t.Context(), step) }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := w.ran(); got != "1" {
		t.Errorf("ran: %s", got)
	}
}

// A writer that knows nothing of the advisory lock is kept away by the table's.
func TestTheVersionIsNobodyElsesWhileAMigrationRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "create table ran (n int)")
	w.apply(migrateTo(0, 1, addRow(1)))
	w.provider = postgres.New(w.db, func(point string) {
		if point != "step.sent" {
			return
		}
		if _, err := w.admin.Exec(t.Context(), "set lock_timeout = '50ms'; update schema_migrations set version = 9"); err == nil {
			t.Error("the version was changed under a running migration")
		}
	})
	w.apply(migrateTo(1, 2, addRow(2)))
}

// Others wait behind a migration for its lock timeout at most, and it gets its
// turn once the table is free.
func TestAMigrationGivesWayAndTriesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	holder := w.as("users@1.0.0/web.1")
	begin(t, holder, "select 1 from users")
	step := w.step(migrateTo(0, 1, "alter table users add note text"))
	w.db.Lock.Patience = 400 * time.Millisecond
	err := w.try(t.Context(), step)
	if err == nil || !strings.Contains(err.Error(), "what migration schema 1 changes was not to be had within 400ms") {
		t.Errorf("got %v", err)
	}
	if w.value("select (to_regclass('schema_migrations') is null)::text") != "true" {
		t.Error("something of it is there")
	}
	w.db.Lock.Patience = 20 * time.Second
	done := make(chan error, 1)
	go func() { done <- w.try(t.Context(), step) }()
	eventually(t, "it waits", func() bool { return len(w.watch.waits()) > 2 })
	begin(t, holder, "commit")
	if err := <-done; err != nil {
		t.Errorf("once it is free: %v", err)
	}
	step = w.step(migrateTo(1, 2, "select pg_sleep(60)"))
	step.Limits.Run = 200 * time.Millisecond
	if err := w.try(t.Context(), step); err == nil || w.live() != "1" {
		t.Errorf("a migration without end: %v, version %s", err, w.live())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := w.try(ctx, w.step(migrateTo(1, 2, "select pg_sleep(60)"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a migration that is cancelled: %v", err)
	}
}

func TestAMigrationRunsAsTheOwner(t *testing.T) {
	w := newWorld(t, usersTable)
	limited(w)
	w.apply(migrateTo(0, 1, "alter table users add note text; create table made (); set role none; set search_path = ''"))
	got := w.value("select string_agg(distinct tableowner, ',') from pg_tables where tablename in ('made', 'schema_migrations')")
	if got != "pleat_test_owner" {
		t.Errorf("what it made belongs to %s", got)
	}
	if got := w.versions()["schema"]; got != (planner.Version{Version: 1}) {
		t.Errorf("observed %v", got)
	}
	w.exec("alter table users owner to postgres")
	err := w.try(t.Context(), w.step(migrateTo(1, 2, "select 1;\nalter table users add more text")))
	var refused *postgres.MigrationError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "must be owner of table users") || !strings.Contains(refused.Hint(), "let the role") {
		t.Errorf("got %v", err)
	}
	w.exec("alter table schema_migrations owner to postgres")
	_, err = w.provider.Observe(t.Context(), postgres.Scope{Migrations: map[string]spec.Table{"schema": schemaMigrations}})
	var right *postgres.RightError
	if !errors.As(err, &right) || !strings.Contains(err.Error(), "permission denied for table schema_migrations") || !strings.Contains(right.Hint(), `GRANT SELECT`) {
		t.Errorf("observing what may not be read: %v", err)
	}
}

// Names and schemas of their own, several directories in one database.
func TestVersionsOfSeveralDirectories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create schema "Odd""one"`)
	odd := spec.Table{Schema: `Odd"one`, Name: `it's "v"`}
	a := migrateTo(0, 7, "create table t ()")
	a.Table = odd
	w.apply(a)
	w.apply(migrateTo(0, 2, "select 1"))
	db, err := w.provider.Observe(t.Context(), postgres.Scope{Migrations: map[string]spec.Table{
		"odd": odd, "schema": schemaMigrations, "none": {Schema: "public", Name: "none"},
	}})
	if err != nil || len(db.Versions) != 2 || db.Versions["odd"].Version != 7 || db.Versions["schema"].Version != 2 {
		t.Errorf("observed %v (%v)", db, err)
	}
	if got := w.value(`select (to_regclass('"Odd""one".t') is not null)::text`); got != "true" {
		t.Error("an unqualified table is not in the schema of the directory's table")
	}
}
