package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// addNote is a step that needs the strongest lock on users.
func addNote() *planner.Transaction {
	return &planner.Transaction{
		Table: users, Lock: migrations.AccessExclusive, SQL: []string{"alter table users add note text"},
		Change: "c", Unit: "expand.users", Phase: migrations.Expanded, Digest: "d",
	}
}

// as connects as an instance of a release would.
func (w *world) as(application string) *pgx.Conn {
	w.Helper()
	u, err := url.Parse(w.url)
	if err != nil {
		w.Fatal(err)
	}
	q := u.Query()
	q.Set("application_name", application)
	u.RawQuery = q.Encode()
	return pgtest.Connect(w, u.String())
}

// G-10: whoever reads while a step waits for a reader's lock is kept for the
// lock timeout at most. The role of the step may not see how old the other's
// transaction is, so it has to ask, and asks again.
func TestNobodyWaitsBehindAStepLongerThanTheLockTimeout(t *testing.T) {
	w := newWorld(t, usersTable+"insert into users (name) select i::text from generate_series(1, 100) i")
	limited(w)
	holder := w.as("users@1.0.0/web.1")
	begin(t, holder, "select 1 from users")

	w.exec("create table elsewhere (id int)")
	stop, end := context.WithCancel(t.Context())
	readers, _ := errgroup.WithContext(t.Context())
	var worst, normal atomic.Int64 // of those beside the step: what the machine is good for
	for range 3 {
		reader, other := w.as("users@1.0.0/web.2"), w.as("users@1.0.0/web.3")
		readers.Go(func() error { return readPoints(stop, reader, "users", &worst) })
		readers.Go(func() error { return readPoints(stop, other, "elsewhere", &normal) })
	}
	done := make(chan error, 1)
	step := w.step(addNote())
	go func() { done <- w.try(t.Context(), step) }()
	eventually(t, "the step asked and was told to wait", func() bool { return len(w.watch.waits()) >= 4 })
	begin(t, holder, "commit")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	end()
	if err := readers.Wait(); err != nil {
		t.Fatal(err)
	}
	// What a busy machine adds is not ours: a step that waits without a limit
	// keeps readers for as long as the holder stays, which is many timeouts.
	allowed := 5*w.db.Lock.Timeout + 4*time.Duration(normal.Load())
	if got := time.Duration(worst.Load()); got > allowed {
		t.Errorf("a reader waited %s, allowed are %s", got, allowed)
	}
	if time.Duration(worst.Load()) < w.db.Lock.Timeout/2 {
		t.Errorf("no reader waited (worst %s): nothing was tested", time.Duration(worst.Load()))
	}
}

// limited has the step run by a role that sees nothing of others.
func limited(w *world) {
	w.Helper()
	w.exec(`do $$ begin create role pleat_test_apply login noinherit; exception when duplicate_object or unique_violation then null; end $$;
		do $$ begin create role pleat_test_owner nologin; exception when duplicate_object or unique_violation then null; end $$;
		grant pleat_test_owner to pleat_test_apply;
		alter schema pleat owner to pleat_test_apply;
		grant all on all tables in schema pleat to pleat_test_apply;
		grant all on schema public to pleat_test_owner;
		do $$ declare r record; begin
		  for r in select relname, relkind from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' loop
		    execute format('alter table %I owner to pleat_test_owner', r.relname);
		  end loop;
		end $$;
		alter role pleat_test_apply password 'secret'`)
	u, err := url.Parse(w.url)
	if err != nil {
		w.Fatal(err)
	}
	u.User = url.UserPassword("pleat_test_apply", "secret")
	w.db.URL = spec.Secret("test", u.String())
	w.db.Role = "pleat_test_owner"
}

func begin(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	if sql != "commit" {
		sql = "begin; " + sql
	}
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func readPoints(stop context.Context, c *pgx.Conn, table string, worst *atomic.Int64) error {
	for stop.Err() == nil {
		start := time.Now()
		if _, err := c.Exec(context.WithoutCancel(stop), "select id from "+table+" where id = 7"); err != nil {
			return err
		}
		took := int64(time.Since(start))
		for was := worst.Load(); took > was && !worst.CompareAndSwap(was, took); was = worst.Load() {
		}
	}
	return nil
}

// wait lets a measurement run on; it decides nothing.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// D-01: an instance that leaks its transaction is named, with what to do.
func TestWhenPatienceEndsTheBlockerIsNamed(t *testing.T) {
	w := newWorld(t, usersTable)
	w.db.Lock.Patience = 300 * time.Millisecond
	w.db.Lock.Timeout = time.Minute // nobody asks for a lock that is known not to be had
	holder := w.as("users@1.0.0/web.1")
	begin(t, holder, "select id,\n name from users")
	wait(t, 60*time.Millisecond)
	step := w.step(addNote())
	start := time.Now()
	err := w.try(t.Context(), step)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it stood in the queue for %s", took)
	}
	var budget *postgres.LockBudgetError
	if !errors.As(err, &budget) {
		t.Fatalf("got %v, want a *LockBudgetError", err)
	}
	for _, part := range []string{"lock budget exhausted", "users", "pid ", "users@1.0.0/web.1", "idle in transaction for", "begin; select id,…"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if want := "release users 1.0.0 leaks transactions; deploy a fix or stop it first"; budget.Hint() != want {
		t.Errorf("hint %q, want %q", budget.Hint(), want)
	}
	waits := strings.Join(w.watch.waits(), "\n")
	if !strings.Contains(waits, "lock on users: pid ") || !strings.HasSuffix(waits, "\n") {
		t.Errorf("reported %q, want who is waited for, and then the end of it", waits)
	}
	if outcome := w.probe(step); outcome != planner.NotDone {
		t.Errorf("probe says %v, want NotDone", outcome)
	}
}

// With a role that sees nothing the step has to ask; it gives up as well.
func TestABlockerOfWhichNothingIsSeenIsNamedToo(t *testing.T) {
	w := newWorld(t, usersTable)
	limited(w)
	w.db.Lock.Patience = 500 * time.Millisecond
	begin(t, w.as("users@1.0.0/web.1"), "select 1 from users")
	err := w.try(t.Context(), w.step(addNote()))
	var budget *postgres.LockBudgetError
	if !errors.As(err, &budget) || !strings.Contains(err.Error(), "users@1.0.0/web.1") {
		t.Fatalf("got %v, want a *LockBudgetError that names users@1.0.0/web.1", err)
	}
}

func (w *world) probe(s planner.Step) planner.Outcome {
	w.Helper()
	outcome, err := w.provider.Probe(w.Context(), w.ticket, s)
	if err != nil {
		w.Fatal(err)
	}
	return outcome
}

// seen keeps under which limits it runs: the lock timeout, and whether there is
// a bound for the statement and for a client that froze.
const seen = `create table seen as select current_setting('lock_timeout') as lock,
	(select setting::int between 1 and 2000 from pg_settings where name = 'statement_timeout') as statement,
	(select setting::int between 1 and 2000 from pg_settings where name = 'idle_in_transaction_session_timeout') as idle`

// once ends its own session the first time.
const once = "select case nextval('tries') when 1 then pg_terminate_backend(pg_backend_pid()) end"

// P22: the statement itself says under which limits it runs, on each path that
// leads to the server, also in the session that comes after a lost one.
func TestLimitsAreOnTheServerForTheStatement(t *testing.T) {
	tests := []struct {
		name      string
		statement func(sql ...string) planner.Action
		asked     string
		want      string
	}{
		{"strong lock", func(sql ...string) planner.Action { a := addNote(); a.SQL = sql; return a }, "", "100ms|true|true"},
		{"author's strong lock", func(sql ...string) planner.Action {
			return &planner.Transaction{SQL: append([]string{"alter table users add note text"}, sql...), Change: "c", Unit: "u", Digest: "d"}
		}, "", "100ms|true|true"},
		{"no lock known", func(sql ...string) planner.Action {
			return &planner.Transaction{SQL: sql, Change: "c", Unit: "u", Digest: "d"}
		}, "", "100ms|false|false"},
		{"a file", func(sql ...string) planner.Action { return migrateTo(0, 1, strings.Join(sql, ";\n")) }, "", "100ms|false|false"},
		{"a file by pieces", func(sql ...string) planner.Action {
			return migrateTo(0, 1, "create index concurrently users_name on users (name);\n"+strings.Join(sql, ";\n"))
		}, "", "100ms|false|false"},
		{"a batch", func(...string) planner.Action {
			a := filling("id")
			a.Set[0].Expression, a.Where = "case when current_setting('lock_timeout') = '100ms' and current_setting('statement_timeout') <> '0' then 1 end", "n IS DISTINCT FROM 1"
			return a
		}, "select 'filled|' || count(n) from users", "filled|3"},
	}
	for _, test := range tests {
		for _, lost := range []bool{false, true} {
			if lost && test.asked != "" {
				continue // a batch whose session was lost is sent again: P4
			}
			t.Run(fmt.Sprintf("%s, lost %t", test.name, lost), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, "create table users (id bigserial primary key, name text, n bigint); insert into users (name) values ('a'), ('b'), ('c'); create sequence tries")
				sql := []string{seen}
				if lost {
					sql = []string{once, seen}
				}
				w.apply(test.statement(sql...))
				if lost && w.value("select is_called::text from tries") != "true" {
					t.Fatal("no session was lost")
				}
				asked := test.asked
				if asked == "" {
					asked = "select concat_ws('|', lock, statement::text, idle::text) from seen"
				}
				if got := w.value(asked); got != test.want {
					t.Errorf("the statement saw %s, want %s", got, test.want)
				}
			})
		}
	}
}

func TestAStatementThatHoldsALockTooLongIsRolledBack(t *testing.T) {
	w := newWorld(t, usersTable)
	w.db.Lock.Hold = 200 * time.Millisecond
	a := addNote()
	a.SQL = append(a.SQL, "select pg_sleep(30)")
	start := time.Now()
	err := w.try(t.Context(), w.step(a))
	var hold *postgres.HoldError
	if !errors.As(err, &hold) || !strings.Contains(err.Error(), "pg_sleep") {
		t.Fatalf("got %v, want a *HoldError that names the statement", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := w.value("select count(*)::text from pg_attribute where attrelid = 'users'::regclass and attname = 'note'"); n != "0" {
		t.Error("the column is there")
	}
}

// A machine that is busy for once is no reason to fail.
func TestATransactionThatWasOverItsHoldOnceIsTriedAgain(t *testing.T) {
	w := newWorld(t, usersTable+"create sequence tries")
	w.db.Lock.Hold = 200 * time.Millisecond
	a := addNote()
	a.SQL = append(a.SQL, "select case nextval('tries') when 1 then pg_sleep(30) end")
	if err := w.try(t.Context(), w.step(a)); err != nil {
		t.Fatal(err)
	}
	if n := w.value("select last_value::text from tries"); n != "2" {
		t.Errorf("tried %s times, want 2", n)
	}
}

// An author's SQL names no table to lock; what it locks is read in it.
func TestSQLOfAnAuthorMayNotHoldALockTooLong(t *testing.T) {
	w := newWorld(t, usersTable)
	w.db.Lock.Hold = 200 * time.Millisecond
	var hold *postgres.HoldError
	err := w.try(t.Context(), w.step(&planner.Transaction{
		SQL: []string{"alter table users add note text", "select pg_sleep(30)"}, Change: "c", Unit: "expand.sql", Digest: "d",
	}))
	if !errors.As(err, &hold) {
		t.Fatalf("got %v, want a *HoldError", err)
	}
}

// Nobody is made to queue behind an author's SQL that has to wait.
func TestSQLOfAnAuthorDoesNotAskForALockThatIsKnownNotToBeHad(t *testing.T) {
	w := newWorld(t, usersTable)
	w.db.Lock.Patience = 300 * time.Millisecond
	w.db.Lock.Timeout = time.Minute
	begin(t, w.as("reports@7/web.1"), "select 1 from users")
	wait(t, 60*time.Millisecond)
	start := time.Now()
	err := w.try(t.Context(), w.step(&planner.Transaction{
		SQL: []string{"alter table users add note text"}, Change: "c", Unit: "expand.sql", Digest: "d",
	}))
	var budget *postgres.LockBudgetError
	if !errors.As(err, &budget) || !strings.Contains(err.Error(), "reports@7/web.1") {
		t.Fatalf("got %v, want a *LockBudgetError that says who is in the way", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it stood in the queue for %s", took)
	}
}

// What a step has to say is said before it has its lock, and what it does under
// it the server does without waiting for the client: P20 on a slow network.
func TestNobodyWaitsForTheClientUnderALock(t *testing.T) {
	two := addNote()
	two.Also = []migrations.TableLock{{Table: spec.ParseTable("orders"), Lock: migrations.AccessExclusive}}
	two.SQL = append(two.SQL, "alter table orders add note text")
	for _, test := range []struct {
		name  string
		takes string // the lock
		a     planner.Action
	}{
		{"a step", "lock table", two},
		{"a file", "alter table users", migrateTo(0, 1, "create table more (id int); alter table users add note text; alter table orders add note text")},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy, through := pgtest.NewProxy(t, pgtest.New(t).Database(t))
			w := worldAt(t, through, usersTable+"create table orders (id int)")
			var turns []byte // of the client, from the lock to the commit
			locked, committed := false, false
			proxy.Arm(&pgtest.Cut{At: func(kind byte, body []byte) bool {
				if (kind == 'P' || kind == 'Q') && !committed {
					locked = locked || bytes.Contains(body, []byte(test.takes))
					committed = locked && bytes.Contains(body, []byte("commit"))
				}
				if (kind == 'S' || kind == 'Q') && locked && !committed {
					turns = append(turns, kind)
				}
				return false
			}})
			w.apply(test.a)
			if string(turns) != "S" || !committed {
				t.Errorf("the client took the turns %q under the lock, committed: %v; want one, and then the commit", turns, committed)
			}
		})
	}
}

// M14: a client that freezes with the lock in hand loses its session, and
// begins again when it wakes up.
func TestAFrozenClientDoesNotKeepTheLock(t *testing.T) {
	w := newWorld(t, usersTable)
	w.db.Lock.Hold = 200 * time.Millisecond
	thaw := make(chan struct{})
	w.provider = postgres.New(w.db, func(point string) {
		if point == "step.sent" {
			<-thaw
		}
	})
	step, done := w.step(addNote()), make(chan error, 1)
	go func() { done <- w.try(t.Context(), step) }()
	eventually(t, "the lock is free again", func() bool {
		return w.value("select count(*)::text from pg_stat_activity where datname = current_database() and application_name = 'pleat/r1'") == "1"
	})
	eventually(t, "the session is gone", func() bool {
		return w.value("select count(*)::text from pg_stat_activity where datname = current_database() and application_name = 'pleat/r1'") == "0"
	})
	close(thaw)
	if err := <-done; err != nil {
		t.Errorf("after it woke up: %v", err)
	}
	if outcome := w.probe(step); outcome != planner.Done {
		t.Errorf("probe says %v, want Done", outcome)
	}
}

func TestAHolderOfAnOldFenceWritesNothing(t *testing.T) {
	w := newWorld(t, usersTable)
	w.exec("update pleat.lease set fence = 2")
	for _, a := range []planner.Action{
		addNote(),
		migrateTo(0, 1, "create table a ()"),
		&planner.BuildIndex{Table: users, Index: spec.ParseTable("i"), SQL: "create index concurrently i on users (name)", Change: "c"},
		&planner.Verify{Name: "v", SQL: "select 1 where false", Change: "c"},
		&planner.Backfill{Table: users, Key: []string{"id"}, Set: []migrations.Assignment{{Column: "name", Expression: "'x'"}}, Batch: 10, Change: "c"},
	} {
		var fenced *conn.FencedError
		if err := w.try(t.Context(), w.step(a)); !errors.As(err, &fenced) {
			t.Errorf("%T: got %v, want a *FencedError", a, err)
		}
	}
	if n := w.value("select count(*)::text from pleat.change"); n != "0" {
		t.Errorf("%s changes are recorded", n)
	}
}

// P10: the lease cannot move while a step's transaction is open.
func TestTheLeaseStaysWhileAStepRuns(t *testing.T) {
	w := newWorld(t, usersTable)
	w.provider = postgres.New(w.db, func(point string) {
		if point != "step.sent" {
			return
		}
		if _, err := w.admin.Exec(t.Context(), "set lock_timeout = '50ms'; update pleat.lease set fence = 2"); err == nil {
			t.Error("the lease was taken over under a running step")
		}
	})
	w.apply(addNote())
	w.exec("update pleat.lease set fence = 2")
}

// Nothing but the login role's own rights and a role that owns the tables.
func TestAStepRunsAsTheOwnerAndRecordsAsItself(t *testing.T) {
	w := newWorld(t, usersTable+"insert into users (name) values ('Ada Lovelace')")
	limited(w)
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	w.apply(backfillOf(p))
	w.do(w.lower(c), w.lower(c).Hide, migrations.Hidden)
	w.do(w.lower(c), w.lower(c).Drop, migrations.Contracted)
	if got := w.value("select concat_ws('|', first, last) from users"); got != "Ada|Lovelace" {
		t.Errorf("got %q", got)
	}
	if left := w.leftovers(); left != "" {
		t.Errorf("left over: %s", left)
	}
}

func TestAMissingRightIsNamedWithItsGrant(t *testing.T) {
	tests := []struct{ name, sql, want string }{
		{"of the role", "revoke pleat_test_owner from pleat_test_apply", `GRANT "pleat_test_owner" TO "pleat_test_apply";`},
		{"of the table", "alter table users owner to postgres", "let the role \"pleat_test_owner\" own it"},
		{"of the schema", "revoke all on schema public from pleat_test_owner, public", `GRANT USAGE, CREATE ON SCHEMA "public" TO "pleat_test_owner";`},
	}
	w := newWorld(t, usersTable)
	limited(w)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w.exec(test.sql)
			err := w.try(t.Context(), w.step(addNote()))
			var right *postgres.RightError
			if !errors.As(err, &right) || !strings.Contains(right.Hint(), test.want) {
				t.Errorf("got %v, want a *RightError whose hint says %q", err, test.want)
			}
			limited(w)
		})
	}
}

// The guards were met, then the step waited for its lock: a session that came
// meanwhile is seen before anything is taken away.
func TestEvidenceIsAskedForAgainUnderTheLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	hide := &planner.Transaction{
		Table: users, Lock: migrations.AccessExclusive, Change: "c", Unit: "hide.users", Digest: "d",
		SQL:      []string{"alter table users rename name to pleat_hidden_name"},
		Evidence: []planner.NoSessions{{Service: "users", Except: []string{"2.0.0"}, Change: "c"}},
	}
	w.exec("insert into pleat.change (name, phase, digest, quiet_since) values ('c', 'verified', 'd', now())")
	holder := w.as("somebody")
	begin(t, holder, "select from users")
	done := make(chan error, 1)
	step := w.step(hide)
	go func() { done <- w.try(t.Context(), step) }()
	eventually(t, "the step waits", func() bool { return len(w.watch.waits()) > 0 })
	old := w.as("users@1.0.0/web.1")
	begin(t, holder, "commit")
	eventually(t, "it says who came", func() bool {
		return strings.Contains(strings.Join(w.watch.waits(), "\n"), "1 session of users 1.0.0")
	})
	if got := w.value("select coalesce(quiet_since::text, 'never') from pleat.change"); got != "never" {
		t.Errorf("the soak counts on from %s", got)
	}
	if err := old.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.as("users@1.0.0/web.1")
	w.db.Lock.Patience = 300 * time.Millisecond
	again := *hide
	again.SQL = []string{"alter table users drop pleat_hidden_name"}
	var unmet *postgres.EvidenceError
	if err := w.try(t.Context(), w.step(&again)); !errors.As(err, &unmet) || unmet.Found != "1 session of users 1.0.0" {
		t.Errorf("got %v, want an *EvidenceError", err)
	}
	if got := w.value("select attname::text from pg_attribute where attrelid = 'users'::regclass and attname like 'pleat_hidden%'"); got != "pleat_hidden_name" {
		t.Errorf("the hidden column is %q", got)
	}
}

// Who queues behind the first of several locks waits while the others are
// waited for: one attempt's wait is for all of them together.
func TestSeveralLocksShareOneWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"create table orders (id int); create table items (id int)")
	w.db.Lock.Timeout = 300 * time.Millisecond
	a := addNote()
	for _, name := range []string{"orders", "items"} {
		a.Also = append(a.Also, migrations.TableLock{Table: spec.ParseTable(name), Lock: migrations.ShareRowExclusive})
	}
	a.SQL = []string{"insert into items select extract(epoch from current_setting('lock_timeout')::interval) * 1000"}
	w.apply(a)
	if left := w.value("select id::text from items"); len(left) != 3 || left >= "300" {
		t.Errorf("the last lock might have waited %sms of 300ms, whatever the others took", left)
	}
}

func TestABlockerWhoseStatementIsNotShown(t *testing.T) {
	b := postgres.Blocker{PID: 7, Application: "reports", Query: "<insufficient privilege>"}
	if want := "pid 7 reports, whose statement a role with pg_read_all_stats sees"; b.String() != want {
		t.Errorf("String = %q, want %q", b, want)
	}
}
