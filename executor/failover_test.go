package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/migrations/bookkeeping"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// failover is a database whose primary has a standby, and a run of three steps
// that reaches it through what leads to the primary of the moment.
type failover struct {
	*world
	primary, standby *pgtest.Server
	proxy            *pgtest.Proxy
	through          string
}

// newFailover keeps the journal in the same database, or in one of its own.
func newFailover(t *testing.T, apart bool, left planner.Step) *failover {
	t.Helper()
	f := &failover{primary: pgtest.Own(t)}
	f.world = &world{TB: t, url: f.primary.URL("postgres"), plan: &planner.Plan{Kind: "apply", Steps: []planner.Step{makes("a"), makes("b"), left}}}
	state := f.url
	if apart {
		state = pgtest.New(t).Database(t)
	}
	for _, url := range []string{f.url, state} {
		if err := bookkeeping.Migrate(t.Context(), spec.Secret("test", url)); err != nil {
			t.Fatal(err)
		}
		pgtest.Exec(t, url, "insert into pleat.lease (name, fence) values ('test', 1) on conflict do nothing")
	}
	f.standby = f.primary.Standby(t)
	f.proxy, f.through = pgtest.NewProxy(t, f.url)
	f.url = f.through
	if !apart {
		state = f.through
	}
	f.openJournal(state)
	return f
}

func (f *failover) openJournal(url string) {
	f.Helper()
	j, err := journal.Open(f.Context(), spec.Secret("test", url), "test", "pleat/r1")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := j.Close(context.WithoutCancel(f.Context())); err != nil {
			f.Error(err)
		}
	})
	f.journal = j
}

func makes(table string) planner.Step {
	return planner.Step{ID: table, Kind: planner.KindExpand, Title: "table " + table, Safety: planner.Probed,
		Undo:   &planner.Undo{Title: "drop", Action: &planner.Transaction{Database: "main", SQL: []string{"drop table public." + table}, Change: "m", Unit: table, Reverse: true, Digest: "d"}},
		Action: &planner.Transaction{Database: "main", SQL: []string{"create table public." + table + " (id int)"}, Change: "m", Unit: table, Digest: "d"}}
}

// cut has the standby have all that is committed by now, and nothing more.
func (f *failover) cut() {
	f.Helper()
	committed := pgtest.Value[string](f, pgtest.Connect(f, f.primary.URL("postgres")), "select pg_current_wal_flush_lsn()::text")
	standby := pgtest.Connect(f, f.standby.URL("postgres"))
	eventually(f, "the standby has what is committed", func() bool {
		return pgtest.Value[bool](f, standby, "select pg_last_wal_replay_lsn() >= '"+committed+"'::pg_lsn")
	})
	f.standby.Cut(f)
}

// happens has the standby lack all from the end of a on, and take over.
func (f *failover) happens() {
	f.primary.Halt(f, pgtest.Immediate)
	f.standby.Promote(f)
	f.proxy.Lead(f.standby.Address())
	f.proxy.Sever()
}

// begin runs until the first process is through.
func (f *failover) begin(at func(point string), done func(step string)) (executor.Result, error) {
	f.Helper()
	ctx, cancel := f.bounded()
	defer cancel()
	c := f.config(nil)
	db := &spec.Database{Name: "main", URL: spec.Secret("test", f.through), Lock: spec.LockBudget{Timeout: 100 * time.Millisecond, Hold: 2 * time.Second, Patience: 5 * time.Second}}
	c.Providers = map[spec.Address]executor.Applier{"database.main": postgres.New(db, at)}
	c.Watch = func(r executor.Record) {
		if e, ok := r.Event.(executor.StepChanged); ok && e.Status == executor.StepDone {
			done(e.Step)
		}
	}
	return executor.Execute(ctx, c, journal.Run{ID: "r1", Kind: "apply", Plan: json.RawMessage("{}")})
}

// tables are those that the application has where it writes now.
func (f *failover) tables() string {
	f.Helper()
	c := pgtest.Connect(f, f.through)
	return pgtest.Value[string](f, c, "select coalesce(string_agg(relname, ' ' order by relname), '') from pg_class where relname in ('a', 'b', 'c')")
}

// T26, P26: a standby takes over that lacks the last step, whether between two
// steps or in the middle of the next. The run never goes on as if that were done.
func TestAStandbyThatLacksTheLastStepIsNotGoneOnWith(t *testing.T) {
	for _, test := range []struct {
		name   string
		apart  bool // the journal, which loses nothing
		inStep bool
		left   planner.Step
	}{
		{"between steps, and no database hears of the next", false, false, hold(&planner.Pause{For: time.Millisecond})}, {"in a step", false, true, makes("c")},
		{"between steps, the journal apart", true, false, makes("c")}, {"in a step, the journal apart", true, true, makes("c")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFailover(t, test.apart, test.left)
			step := ""
			at := func(point string) {
				if test.inStep && step == "b" && point == "step.sent" {
					step = "lost"
					f.happens()
				}
			}
			result, err := f.begin(at, func(done string) {
				step = done
				if done == "a" {
					f.cut()
				}
				if done == "b" && !test.inStep {
					f.happens()
				}
			})
			var back *conn.GoneBackError
			if !errors.As(errors.Join(err, result.Err), &back) {
				t.Fatalf("it ended as %s with %v, %v, want a *GoneBackError", result.Status, result.Err, err)
			}
			if got := f.tables(); got != "a" {
				t.Fatalf("tables %q, want what the standby had: the run went on, or went back, over what is not there", got)
			}
			f.goOn(test.apart)
		})
	}
}

// goOn is the next process.
func (f *failover) goOn(apart bool) {
	f.Helper()
	ctx, cancel := f.bounded()
	defer cancel()
	if !apart {
		f.openJournal(f.through)
		if result := f.resume(nil); result.Status != executor.Complete {
			f.Errorf("it ended as %s, %v", result.Status, result.Err)
		}
		if got := f.tables(); !strings.HasPrefix(got, "a b") {
			f.Errorf("tables %q, want all", got)
		}
		return
	}
	// Nothing in the journal tells what the database lost.
	for way, command := range map[string]func(context.Context, executor.Config) (executor.Result, error){"on": executor.Resume, "back": executor.Back} {
		_, err := command(ctx, f.config(nil))
		var back *executor.GoneBackError
		if !errors.As(err, &back) {
			f.Errorf("the next process, which goes %s, ended with %v, want a *GoneBackError", way, err)
		}
	}
	if got := f.tables(); got != "a" {
		f.Errorf("tables %q, want a alone", got)
	}
	if err := executor.Abandon(ctx, f.config(nil)); err != nil {
		f.Errorf("closing the run where it stands: %v", err)
	}
}
