package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// telling has the server itself say in its log under which limits it begins a
// statement on an index. It waits while the test has the gate.
const telling = `
	create function tell() returns event_trigger language plpgsql as $$ begin
		perform pg_advisory_xact_lock_shared(22);
		raise log 'limits in %: % under lock_timeout % and statement_timeout %', current_database(), tg_tag,
			current_setting('lock_timeout'), current_setting('statement_timeout');
	end $$;
	create event trigger tell on ddl_command_start when tag in ('CREATE INDEX', 'DROP INDEX') execute function tell();`

// T22, P22: what allows no transaction runs without limits, which would leave an
// invalid index behind, and the server says so when the statement is there; also in
// the session that comes after a lost one.
func TestNoLimitsAreOnTheServerForWhatAllowsNoTransaction(t *testing.T) {
	const build, drop = "create index concurrently by_name on public.users (name)", "drop index concurrently by_name"
	tests := []struct {
		name, before string
		action       planner.Action
		says         string
	}{
		{"an index", "", &planner.BuildIndex{Table: users, Index: spec.ParseTable("by_name"), SQL: build, Change: "c", Unit: "u", Digest: "d"}, "CREATE INDEX"},
		{"an index over what was left", "update pg_index set indisvalid = false where indexrelid = 'by_name'::regclass",
			&planner.BuildIndex{Table: users, Index: spec.ParseTable("by_name"), SQL: build, Change: "c", Unit: "u", Digest: "d"}, "DROP INDEX CREATE INDEX"},
		{"an index goes", "select", &planner.RemoveIndex{Table: users, Index: spec.ParseTable("by_name"), Change: "c", Unit: "u", Digest: "d"}, "DROP INDEX"},
		{"an author's statement", "", &planner.RunAlone{SQL: build, Change: "c", Unit: "u", Digest: "d"}, "CREATE INDEX"},
		{"an author's drop", "select", &planner.RunAlone{SQL: drop, Change: "c", Unit: "u", Digest: "d"}, "DROP INDEX"},
		{"a piece of a file", "", migrateTo(0, 1, "set lock_timeout = '7s'; set statement_timeout = '9s';\n"+build), "CREATE INDEX"},
	}
	server := pgtest.New(t)
	if server.Socket() == "" {
		t.Skip("the log of a server that was not started here cannot be read")
	}
	for _, test := range tests {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lost %t", test.name, lost), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, usersTable)
				if test.before != "" {
					w.exec(build)
					w.exec(test.before)
				}
				w.exec(telling)
				if lost {
					w.exec("select pg_advisory_lock(22)")
				}
				done := make(chan error, 1)
				go func() { done <- w.try(t.Context(), w.step(test.action)) }()
				if lost {
					w.loseAtGate()
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				want := strings.ReplaceAll(test.says, " INDEX", " INDEX under lock_timeout 0 and statement_timeout 0")
				if got := w.told(server); got != want {
					t.Errorf("the server said %q, want %q", got, want)
				}
			})
		}
	}
}

// loseAtGate ends the session that stands before the gate, and opens it.
func (w *world) loseAtGate() {
	w.Helper()
	const standing = `from pg_locks where locktype = 'advisory' and objid = 22 and not granted
		and database = (select oid from pg_database where datname = current_database())`
	eventually(w, "the statement is there", func() bool { return w.value("select count(*)::text "+standing) == "1" })
	w.exec("select pg_terminate_backend(pid) " + standing)
	w.exec("select pg_advisory_unlock(22)")
}

// told is what the log has of the database's limits.
func (w *world) told(server *pgtest.Server) string {
	w.Helper()
	log, err := server.Log()
	if err != nil {
		w.Fatal(err)
	}
	var said []string
	mark := "limits in " + w.value("select current_database()") + ": "
	for line := range strings.Lines(log) {
		if _, limits, ours := strings.Cut(line, mark); ours {
			said = append(said, strings.TrimSpace(limits))
		}
	}
	return strings.Join(said, " ")
}

// A verify reads for as long as its step may take, and no longer: its question says
// so itself.
func TestTheLimitOfAVerifyIsOnTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	step := w.step(&planner.Verify{Change: "c", Name: "v", SQL: "select current_setting('statement_timeout') as statement, current_setting('transaction_read_only') as reads"})
	step.Limits.Run = 61 * time.Second
	var broken *postgres.VerifyError
	if err := w.try(t.Context(), step); !errors.As(err, &broken) || broken.Samples[0] != "statement=61s reads=on" {
		t.Errorf("the question saw %v, want 61 s", err)
	}
}
