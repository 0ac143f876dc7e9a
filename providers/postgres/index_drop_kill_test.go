package postgres_test

import (
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"

	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// goingIndex takes an index away.
func goingIndex() planner.Step {
	return planner.Step{ID: "killed", Action: &planner.RemoveIndex{
		Table: users, Index: spec.ParseTable("users_name"), Change: "c", Unit: "index.users_name", Digest: "d", Reverse: true,
	}}
}

// dropping is how a removal is kept in a phase by another session, and what the
// catalog says of the index then: valid, ready, live.
type dropping struct {
	name, hold string
	// next is what a second session does while the first keeps the removal, which then
	// goes on to the next phase.
	next  string
	state string
}

var droppings = []dropping{
	{name: "before it begins", hold: "lock table users in share update exclusive mode", state: "true true true"},
	{name: "nobody begins to use it", hold: "insert into users (name) values ('first')", state: "false true true"},
	{name: "nobody keeps it up to date", hold: "insert into users (name) values ('first')", next: "insert into users (name) values ('second')", state: "false false false"},
}

// T5, P5: the process is killed in each phase of a concurrent removal. The next
// attempt ends it, whether its session ended with it or goes on.
func TestARemovalWhoseProcessIsKilledInAnyPhaseLeavesNoInvalidIndex(t *testing.T) {
	for _, phase := range droppings {
		for _, orphan := range []string{"ends too", "goes on"} {
			t.Run(phase.name+", its session "+orphan, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, usersTable+"; create index users_name on users (name)")
				proxy, through := pgtest.NewProxy(t, w.url)
				proxy.Linger()
				victim := w.toDie(through, victimIndex+"=goes")
				holder := w.keep(phase, victim)
				pid := w.dropper()
				if err := victim.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = victim.Wait() // killed
				if orphan == "ends too" {
					w.exec("select pg_terminate_backend($1)", pid)
					eventually(t, "its session is gone", func() bool { return w.dropper() == 0 })
				} else if now := w.dropper(); now != pid {
					t.Fatalf("nothing goes on: pid %d drops, and %d did", now, pid)
				}
				if got := w.probe(goingIndex()); got != planner.NotDone {
					t.Errorf("probe says %v, want NotDone", got)
				}
				w.end(holder)
				if err := w.try(t.Context(), goingIndex()); err != nil {
					t.Fatal(err)
				}
				if got := w.value(indexState) + " " + w.value("select count(*)::text from pg_index where not indisvalid or not indisready or not indislive"); got != "absent 0" {
					t.Errorf("the index is there, invalid ones: %s", got)
				}
			})
		}
	}
}

// keep starts the victim and returns once its removal is in the phase, with the
// session that keeps it there.
func (w *world) keep(d dropping, victim *exec.Cmd) *pgx.Conn {
	w.Helper()
	holder := w.as("somebody")
	does := func(c *pgx.Conn, sql string) {
		if _, err := c.Exec(w.Context(), sql); err != nil {
			w.Fatal(err)
		}
	}
	does(holder, "begin; "+d.hold)
	if err := victim.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = victim.Process.Kill() }) // it mostly is dead
	eventually(w, "the removal waits", func() bool { return w.dropper() != 0 })
	if d.next != "" {
		second := w.as("somebody")
		does(second, "begin; "+d.next)
		w.end(holder)
		holder = second
	}
	eventually(w, "the index is "+d.state, func() bool {
		return w.dropper() != 0 && w.value("select concat_ws(' ', indisvalid::text, indisready::text, indislive::text) from pg_index where indexrelid = 'users_name'::regclass") == d.state
	})
	return holder
}

// dropper is the pid of the session that waits in a removal; 0 is none.
func (w *world) dropper() int {
	w.Helper()
	return pgtest.Value[int](w, w.admin, `select coalesce((select min(pid) from pg_stat_activity
		where datname = current_database() and wait_event_type = 'Lock' and query ilike 'drop index concurrently%'), 0)`)
}
