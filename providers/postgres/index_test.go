package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/spec"
)

func uniqueName() *planner.BuildIndex {
	return &planner.BuildIndex{
		Table: users, Index: spec.ParseTable("users_name"), Change: "c", Unit: "index.users_name", Digest: "d",
		SQL:   `CREATE UNIQUE INDEX CONCURRENTLY "users_name" ON "public"."users" (name)`,
		Phase: migrations.Expanded,
	}
}

const indexState = "select coalesce((select indisvalid::text from pg_index where indexrelid = to_regclass('users_name')), 'absent')"

// P5: an interrupted build leaves an invalid index, which Postgres takes for
// one that exists.
func TestAnInvalidLeftoverIsBuiltAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) values ('a'), ('a')")
	if _, err := w.admin.Exec(t.Context(), uniqueName().SQL); err == nil {
		t.Fatal("the index was built over duplicates")
	}
	if got := w.value(indexState); got != "false" {
		t.Fatalf("the leftover is %s, want false", got)
	}
	w.exec("update users set name = 'b' where id = 2")
	step := w.step(uniqueName())
	if outcome := w.probe(step); outcome != planner.NotDone {
		t.Errorf("probe of an invalid index says %v, want NotDone", outcome)
	}
	if err := w.try(t.Context(), step); err != nil {
		t.Fatal(err)
	}
	if got := w.value(indexState); got != "true" {
		t.Errorf("the index is %s, want valid", got)
	}
	if outcome := w.probe(step); outcome != planner.Done {
		t.Errorf("probe says %v, want Done", outcome)
	}
	w.apply(uniqueName())
	w.apply(&planner.RemoveIndex{Table: users, Index: spec.ParseTable("users_name"), Change: "c", Digest: "d"})
	w.apply(&planner.RemoveIndex{Table: users, Index: spec.ParseTable("users_name"), Change: "c", Digest: "d"})
	if got := w.value(indexState); got != "absent" {
		t.Errorf("the index is %s, want absent", got)
	}
}

// An author's own build is no less careful, and a second attempt finds out
// what became of the first.
func TestAStatementThatAllowsNoTransactionIsSettledByTheCatalog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) values ('a'), ('a')")
	build := &planner.RunAlone{SQL: uniqueName().SQL, Change: "c", Unit: "expand.sql.1", Digest: "d"}
	if _, err := w.admin.Exec(t.Context(), build.SQL); err == nil {
		t.Fatal("the index was built over duplicates")
	}
	w.exec("update users set name = 'b' where id = 2")
	w.apply(build)
	if got := w.value(indexState); got != "true" {
		t.Errorf("the index is %s, want valid", got)
	}
	w.apply(build)
	if units := w.value("select units::text from pleat.change where name = 'c'"); units != `{"expand.sql.1": true}` {
		t.Errorf("recorded are %s", units)
	}
	drop := &planner.RunAlone{SQL: "drop index concurrently users_name", Change: "c", Unit: "expand.sql.1", Reverse: true, Digest: "d"}
	w.apply(drop)
	w.apply(drop)
	if got := w.value(indexState); got != "absent" {
		t.Errorf("the index is %s, want absent", got)
	}
}

func TestDuplicatesAreNamedAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) values ('a'), ('a')")
	err := w.try(t.Context(), w.step(uniqueName()))
	var duplicate *postgres.DuplicateError
	if !errors.As(err, &duplicate) || errors.Is(err, planner.ErrOutcomeUnknown) {
		t.Fatalf("got %v, want a *DuplicateError", err)
	}
	if got := w.value(indexState); got != "absent" {
		t.Errorf("an index is left: %s", got)
	}
}

// A build of a process that is gone goes on in the server. It is waited for a
// moment, then ended, and what it leaves is built again.
func TestABuildOfAProcessThatIsGoneIsEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	reader := w.as("somebody")
	begin(t, reader, "insert into users (name) values ('a')") // a build waits for it
	orphan := w.as("pleat/r0")
	left := make(chan error, 1)
	ctx := context.WithoutCancel(t.Context())
	go func() {
		_, err := orphan.Exec(ctx, uniqueName().SQL)
		left <- err
	}()
	eventually(t, "the orphan builds", func() bool { return w.value(indexState) == "false" })
	done := make(chan error, 1)
	step := w.step(uniqueName())
	go func() { done <- w.try(t.Context(), step) }()
	if err := <-left; err == nil {
		t.Error("the orphan was not ended")
	}
	begin(t, reader, "commit")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := w.value(indexState); got != "true" {
		t.Errorf("the index is %s, want valid", got)
	}
}

// The build has no lock timeout: it waits for others and blocks nobody.
func TestABuildWaitsForAnOldTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	reader := w.as("somebody")
	begin(t, reader, "insert into users (name) values ('a')")
	done := make(chan error, 1)
	step := w.step(uniqueName())
	go func() { done <- w.try(t.Context(), step) }()
	wait(t, 3*w.db.Lock.Timeout)
	w.exec("insert into users (name) values ('b')")
	begin(t, reader, "commit")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Names of indexes are their schema's: a build that finds its name taken has
// done nothing, and taking it back leaves the index of the other table alone.
func TestAnIndexOfAnotherTableIsNeverRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"create table orders (name text); create index users_name on orders (name)")
	build := w.step(uniqueName())
	if err := w.try(t.Context(), build); err == nil {
		t.Error("the index of another table was taken for the step's")
	}
	if outcome := w.probe(build); outcome != planner.NotDone {
		t.Errorf("probe of the build says %v, want NotDone", outcome)
	}
	remove := w.step(&planner.RemoveIndex{Table: users, Index: spec.ParseTable("users_name"), Change: "c", Digest: "d"})
	if outcome := w.probe(remove); outcome != planner.Done {
		t.Errorf("probe of the removal says %v, want Done", outcome)
	}
	if err := w.try(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	if got := w.value(indexState); got != "true" {
		t.Errorf("the index of orders is %s, want valid", got)
	}
}

// What a contract dropped comes back while others work: the index is built, and
// becomes the constraint's in a moment of its own.
func TestADroppedUniqueConstraintComesBack(t *testing.T) {
	t.Parallel()
	tests := []struct{ constraint, definition string }{
		{"unique (id, name) include (at) with (fillfactor = 70) deferrable initially deferred", ""},
		{"unique (name, id) include (at) deferrable", "UNIQUE (name, id) INCLUDE (at) DEFERRABLE"},
	}
	for _, test := range tests {
		w := newWorld(t, "create table users (id int, name text, at int); alter table users add constraint apart "+test.constraint)
		change := &spec.Change{Name: "c", Contract: &spec.Contract{Operations: []spec.Operation{
			&spec.DropConstraint{Table: users, Name: "apart", Definition: test.definition},
		}}}
		before := w.dump()
		p := w.lower(change)
		drop := p.Drop[0]
		w.apply(forward(p, drop, migrations.Contracted))
		if test.definition != "" {
			drop = w.lower(change).Drop[0] // nothing but the definition tells what it was
		}
		back := w.step(backward(p, drop, migrations.Verified))

		w.exec("insert into users values (1, 'a', 1), (1, 'a', 2)")
		var duplicate *postgres.DuplicateError
		if err := w.try(t.Context(), back); !errors.As(err, &duplicate) {
			t.Fatalf("got %v, want a *DuplicateError", err)
		}
		w.exec("delete from users where at = 2")

		w.exec(back.Action.(*planner.BuildIndex).SQL)
		if outcome := w.probe(back); outcome != planner.NotDone {
			t.Errorf("with the index alone, probe says %v, want NotDone", outcome)
		}
		reader := w.as("somebody")
		begin(t, reader, "select from users")
		done := make(chan error, 1)
		go func() { done <- w.try(t.Context(), back) }()
		eventually(t, "the lock is waited for", func() bool { return len(w.watch.waits()) > 0 })
		w.exec("insert into users values (2, 'b', 2)")
		begin(t, reader, "commit")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if outcome := w.probe(back); outcome != planner.Done {
			t.Errorf("probe says %v, want Done", outcome)
		}
		if diff := cmp.Diff(before, w.dump()); diff != "" {
			t.Errorf("%s did not come back as it was (-before +after):\n%s", test.constraint, diff)
		}
		if got := w.phase(change); got != migrations.Verified && got != migrations.Expanded {
			t.Errorf("phase is %s", got)
		}
	}
}
