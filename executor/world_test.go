package executor_test

import (
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/executor"
	"pleat/executor/crash"
	"pleat/executor/journal"
	"pleat/migrations/bookkeeping"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// The variables by which a test has another process carry its plan out.
const (
	childURL  = "PLEAT_TEST_EXECUTE_AT"
	childPlan = "PLEAT_TEST_PLAN"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		os.Exit(executeHere(url, os.Getenv(childPlan)))
	}
	// What broke is printed with the seed that repeats it. A file of it would have it
	// walked again whenever the test is, by whoever asks for other walks.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var ticket = planner.Ticket{Run: "r1", Lease: "test", Fence: 1}

// executeHere is the other process.
func executeHere(url, encoded string) int {
	ctx := context.Background()
	plan, err := planner.Decode([]byte(encoded))
	if err != nil {
		return 2
	}
	j, err := journal.Open(ctx, spec.Secret("test", url), "test", "pleat/r1")
	if err != nil {
		return 3
	}
	c := executor.Config{
		Plan: plan, Journal: j, Ticket: ticket, Providers: providers(url), Now: time.Now,
		Watch: func(executor.Record) {},
	}
	if _, err := executor.Execute(ctx, c, journal.Run{ID: "r1", Kind: "apply", Plan: json.RawMessage("{}")}); err != nil {
		return 4
	}
	return 0
}

func providers(url string) map[spec.Address]executor.Applier {
	db := &spec.Database{Name: "main", URL: spec.Secret("test", url), Lock: spec.LockBudget{
		Timeout: 100 * time.Millisecond, Hold: 2 * time.Second, Patience: 5 * time.Second,
	}}
	return map[spec.Address]executor.Applier{"database.main": postgres.New(db, nil)}
}

// world is a database that is both changed and recorded in, and a plan for it.
type world struct {
	testing.TB
	url     string
	journal *journal.Journal
	admin   *pgx.Conn
	plan    *planner.Plan
	more    map[spec.Address]executor.Applier // than the database
	mutex   sync.Mutex
	told    []executor.StepChanged
}

func newWorld(t testing.TB, steps ...planner.Step) *world {
	t.Helper()
	url := pgtest.New(t).Database(t)
	if err := bookkeeping.Migrate(t.Context(), spec.Secret("test", url)); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), spec.Secret("test", url), "test", "pleat/r1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	w := &world{TB: t, url: url, journal: j, admin: pgtest.Connect(t, url), plan: &planner.Plan{Kind: "apply", Steps: steps}}
	w.exec("insert into pleat.lease (name, fence) values ('test', 1)")
	return w
}

func (w *world) exec(sql string) {
	w.Helper()
	if _, err := w.admin.Exec(w.Context(), sql); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) config(stop <-chan struct{}) executor.Config {
	all := providers(w.url)
	maps.Copy(all, w.more)
	return executor.Config{
		Plan: w.plan, Journal: w.journal, Ticket: ticket, Providers: all, Stop: stop, Now: time.Now, Watch: w.watch,
	}
}

func (w *world) watch(r executor.Record) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if e, ok := r.Event.(executor.StepChanged); ok {
		w.told = append(w.told, e)
	}
}

// waits tells whether somebody was told that a step waits for that.
func (w *world) waits(reason string) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.ContainsFunc(w.told, func(e executor.StepChanged) bool {
		return e.Status == executor.StepWaiting && strings.HasPrefix(e.Detail, reason)
	})
}

// bounded ends what waits for too long: it is interrupted then.
func (w *world) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.Context(), 30*time.Second)
}

func (w *world) execute(stop <-chan struct{}) executor.Result {
	w.Helper()
	ctx, cancel := w.bounded()
	defer cancel()
	result, err := executor.Execute(ctx, w.config(stop), journal.Run{ID: "r1", Kind: "apply", Plan: json.RawMessage("{}")})
	if err != nil {
		w.Fatal(err)
	}
	return result
}

func (w *world) resume(stop <-chan struct{}) executor.Result {
	w.Helper()
	ctx, cancel := w.bounded()
	defer cancel()
	result, err := executor.Resume(ctx, w.config(stop))
	if err != nil {
		w.Fatal(err)
	}
	return result
}

// dies has another process carry the plan out, which is killed at that place.
func (w *world) dies(at string) {
	w.Helper()
	encoded, err := w.plan.Encode()
	if err != nil {
		w.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	c := exec.CommandContext(w.Context(), program)
	c.Env = append(os.Environ(), childURL+"="+w.url, childPlan+"="+string(encoded), crash.Variable+"="+at)
	if err := c.Run(); err == nil || c.ProcessState.ExitCode() != -1 {
		w.Fatalf("it was not killed: %v", err)
	}
}

// stopWhile asks a run to stop as soon as that is so.
func (w *world) stopWhile(what string, ok func() bool) <-chan struct{} {
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		eventually(w, what, ok)
	}()
	return stop
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Errorf("never: %s", what)
			return
		}
	}
}
