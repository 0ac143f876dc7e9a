package postgres

import (
	"context"
	"fmt"
	"strings"

	"pleat/migrations"
	"pleat/migrations/conn"
)

// analyze has the server look at what the filled columns hold. Autovacuum would,
// some time later, and never at a partitioned table as a whole; until then every
// query on a column that has just taken over is planned as if nothing were known of
// it. Without it nothing is wrong, so what the server refuses is let be.
func (f *fill) analyze(ctx context.Context) error {
	var columns []string
	for _, set := range f.action.Set {
		columns = append(columns, migrations.Ident(set.Column))
	}
	t := f.action.Table
	statement := fmt.Sprintf("ANALYZE %s (%s)", migrations.Ident(t.Schema, t.Name), strings.Join(columns, ", "))
	for range analyses {
		err := f.work.part(ctx, t, f.limits(), func(tx conn.Tx) error {
			return f.asRole(ctx, tx, func() error {
				_, err := tx.Exec(ctx, statement)
				return err
			})
		})
		if err == nil {
			return nil
		}
		if conn.Classify(err) == conn.Unknown || ctx.Err() != nil {
			return err
		}
		if !retryable(err) {
			return nil
		}
		if err := sleep(ctx, jittered(firstPause)); err != nil {
			return err
		}
	}
	return nil
}

// analyses is how often the lock is asked for, which an autovacuum of the table has:
// it mostly analyzes too.
const analyses = 5
