package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/providers/postgres/pgtest"
)

const samplePeriod = 10 * time.Millisecond

// locks are lock modes by table.
type locks map[string]migrations.Lock

// strengths orders the modes so that each one conflicts with whatever those
// before it conflict with, as far as pleat's are concerned. The first two keep
// nobody from reading or writing, and need no declaration.
var strengths = []string{"AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock",
	"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}

const free = 1

var modes = map[migrations.Lock]string{
	migrations.RowExclusive: "RowExclusiveLock", migrations.ShareUpdateExclusive: "ShareUpdateExclusiveLock",
	migrations.Share: "ShareLock", migrations.ShareRowExclusive: "ShareRowExclusiveLock",
	migrations.Exclusive: "ExclusiveLock", migrations.AccessExclusive: "AccessExclusiveLock",
}

// sampler looks at the server's locks every samplePeriod.
type sampler struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // of the sampling; read it after done is closed

	undisturbed time.Duration // the longest that a client of no table of ours took

	mutex  sync.Mutex
	may    map[string]locks // by application_name of the step's sessions
	there  map[string]bool  // tables from before the last step: one that it makes is its own
	seen   map[string]bool  // complaints, each once
	queued stalls           // behind a step that waits for its lock itself
	behind stalls           // behind a step that waits or has its lock
}

// stalls are the waits behind steps.
type stalls struct {
	since map[waiter]time.Time // of those who wait as we look
	worst map[string]time.Duration
}

func newStalls() stalls { return stalls{map[waiter]time.Time{}, map[string]time.Duration{}} }

// waiter is somebody's one wait behind a step.
type waiter struct {
	pid   int
	since string // waitstart; "" before PostgreSQL 14
	step  string
}

func sample(w *world) *sampler {
	w.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(w.Context()))
	s := &sampler{
		stop: stop, done: make(chan struct{}),
		may: map[string]locks{}, seen: map[string]bool{}, queued: newStalls(), behind: newStalls(),
	}
	c := pgtest.Connect(w, w.url)
	waitstart := "null::timestamptz"
	if pgtest.Version(w, w.admin) >= 14 {
		waitstart = "k.waitstart"
	}
	go func() {
		defer close(s.done)
		s.err = s.run(ctx, c, waitstart)
	}()
	w.Cleanup(s.end)
	return s
}

// end stops the sampling and waits for its end.
func (s *sampler) end() {
	s.stop()
	<-s.done
}

func (s *sampler) declare(step string, may locks, there []string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.may[step] = may
	s.there = map[string]bool{}
	for _, table := range there {
		s.there[plain(table)] = true
	}
}

func (s *sampler) run(ctx context.Context, c *pgx.Conn, waitstart string) error {
	tick := time.NewTicker(samplePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.look(c, waitstart); err != nil {
			return err
		}
	}
}

// A sequence counts as the table whose column owns it. An index counts for
// nothing: whoever uses it has locked its table.
const locksSQL = `
	select distinct k.pid, n.nspname || '.' || c.relname, k.mode
	from pg_locks k
	join pg_class r on r.oid = k.relation and r.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
	left join pg_depend d on r.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = r.oid
	  and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
	join pg_class c on c.oid = coalesce(d.refobjid, r.oid)
	join pg_namespace n on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'pg_toast', 'pleat')
	where k.locktype = 'relation' and k.database = (select oid from pg_database where datname = current_database())`

// stepsSQL is what is asked before and after: locks and sessions are not read at the
// same moment, and a session that goes on to its next step in between would be blamed
// there for what it did before.
const stepsSQL = `
	select pid, application_name, coalesce(xact_start::text, '') from pg_stat_activity
	where application_name like 'pleat/step%'`

// turn is a session's step and the transaction in which it does it.
type turn struct{ step, began string }

func turns(c *pgx.Conn) (map[int]turn, error) {
	rows, err := c.Query(context.Background(), stepsSQL)
	if err != nil {
		return nil, err
	}
	out := map[int]turn{}
	var pid int
	var t turn
	_, err = pgx.ForEachRow(rows, []any{&pid, &t.step, &t.began}, func() error {
		out[pid] = t
		return nil
	})
	return out, err
}

const waitersSQL = `
	select k.pid, coalesce((%s)::text, ''), b.application_name,
	       exists (select from pg_locks w where w.pid = ahead and not w.granted)
	from pg_locks k, unnest(pg_blocking_pids(k.pid)) ahead
	join pg_stat_activity b on b.pid = ahead and b.application_name like 'pleat/step%%'
	join pg_stat_activity a on true
	where not k.granted and a.pid = k.pid and a.application_name not like 'pleat%%'
	  and k.database = (select oid from pg_database where datname = current_database())`

func (s *sampler) look(c *pgx.Conn, waitstart string) error {
	ctx := context.Background()
	before, err := turns(c)
	if err != nil {
		return err
	}
	type lock struct {
		pid         int
		table, mode string
	}
	rows, err := c.Query(ctx, locksSQL)
	if err != nil {
		return err
	}
	var held []lock
	var l lock
	if _, err := pgx.ForEachRow(rows, []any{&l.pid, &l.table, &l.mode}, func() error {
		held = append(held, l)
		return nil
	}); err != nil {
		return err
	}
	after, err := turns(c)
	if err != nil {
		return err
	}
	for _, l := range held {
		if t, ok := before[l.pid]; ok && after[l.pid] == t {
			s.judge(t.step, l.table, l.mode)
		}
	}
	waits, err := c.Query(ctx, fmt.Sprintf(waitersSQL, waitstart))
	if err != nil {
		return err
	}
	var met, queued []waiter
	var w waiter
	var queues bool
	if _, err := pgx.ForEachRow(waits, []any{&w.pid, &w.since, &w.step, &queues}, func() error {
		met = append(met, w)
		if queues {
			queued = append(queued, w)
		}
		return nil
	}); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.behind.note(met)
	s.queued.note(queued)
	return nil
}

func (s *sampler) judge(step, table, mode string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	may, known := s.may[step]
	if known && !s.there[plain(table)] {
		return
	}
	allowed := free
	for name, lock := range may {
		if plain(name) == plain(table) {
			allowed = max(allowed, slices.Index(strengths, modes[lock]))
		}
	}
	if slices.Index(strengths, mode) > allowed {
		s.seen[fmt.Sprintf("%s took or asked for %s on %s and declares %v", step, mode, table, may)] = true
	}
}

// plain is a table as spec.Table's text form; a hidden one is the one it was.
func plain(table string) string {
	return strings.Replace(strings.TrimPrefix(table, "public."), migrations.HiddenName(""), "", 1)
}

// note counts how long each has been seen waiting; who is not seen any more
// waits no longer.
func (s *stalls) note(met []waiter) {
	still := map[waiter]time.Time{}
	for _, w := range met {
		since, was := s.since[w]
		if !was {
			since = time.Now()
		}
		still[w] = since
		s.worst[w.step] = max(s.worst[w.step], time.Since(since))
	}
	s.since = still
}

func (s *stalls) over(allowed time.Duration, where string) (complaints []string) {
	for step, worst := range s.worst {
		if worst > allowed {
			complaints = append(complaints, fmt.Sprintf("somebody waited %s %s %s, allowed are %s", worst, where, step, allowed))
		}
	}
	return complaints
}

// aHandful is how many statements a step has under its lock, each of which a
// busy machine may keep for as long as it keeps anybody.
const aHandful = 5

// complaints are what was seen and must not be. What a client that no step
// disturbs had to bear is the machine's, not ours.
func (s *sampler) complaints(timeout time.Duration) []string {
	if s.err != nil {
		return []string{"sampling: " + s.err.Error()}
	}
	all := make([]string, 0, len(s.seen))
	for c := range s.seen {
		all = append(all, c)
	}
	allowed := timeout + 50*time.Millisecond
	all = append(all, s.queued.over(allowed+s.undisturbed, "in the queue behind")...)
	all = append(all, s.behind.over(allowed+aHandful*s.undisturbed, "behind")...)
	slices.Sort(all)
	return all
}
