package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

const (
	batchTarget = 200 * time.Millisecond // what a batch should take at most
	batchOver   = 4                      // lock timeouts; a batch that takes longer is split
	rowLongest  = 5 * time.Second        // for a batch of one row, which cannot be split
	splits      = 3                      // times that a batch is split for rows that others hold, or a row is tried that is slow
	steering    = 10                     // times the author's size that a batch may get
)

// fill is one back-fill under way.
type fill struct {
	*work
	action *planner.Backfill
	rows   *batches
	key    []string // the last key done, as text; nil before the first batch
	passed int64    // rows behind the key
	size   int
	total  int64
	took   time.Duration // how long the last batch kept rows from others
	lag    replicas
}

// backfill goes along the primary key, a transaction for each batch, in which
// the cursor commits too. Rows that others write meanwhile are theirs: each
// row is judged as it is when its lock is had.
func (w *work) backfill(ctx context.Context, a *planner.Backfill) error {
	done, err := w.marked(ctx, w.conn)
	if err != nil || done {
		return err
	}
	f := &fill{work: w, action: a, size: max(a.Batch, 1), lag: replicas{limit: a.ReplicaLag}}
	if err := f.prepare(ctx); err != nil {
		return err
	}
	defer w.report(planner.Waiting{})
	for {
		if err := f.awaitReplicas(ctx); err != nil {
			return err
		}
		last, err := f.next(ctx)
		if err != nil {
			return err
		}
		w.report(planner.Progress{Done: f.passed, Total: max(f.total, f.passed), Unit: "rows"})
		if last {
			break
		}
		w.at("backfill.between")
	}
	w.at("backfill.before_mark")
	return w.finish(ctx, entry{change: a.Change, digest: a.Digest, unit: a.Unit, phase: a.Phase}, f.close)
}

func (f *fill) prepare(ctx context.Context) error {
	types, err := keyTypes(ctx, f.conn, f.action)
	if err != nil {
		return err
	}
	f.rows = &batches{action: f.action, types: types}
	if f.total, err = estimate(ctx, f.conn, f.action.Table); err != nil {
		return err
	}
	return conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
		if err := f.holdFence(ctx, tx); err != nil {
			return err
		}
		return f.resume(ctx, tx)
	})
}

// resume takes up a cursor of the same expressions, and refuses one of others
// that has come some way: the rows behind it are filled by the other text.
func (f *fill) resume(ctx context.Context, tx conn.Tx) error {
	var digest string
	var finished bool
	var key []string
	var rows int64
	err := tx.QueryRow(ctx, `
		select digest, finished, position, rows from pleat.cursor where change = $1 and unit = $2`,
		f.action.Change, f.unit()).Scan(&digest, &finished, &key, &rows)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("reading the cursor of %s: %w", f.action.Table, err)
	}
	same := digest == f.action.Cursor
	switch {
	case err == nil && !finished && same:
		f.key, f.passed = key, rows
		return nil
	case err == nil && !finished && key != nil:
		return &CursorError{Change: f.action.Change, Table: f.action.Table.String(), Rows: rows}
	}
	_, err = tx.Exec(ctx, `
		insert into pleat.cursor (change, unit, digest) values ($1, $2, $3)
		on conflict (change, unit) do update set digest = excluded.digest, position = null, rows = 0, finished = false,
		  updated = pg_catalog.clock_timestamp()`, f.action.Change, f.unit(), f.action.Cursor)
	if err != nil {
		return fmt.Errorf("placing the cursor of %s: %w", f.action.Table, err)
	}
	return nil
}

func (f *fill) unit() string { return f.action.Table.String() }

func (f *fill) close(ctx context.Context, tx conn.Tx) error {
	_, err := tx.Exec(ctx, `
		update pleat.cursor set finished = true, updated = pg_catalog.clock_timestamp()
		where change = $1 and unit = $2`, f.action.Change, f.unit())
	return err
}

// next does one batch. A lock that is not had is waited for until patience
// ends, with a smaller batch, which keeps fewer rows from others meanwhile.
func (f *fill) next(ctx context.Context) (last bool, err error) {
	limits := f.limits()
	deadline := time.Now().Add(limits.Patience)
	pause := firstPause
	alone := 0 // times that one row was too slow
	for failed := 0; ; failed++ {
		last, err = f.batch(ctx, limits)
		if err == nil {
			f.steer(failed)
			return last, nil
		}
		slow := sqlState(err) == queryCanceled && !stopped(ctx)
		if slow && f.size == 1 {
			alone++
		}
		if !retryable(err) && !slow || alone > splits || time.Now().Add(pause).After(deadline) {
			return false, fmt.Errorf("backfilling %s after %d rows: %w", f.action.Table, f.passed, err)
		}
		if slow || failed < splits {
			f.size = max(f.size/2, 1)
		}
		if slow {
			continue
		}
		f.report(planner.Waiting{For: "rows of " + f.action.Table.String() + " that others hold"})
		if err := sleep(ctx, jittered(pause)); err != nil {
			return false, err
		}
		pause = min(2*pause, time.Second)
	}
}

// steer brings the next batch nearer to the time that one should take, by
// half or double at most. Whoever writes a row of the batch waits for its end,
// so it should not take longer than anybody may wait for a lock of ours. What a
// commit takes is the same for a batch of any size.
func (f *fill) steer(failed int) {
	if failed > 0 {
		f.report(planner.Waiting{})
		return
	}
	target := min(batchTarget, f.limits().LockWait)
	factor := min(max(float64(target)/float64(max(f.took, time.Millisecond)), 0.5), 2)
	size := int(float64(f.size) * factor)
	f.size = min(max(size, 1), max(f.action.Batch, 1)*steering)
}

// longest is how long a batch may take before it is split.
func (f *fill) longest(limits planner.Limits) time.Duration {
	if f.size == 1 {
		return rowLongest
	}
	return min(batchOver*limits.LockWait, rowLongest)
}

// span is one range of keys: the last one, nil where there is no end, and how
// many rows are passed behind it.
type span struct {
	last   []string
	passed int64
}

// batch fills one range of keys and moves the cursor behind it, in one commit.
func (f *fill) batch(ctx context.Context, limits planner.Limits) (last bool, err error) {
	var done span
	t := conn.Transaction{Conn: f.conn, Sent: func() { f.at("backfill.commit_sent") }}
	err = t.Run(ctx, func(tx conn.Tx) error {
		if err := f.beginBatch(ctx, tx, limits); err != nil {
			return err
		}
		err := f.asRole(ctx, tx, func() error {
			var err error
			done, err = f.fillSpan(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		f.at("backfill.updated")
		return f.moveCursor(ctx, tx, done)
	})
	if err != nil {
		return false, err
	}
	f.passed = done.passed
	if done.last == nil {
		return true, nil
	}
	f.key = done.last
	return false, nil
}

// fillSpan counts the last range by what was written: its rows were not
// counted to find its end.
func (f *fill) fillSpan(ctx context.Context, tx conn.Tx) (span, error) {
	last, err := f.rows.end(ctx, tx, f.key, f.size)
	if err != nil {
		return span{}, err
	}
	start := time.Now()
	updated, err := f.rows.fill(ctx, tx, f.key, last)
	f.took = time.Since(start)
	if err != nil {
		return span{}, err
	}
	if last == nil {
		return span{passed: f.passed + updated}, nil
	}
	return span{last: last, passed: f.passed + int64(f.size)}, nil
}

func (f *fill) beginBatch(ctx context.Context, tx conn.Tx, limits planner.Limits) error {
	err := setLocal(ctx, tx, map[string]string{
		"lock_timeout":      milliseconds(limits.LockWait),
		"statement_timeout": milliseconds(f.longest(limits)),
		"search_path":       searchPath(f.action.Table),
		"pleat.sync":        "off", // the trigger would take the fill for a write in the new shape
	})
	if err != nil {
		return err
	}
	return f.holdFence(ctx, tx)
}

// moveCursor moves it from where this batch began, so that no range is done
// twice by whoever was taken for dead.
func (f *fill) moveCursor(ctx context.Context, tx conn.Tx, done span) error {
	key := done.last
	if key == nil {
		key = f.key
	}
	tag, err := tx.Exec(ctx, `
		update pleat.cursor set position = $3, rows = $4, updated = pg_catalog.clock_timestamp()
		where change = $1 and unit = $2 and position is not distinct from $5`,
		f.action.Change, f.unit(), key, done.passed, f.key)
	if err != nil {
		return fmt.Errorf("moving the cursor: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("the cursor of %s was moved by somebody else", f.action.Table)
	}
	return nil
}

// keyTypes are the types of the key's columns, to read a stored key by.
func keyTypes(ctx context.Context, q conn.Tx, a *planner.Backfill) ([]string, error) {
	rows, err := q.Query(ctx, `
		select pg_catalog.format_type(t.atttypid, t.atttypmod)
		from pg_catalog.unnest($2::text[]) with ordinality as k (name, place)
		join pg_catalog.pg_attribute t on t.attname = k.name and t.attrelid = pg_catalog.to_regclass($1) and not t.attisdropped
		order by k.place`, migrations.Ident(a.Table.Schema, a.Table.Name), a.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", a.Table, err)
	}
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", a.Table, err)
	}
	if len(types) != len(a.Key) {
		return nil, fmt.Errorf("table %s has not all columns of the key %v", a.Table, a.Key)
	}
	return types, nil
}

// estimate is what the statistics say; a table without any is small or new.
func estimate(ctx context.Context, q conn.Tx, t spec.Table) (int64, error) {
	var rows int64
	err := q.QueryRow(ctx, `
		select greatest(reltuples, 0)::bigint from pg_catalog.pg_class where oid = pg_catalog.to_regclass($1)`,
		migrations.Ident(t.Schema, t.Name)).Scan(&rows)
	if err != nil {
		return 0, fmt.Errorf("estimating the rows of %s: %w", t, err)
	}
	return rows, nil
}
