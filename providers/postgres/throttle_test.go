package postgres_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"pleat/providers/postgres"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// soon is P24's: how long a back-fill goes on at most without what it must know.
const soon = 2 * time.Second

// followed is a world whose server has a standby, and a session on that one.
func followed(t *testing.T) (w *world, primary, standby *pgtest.Server, c *pgx.Conn) {
	t.Helper()
	primary = pgtest.Own(t)
	w = worldAt(t, primary.Database(t), `create table users (id bigint primary key, n int not null default 0);
		insert into users (id) select i from generate_series(1, 200000) i; analyze users`)
	standby = primary.Standby(t)
	return w, primary, standby, pgtest.Connect(t, standby.URL("postgres"))
}

// underWay is a back-fill under way.
type underWay struct {
	*world
	told int // of its waits, those of before it went on
	end  context.CancelFunc
	done chan error
}

// fillSlowly begins a back-fill that takes long, and returns once it writes.
func fillSlowly(w *world, throttle spec.Throttle) *underWay {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	u := &underWay{world: w, end: cancel, done: make(chan error, 1)}
	a := counting(100)
	a.Throttle = throttle
	a.Throttle.RowsPerSecond = 2000
	step := w.step(a)
	go func() { u.done <- w.try(ctx, step) }()
	u.goesOn()
	return u
}

func (u *underWay) written() string {
	u.Helper()
	return u.value("select coalesce(sum(rows), 0)::text from pleat.cursor")
}

func (u *underWay) goesOn() {
	u.Helper()
	before := u.written()
	eventually(u, "rows are written", func() bool { return u.written() != before })
	u.told = len(u.watch.waits())
}

// stops asserts that it holds for that reason, within the time, and writes no
// row while it looks again.
func (u *underWay) stops(reason string, within time.Duration) {
	u.Helper()
	from := time.Now()
	eventually(u, "it holds: "+reason, func() bool { return strings.Contains(strings.Join(u.watch.waits()[u.told:], "\n"), reason) })
	if took := time.Since(from); took > within {
		u.Errorf("it held after %s, want %s at most", took, within)
	}
	rows := u.written()
	looked := "select (select updated from pleat.fill)::text"
	for range 2 {
		last := u.value(looked)
		eventually(u, "it looks again", func() bool { return u.value(looked) != last })
	}
	if now := u.written(); now != rows {
		u.Errorf("it went on: %s rows, then %s", rows, now)
	}
}

func (u *underWay) cancel() {
	u.Helper()
	u.end()
	if err := <-u.done; !errors.Is(err, context.Canceled) {
		u.Errorf("got %v, want the context's error", err)
	}
}

func on(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// P24: a standby that replays nothing is further behind with every moment.
func TestABackfillHoldsWhileAStandbyIsBehind(t *testing.T) {
	t.Parallel()
	w, _, _, standby := followed(t)
	limit := 500 * time.Millisecond
	u := fillSlowly(w, spec.Throttle{ReplicaLag: limit})
	on(t, standby, "select pg_wal_replay_pause()")
	u.stops("s is over 500ms", limit+soon)
	on(t, standby, "select pg_wal_replay_resume()")
	u.goesOn()
	u.cancel()
}

// P24: a standby that is gone is one of which nothing is known.
func TestABackfillHoldsOnceItsStandbyIsGone(t *testing.T) {
	t.Parallel()
	w, _, standby, c := followed(t)
	u := fillSlowly(w, spec.Throttle{ReplicaLag: time.Minute})
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	standby.Halt(t, pgtest.Immediate)
	u.stops("replica lag is unknown: no replica is connected", soon)
	standby.Resume(t)
	u.goesOn()
	u.cancel()
}

// P24: a standby that says nothing any more is as little known as one that is
// gone, although the server takes a minute to find out.
func TestABackfillHoldsOnceItsStandbyIsSilent(t *testing.T) {
	t.Parallel()
	w, _, _, c := followed(t)
	receiver := pgtest.Value[int](t, c, "select pid from pg_stat_wal_receiver")
	u := fillSlowly(w, spec.Throttle{ReplicaLag: time.Minute})
	if err := syscall.Kill(receiver, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(receiver, syscall.SIGCONT) }) // it may have ended by itself
	u.stops("replica lag is unknown: 1 of 1 replicas do not answer", soon)
	if err := syscall.Kill(receiver, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	u.goesOn()
	u.cancel()
}

// ownUsers is a world on a server where nobody else is.
func ownUsers(t *testing.T, setup string) (*world, *pgtest.Server) {
	t.Helper()
	server := pgtest.Own(t)
	return worldAt(t, server.Database(t), setup), server
}

func TestABackfillHoldsWhileOthersWriteMuchWAL(t *testing.T) {
	t.Parallel()
	w, _ := ownUsers(t, throttledUsers)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	other := pgtest.Connect(t, w.url)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_, _ = other.Exec(ctx, "select pg_logical_emit_message(true, 'test', repeat('x', 1000000))") // is cancelled in the end
		}
	}()
	holds(t, w, spec.Throttle{WALRate: 4 << 20}, func(*world) {}, func(*world) { end(); <-ended }, "WAL is written at")
}

// What it writes itself counts, on the average: a short rest does not make up
// for much that was written.
func TestABackfillKeepsBelowItsWALRate(t *testing.T) {
	t.Parallel()
	const limit = 2 << 20
	w, _ := ownUsers(t, `create table users (id bigint primary key, n bigint, text text);
		insert into users select i, null, repeat('x', 500) from generate_series(1, 24000) i; analyze users`)
	lsn := func() int64 {
		return pgtest.Value[int64](t, w.admin, "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
	}
	a := filling("id")
	a.Batch, a.Throttle.WALRate, a.Throttle.RowsPerSecond = 500, limit, 16000 // about 11 MB/s
	start, before := time.Now(), lsn()
	w.apply(a)
	rate := float64(lsn()-before) / time.Since(start).Seconds()
	t.Logf("%d MB at %.1f MB/s", (lsn()-before)>>20, rate/(1<<20))
	if rate > 2*limit {
		t.Errorf("WAL was written at %.1f MB/s", rate/(1<<20))
	}
}

// slowlyVacuumed is a table on which autovacuum works for minutes once it comes.
const slowlyVacuumed = throttledUsers + `
	alter table users add text text;
	insert into users select i, null, repeat('x', 500) from generate_series(501, 20000) i;
	delete from users where id > 500;
	alter table users set (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
	  autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_cost_delay = 100);`

// oftenVacuumed makes autovacuum look at tables every second.
func oftenVacuumed(t *testing.T, server *pgtest.Server) {
	t.Helper()
	server.Exec(t, "alter system set autovacuum_naptime = '1s'")
	server.Exec(t, "select pg_reload_conf()")
}

const autovacuums = "select coalesce(string_agg(query, ','), '') from pg_stat_activity where backend_type = 'autovacuum worker' and query like '%public.users%'"

func awaitAutovacuum(w *world, of string) {
	w.Helper()
	eventually(w, of, func() bool { return strings.Contains(w.value(autovacuums), of) })
}

// lessVacuumed sets an option of the table, for which whoever vacuums it goes.
func lessVacuumed(w *world, option string) {
	w.Helper()
	var alter errgroup.Group
	c := pgtest.Connect(w, w.url)
	alter.Go(func() error {
		_, err := c.Exec(w.Context(), "alter table users set ("+option+")")
		return err
	})
	eventually(w, "it waits for the lock", func() bool {
		return w.value("select count(*)::text from pg_locks where relation = 'users'::regclass and not granted") != "0"
	})
	w.exec("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'autovacuum worker'")
	if err := alter.Wait(); err != nil {
		w.Error(err)
	}
}

func TestABackfillHoldsWhileAutovacuumWorks(t *testing.T) {
	t.Parallel()
	w, server := ownUsers(t, slowlyVacuumed)
	oftenVacuumed(t, server)
	awaitAutovacuum(w, "public.users")
	if got := w.around("users").Tables["users"].Vacuum; got != "autovacuum" {
		t.Errorf("before a plan %q is seen", got)
	}
	a := filling("id")
	a.Change, a.Throttle.Autovacuum = "other", "wraparound"
	w.apply(a)
	if said := strings.Join(w.watch.waits(), ""); said != "" || w.value(autovacuums) == "" {
		t.Errorf("it waited for %q beside %q", said, w.value(autovacuums))
	}
	w.exec("update users set n = null")
	holds(t, w, spec.Throttle{Autovacuum: "any"}, func(*world) {},
		func(w *world) { lessVacuumed(w, "autovacuum_enabled = false") }, "users is vacuumed or analyzed")
}

func TestABackfillHoldsWhileRowsAreDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, throttledUsers+"alter table users set (autovacuum_enabled = off)")
	dead := func(how string) {
		eventually(t, "dead rows are "+how, func() bool {
			return w.value("select (pg_stat_get_dead_tuples('users'::regclass) "+how+")::text") == "true"
		})
	}
	holds(t, w, spec.Throttle{DeadRows: 20},
		func(w *world) { w.exec("update users set n = null"); dead("> 100") },
		func(w *world) { w.exec("vacuum users"); dead("= 0") }, "dead rows of users wait for a vacuum, over 20 % of ")
}

func TestABackfillHoldsWhileNobodyCountsDeadRows(t *testing.T) {
	t.Parallel()
	w, server := ownUsers(t, throttledUsers)
	set := func(to string) {
		server.Exec(t, "alter system set track_counts = "+to)
		server.Exec(t, "select pg_reload_conf()")
	}
	set("off")
	holds(t, w, spec.Throttle{DeadRows: 1000}, func(*world) {}, func(*world) { set("on") },
		"how many rows are dead is unknown: track_counts is off")
}

// What prevents wraparound is never asked to make way: a step says who is there,
// and a back-fill holds.
func TestABackfillHoldsWhileWraparoundIsPrevented(t *testing.T) {
	t.Parallel()
	w, server := ownUsers(t, slowlyVacuumed+`
		alter table users set (autovacuum_freeze_max_age = 100000);
		create table burnt (id int)`)
	w.exec(`do $$ begin
		for i in 1..100100 loop
			begin
				insert into burnt values (i);
			exception when division_by_zero then null;
			end;
		end loop;
	end $$`)
	oftenVacuumed(t, server)
	awaitAutovacuum(w, "public.users (to prevent wraparound)")
	if got := w.around("users").Tables["users"].Vacuum; got != "autovacuum (to prevent wraparound)" {
		t.Errorf("before a plan %q is seen", got)
	}
	w.db.Lock.Patience = 3 * time.Second
	var budget *postgres.LockBudgetError
	if err := w.try(t.Context(), w.step(addNote())); !errors.As(err, &budget) || !strings.Contains(err.Error(), "to prevent wraparound") {
		t.Errorf("got %v, want a *LockBudgetError about the vacuum", err)
	}
	w.watch = recorder{}
	holds(t, w, spec.Throttle{Autovacuum: "wraparound"}, func(*world) {},
		func(w *world) { lessVacuumed(w, "autovacuum_freeze_max_age = 2000000000") }, "users is vacuumed to prevent wraparound")
}
