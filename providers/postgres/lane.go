package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
)

const (
	lanesEach = 4      // for a worker, so that none is idle long before the others
	laneLeast = 20_000 // rows that are worth a lane of their own
	sampled   = 20_000 // rows by which a table is divided
)

// lane is a stretch of a part that one worker at a time goes along.
type lane struct {
	number   int
	part     part
	position []string // the last key done, as text; nil before the first
	high     []string // the last key of the lane; nil: it ends with the part
	rows     int64    // passed so far
	finished bool
	taken    bool // a worker is on it
}

// resume takes up the lanes of the same expressions, and refuses those of
// others that have come some way: the rows behind them are filled by the other
// text. Lanes are there until the back-fill is recorded as done, so that nothing is
// filled twice by one that ended between its last batch and that. Without any it
// leaves f.lanes nil.
func (f *fill) resume(ctx context.Context, tx conn.Tx) error {
	lanes, digests, err := f.stored(ctx, tx)
	if err != nil || len(lanes) == 0 {
		return err
	}
	same, finished, rows := true, true, int64(0)
	for i, l := range lanes {
		same = same && digests[i] == f.action.Cursor
		finished = finished && l.finished
		rows += l.rows
	}
	failed, err := f.failedRows(ctx, tx)
	if err != nil {
		return err
	}
	switch {
	case !same && rows == 0:
		return f.forget(ctx, tx)
	case !same:
		return &CursorError{Change: f.action.Change, Table: f.action.Table.String(), Rows: rows}
	case finished && failed > 0 && !f.keepsOrder():
		return f.forget(ctx, tx) // a row that failed may be anywhere by now
	}
	f.lanes = lanes
	return nil
}

// stored reads the lanes. One of a part that is gone is left out: its rows are
// gone too.
func (f *fill) stored(ctx context.Context, tx conn.Tx) (lanes []*lane, digests []string, err error) {
	rows, err := tx.Query(ctx, `
		select lane, relation, digest, position, high, rows, finished from pleat.cursor
		where change = $1 and unit = $2 order by lane`, f.action.Change, f.unit())
	if err != nil {
		return nil, nil, fmt.Errorf("reading the cursor of %s: %w", f.action.Table, err)
	}
	var l lane
	var relation *uint32
	var digest string
	_, err = pgx.ForEachRow(rows, []any{&l.number, &relation, &digest, &l.position, &l.high, &l.rows, &l.finished}, func() error {
		oid := f.root()
		if relation != nil {
			oid = *relation
		}
		p, there := f.part(oid)
		if !there {
			return nil
		}
		one := l
		one.part = p
		lanes, digests = append(lanes, &one), append(digests, digest)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the cursor of %s: %w", f.action.Table, err)
	}
	return lanes, digests, nil
}

func (f *fill) forget(ctx context.Context, tx conn.Tx) error {
	for _, table := range []string{"pleat.cursor", "pleat.failed_row"} {
		if _, err := tx.Exec(ctx, "delete from "+table+" where change = $1 and unit = $2", f.action.Change, f.unit()); err != nil {
			return fmt.Errorf("placing the cursor of %s: %w", f.action.Table, err)
		}
	}
	return nil
}

// placeLanes begins with one lane for each part; split divides them.
func (f *fill) placeLanes(ctx context.Context) error {
	f.lanes = nil
	for i, p := range f.parts {
		f.lanes = append(f.lanes, &lane{number: i, part: p})
	}
	return f.underFence(ctx, func(tx conn.Tx) error {
		for _, l := range f.lanes {
			if err := f.insert(ctx, tx, l); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fill) underFence(ctx context.Context, body func(tx conn.Tx) error) error {
	return conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
		if err := f.holdFence(ctx, tx); err != nil {
			return err
		}
		return body(tx)
	})
}

func (f *fill) insert(ctx context.Context, tx conn.Tx, l *lane) error {
	_, err := tx.Exec(ctx, `
		insert into pleat.cursor (change, unit, lane, relation, digest, position, high)
		values ($1, $2, $3, $4, $5, $6, $7)`,
		f.action.Change, f.unit(), l.number, l.part.oid, f.action.Cursor, stored(l.position), stored(l.high))
	if err != nil {
		return fmt.Errorf("placing the cursor of %s: %w", f.action.Table, err)
	}
	return nil
}

// startOver is another pass, along the parts that there are by now.
func (f *fill) startOver(ctx context.Context) error {
	var err error
	if f.parts, err = partsOf(ctx, f.conn, f.action); err != nil {
		return err
	}
	if err := f.underFence(ctx, func(tx conn.Tx) error { return f.forget(ctx, tx) }); err != nil {
		return err
	}
	return f.placeLanes(ctx)
}

// split divides what is left into enough lanes for n workers, where it is worth
// that. What is behind a lane's position is not touched.
func (f *fill) split(ctx context.Context, n int) error {
	open := f.unfinished()
	if n < 2 || len(open) >= n {
		return nil
	}
	pieces := (lanesEach*n + len(open) - 1) / len(open)
	for _, l := range open {
		bounds, err := f.bounds(ctx, l, min(int64(pieces), l.part.rows/laneLeast))
		if err != nil {
			return err
		}
		if err := f.divide(ctx, l, bounds); err != nil {
			return err
		}
	}
	return nil
}

// bounds are keys that divide what is left of a lane into so many pieces, about.
func (f *fill) bounds(ctx context.Context, l *lane, pieces int64) (bounds [][]string, err error) {
	if pieces < 2 {
		return nil, nil
	}
	b := &batches{action: f.action, part: l.part}
	if l.part.byPage {
		return b.pageBounds(l.position, l.high, pieces), nil
	}
	err = conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
		return f.asRole(ctx, tx, func() (err error) {
			bounds, err = b.bounds(ctx, tx, l.position, l.high, pieces)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("dividing %s: %w", f.action.Table, err)
	}
	return bounds, nil
}

func (f *fill) divide(ctx context.Context, l *lane, bounds [][]string) error {
	if len(bounds) == 0 {
		return nil
	}
	var added []*lane
	for i, low := range bounds {
		high := l.high
		if i+1 < len(bounds) {
			high = bounds[i+1]
		}
		added = append(added, &lane{number: f.lastLane() + 1 + i, part: l.part, position: low, high: high})
	}
	err := f.underFence(ctx, func(tx conn.Tx) error {
		_, err := tx.Exec(ctx, "update pleat.cursor set high = $4 where change = $1 and unit = $2 and lane = $3",
			f.action.Change, f.unit(), l.number, stored(bounds[0]))
		if err != nil {
			return fmt.Errorf("dividing %s: %w", f.action.Table, err)
		}
		for _, a := range added {
			if err := f.insert(ctx, tx, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.high = bounds[0]
	f.lanes = append(f.lanes, added...)
	return nil
}

func (f *fill) lastLane() int {
	last := -1
	for _, l := range f.lanes {
		last = max(last, l.number)
	}
	return last
}

func (f *fill) unfinished() []*lane {
	var open []*lane
	for _, l := range f.lanes {
		if !l.finished {
			open = append(open, l)
		}
	}
	return open
}

// take gives a worker a lane that nobody is on, or nil.
func (f *fill) take() *lane {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, l := range f.lanes {
		if !l.finished && !l.taken {
			l.taken = true
			return l
		}
	}
	return nil
}

// moved notes what a batch has committed.
func (f *fill) moved(l *lane, s stretch) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if s.last != nil {
		l.position = s.last
	}
	l.rows += s.rows
	l.finished = s.end
	f.report(f.progress())
}

func (f *fill) leave(l *lane) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	l.taken = false
}

// stored is a key as its column has it.
func stored(key []string) any {
	if key == nil {
		return nil
	}
	b, err := json.Marshal(key)
	if err != nil {
		panic(fmt.Sprintf("postgres: a key of text has no JSON: %v", err))
	}
	return string(b)
}
