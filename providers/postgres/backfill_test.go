package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"pleat/migrations"
	"pleat/planner"
	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
)

// counting adds one to each row, so that a row done twice or missed shows.
func counting(batch int) *planner.Backfill {
	return &planner.Backfill{
		Change: "c", Unit: "backfill.users", Table: users, Key: []string{"id"}, Batch: batch,
		Set:    []migrations.Assignment{{Column: "n", Expression: "(n + 1)"}},
		Cursor: "digest", Phase: migrations.Backfilled, Digest: "d",
	}
}

// Rows with gaps in their numbers, and a column for writers.
const countedUsers = `create table users (id bigint primary key, n int not null default 0, w int not null default 0);
	insert into users (id) select i * 7 from generate_series(1, 4000) i where i % 5 <> 0;
	analyze users`

// P4: sessions killed at every kind of moment, beside writers.
func TestAKilledBackfillGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, countedUsers)
	kills := 0
	points := []string{"backfill.updated", "backfill.commit_sent", "backfill.between", "backfill.updated", "backfill.between", "backfill.before_mark"}
	reached := 0
	w.provider = postgres.New(w.db, func(point string) {
		if kills == len(points) || point != points[kills] {
			return
		}
		if reached++; reached%2 == 1 {
			return
		}
		kills++
		w.exec("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'pleat/r1'")
	})
	stop, end := context.WithCancel(t.Context())
	writer := pgtest.Connect(t, w.url)
	var writers errgroup.Group
	writers.Go(func() error { return writeAround(stop, writer) })
	step := w.step(counting(50))
	err := w.try(t.Context(), step)
	end()
	if err := errors.Join(err, writers.Wait()); err != nil {
		t.Fatal(err)
	}
	if kills < len(points)-1 {
		t.Errorf("%d sessions were killed, want at least %d", kills, len(points)-1)
	}
	if got := w.value("select concat_ws(' ', count(*) filter (where n > 1), count(*) filter (where n < 1 and w < 1000000)) from users"); got != "0 0" {
		t.Errorf("rows twice, rows missed: %s, want 0 0", got)
	}
	if outcome := w.probe(step); outcome != planner.Done {
		t.Errorf("probe says %v, want Done", outcome)
	}
	if err := w.try(t.Context(), step); err != nil {
		t.Fatal(err)
	}
	if got := w.value("select count(*)::text from users where n > 1"); got != "0" {
		t.Errorf("a finished step wrote %s rows again", got)
	}
}

// writeAround updates rows, and inserts some that need no fill.
func writeAround(stop context.Context, c *pgx.Conn) error {
	for n := 1; stop.Err() == nil; n++ {
		_, err := c.Exec(context.WithoutCancel(stop), `
			with w as (update users set w = w + 1 where id = $1 % 28000)
			insert into users (id, w, n) values ($1 * 7 + 1, 1000000, 0) on conflict do nothing`, n*13)
		if err != nil {
			return err
		}
	}
	return nil
}

// P26: the server restarts in the middle; what it forgets, rows and cursor, it
// forgets together.
func TestABackfillOutlivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"backfill.updated", "backfill.between", "backfill.before_mark"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			server := pgtest.Own(t)
			w := worldAt(t, server.URL("postgres"), countedUsers)
			restarted := false
			w.provider = postgres.New(w.db, func(reached string) {
				if reached == point && !restarted {
					restarted = true
					server.Restart(t, pgtest.Immediate)
				}
			})
			w.apply(counting(1000))
			c := pgtest.Connect(t, w.url)
			if got := pgtest.Value[string](t, c, "select string_agg(distinct n::text, ',') from users"); got != "1" || !restarted {
				t.Errorf("n is %s, want 1 everywhere", got)
			}
		})
	}
}

// flushes has each row note whether the commit that fills it waits for the disk.
const flushes = `
	create table flush (setting text);
	create function note() returns trigger language plpgsql as 'begin insert into flush values (current_setting(''synchronous_commit'')); return new; end';
	create trigger note before update on users for each row execute function note();`

func TestABatchDoesNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, countedUsers+";"+flushes)
	w.apply(counting(1000))
	if got := w.value("select string_agg(distinct setting, ',') from flush"); got != "off" {
		t.Errorf("synchronous_commit is %s, want off", got)
	}
}

// Where commits wait for a standby, what a back-fill is ahead of it the commits
// of others would have to wait for.
func TestABatchWaitsForASynchronousStandby(t *testing.T) {
	t.Parallel()
	w, primary, _, _ := followed(t)
	w.exec(flushes)
	waitFor := func(standbys string) {
		primary.Exec(t, "alter system set synchronous_standby_names = '"+standbys+"'")
		primary.Exec(t, "select pg_reload_conf()")
	}
	t.Cleanup(func() { waitFor("") }) // nobody could drop the database once the standby is gone
	waitFor("*")
	eventually(t, "commits wait for the standby", func() bool {
		return w.value("select count(*)::text from pg_stat_replication where sync_state = 'sync'") == "1"
	})
	w.apply(counting(5000))
	if got := w.value("select string_agg(distinct setting, ',') from flush"); got != "on" {
		t.Errorf("synchronous_commit is %s, want on", got)
	}
}

func TestACursorOfOtherExpressionsIsNotResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, countedUsers)
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	w.provider = postgres.New(w.db, func(point string) {
		if point == "backfill.between" {
			cancel(stopped)
		}
	})
	if err := w.try(ctx, w.step(counting(100))); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
	w.provider = postgres.New(w.db, nil)
	other := counting(100)
	other.Cursor = "another"
	var refused *postgres.CursorError
	if err := w.try(t.Context(), w.step(other)); !errors.As(err, &refused) || refused.Rows != 100 {
		t.Fatalf("got %v, want a *CursorError after 100 rows", err)
	}
	if got := w.value("select count(*)::text from users where n > 0"); got != "100" {
		t.Errorf("%s rows are filled, want the 100 from before", got)
	}
	w.apply(counting(100))
	w.apply(other) // the first one is finished: nothing is in its way
	if got := w.value("select string_agg(distinct n::text, ',') from users"); got != "2" {
		t.Errorf("n is %s, want 2 everywhere", got)
	}
}

// What a back-fill did is worth nothing once the columns or the trigger were
// away.
func TestAChangeOfTheTableMakesTheBackfillBeginAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, countedUsers)
	ctx, cancel := context.WithCancel(t.Context())
	w.provider = postgres.New(w.db, func(point string) {
		if point == "backfill.between" {
			cancel()
		}
	})
	if err := w.try(ctx, w.step(counting(100))); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
	w.provider = postgres.New(w.db, nil)
	w.apply(&planner.Transaction{
		Table: users, Lock: migrations.AccessExclusive, Change: "c", Unit: "u", Digest: "d",
		SQL: []string{"alter table users drop n", "alter table users add n int not null default 0"},
	})
	w.apply(counting(100))
	if got := w.value("select string_agg(distinct n::text, ',') from users"); got != "1" {
		t.Errorf("n is %s, want 1 everywhere", got)
	}
}

// A row that somebody holds is waited for, in smaller and smaller batches, and
// judged as it is once it is free.
func TestARowThatIsHeldIsWaitedForAndJudgedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable+"insert into users (name) select 'User ' || i from generate_series(1, 300) i")
	c := splitName()
	p := w.lower(c)
	w.do(p, p.Expand, migrations.Expanded)
	holder := pgtest.Connect(t, w.url)
	begin(t, holder, "update users set first = 'Mary Ann', last = 'Smith' where id = 150")
	done := make(chan error, 1)
	step := w.step(backfillOf(p))
	go func() { done <- w.try(t.Context(), step) }()
	eventually(t, "the back-fill waits", func() bool {
		return strings.Contains(strings.Join(w.watch.waits(), "\n"), "rows of users that others hold")
	})
	begin(t, holder, "commit")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := w.value("select concat_ws('|', name, first, last) from users where id = 150"); got != "Mary Ann Smith|Mary Ann|Smith" {
		t.Errorf("got %q", got)
	}
	if got := w.value("select count(*)::text from users where first is null"); got != "0" {
		t.Errorf("%s rows are not filled", got)
	}
}

func TestBackfillAlongAKeyOfSeveralColumns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (tenant text, at timestamptz, n int not null default 0, primary key (tenant, at));
		insert into users select 't' || i % 3, '2026-01-01 UTC'::timestamptz + i * interval '1 hour 3 ms' from generate_series(1, 1000) i`)
	a := counting(70)
	a.Key = []string{"tenant", "at"}
	w.apply(a)
	if got := w.value("select string_agg(distinct n::text, ',') from users"); got != "1" {
		t.Errorf("n is %s, want 1 everywhere", got)
	}
}

func TestBackfillSaysHowFarItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, countedUsers)
	w.apply(counting(500))
	rows := w.watch.rows
	last := rows[len(rows)-1]
	if len(rows) < 2 || last.Done != 3200 || last.Total != 3200 || last.Unit != "rows" {
		t.Errorf("reported %+v, want to end with 3200 of 3200 rows", rows)
	}
}

// P24: no replica to ask is a lag that nobody knows.
func TestABackfillHoldsWhileTheLagIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, countedUsers)
	a := counting(500)
	a.Throttle.ReplicaLag = time.Second
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	step := w.step(a)
	go func() { done <- w.try(ctx, step) }()
	eventually(t, "it says why it holds", func() bool {
		return strings.Contains(strings.Join(w.watch.waits(), "\n"), "replica lag is unknown")
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if got := w.value("select count(*)::text from users where n > 0"); got != "0" {
		t.Errorf("%s rows were written", got)
	}
}

// Rows that are slow to fill go one by one in the end, so that whoever writes
// one of them does not wait for many.
func TestABatchShrinksToOneRowWhereRowsAreSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `create table users (id bigint primary key, n int not null default 0);
		insert into users (id) select i from generate_series(1, 12) i;
		create function slowly(n int) returns int language plpgsql as 'begin perform pg_sleep(0.15); return n + 1; end'`)
	a := counting(1000)
	a.Set = []migrations.Assignment{{Column: "n", Expression: "slowly(n)"}}
	w.apply(a)
	if got := w.value("select string_agg(distinct n::text, ',') from users"); got != "1" {
		t.Errorf("n is %s, want 1 everywhere", got)
	}
	rows := w.watch.rows
	longest := int64(0)
	for i := 1; i < len(rows); i++ {
		longest = max(longest, rows[i].Done-rows[i-1].Done)
	}
	if len(rows) < 6 || longest > 2 {
		t.Errorf("the batches had up to %d rows of 150ms each, want 2 at most: %+v", longest, rows)
	}
}
