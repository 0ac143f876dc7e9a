package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/bookkeeping"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// world is a database with pleat's tables, and who may change it.
type world struct {
	testing.TB
	url      string
	db       *spec.Database
	provider *postgres.Provider
	ticket   planner.Ticket
	admin    *pgx.Conn
	steps    int
	watch    recorder
}

func newWorld(t testing.TB, setup string) *world {
	t.Helper()
	return worldAt(t, pgtest.New(t).Database(t), setup)
}

func worldDatabase(url string) *spec.Database {
	return &spec.Database{Name: "main", URL: spec.Secret("test", url), Lock: spec.LockBudget{
		Timeout: 100 * time.Millisecond, Hold: 2 * time.Second, Patience: 20 * time.Second,
	}}
}

func worldAt(t testing.TB, url, setup string) *world {
	t.Helper()
	if err := bookkeeping.Migrate(t.Context(), spec.Secret("test", url)); err != nil {
		t.Fatal(err)
	}
	w := &world{
		TB: t, url: url,
		db:     worldDatabase(url),
		ticket: planner.Ticket{Run: "r1", Lease: "test", Fence: 1},
		admin:  pgtest.Connect(t, url),
	}
	w.provider = postgres.New(w.db, nil)
	w.exec("insert into pleat.lease (name, fence) values ('test', 1)")
	w.exec(setup)
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.admin.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) value(sql string, args ...any) string {
	w.Helper()
	return pgtest.Value[string](w, w.admin, sql, args...)
}

// observe reads what is live of the change's tables.
func (w *world) observe(c *spec.Change) *planner.Database {
	w.Helper()
	scope := planner.ScopeOf(&spec.Spec{Databases: []*spec.Database{w.db}, Changes: []*spec.Change{of(w.db, c)}}).Databases[w.db.Name]
	db, err := w.provider.Observe(w.Context(), postgres.Scope{
		Tables: scope.TableNames(), Indexes: scope.IndexNames(), Types: scope.TypeNames(), Retyped: scope.Retyped, Changes: scope.Changes,
	})
	if err != nil {
		w.Fatal(err)
	}
	return db
}

// of is the change as one of that database.
func of(db *spec.Database, c *spec.Change) *spec.Change {
	placed := *c
	placed.Database = db
	return &placed
}

func (w *world) lower(c *spec.Change) *migrations.Program {
	w.Helper()
	return w.lowered(c, w.observe(c))
}

func (w *world) lowered(c *spec.Change, live *planner.Database) *migrations.Program {
	w.Helper()
	p, diags := migrations.Lower(c, live.Catalog)
	if diags.HasErrors() {
		w.Fatal(diags)
	}
	return p
}

func (w *world) phase(c *spec.Change) migrations.Phase {
	w.Helper()
	live := w.observe(c)
	phase, drift := w.lowered(c, live).Phase(live.Changes[c.Name])
	if len(drift) > 0 {
		w.Errorf("drift: %q", drift)
	}
	return phase
}

// step makes one of an action, under the limits that the database says.
func (w *world) step(a planner.Action) planner.Step {
	w.steps++
	return planner.Step{ID: fmt.Sprintf("step%d", w.steps), Action: a}
}

func (w *world) try(ctx context.Context, s planner.Step) error {
	return w.provider.Apply(ctx, w.ticket, s, w.watch.report)
}

func (w *world) apply(a planner.Action) {
	w.Helper()
	if err := w.try(w.Context(), w.step(a)); err != nil {
		w.Fatalf("%T: %v", a, err)
	}
}

// do applies units in order; the last one records the phase.
func (w *world) do(p *migrations.Program, units []migrations.Unit, phase migrations.Phase) {
	w.Helper()
	for i, u := range units {
		last := phase
		if i < len(units)-1 {
			last = ""
		}
		w.apply(forward(p, u, last))
	}
}

func (w *world) undo(p *migrations.Program, units []migrations.Unit, phase migrations.Phase) {
	w.Helper()
	for i := len(units) - 1; i >= 0; i-- {
		w.apply(backward(p, units[i].Whole(), phase))
	}
}

func forward(p *migrations.Program, u migrations.Unit, phase migrations.Phase) planner.Action {
	return action(p, u, u.Mode, u.Statements, u.Also, u.Lock, phase, false)
}

func backward(p *migrations.Program, u migrations.Unit, phase migrations.Phase) planner.Action {
	return action(p, u, u.ReverseMode(), u.Undo, u.UndoAlso, u.UndoLock, phase, true)
}

func action(p *migrations.Program, u migrations.Unit, mode migrations.Mode, sql []string, also []migrations.TableLock, lock migrations.Lock,
	phase migrations.Phase, reverse bool) planner.Action {
	switch mode {
	case migrations.BuildIndex:
		return &planner.BuildIndex{
			Table: u.Table, Index: u.Index, SQL: sql[0], Change: p.Change.Name, Unit: u.ID, Reverse: reverse, Phase: phase, Digest: p.Digest,
			Lock: lock, Then: sql[1:],
		}
	case migrations.Alone:
		return &planner.RunAlone{SQL: sql[0], Change: p.Change.Name, Unit: u.ID, Reverse: reverse, Phase: phase, Digest: p.Digest}
	case migrations.RemoveIndex:
		return &planner.RemoveIndex{Table: u.Table, Index: u.Index, SQL: sql[0], Change: p.Change.Name, Unit: u.ID, Reverse: reverse, Phase: phase, Digest: p.Digest}
	}
	return &planner.Transaction{
		Table: u.Table, Lock: lock, Also: also, SQL: sql, Change: p.Change.Name, Unit: u.ID,
		Reverse: reverse, Phase: phase, Digest: p.Digest,
	}
}

func backfillOf(p *migrations.Program) *planner.Backfill { return backfill(p, p.Backfills[0]) }

func backfill(p *migrations.Program, b migrations.Backfill) *planner.Backfill {
	return &planner.Backfill{
		Change: p.Change.Name, Table: b.Table, Key: b.Key, Set: b.Set, Where: b.Where, Batch: b.Batch,
		Cursor: b.Digest, Phase: migrations.Backfilled, Digest: p.Digest,
	}
}

// dump is the application's schema: what the catalog says, and what pg_dump
// writes where there is one that knows the server.
func (w *world) dump() string {
	w.Helper()
	return w.schema() + "\n" + pgDump(w, w.admin)
}

func (w *world) schema() string {
	w.Helper()
	return pgtest.Catalog(w, w.admin, "pleat")
}

func pgDump(t testing.TB, c *pgx.Conn) string {
	t.Helper()
	if pgDumpVersion() < pgtest.Version(t, c) {
		return ""
	}
	out, err := exec.CommandContext(t.Context(), "pg_dump", "--schema-only", "--exclude-schema=pleat", c.Config().ConnString()).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("pg_dump: %v: %s", err, failed.Stderr)
		}
		t.Fatal(err)
	}
	// Each run has another key for \restrict.
	return regexp.MustCompile(`(?m)^\\(un)?restrict.*$`).ReplaceAllString(string(out), "")
}

// pgDumpVersion is the first number of pg_dump's version, 0 without a pg_dump.
var pgDumpVersion = sync.OnceValue(func() int {
	out, err := exec.Command("pg_dump", "--version").Output()
	if err != nil {
		return 0
	}
	number := regexp.MustCompile(`\d+`).FindString(string(out))
	version, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return version
})

// leftovers are pleat's own objects that only a change in flight has.
func (w *world) leftovers() string {
	w.Helper()
	return w.value(`
		select coalesce(string_agg(name, ' ' order by name), '') from (
		  select proname::text from pg_proc where pronamespace = 'pleat'::regnamespace
		  union all
		  select relname from pg_class where relnamespace = 'pleat'::regnamespace and relname like '%old_writes'
		  union all
		  select tgname from pg_trigger where tgname like '%pleat%'
		  union all
		  select attname from pg_attribute where attname like 'pleat_hidden%') as left_over (name)`)
}

// recorder keeps what a provider said.
type recorder struct {
	mutex   sync.Mutex
	waiting []string
	rows    []planner.Progress
	ended   []planner.SessionEnded
	warned  []string
}

func (r *recorder) report(said planner.Report) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	switch s := said.(type) {
	case planner.Waiting:
		r.waiting = append(r.waiting, s.For)
	case planner.Progress:
		r.rows = append(r.rows, s)
	case planner.SessionEnded:
		r.ended = append(r.ended, s)
	case planner.Warning:
		r.warned = append(r.warned, s.Text)
	}
}

func (r *recorder) waits() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.waiting)
}

func (r *recorder) warnings() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.warned)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

var users = spec.ParseTable("users")

const usersTable = "create table users (id bigserial primary key, name text not null);"

// splitName is the change of the design's example.
func splitName() *spec.Change {
	return &spec.Change{
		Name: "split_name",
		Expand: []spec.Operation{
			&spec.AddColumn{Table: users, Column: spec.Column{Name: "first", Type: "text"}},
			&spec.AddColumn{Table: users, Column: spec.Column{Name: "last", Type: "text"}},
			&spec.Sync{
				Table: users,
				Forward: map[string]string{
					"first": "split_part(name, ' ', 1)",
					"last":  "nullif(substr(name, strpos(name || ' ', ' ') + 1), '')",
				},
				Backward: map[string]string{"name": "concat_ws(' ', first, last)"},
			},
		},
		Backfills: []*spec.Backfill{{Table: users, Batch: 500}},
		Verifies:  []*spec.Verify{{Name: "names_agree", SQL: namesAgree}},
		Contract: &spec.Contract{Operations: []spec.Operation{
			&spec.DropColumn{Table: users, Column: "name"},
		}},
	}
}

const namesAgree = "select id, name, first, last from users where name is distinct from concat_ws(' ', first, last)"
