package postgres_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// slowIndex is one whose build can be held: what computes its values waits for a
// lock by the first letter of the name.
func slowIndex() planner.Step {
	return planner.Step{ID: "killed", Action: &planner.BuildIndex{
		Table: users, Index: spec.ParseTable("users_name"), Change: "c", Unit: "index.users_name", Digest: "d",
		SQL:   `CREATE INDEX CONCURRENTLY "users_name" ON "public"."users" (public.slow(name))`,
		Phase: migrations.Expanded,
	}}
}

const slowUsers = usersTable + `
	create function slow(name text) returns text language plpgsql immutable as
		$$ begin perform pg_advisory_xact_lock_shared(ascii(name)); return name; end $$;
	insert into users (name) values ('build')`

// obstruction is how a build is kept in a phase by another session.
type obstruction struct {
	phase string // of pg_stat_progress_create_index, as it begins
	hold  string // by the other session, before the build
	// building is what the other session does instead while the build is held in
	// its first pass, which is then let go.
	building string
	// inserted is a row that only the validation finds.
	inserted string
}

var phases = []obstruction{
	{phase: "initializing", hold: "create table users_name ()"},
	{phase: "waiting for writers before build", hold: "insert into users (name) values ('other')"},
	{phase: "building index", hold: "select pg_advisory_lock(ascii('build'))"},
	{phase: "waiting for writers before validation", building: "insert into users (name) values ('other')"},
	{phase: "index validation", building: "select pg_advisory_lock(ascii('validate'))", inserted: "insert into users (name) values ('validate')"},
	{phase: "waiting for old snapshots", hold: "set transaction isolation level repeatable read; select 1 from pg_class"},
}

// T5, P5: the process is killed in each phase of a concurrent build in which the
// server can be met. Its session ends with it, or builds on because nobody tells
// the server that the other end is gone; then whoever goes on sees it, and ends it.
func TestABuildWhoseProcessIsKilledInAnyPhaseLeavesNoInvalidIndex(t *testing.T) {
	for _, phase := range phases {
		for _, orphan := range []string{"ends too", "builds on"} {
			t.Run(phase.phase+", its session "+orphan, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, slowUsers)
				proxy, through := pgtest.NewProxy(t, w.url)
				proxy.Linger()
				victim := w.toDie(through, victimIndex+"=comes")
				holder := w.meet(phase, victim)
				pid := w.builder()
				if err := victim.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				var died *exec.ExitError
				if err := victim.Wait(); !errors.As(err, &died) || died.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("it was not killed: %v", err)
				}
				if orphan == "ends too" {
					w.exec("select pg_terminate_backend($1)", pid)
					eventually(t, "its session is gone", func() bool { return w.builder() == 0 })
				} else if now := w.builder(); now != pid {
					t.Fatalf("nothing builds on: the builder is pid %d, and was %d", now, pid)
				}
				if got := w.probe(slowIndex()); got != planner.NotDone {
					t.Errorf("probe says %v, want NotDone", got)
				}
				if now := w.builder(); now != 0 {
					t.Errorf("pid %d still builds after the probe", now)
				}
				w.end(holder)
				if err := w.try(t.Context(), slowIndex()); err != nil {
					t.Fatal(err)
				}
				if got := w.value(indexState) + " " + w.value("select count(*)::text from pg_index where not indisvalid or not indisready or not indislive"); got != "true 0" {
					t.Errorf("the index is valid, invalid ones: %s", got)
				}
				if got := w.value("select units::text from pleat.change where name = 'c'"); got != `{"index.users_name": true}` {
					t.Errorf("recorded are %s", got)
				}
			})
		}
	}
}

// An orphan of another run, which no probe asked about, is seen by the build
// itself in every phase in which the catalog shows the index.
func TestABuildSeesTheOrphanOfAnotherRunInAnyPhase(t *testing.T) {
	for _, phase := range phases[1:] {
		t.Run(phase.phase, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, slowUsers)
			proxy, through := pgtest.NewProxy(t, w.url)
			proxy.Linger()
			victim := w.toDie(through, victimIndex+"=comes")
			holder := w.meet(phase, victim)
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = victim.Wait() // killed
			w.exec("update pleat.lease set fence = 2")
			w.ticket.Run, w.ticket.Fence = "r2", 2
			pid := w.builder()
			done := make(chan error, 1)
			go func() { done <- w.try(t.Context(), slowIndex()) }()
			eventually(t, "the orphan is ended", func() bool {
				return w.value("select count(*)::text from pg_stat_activity where pid = $1", pid) == "0"
			})
			if said := strings.Join(w.watch.waits(), "\n"); !strings.Contains(said, "pleat/r1 builds") {
				t.Errorf("it said %q", said)
			}
			w.end(holder)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := w.value(indexState) + " " + w.value("select count(*)::text from pg_index where not indisvalid"); got != "true 0" {
				t.Errorf("the index is valid, invalid ones: %s", got)
			}
		})
	}
}

// end takes back what the session did, and its locks.
func (w *world) end(c *pgx.Conn) {
	w.Helper()
	w.exec("select pg_terminate_backend($1)", int(c.PgConn().PID()))
}

// toDie is a process that does what the variable says.
func (w *world) toDie(url, what string) *exec.Cmd {
	w.Helper()
	program, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	c := exec.Command(program)
	c.Env = append(os.Environ(), victim+"="+url, what)
	return c
}

// meet starts the victim and returns once its build is in the phase, with the
// session that keeps it there.
func (w *world) meet(h obstruction, victim *exec.Cmd) *pgx.Conn {
	w.Helper()
	holder := w.as("somebody")
	does := func(c *pgx.Conn, sql string) {
		if _, err := c.Exec(w.Context(), sql); err != nil {
			w.Fatal(err)
		}
	}
	if h.building == "" {
		does(holder, "begin; "+h.hold)
	} else {
		does(w.admin, "select pg_advisory_lock(ascii('build'))")
	}
	if err := victim.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = victim.Process.Kill() }) // it mostly is dead
	if h.building != "" {
		w.inPhase("building index")
		does(holder, "begin; "+h.building)
		does(w.admin, h.inserted+"; select pg_advisory_unlock(ascii('build'))")
	}
	w.inPhase(h.phase)
	return holder
}

// inPhase returns once the build of the database is in the phase, and waits there.
func (w *world) inPhase(phase string) {
	w.Helper()
	eventually(w, "the build is in the phase "+phase, func() bool {
		return w.value(`
			select count(*)::text from pg_stat_progress_create_index p join pg_stat_activity a using (pid)
			where p.datname = current_database() and starts_with(p.phase, $1) and a.wait_event_type = 'Lock'`, phase) == "1"
	})
}

// builder is the pid of the session that builds an index; 0 is none.
func (w *world) builder() int {
	w.Helper()
	return pgtest.Value[int](w, w.admin, "select coalesce((select pid from pg_stat_progress_create_index where datname = current_database()), 0)")
}
