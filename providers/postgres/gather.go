package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

// gathered is how many rows are filled at once that passes went by.
const gathered = 500

// gather fills the rows that a pass went by because they moved, until one look
// at all rows at one moment finds none: there each row is in one place. Where
// many are left it returns false, if another pass is allowed.
func (f *fill) gather(ctx context.Context, mayPass bool) (done bool, err error) {
	f.say(planner.Waiting{For: "a last look at the rows of " + f.action.Table.String()})
	defer f.say(planner.Waiting{})
	deadline := time.Now().Add(f.limits().Patience)
	for {
		left, err := f.leftOver(ctx)
		if err != nil || len(left) == 0 {
			return err == nil, err
		}
		filled, err := f.fillLeft(ctx, left)
		if err != nil && !retryable(err) {
			return false, fmt.Errorf("backfilling rows of %s that moved: %w", f.action.Table, err)
		}
		if len(left) == gathered && mayPass {
			return false, nil
		}
		if filled > 0 {
			deadline = time.Now().Add(f.limits().Patience)
		}
		if time.Now().After(deadline) {
			return false, fmt.Errorf("backfilling %s: rows move or are held whenever they are to be filled", f.action.Table)
		}
	}
}

// place is where a row is at one moment.
type place struct {
	relation uint32
	ctid     string
}

// leftOver reads all of the table, which takes its time and keeps nobody
// waiting.
func (f *fill) leftOver(ctx context.Context) (left []place, err error) {
	t := f.action.Table
	sql := fmt.Sprintf("select tableoid, ctid::text from %s as %s where %s limit %d",
		migrations.Ident(t.Schema, t.Name), migrations.Ident(t.Name), f.action.Where, gathered)
	err = conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
		err := setLocal(ctx, tx, map[string]string{"statement_timeout": "0", "transaction_read_only": "on", "search_path": searchPath(t)})
		if err != nil {
			return err
		}
		return f.asRole(ctx, tx, func() error {
			rows, err := tx.Query(ctx, sql)
			if err != nil {
				return err
			}
			left, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p place, err error) {
				err = row.Scan(&p.relation, &p.ctid)
				return p, err
			})
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("looking for rows of %s that are left: %w", t, err)
	}
	return left, nil
}

// fillLeft fills rows where they were seen. One that has moved since is seen
// again.
func (f *fill) fillLeft(ctx context.Context, left []place) (filled int64, err error) {
	byPart := map[uint32][]string{}
	for _, p := range left {
		byPart[p.relation] = append(byPart[p.relation], p.ctid)
	}
	parts, err := partsOf(ctx, f.conn, f.action)
	if err != nil {
		return 0, err
	}
	limits := f.limits()
	for _, p := range parts {
		if len(byPart[p.oid]) == 0 {
			continue
		}
		b := &batches{action: f.action, part: p}
		n := int64(0)
		err := conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
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
			return f.asRole(ctx, tx, func() error {
				tag, err := tx.Exec(ctx, b.placesSQL(), byPart[p.oid])
				n = tag.RowsAffected()
				return err
			})
		})
		if err != nil {
			return filled, err
		}
		filled += n
	}
	return filled, nil
}
