package postgres_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// operation is one row of the proof that every schema operation is given. To
// prove another one, add a row to one of the lists that operations joins, in a
// file operation_KIND_test.go:
//
//   - setup is DDL of the schema before. A table named users is filled with
//     users 1 to operationRows; other tables fill themselves by fill.
//   - change is the change as the decoder would give it.
//   - end is DDL that makes in an empty database what the change ends with. It
//     must leave the columns in the same order as the change does.
//   - before and after are what releases of either shape do meanwhile: before
//     from the beginning until hide, and again while it is un-hidden; after
//     from expand on. Leave one empty where no such release exists.
//   - stays is DDL of what the way back leaves, because nothing takes it away.
//   - agree is a query for rows of which both shapes do not say the same.
//
// TestEveryOperation does the rest.
type operation struct {
	name          string
	setup, fill   string
	change        *spec.Change
	end           string
	before, after shape
	agree         string
	stays         string
}

// shape is what a release does to the schema that it was built for: a query
// for a reader and statements for a writer, over and over, each with a $1 that
// is a row's number from 1 to operationRows, or without one. session is what it
// says when it connects, such as SET search_path. A release that is unprepared
// keeps no prepared statements; the others do, as most drivers let them.
type shape struct {
	session    string
	unprepared bool
	read       string
	writes     []string
}

func (s shape) empty() bool { return s.read == "" && len(s.writes) == 0 }

const operationRows = 2000

// held is how long a reader stays in its transaction while an operation runs,
// 0 for no such reader: 10 s with PLEAT_TEST_LONG. Otherwise only the first
// operation, which has steps of most kinds, has one, for longer than the lock
// timeout and what is allowed besides.
func held(place int) time.Duration {
	switch {
	case pgtest.Long():
		return 10 * time.Second
	case place == 0:
		return 400 * time.Millisecond
	}
	return 0
}

func operations(t testing.TB) []operation {
	return slices.Concat(columnOperations(t), shorthandOperations(t), viewOperations(t), notNullOperations(), tableOperations(t), indexOperations(t), constraintOperations(t), sqlOperations(), enumOperations(t), partitionOperations(t))
}

// variants go the same way as another operation of the lists. They are left to
// PLEAT_TEST_LONG and to the suite of all versions, which names its programs.
var variants = []string{
	"a function in SQL and one in PL/pgSQL", "a sequence", "a type and a domain", "an extension", "row security", "grants", "a materialized view",
	"attach a partition by list", "attach a partition by two columns", "attach a partition by hash", "detach a partition by hash", "attach a partition beside a default one", "create a partition beside a default one", "change the type of a serial key of a partitioned table", "rename the key of a partitioned table by a copy", "change both ends of a key of a partitioned table", "change both ends of a key to a partitioned table",
	"enforce a check", "enforce a foreign key", "enforce a unique constraint", "index with all arguments", "describe", "rename indexes",
	"merge columns", "split a column by the shorthand", "change both ends of a key to a type that does not compare", "rename the key by a copy",
	"rename columns by a view", "rename a column by a view, unprepared", "add values to an enum", "drop an enum",
}

// chosen are the operations that this run of the suite proves.
func chosen(t *testing.T) []operation {
	all := operations(t)
	for _, name := range variants {
		if !slices.ContainsFunc(all, func(o operation) bool { return o.name == name }) {
			t.Errorf("there is no operation %q", name)
		}
	}
	if pgtest.Long() || os.Getenv(pgtest.BinariesVariable) != "" {
		return all
	}
	return slices.DeleteFunc(all, func(o operation) bool { return slices.Contains(variants, o.name) })
}

// TestEveryOperation takes each operation through its life on a table with
// rows, under readers and writers of both shapes: there, back, there again,
// back-fill, validation, verify, hide, un-hide, hide, contract; and once more
// back from a validation. It asserts that
//
//   - the schema is as before after the way back and after un-hiding, and at
//     the end as the direct DDL makes it;
//   - no session of pleat's ever had or asked for a stronger lock on a table
//     than the step declares (P20, P21);
//   - nobody stood in the queue behind a step for longer than the lock timeout
//     and 50 ms, also while a reader holds its transaction for longer (P20);
//   - no client met an error (P23), and both shapes agree row by row;
//   - no step wrote the table users anew.
func TestEveryOperation(t *testing.T) {
	for i, o := range chosen(t) {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			want, dumped := madeBy(t, o.end)
			l := newLife(t, o)
			l.sampler = sample(l.world)
			l.clients(&l.control, shape{read: "select id from pleat.beside where id = $1"})
			if hold := held(i); hold > 0 {
				l.holder(hold)
			}
			l.through(want, dumped)
			if l.rewritten() {
				t.Error("a step wrote the table anew")
			}
			l.judge()
		})
	}
}

// through takes the operation there, back, and there again to its end, as
// TestEveryOperation says.
func (l *life) through(want, dumped string) {
	l.Helper()
	l.clients(&l.old, l.before)
	l.expand()
	l.revert()
	l.expand()
	l.fill()
	if len(l.program.Validate) > 0 {
		l.revert()
		l.expand()
		l.fill()
	}
	if len(l.program.Hide) > 0 {
		shown := l.schema()
		l.leave(&l.old)
		l.hide()
		l.work(l.new)
		l.unhide()
		l.clients(&l.old, l.before)
		l.agree()
		l.same("after un-hiding", shown)
	}
	l.leave(&l.old)
	l.hide()
	l.contract()
	l.work(l.new)
	l.leave(&l.new)
	l.same("at the end", want)
	if diff := cmp.Diff(dumped, pgDump(l, l.admin)); diff != "" {
		l.Errorf("pg_dump at the end (-want +got):\n%s", diff)
	}
	if left := l.leftovers(); left != "" {
		l.Errorf("left over: %s", left)
	}
}

// madeBy is the schema that DDL makes in an empty database, as the catalog has
// it and as pg_dump writes it.
func madeBy(t *testing.T, ddl string) (schema, dumped string) {
	t.Helper()
	c := pgtest.Connect(t, pgtest.New(t).Database(t))
	if _, err := c.Exec(t.Context(), ddl); err != nil {
		t.Fatalf("%s: %v", ddl, err)
	}
	return pgtest.Catalog(t, c, "pleat"), pgDump(t, c)
}

// life is an operation on its way, with everybody who uses the table.
type life struct {
	*world
	operation
	old, new *crowd
	control  *crowd   // of a table that no step touches: what the machine is good for
	sampler  *sampler // nil where nobody looks at the locks
	deaths   *deaths  // nil where nobody dies

	program   *migrations.Program // before anything was done
	users     string              // the table users by its oid, and the file of its rows
	untouched string              // the schema then, and after the way back
}

func newLife(t *testing.T, o operation) *life {
	t.Helper()
	w := newWorld(t, o.setup)
	w.exec(fmt.Sprintf(`do $$ begin
		  if to_regclass('public.users') is not null then
		    insert into users (name) select 'User Number' || i from generate_series(1, %d) i;
		  end if;
		end $$; create table pleat.beside (id int); analyze`, operationRows))
	if o.fill != "" {
		w.exec(o.fill)
	}
	l := &life{world: w, operation: o, untouched: w.schema()}
	if o.stays != "" {
		l.untouched, _ = madeBy(t, o.setup+o.stays)
	}
	l.users = w.value("select coalesce(max(oid || ' ' || relfilenode), '') from pg_class where oid = to_regclass('public.users')")
	return l
}

// rewritten tells whether the table users has its rows in another file.
func (l *life) rewritten() bool {
	l.Helper()
	table, file, ok := strings.Cut(l.users, " ")
	return ok && l.value("select (exists (select from pg_class where oid = $1::text::oid and relfilenode <> $2::text::oid))::text", table, file) == "true"
}

// apply takes the step through all the deaths that it can die, where there are
// any.
func (l *life) apply(a planner.Action) {
	l.Helper()
	if l.deaths == nil {
		l.world.apply(a)
		return
	}
	l.deaths.apply(l.world, a)
}

// expand ends with the new shape in use.
func (l *life) expand() {
	l.Helper()
	p := l.lower(l.change)
	l.program = p
	l.units(p, p.Expand, migrations.Expanded)
	l.at(migrations.Expanded, len(p.Expand) > 0)
	l.work(l.old)
	l.clients(&l.new, l.after)
}

// revert takes everything back that came before hide.
func (l *life) revert() {
	l.Helper()
	l.leave(&l.new)
	p := l.lower(l.change)
	l.back(p, present(slices.Concat(p.Expand, p.Validate)), migrations.Absent)
	l.at(migrations.Absent, slices.ContainsFunc(p.Expand, func(u migrations.Unit) bool { return len(u.Undo) > 0 || u.Undo == nil }))
	l.work(l.old)
	l.same("after the way back", l.untouched)
}

// present are the units that a planner would take back.
func present(units []migrations.Unit) []migrations.Unit {
	return slices.DeleteFunc(units, func(u migrations.Unit) bool { return u.Visible && !u.Applied })
}

// fill is everything between expand and hide.
func (l *life) fill() {
	l.Helper()
	p := l.lower(l.change)
	for _, b := range p.Backfills {
		may := locks{b.Table.String(): b.Lock()}
		for _, part := range strings.Fields(l.value("select coalesce(string_agg(relid::regclass::text, ' '), '') from pg_partition_tree(to_regclass($1))", migrations.Ident(b.Table.Schema, b.Table.Name))) {
			may[part] = b.Lock()
		}
		l.declare(may)
		l.apply(backfill(p, b))
	}
	l.units(p, p.Validate, migrations.Verified)
	for _, v := range l.change.Verifies {
		l.declare(locks{})
		l.apply(&planner.Verify{Change: l.change.Name, Name: v.Name, SQL: v.SQL, Max: v.Max, Phase: migrations.Verified, Digest: p.Digest})
	}
	l.work(l.old, l.new)
	l.agree()
}

func (l *life) hide() {
	l.Helper()
	p := l.lower(l.change)
	l.units(p, p.Hide, migrations.Hidden)
	l.at(migrations.Hidden, len(p.Hide) > 0)
}

func (l *life) unhide() {
	l.Helper()
	p := l.lower(l.change)
	l.back(p, p.Hide, migrations.Verified)
}

func (l *life) contract() {
	l.Helper()
	p := l.lower(l.change)
	l.units(p, p.Drop, migrations.Contracted)
	l.at(migrations.Contracted, len(p.Drop) > 0)
}

func (l *life) agree() {
	l.Helper()
	if l.operation.agree == "" {
		return
	}
	if bad := l.value("select count(*)::text from (" + l.operation.agree + ") as q"); bad != "0" {
		l.Errorf("%s rows of which the shapes do not agree: %s", bad, l.operation.agree)
	}
}

// same asserts what the schema is.
func (l *life) same(when, want string) {
	l.Helper()
	if diff := cmp.Diff(want, l.schema()); diff != "" {
		l.Errorf("the schema %s (-want +got):\n%s", when, diff)
	}
}

// at asserts the phase that the catalog shows, where it shows one.
func (l *life) at(want migrations.Phase, visible bool) {
	l.Helper()
	if got := l.phase(l.change); visible && got != want {
		l.Fatalf("phase is %s, want %s", got, want)
	}
}

// units applies units in order under their declared locks; the last one
// records the phase.
func (l *life) units(p *migrations.Program, units []migrations.Unit, phase migrations.Phase) {
	l.Helper()
	for i, u := range units {
		said := phase
		if i < len(units)-1 {
			said = ""
		}
		l.declare(declared(u, u.Lock, u.Also, u.Statements))
		l.apply(forward(p, u, said))
	}
}

func (l *life) back(p *migrations.Program, units []migrations.Unit, phase migrations.Phase) {
	l.Helper()
	for i := len(units) - 1; i >= 0; i-- {
		u := units[i].Whole()
		if len(u.Undo) == 0 {
			continue
		}
		l.declare(declared(u, u.UndoLock, u.UndoAlso, u.Undo))
		l.apply(backward(p, u, phase))
	}
}

// declared is what a unit says that it locks, by table; of an author's SQL it
// is what pleat reads in it.
func declared(u migrations.Unit, lock migrations.Lock, also []migrations.TableLock, statements []string) locks {
	all := locks{}
	if lock == "" && !u.Visible {
		for _, l := range migrations.LocksOf(statements) {
			all[strings.ReplaceAll(l.Table, `"`, "")] = l.Lock
		}
		return all
	}
	for _, other := range also {
		all[other.Table.String()] = other.Lock
	}
	if u.Table != (spec.Table{}) {
		all[u.Table.String()] = lock
	}
	return all
}

// declare tells the sampler what the next step may lock. Each step is a run of
// its own, so that its sessions can be told from those of others.
func (l *life) declare(may locks) {
	l.ticket.Run = fmt.Sprintf("step%d", l.steps+1)
	if l.sampler == nil {
		return
	}
	there := strings.Fields(l.value(`
		select coalesce(string_agg(n.nspname || '.' || c.relname, ' '), '') from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema', 'pleat') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')`))
	// A DROP INDEX names no table.
	for name, lock := range may {
		if table := l.value("select coalesce((select indrelid::regclass::text from pg_index where indexrelid = to_regclass($1)), '')", name); table != "" {
			may[table] = lock
		}
	}
	l.sampler.declare(application(l.ticket.Run), may, there)
}

func application(run string) string { return "pleat/" + run }

// judge says what the sampler and the clients saw.
func (l *life) judge() {
	l.Helper()
	l.leave(&l.control)
	l.sampler.end()
	for _, complaint := range l.sampler.complaints(l.db.Lock.Timeout) {
		l.Error(complaint)
	}
}
