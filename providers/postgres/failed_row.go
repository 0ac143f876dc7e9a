package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations/conn"
	"pleat/planner"
)

const (
	outcomesKept = 50 // batches and rows by which a back-fill is judged hopeless
	failedShown  = 10 // rows that an error names
)

// outcomes remembers what became of the last tries: true is a row that was
// passed by.
type outcomes struct {
	failed [outcomesKept]bool
	count  int
}

func (o *outcomes) add(failed bool) {
	o.failed[o.count%outcomesKept] = failed
	o.count++
}

func (o *outcomes) hopeless() bool {
	n := 0
	for _, failed := range o.failed {
		if failed {
			n++
		}
	}
	return o.count >= outcomesKept && n > outcomesKept/2
}

// outcome notes what became of a batch, or of a row alone, and fails once most
// of the last ones failed.
func (f *fill) outcome(failed bool) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.given.add(failed)
	if failed && f.given.hopeless() {
		return &HopelessError{Table: f.action.Table.String(), Last: outcomesKept, Reason: f.reason}
	}
	return nil
}

// HopelessError is a back-fill that was stopped because most of what it tried
// last failed. What it did is kept.
type HopelessError struct {
	Table  string
	Last   int    // tries that were judged
	Reason string // of the last one that failed
}

func (e *HopelessError) Error() string {
	return fmt.Sprintf("the back-fill of %s was stopped: more than half of its last %d batches failed, the last with: %s", e.Table, e.Last, e.Reason)
}

// Hint is what to do about it.
func (e *HopelessError) Hint() string {
	return "the expression does not fit the rows: correct it, or the rows; apply goes on where it stopped"
}

// RowsError is rows that a back-fill could not fill. All others are done.
type RowsError struct {
	Table string
	Rows  int
	Shown []string // "id=7: division by zero (22012)"
}

func (e *RowsError) Error() string {
	text := fmt.Sprintf("%d rows of %s cannot be filled", e.Rows, e.Table)
	if e.Rows == 1 {
		text = "1 row of " + e.Table + " cannot be filled"
	}
	for _, s := range e.Shown {
		text += "\n  " + s
	}
	if e.Rows > len(e.Shown) {
		text += fmt.Sprintf("\n  and %d more, in pleat.failed_row", e.Rows-len(e.Shown))
	}
	return text
}

// Hint is what to do about it.
func (e *RowsError) Hint() string {
	return "correct these rows, or the expression; apply tries them again, and no others"
}

// passBy writes down the row that stands alone behind the lane's position and
// moves the cursor over it, in one commit.
func (k *worker) passBy(ctx context.Context, l *lane, limits planner.Limits, cause error) error {
	b := &batches{action: k.fill.action, part: l.part}
	s, err := k.stretch(ctx, b, l)
	if err != nil {
		return err
	}
	key := s.last
	if key == nil {
		return fmt.Errorf("backfilling %s: %w", k.fill.action.Table, cause)
	}
	reason := serverText(cause)
	statements := &pgx.Batch{}
	k.queueBegin(statements, limits)
	k.queueCursor(statements, l, s)
	statements.Queue(`
		insert into pleat.failed_row (change, unit, relation, key, reason) values ($1, $2, $3, $4, $5)
		on conflict (change, unit, relation, key) do update set reason = excluded.reason, at = pg_catalog.clock_timestamp()`,
		k.fill.action.Change, k.fill.unit(), l.part.oid, stored(key), reason)
	err = conn.Transaction{Conn: k.conn}.RunBatch(ctx, statements, func(results pgx.BatchResults) error {
		if err := k.readBegin(results); err != nil {
			return err
		}
		if err := k.readCursor(results); err != nil {
			return err
		}
		_, err := results.Exec()
		return err
	})
	if err != nil {
		return fmt.Errorf("passing by a row of %s: %w", k.fill.action.Table, err)
	}
	k.ahead = ahead{}
	k.fill.moved(l, s)
	k.fill.say(planner.Warning{Text: fmt.Sprintf("%s: a row cannot be filled: %s: %s", k.fill.action.Table, k.fill.describe(l.part, key), reason)})
	k.fill.because(reason)
	return k.fill.outcome(true)
}

func (f *fill) because(reason string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.reason = reason
}

func serverText(err error) string {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return err.Error()
	}
	if refusal.Code == queryCanceled {
		return fmt.Sprintf("it takes longer than %s", rowLongest)
	}
	return refusal.Message + " (" + refusal.Code + ")"
}

// describe names a row by its key: "id=7", or by where it is.
func (f *fill) describe(p part, key []string) string {
	columns := p.keyOf(f.action)
	parts := make([]string, len(key))
	for i, value := range key {
		parts[i] = columns[i] + "=" + value
	}
	text := strings.Join(parts, ", ")
	if len(f.parts) > 1 {
		text += " of " + p.name
	}
	return text
}

func (f *fill) failedRows(ctx context.Context, q conn.Tx) (n int, err error) {
	err = q.QueryRow(ctx, "select count(*) from pleat.failed_row where change = $1 and unit = $2", f.action.Change, f.unit()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("reading the rows of %s that failed: %w", f.action.Table, err)
	}
	return n, nil
}

// failedRow is a row that was passed by.
type failedRow struct {
	relation uint32
	key      []string
	reason   string
}

// retryFailed tries the rows that were passed by once more, and fails with a
// *RowsError where some are left.
func (f *fill) retryFailed(ctx context.Context) error {
	rows, err := f.conn.Query(ctx, `
		select relation, key, reason from pleat.failed_row where change = $1 and unit = $2 order by at, relation, key`,
		f.action.Change, f.unit())
	if err != nil {
		return fmt.Errorf("reading the rows of %s that failed: %w", f.action.Table, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r failedRow, err error) {
		err = row.Scan(&r.relation, &r.key, &r.reason)
		return r, err
	})
	if err != nil {
		return fmt.Errorf("reading the rows of %s that failed: %w", f.action.Table, err)
	}
	left := &RowsError{Table: f.unit()}
	for _, r := range all {
		p, there := f.part(r.relation)
		if !there {
			continue
		}
		reason, err := f.retry(ctx, p, r)
		if err != nil {
			return err
		}
		if reason == "" {
			continue
		}
		left.Rows++
		if len(left.Shown) < failedShown {
			left.Shown = append(left.Shown, f.describe(p, r.key)+": "+reason)
		}
	}
	if left.Rows > 0 {
		return left
	}
	return nil
}

// retry fills one row by its key and forgets that it failed. It says why not,
// or "". A row that has moved is for the next pass.
func (f *fill) retry(ctx context.Context, p part, r failedRow) (reason string, err error) {
	b := &batches{action: f.action, part: p}
	limits := f.limits()
	err = conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
		err := setLocal(ctx, tx, map[string]string{
			"lock_timeout": milliseconds(limits.LockWait), "statement_timeout": milliseconds(rowLongest),
			"search_path": searchPath(f.action.Table), "pleat.sync": "off",
		})
		if err != nil {
			return err
		}
		if err := f.holdFence(ctx, tx); err != nil {
			return err
		}
		err = f.asRole(ctx, tx, func() error {
			_, err := tx.Exec(ctx, b.rowSQL(), values(r.key)...)
			return err
		})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "delete from pleat.failed_row where change = $1 and unit = $2 and relation = $3 and key = $4",
			f.action.Change, f.unit(), r.relation, stored(r.key))
		return err
	})
	slow := sqlState(err) == queryCanceled && !stopped(ctx)
	if unfillable(err) || retryable(err) || slow {
		return serverText(err), nil
	}
	return "", err
}
