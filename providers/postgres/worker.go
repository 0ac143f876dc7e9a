package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

const (
	batchTarget = 200 * time.Millisecond // what a batch should take at most
	batchOver   = 4                      // lock timeouts; a batch that takes longer is split
	rowLongest  = 5 * time.Second        // for a batch of one row, which cannot be split
	splits      = 3                      // times that a batch is split for rows that others hold, or a row is tried that is slow
	steering    = 10                     // times the author's size that a batch may get
	spareSlots  = 3                      // connections that are left to others
)

// worker goes along one lane after another over a session of its own.
type worker struct {
	fill     *fill
	work     *work // of its session
	conn     *pgx.Conn
	borrowed bool // the session is the step's
	prepared map[string]bool
	size     int
	ahead    ahead
	took     time.Duration // how long the last batch kept rows from others
}

// ahead is the end of the next batch, looked up while the one before was done.
type ahead struct {
	position []string
	stretch  stretch
	known    bool
}

// crew gives n workers, the first with the step's own session. Where the server
// has not enough room for them there are fewer.
func (f *fill) crew(ctx context.Context, n int) ([]*worker, error) {
	crew := []*worker{f.worker(f.work, true)}
	if n < 2 {
		return crew, nil
	}
	var free int
	err := f.conn.QueryRow(ctx, `
		select pg_catalog.current_setting('max_connections')::int - pg_catalog.current_setting('superuser_reserved_connections')::int - count(*)
		from pg_catalog.pg_stat_activity where backend_type is null or backend_type = 'client backend'`).Scan(&free)
	if err != nil {
		return crew, fmt.Errorf("asking how many connections are free: %w", err)
	}
	wanted := n
	n = min(n, 1+max(free-spareSlots, 0))
	for len(crew) < n {
		c, err := f.open(ctx, f.ticket.Run)
		if sqlState(err) == tooManyConnections {
			break
		}
		if err != nil {
			return crew, &sessionLost{err}
		}
		own := *f.work
		own.conn = c
		crew = append(crew, f.worker(&own, false))
	}
	if len(crew) < wanted {
		f.say(planner.Warning{Text: fmt.Sprintf("back-fill of %s with %d of %d workers: the server has no more connections to spare", f.action.Table, len(crew), wanted)})
	}
	return crew, nil
}

func (f *fill) worker(w *work, borrowed bool) *worker {
	return &worker{fill: f, work: w, conn: w.conn, borrowed: borrowed, prepared: map[string]bool{}, size: f.governor.batch()}
}

// dismiss closes the sessions that were opened for a crew.
func dismiss(ctx context.Context, crew []*worker) error {
	var all error
	for _, k := range crew {
		if !k.borrowed {
			all = errors.Join(all, conn.Close(ctx, k.conn))
		}
	}
	return all
}

// run goes along lanes until none is left, or the workers are to be arranged
// anew.
func (k *worker) run(ctx context.Context) error {
	for l := k.fill.take(); l != nil; l = k.fill.take() {
		k.ahead = ahead{}
		err := k.along(ctx, l)
		k.fill.leave(l)
		if err != nil || k.fill.regroup.Load() {
			return err
		}
	}
	return nil
}

func (k *worker) along(ctx context.Context, l *lane) error {
	for {
		if err := k.fill.governor.wait(ctx, k.work); err != nil {
			return err
		}
		if k.fill.regroup.Load() {
			return nil
		}
		before := l.rows
		if err := k.next(ctx, l); err != nil {
			return err
		}
		k.fill.pace.spend(l.rows - before)
		if l.finished {
			return nil
		}
		k.at("backfill.between")
	}
}

// at is for points that are reached by one worker at a time.
func (k *worker) at(point string) {
	k.fill.points.Lock()
	defer k.fill.points.Unlock()
	k.work.at(point)
}

// next does one batch. A lock that is not had is waited for until patience
// ends, with a smaller batch, which keeps fewer rows from others meanwhile. A
// batch with a row that cannot be filled is halved until that row is alone,
// which is then passed by.
func (k *worker) next(ctx context.Context, l *lane) error {
	limits := k.work.limits()
	deadline := time.Now().Add(limits.Patience)
	pause := firstPause
	alone := 0 // times that one row was too slow
	for failed := 0; ; failed++ {
		err := k.batch(ctx, l, limits)
		if err == nil {
			k.steer(failed)
			return k.fill.outcome(false)
		}
		slow := sqlState(err) == queryCanceled && !stopped(ctx)
		if slow && k.size == 1 {
			alone++
		}
		switch {
		case (slow || unfillable(err)) && k.size > 1:
			k.halve()
		case alone > splits || unfillable(err):
			return k.passBy(ctx, l, limits, err)
		case slow:
		case !retryable(err) || time.Now().Add(pause).After(deadline):
			return fmt.Errorf("backfilling %s%s: %w", k.fill.action.Table, k.where(ctx, l), err)
		default:
			if failed < splits {
				k.halve()
			}
			k.fill.say(planner.Waiting{For: "rows of " + k.fill.action.Table.String() + " that others hold"})
			if err := sleep(ctx, jittered(pause)); err != nil {
				return err
			}
			pause = min(2*pause, time.Second)
		}
	}
}

// halve also forgets how far the batch would have gone.
func (k *worker) halve() {
	k.size = max(k.size/2, 1)
	k.ahead = ahead{}
}

// unfillable names what the row itself, or the author's expression over it, is
// the reason of: another try ends the same.
func unfillable(err error) bool {
	state := sqlState(err)
	if conn.Classify(err) == conn.Unknown || len(state) < 2 {
		return false
	}
	switch state[:2] {
	case "22", "23", "38", "39", "P0": // data, constraints, functions, exceptions of PL/pgSQL
		return true
	}
	return false
}

// where says at which row a batch stands.
func (k *worker) where(ctx context.Context, l *lane) string {
	if k.conn.IsClosed() || stopped(ctx) || l.position == nil {
		return ""
	}
	return " behind " + k.fill.describe(l.part, l.position)
}

// steer brings the next batch nearer to the time that one should take, by
// half or double at most. Whoever writes a row of the batch waits for its end,
// so it should not take longer than anybody may wait for a lock of ours. What a
// commit takes is the same for a batch of any size.
func (k *worker) steer(failed int) {
	if failed > 0 {
		k.fill.say(planner.Waiting{})
		return
	}
	target := k.fill.target(k.work.limits())
	factor := min(max(float64(target)/float64(max(k.took, time.Millisecond)), 0.5), 2)
	k.size = min(max(int(float64(k.size)*factor), 1), k.fill.governor.largest())
}

// target is how long a batch should take: half of what anybody may wait for a lock of
// ours, since batches vary. Several workers write the same index and the same log, by
// which each varies by more, and keep more rows from others at a time: they share it.
func (f *fill) target(limits planner.Limits) time.Duration {
	target := min(batchTarget, limits.LockWait/2)
	if f.governor.workers() > 1 {
		return target / 2
	}
	return target
}

// longest is how long a batch may take before it is split.
func (k *worker) longest(limits planner.Limits) time.Duration {
	if k.size == 1 {
		return rowLongest
	}
	return min(batchOver*limits.LockWait, rowLongest)
}

// batch fills one stretch of a lane and moves its cursor, in one commit. All of
// it but the commit is sent at once, with the question how far the next one
// goes.
func (k *worker) batch(ctx context.Context, l *lane, limits planner.Limits) error {
	b := &batches{action: k.fill.action, part: l.part}
	s, err := k.stretch(ctx, b, l)
	if err != nil {
		return err
	}
	names, err := k.prepare(ctx, b, l, s)
	if err != nil {
		return err
	}
	statements := &pgx.Batch{}
	k.queueBegin(statements, limits)
	if names.end != "" {
		statements.Queue(names.end, append(append(values(s.last), values(l.high)...), k.size)...)
	}
	statements.Queue(names.fill, append(values(l.position), values(s.last)...)...)
	k.queueCursor(statements, l, s)
	start := time.Now()
	var next ahead
	t := conn.Transaction{Conn: k.conn, Sent: func() { k.at("backfill.commit_sent") }}
	err = t.RunBatch(ctx, statements, func(results pgx.BatchResults) error {
		next, err = k.read(results, names.end != "", l, s)
		if err != nil {
			return err
		}
		k.took = time.Since(start)
		k.at("backfill.updated")
		return nil
	})
	if err != nil {
		return err
	}
	k.ahead = next
	k.fill.moved(l, s)
	return nil
}

// stretch is how far the next batch goes.
func (k *worker) stretch(ctx context.Context, b *batches, l *lane) (s stretch, err error) {
	if l.part.byPage {
		return b.pageEnd(l.position, l.high, k.size), nil
	}
	if k.ahead.known && equalKeys(k.ahead.position, l.position) && k.ahead.stretch.rows <= int64(max(2*k.size-1, 1)) {
		return k.ahead.stretch, nil
	}
	err = conn.InTransaction(ctx, k.conn, func(tx conn.Tx) error {
		if err := setLocal(ctx, tx, map[string]string{"search_path": searchPath(k.fill.action.Table), "enable_seqscan": "off"}); err != nil {
			return err
		}
		return k.work.asRole(ctx, tx, func() (err error) {
			s, err = b.lookUp(ctx, tx, l.position, l.high, k.size)
			return err
		})
	})
	return s, err
}

func equalKeys(a, b []string) bool {
	return (a == nil) == (b == nil) && strings.Join(a, "\x00") == strings.Join(b, "\x00")
}

// sparedFlush has a batch's commit not wait for the disk. A server that crashes
// forgets the batch together with its cursor, and the step's mark, whose commit
// does wait, comes after all of them in the log. Where commits wait for a
// standby they go on doing so: what a back-fill is ahead of it, others would
// have to wait for.
const sparedFlush = `select pg_catalog.set_config('synchronous_commit', 'off', true)
	where pg_catalog.current_setting('synchronous_standby_names') = ''`

// queueBegin queues limits and fence, and the role that fills.
func (k *worker) queueBegin(statements *pgx.Batch, limits planner.Limits) {
	statements.Queue(setLocalSQL, settingLists(map[string]string{
		"lock_timeout":      milliseconds(limits.LockWait),
		"statement_timeout": milliseconds(k.longest(limits)),
		"search_path":       searchPath(k.fill.action.Table),
		"pleat.sync":        "off", // the trigger would take the fill for a write in the new shape
		"enable_seqscan":    "off", // statistics that lag behind would make each batch read all of the table
	})...)
	statements.Queue(sparedFlush)
	statements.Queue("select 1 from pleat.lease where name = $1 and fence = $2 for key share", k.work.ticket.Lease, k.work.ticket.Fence)
	if k.work.db.Role != "" {
		statements.Queue("set local role " + migrations.Ident(k.work.db.Role))
	}
}

// queueCursor moves the cursor from where this batch begins, so that no stretch
// is done twice by whoever was taken for dead.
func (k *worker) queueCursor(statements *pgx.Batch, l *lane, s stretch) {
	if k.work.db.Role != "" {
		statements.Queue("set local role none")
	}
	position := s.last
	if position == nil {
		position = l.position
	}
	statements.Queue(`
		update pleat.cursor set position = $4, rows = rows + $5, finished = $6, updated = pg_catalog.clock_timestamp()
		where change = $1 and unit = $2 and lane = $3 and position is not distinct from $7 and not finished`,
		k.fill.action.Change, k.fill.unit(), l.number, stored(position), s.rows, s.end, stored(l.position))
}

// read takes the results in the order in which they were queued.
func (k *worker) read(results pgx.BatchResults, ahead bool, l *lane, s stretch) (next ahead, err error) {
	if err := k.readBegin(results); err != nil {
		return next, err
	}
	if ahead {
		if next, err = readAhead(results, s, k.size); err != nil {
			return next, err
		}
	}
	if _, err := results.Exec(); err != nil {
		return next, err
	}
	return next, k.readCursor(results)
}

// readBegin takes the results of queueBegin.
func (k *worker) readBegin(results pgx.BatchResults) error {
	if _, err := results.Exec(); err != nil {
		return fmt.Errorf("setting limits: %w", err)
	}
	if _, err := results.Exec(); err != nil {
		return fmt.Errorf("sparing the flush: %w", err)
	}
	var one int
	err := results.QueryRow().Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return &conn.FencedError{Name: k.work.ticket.Lease, Fence: k.work.ticket.Fence}
	}
	if err != nil {
		return fmt.Errorf("holding the lease: %w", err)
	}
	if k.work.db.Role != "" {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("becoming role %s: %w", k.work.db.Role, err)
		}
	}
	return nil
}

// readAhead gives nothing where fewer rows are left: they are counted then.
func readAhead(results pgx.BatchResults, s stretch, size int) (ahead, error) {
	next := ahead{position: s.last, stretch: stretch{rows: int64(size)}}
	err := results.QueryRow().Scan(&next.stretch.last)
	if errors.Is(err, pgx.ErrNoRows) {
		return ahead{}, nil
	}
	next.known = err == nil
	return next, err
}

func (k *worker) readCursor(results pgx.BatchResults) error {
	if k.work.db.Role != "" {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	tag, err := results.Exec()
	if err != nil {
		return fmt.Errorf("moving the cursor: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("the cursor of %s was moved by somebody else", k.fill.action.Table)
	}
	return nil
}

// names are prepared statements of one form of a batch.
type names struct{ fill, end string }

// prepare has the server read the author's expressions where they are run: as
// the role, with its path.
func (k *worker) prepare(ctx context.Context, b *batches, l *lane, s stretch) (n names, err error) {
	wanted := map[string]string{}
	n.fill = fmt.Sprintf("fill_%d_%t_%t", l.part.oid, l.position != nil, s.last != nil)
	wanted[n.fill] = b.fillSQL(l.position != nil, s.last != nil)
	if !s.end && !l.part.byPage {
		n.end = fmt.Sprintf("end_%d_%t", l.part.oid, l.high != nil)
		wanted[n.end] = b.endSQL(true, l.high != nil)
	}
	for name, sql := range wanted {
		if k.prepared[name] {
			continue
		}
		if err := k.prepareOne(ctx, name, sql); err != nil {
			return n, err
		}
		k.prepared[name] = true
	}
	return n, nil
}

func (k *worker) prepareOne(ctx context.Context, name, sql string) error {
	return conn.InTransaction(ctx, k.conn, func(tx conn.Tx) error {
		if err := setLocal(ctx, tx, map[string]string{"search_path": searchPath(k.fill.action.Table)}); err != nil {
			return err
		}
		return k.work.asRole(ctx, tx, func() error {
			_, err := k.conn.Prepare(ctx, name, sql)
			return err
		})
	})
}
