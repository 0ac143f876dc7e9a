package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// filling computes n from id, as a fill that may be done again.
func filling(key ...string) *planner.Backfill {
	return &planner.Backfill{
		Change: "c", Unit: "backfill.users", Table: users, Key: key, Batch: 200,
		Set:   []migrations.Assignment{{Column: "n", Expression: "(id + 1)"}},
		Where: "n IS DISTINCT FROM (id + 1)", Cursor: "digest", Phase: migrations.Backfilled, Digest: "d",
	}
}

const rightUsers = "select concat_ws(' ', count(*) filter (where n is distinct from id + 1), count(*)) from users"

func TestSeveralWorkersFillEachRowOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint primary key, n int not null default 0, w int not null default 0);
		insert into users (id) select i * 3 from generate_series(1, 100000) i; analyze users`)
	a := counting(1000)
	a.Workers = 3
	stop, end := context.WithCancel(t.Context())
	writer := pgtest.Connect(t, w.url)
	var writers errgroup.Group
	writers.Go(func() error { return writeAround(stop, writer) })
	var most atomic.Int64
	w.provider = postgres.New(w.db, func(point string) {
		if point == "backfill.between" {
			n := pgtest.Value[int64](t, w.admin, "select count(*) from pg_stat_activity where application_name = 'pleat/r1' and datname = current_database()")
			most.Store(max(most.Load(), n))
		}
	})
	w.apply(a)
	end()
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := w.value("select concat_ws(' ', count(*) filter (where n > 1), count(*) filter (where n < 1 and w < 1000000)) from users"); got != "0 0" {
		t.Errorf("rows twice, rows missed: %s, want 0 0", got)
	}
	if most.Load() != 3 {
		t.Errorf("%d sessions filled, want 3", most.Load())
	}
}

// P4: sessions are killed all over a back-fill of several workers, beside
// writers. With PLEAT_TEST_LONG there are a million rows and fifty kills.
func TestKillsAllOverABackfillLoseNothing(t *testing.T) {
	t.Parallel()
	rows, kills := 60_000, int64(8)
	if pgtest.Long() {
		rows, kills = 1_000_000, 50
	}
	w := newWorld(t, fmt.Sprintf(`create table users (id bigint primary key, n int not null default 0, w int not null default 0);
		insert into users (id) select i * 7 from generate_series(1, %d) i; analyze users`, rows))
	var reached, killed atomic.Int64
	w.provider = postgres.New(w.db, func(point string) {
		if reached.Add(1)%7 != 0 || killed.Load() == kills {
			return
		}
		killed.Add(1)
		w.exec(`select pg_terminate_backend(pid) from (
			select pid from pg_stat_activity where datname = current_database() and application_name = 'pleat/r1' order by random() limit 1) as one`)
	})
	stop, end := context.WithCancel(t.Context())
	writer := pgtest.Connect(t, w.url)
	var writers errgroup.Group
	writers.Go(func() error { return writeAround(stop, writer) })
	a := counting(200)
	a.Workers = 2
	a.Throttle.RowsPerSecond = rows
	step := w.step(a)
	var err error
	for range kills { // each try outlives some kills
		if err = w.try(t.Context(), step); err == nil {
			break
		}
	}
	end()
	if err := errors.Join(err, writers.Wait()); err != nil {
		t.Fatal(err)
	}
	if killed.Load() < kills {
		t.Errorf("%d sessions were killed, want %d", killed.Load(), kills)
	}
	if got := w.value("select concat_ws(' ', count(*) filter (where n > 1), count(*) filter (where n < 1 and w < 1000000)) from users"); got != "0 0" {
		t.Errorf("rows twice, rows missed: %s, want 0 0", got)
	}
}

// What was taken for dead and is not must not do a stretch that another has done.
func TestABatchIsUndoneWhoseCursorAnotherHasMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint primary key, n int not null default 0);
		insert into users (id) select i from generate_series(1, 1000) i`)
	w.provider = postgres.New(w.db, func(point string) {
		if point == "backfill.between" {
			w.exec(`update pleat.cursor set position = '["500"]'`)
		}
	})
	err := w.try(t.Context(), w.step(counting(100)))
	if err == nil || !strings.Contains(err.Error(), "the cursor of users was moved by somebody else") {
		t.Errorf("got %v, want that the cursor was moved", err)
	}
	if got := w.value("select sum(n)::text from users"); got != "100" {
		t.Errorf("%s rows were filled, want the 100 of the first batch", got)
	}
}

// Whoever goes on may have another number of workers.
func TestABackfillGoesOnWithAnotherNumberOfWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint primary key, n int not null default 0);
		insert into users (id) select i from generate_series(1, 120000) i; analyze users`)
	for _, workers := range []int{1, 4, 2} {
		ctx, cancel := context.WithCancel(t.Context())
		var batches atomic.Int64
		w.provider = postgres.New(w.db, func(point string) {
			if point == "backfill.between" && batches.Add(1) == 5 {
				cancel()
			}
		})
		a := counting(500)
		a.Workers = workers
		if err := w.try(ctx, w.step(a)); !errors.Is(err, context.Canceled) {
			t.Fatalf("%d workers: got %v, want the context's error", workers, err)
		}
		cancel()
	}
	w.provider = postgres.New(w.db, nil)
	a := counting(5000)
	a.Workers = 3
	w.apply(a)
	if got := w.value("select string_agg(distinct n::text, ',') from users"); got != "1" {
		t.Errorf("n is %s, want 1 everywhere", got)
	}
}

func TestBackfillAlongAnotherUniqueKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint not null, code text not null unique, part text unique, low text not null, n bigint);
		create unique index on users (lower(low));
		create unique index on users (id) where id > 5;
		insert into users select i, md5(i::text), null, i::text from generate_series(1, 3000) i`)
	c := &spec.Change{Name: "c", Backfills: []*spec.Backfill{{Table: users, Set: map[string]string{"n": "id + 1"}, Batch: 100}}}
	p := w.lower(c)
	if got := p.Backfills[0].Key; len(got) != 1 || got[0] != "code" {
		t.Fatalf("it goes along %v, want code", got)
	}
	w.apply(backfillOf(p))
	if got := w.value(rightUsers); got != "0 3000" {
		t.Errorf("wrong, all: %s, want 0 3000", got)
	}
}

// Rows move to pages that were passed already, and nothing keeps them right.
func TestBackfillAlongPagesMissesNoRowThatMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint, n bigint, w text);
		insert into users select i, null, repeat('x', 100) from generate_series(1, 20000) i;
		delete from users where id % 7 = 0;`)
	w.exec("vacuum analyze users") // there is room for rows to move to
	a := filling()
	moves := pgtest.Connect(t, w.url)
	var at atomic.Int64
	w.provider = postgres.New(w.db, func(point string) {
		if point == "backfill.between" && at.Add(1)%3 == 0 {
			if _, err := moves.Exec(t.Context(), fmt.Sprintf("update users set w = w || 'y' where id > 19000 - %d and id < 19500", at.Load()*20)); err != nil {
				t.Error(err)
			}
		}
	})
	w.apply(a)
	if got := w.value(rightUsers); !strings.HasPrefix(got, "0 ") {
		t.Errorf("wrong, all: %s, want none wrong", got)
	}
	if at.Load() < 6 {
		t.Errorf("there were %d batches, so the test does not test", at.Load())
	}
}

func TestBackfillAlongPagesWithSeveralWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint, n bigint);
		insert into users select i from generate_series(1, 100000) i; analyze users`)
	a := filling()
	a.Workers = 3
	w.apply(a)
	if got := w.value(rightUsers); got != "0 100000" {
		t.Errorf("wrong, all: %s, want 0 100000", got)
	}
}

func TestBackfillOfAPartitionedTableFillsEachPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint, region text, n bigint) partition by list (region);
		create table users_a partition of users for values in ('a');
		create table "users B" partition of users for values in ('b') partition by range (id);
		create table users_b1 partition of "users B" for values from (0) to (1500);
		create table users_b2 partition of "users B" for values from (1500) to (100000);
		insert into users select i, chr(97 + i % 2), null from generate_series(1, 3000) i; analyze users`)
	w.apply(filling())
	if got := w.value(rightUsers); got != "0 3000" {
		t.Errorf("wrong, all: %s, want 0 3000", got)
	}
	w.exec("truncate users; alter table users add primary key (region, id); insert into users select i, chr(97 + i % 2), null from generate_series(1, 3000) i")
	w.apply(filling("region", "id"))
	if got := w.value(rightUsers); got != "0 3000" {
		t.Errorf("along the key: wrong, all: %s, want 0 3000", got)
	}
}

// Rows that cannot be filled are passed by and named; once they are mended, the
// next try fills them and no others.
func TestARowThatCannotBeFilledIsNamedAndPassedBy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint primary key, d int not null default 1, n bigint);
		insert into users select i, case when i in (333, 900) then 0 else 1 end from generate_series(1, 1000) i`)
	a := filling("id")
	a.Set = []migrations.Assignment{{Column: "n", Expression: "(id / d + 1)"}}
	a.Where = "n IS DISTINCT FROM (id / d + 1)"
	step := w.step(a)
	var rows *postgres.RowsError
	if err := w.try(t.Context(), step); !errors.As(err, &rows) || rows.Rows != 2 || rows.Shown[0] != "id=333: division by zero (22012)" {
		t.Fatalf("got %v, want a *RowsError about two rows", err)
	}
	if got := w.value("select string_agg(id::text, ',' order by id) from users where n is null"); got != "333,900" {
		t.Errorf("rows %s are not filled, want 333,900", got)
	}
	w.exec("update users set d = 1 where d = 0")
	if err := w.try(t.Context(), step); err != nil {
		t.Fatal(err)
	}
	if got := w.value(rightUsers); got != "0 1000" {
		t.Errorf("wrong, all: %s, want 0 1000", got)
	}
}

// G-12: a batch that fails is halved until a row is alone, so what is judged are
// batches of one row. Half of the last fifty may fail for ever; one more ends it.
func TestABackfillThatFailsMostlyIsStopped(t *testing.T) {
	t.Parallel()
	for fails, hopeless := range map[string]bool{"id % 2 = 1": false, "id % 2 = 1 or id = 2": true} {
		t.Run(fails, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, `create table users (id bigint primary key, n int);
				insert into users select i from generate_series(1, 1000) i`)
			a := filling("id")
			a.Set = []migrations.Assignment{{Column: "n", Expression: "(case when " + fails + " then id / 0 else id + 1 end)"}}
			a.Where = ""
			err := w.try(t.Context(), w.step(a))
			tried := w.value("select count(*) || ' in vain, ' || (select count(*) from users where n is not null) || ' filled' from pleat.failed_row")
			if !hopeless {
				var rows *postgres.RowsError
				if !errors.As(err, &rows) || tried != "500 in vain, 500 filled" {
					t.Errorf("%s, got %v, want a *RowsError about 500 of 1000", tried, err)
				}
				return
			}
			var stopped *postgres.HopelessError
			if !errors.As(err, &stopped) || stopped.Hint() == "" {
				t.Errorf("got %v, want a *HopelessError", err)
			}
			// The last fifty are 2 to 51, of which 26 fail.
			if tried != "27 in vain, 24 filled" {
				t.Errorf("%s, want 27 in vain, 24 filled", tried)
			}
		})
	}
}

func TestTwoBackfillsOfOneTableDoNotOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint primary key, n bigint);
		insert into users select i from generate_series(1, 2000) i`)
	began, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	first := postgres.New(w.db, func(point string) {
		if point == "backfill.between" && once.CompareAndSwap(false, true) {
			close(began)
			<-goOn
		}
	})
	nobody := func(planner.Report) {}
	done := make(chan error, 2)
	step, other := w.step(filling("id")), filling("id")
	other.Change = "other"
	go func() { done <- first.Apply(t.Context(), w.ticket, step, nobody) }()
	<-began
	second := w.step(other)
	go func() { done <- w.try(t.Context(), second) }()
	eventually(t, "the second waits", func() bool {
		return strings.Contains(strings.Join(w.watch.waits(), "\n"), "another back-fill of users")
	})
	if got := w.value("select count(*)::text from pleat.cursor where change = 'other'"); got != "0" {
		t.Error("the second has begun")
	}
	close(goOn)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// holds runs a back-fill that must hold for a reason, lets the reason pass, and
// sees it go on.
func holds(t *testing.T, w *world, throttle spec.Throttle, cross, uncross func(w *world), reason string) {
	t.Helper()
	a := filling("id")
	a.Throttle = throttle
	cross(w)
	done := make(chan error, 1)
	step := w.step(a)
	go func() { done <- w.try(t.Context(), step) }()
	eventually(t, "it holds: "+reason, func() bool { return strings.Contains(strings.Join(w.watch.waits(), "\n"), reason) })
	if got := w.value("select count(*)::text from users where n is not null"); got != "0" {
		t.Errorf("%s rows were written", got)
	}
	if got := w.value("select held from pleat.fill where not finished"); !strings.Contains(got, reason) {
		t.Errorf("others are told %q", got)
	}
	uncross(w)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := w.value(rightUsers); got != "0 500" {
		t.Errorf("wrong, all: %s, want 0 500", got)
	}
}

const throttledUsers = `create table users (id bigint primary key, n bigint); create table load (v text);
	insert into users select i from generate_series(1, 500) i; insert into load values ('0');`

func TestABackfillHoldsWhileTheAnswerToItsQuestionSaysSo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ sql, value, reason string }{
		{"select v::int from load", "3", "throttle.sql says 3"},
		{"select v = 'busy' from load", "busy", "throttle.sql says so"},
		{"select case when v = '0' then '' else v end from load", "nightly batch", "nightly batch"},
		{"select v::int from load", "gone", "the answer to throttle.sql is unknown"},
		{"select nullif(v, 'null')::int from load", "null", "is unknown: it gives no value"},
	} {
		holds(t, newWorld(t, throttledUsers), spec.Throttle{SQL: test.sql},
			func(w *world) { w.exec("update load set v = $1", test.value) },
			func(w *world) { w.exec("update load set v = '0'") }, test.reason)
	}
}

func TestABackfillHoldsWhileTheTableIsVacuumed(t *testing.T) {
	t.Parallel()
	holds(t, newWorld(t, throttledUsers), spec.Throttle{Autovacuum: "any"},
		func(w *world) { w.exec("begin; lock table users in share update exclusive mode") },
		func(w *world) { w.exec("commit") }, "users is vacuumed or analyzed")
}

func TestABackfillHoldsWhileOthersWaitForLocks(t *testing.T) {
	t.Parallel()
	var waiters errgroup.Group
	holds(t, newWorld(t, throttledUsers), spec.Throttle{LockWaiters: 1},
		func(w *world) {
			w.exec("begin; lock table users in share update exclusive mode")
			for range 2 {
				c := pgtest.Connect(t, w.url)
				waiters.Go(func() error {
					_, err := c.Exec(w.Context(), "lock table users in share update exclusive mode nowait")
					if err == nil {
						return errors.New("it had the lock")
					}
					_, err = c.Exec(w.Context(), "begin; lock table users in share update exclusive mode; commit")
					return err
				})
			}
			eventually(t, "two wait", func() bool {
				return pgtest.Value[string](t, w.admin, "select count(*)::text from pg_locks where not granted and relation = 'users'::regclass") == "2"
			})
		},
		func(w *world) { w.exec("commit") }, "2 sessions wait for locks of users, over 1")
	if err := waiters.Wait(); err != nil {
		t.Error(err)
	}
}

func TestALimitThatCannotBeReadHoldsTheBackfill(t *testing.T) {
	t.Parallel()
	for reason, throttle := range map[string]spec.Throttle{
		"the archiver's backlog is unknown: archive_mode is off": {ArchiverBacklog: 3},
		"a small write takes": {Latency: time.Nanosecond},
	} {
		w := newWorld(t, throttledUsers)
		a := filling("id")
		a.Throttle = throttle
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		step := w.step(a)
		go func() { done <- w.try(ctx, step) }()
		eventually(t, reason, func() bool { return strings.Contains(strings.Join(w.watch.waits(), "\n"), reason) })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		if got := w.value("select count(*)::text from users where n is not null"); got != "0" {
			t.Errorf("%s: %s rows were written", reason, got)
		}
	}
}

func TestABackfillKeepsBelowItsRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, throttledUsers)
	a := filling("id")
	a.Batch, a.Throttle.RowsPerSecond = 50, 250
	start := time.Now()
	w.apply(a)
	if took := time.Since(start); took < 1500*time.Millisecond {
		t.Errorf("500 rows at 250 a second took %s", took)
	}
}

// What people say is heard while it runs, kept when it is killed, and over with
// the back-fill.
func TestABackfillIsPausedAndHurriedFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint primary key, n int not null default 0);
		insert into users (id) select i from generate_series(1, 60000) i; analyze users`)
	id := postgres.FillID{Change: "c", Table: users}
	tell := func(say postgres.Command) {
		t.Helper()
		if err := w.provider.Tell(t.Context(), id, "ann on host", say); err != nil {
			t.Fatal(err)
		}
	}
	yes, no, slow, two := true, false, 500, 2
	tell(postgres.Command{RowsPerSecond: &slow})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	first := w.step(counting(100))
	go func() { done <- w.try(ctx, first) }()
	eventually(t, "it has begun", func() bool { return w.value("select coalesce(sum(rows), 0)::text from pleat.cursor") != "0" })
	told := time.Now()
	tell(postgres.Command{Pause: &yes})
	eventually(t, "it is paused", func() bool {
		return strings.Contains(strings.Join(w.watch.waits(), "\n"), "paused by ann on host")
	})
	if took := time.Since(told); took > 3*time.Second {
		t.Errorf("it was paused after %s", took)
	}
	cancel()
	<-done
	var lanes atomic.Int64
	w.provider = postgres.New(w.db, func(point string) {
		if point == "backfill.before_mark" {
			lanes.Store(pgtest.Value[int64](t, pgtest.Connect(t, w.url), "select count(*) from pleat.cursor"))
		}
	})
	second := w.step(counting(100))
	go func() { done <- w.try(t.Context(), second) }()
	eventually(t, "it is still paused", func() bool { return strings.Count(strings.Join(w.watch.waits(), "\n"), "paused by ann on host") == 2 })
	fills, err := w.provider.Fills(t.Context())
	if err != nil || len(fills) != 1 || !fills[0].Paused || fills[0].RowsLimit != 500 || fills[0].By != "ann on host" || fills[0].Finished {
		t.Errorf("Fills = %+v, %v", fills, err)
	}
	any := 0
	tell(postgres.Command{Pause: &no, RowsPerSecond: &any, Workers: &two})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := w.value("select string_agg(distinct n::text, ',') from users"); got != "1" {
		t.Errorf("n is %s, want 1 everywhere", got)
	}
	if lanes.Load() < 2 {
		t.Error("it went on with one worker")
	}
	if got := w.value("select count(*)::text from pleat.cursor"); got != "0" {
		t.Errorf("%s lanes are left of a back-fill that is done", got)
	}
	fills, err = w.provider.Fills(t.Context())
	if err != nil || !fills[0].Finished || fills[0].Paused || fills[0].RowsLimit != 0 || fills[0].Done != 60000 {
		t.Errorf("afterwards Fills = %+v, %v", fills, err)
	}
}

// D10: what is lost on the way back is found before anything is written.
func TestASampleIsCheckedBeforeTheFirstRowIsWritten(t *testing.T) {
	t.Parallel()
	lossy := func() *planner.Backfill {
		a := filling("id")
		a.Sample = true
		a.Set = []migrations.Assignment{{Column: "first", Expression: "(split_part(name, ' ', 1))"}, {Column: "last", Expression: "(split_part(name, ' ', 2))"}}
		a.Where = "first IS NULL AND last IS NULL"
		a.Backward = []migrations.Assignment{{Column: "name", Expression: "(first || ' ' || last)"}}
		return a
	}
	w := newWorld(t, `create table users (id bigint primary key, name text, first text, last text, n int not null default 0);
		insert into users values (1, 'Ann Lee'), (2, 'Mary Ann Smith'), (3, 'Prince'), (4, 'Jo 7')`)
	var refused *postgres.SampleError
	err := w.try(t.Context(), w.step(lossy()))
	if !errors.As(err, &refused) || refused.Lost != 2 || refused.Twice != 0 {
		t.Fatalf("got %v, want two rows that are lost", err)
	}
	want := []string{`id=2, name "Xxxx Xxx Xxxxx" becomes "Xxxx Xxx"`, `id=3, name "Xxxxxx" becomes "Xxxxxx "`}
	if got := strings.Join(refused.Shown, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("it shows\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if got := w.value("select count(*)::text from users where first is not null"); got != "0" {
		t.Errorf("%s rows were written", got)
	}
	twice := counting(10)
	twice.Sample, twice.Where = true, "n IS DISTINCT FROM (n + 1)"
	if err := w.try(t.Context(), w.step(twice)); !errors.As(err, &refused) || refused.Twice != 4 {
		t.Errorf("got %v, want four rows that are written again", err)
	}
	accepted := lossy()
	accepted.Lossy = true
	w.apply(accepted)
}
