package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pleat/migrations/conn"
	"pleat/planner"
)

// maxPasses is how often a table is gone along for rows that moved; what is left
// then is gathered row by row.
const maxPasses = 3

// fill is one back-fill under way.
type fill struct {
	*work
	action   *planner.Backfill
	parts    []part
	governor *governor
	pace     *pace

	mutex  sync.Mutex
	lanes  []*lane
	total  int64
	given  outcomes
	reason string     // why the last row failed that did
	points sync.Mutex // one worker at a time tells where it is
	// regroup asks the workers to come back at the end of their batch.
	regroup atomic.Bool
}

// backfill goes along the table, a transaction for each batch, in which the
// cursor commits too. Rows that others write meanwhile are theirs: each row is
// judged as it is when its lock is had.
func (w *work) backfill(ctx context.Context, a *planner.Backfill) error {
	done, err := w.marked(ctx, w.conn)
	if err != nil || done {
		return err
	}
	defer w.report(planner.Waiting{})
	f := &fill{work: w, action: a, pace: &pace{}}
	f.governor = newGovernor(f)
	if err := f.prepare(ctx); err != nil {
		return err
	}
	if err := f.fillAll(ctx); err != nil {
		return err
	}
	if err := f.analyze(ctx); err != nil {
		return err
	}
	w.at("backfill.before_mark")
	return w.finish(ctx, entry{change: a.Change, digest: a.Digest, unit: a.Unit, phase: a.Phase}, f.close)
}

// unit is the name under which the back-fill is kept.
func (f *fill) unit() string { return f.action.Table.String() }

func (f *fill) prepare(ctx context.Context) error {
	var err error
	if f.parts, err = partsOf(ctx, f.conn, f.action); err != nil {
		return err
	}
	if err := f.alone(ctx); err != nil {
		return err
	}
	for _, p := range f.parts {
		f.total += p.rows
	}
	err = conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
		if err := f.holdFence(ctx, tx); err != nil {
			return err
		}
		return f.resume(ctx, tx)
	})
	if err != nil || f.lanes != nil {
		return err
	}
	if f.action.Sample {
		if err := f.checkSample(ctx); err != nil {
			return err
		}
	}
	return f.placeLanes(ctx)
}

// fillAll goes along the table until no row is left that is not right. Along
// a key one pass does it: rows keep their place in the order. A row that is
// updated while a pass goes along the pages, or that changes its partition, may
// pass by it; many such rows are worth another pass.
func (f *fill) fillAll(ctx context.Context) error {
	for pass := 1; ; pass++ {
		if err := f.pass(ctx); err != nil {
			return err
		}
		if err := f.retryFailed(ctx); err != nil {
			return err
		}
		if f.keepsOrder() || f.action.Where == "" {
			return nil
		}
		done, err := f.gather(ctx, pass < maxPasses)
		if err != nil || done {
			return err
		}
		if err := f.startOver(ctx); err != nil {
			return err
		}
	}
}

// pass ends when all lanes are at their end.
func (f *fill) pass(ctx context.Context) error {
	if err := f.governor.hear(ctx, f.work); err != nil {
		return err
	}
	for len(f.unfinished()) > 0 {
		n := f.governor.workers()
		if err := f.split(ctx, n); err != nil {
			return err
		}
		if err := f.together(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// together lets workers go along the lanes until these are at their end, or
// something has to be arranged anew. The first that fails stops the others at
// the end of their batch.
func (f *fill) together(ctx context.Context, n int) (err error) {
	f.regroup.Store(false)
	crew, err := f.crew(ctx, min(n, len(f.unfinished())))
	defer func() { err = errors.Join(err, dismiss(ctx, crew)) }()
	if err != nil {
		return err
	}
	failures := make([]error, len(crew))
	var all sync.WaitGroup
	for i, k := range crew {
		all.Go(func() {
			if failures[i] = k.run(ctx); failures[i] != nil {
				f.regroup.Store(true)
			}
		})
	}
	all.Wait()
	if err := firstOwn(failures); err != nil {
		return f.lost(crew, err)
	}
	return nil
}

// firstOwn prefers an error to those that only tell of being stopped.
func firstOwn(failures []error) error {
	var first error
	for _, err := range failures {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}

// lost makes a session that any worker lost a session that all of them lost:
// they begin again together.
func (f *fill) lost(crew []*worker, err error) error {
	if slices.ContainsFunc(crew, func(k *worker) bool { return k.conn.IsClosed() }) {
		return &sessionLost{err}
	}
	return err
}

// sessionLost is an error after which another session may go on.
type sessionLost struct{ err error }

func (e *sessionLost) Error() string { return e.err.Error() }
func (e *sessionLost) Unwrap() error { return e.err }

// keepsOrder tells whether a row stays where a pass meets it.
func (f *fill) keepsOrder() bool { return len(f.action.Key) > 0 && len(f.parts) == 1 }

func (f *fill) close(ctx context.Context, tx conn.Tx) error {
	if err := f.forget(ctx, tx); err != nil {
		return err
	}
	if err := f.publishEnd(ctx, tx); err != nil {
		return err
	}
	return f.governor.reset(ctx, tx)
}

// say reports from any worker; progress counts all lanes.
func (f *fill) say(r planner.Report) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.report(r)
}

func (f *fill) progress() planner.Progress {
	passed := f.passed()
	return planner.Progress{Done: passed, Total: max(f.total, passed), Unit: "rows"}
}

func (f *fill) passed() (rows int64) {
	for _, l := range f.lanes {
		rows += l.rows
	}
	return rows
}

// aloneEvery is how often a table is asked for that another back-fill has.
const aloneEvery = 200 * time.Millisecond

// alone waits until no other back-fill goes along the table, whatever change or
// environment it is of. The lock is the session's.
func (f *fill) alone(ctx context.Context) error {
	const space = 0x706c6266 // "plbf"
	key := int32(f.root())
	said := ""
	for {
		var got bool
		if err := f.conn.QueryRow(ctx, "select pg_catalog.pg_try_advisory_lock($1, $2)", space, key).Scan(&got); err != nil {
			return fmt.Errorf("asking whether another back-fill goes along %s: %w", f.action.Table, err)
		}
		if got {
			if said != "" {
				f.report(planner.Waiting{})
			}
			return nil
		}
		found, err := holders(ctx, f.conn, "k.locktype = 'advisory' and k.classid = $1 and k.objid = $2 and k.objsubid = 2", space, uint32(key))
		if err != nil {
			return fmt.Errorf("asking who fills %s: %w", f.action.Table, err)
		}
		text := "another back-fill of " + f.action.Table.String()
		if len(found) > 0 {
			found[0].Age = 0
			text += ": " + found[0].short()
		}
		if text != said {
			f.report(planner.Waiting{For: text})
			said = text
		}
		if err := sleep(ctx, jittered(aloneEvery)); err != nil {
			return err
		}
	}
}
