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
	"pleat/spec"
)

// countTime bounds a count: it scans a table for a person who waits.
const countTime = 20 * time.Second

// Count is how many rows a table has, and how many values that are not null
// each of some columns has.
type Count struct {
	Rows   int64
	Values []int64 // in the order of the columns
}

// Count scans a table, for 20 s at most. It reads as the database's role. A
// table or column that is not there is an error.
func (p *Provider) Count(ctx context.Context, t spec.Table, columns []string) (n Count, err error) {
	c, err := conn.Open(ctx, p.db.URL, conn.Options{Application: "pleat", ReadOnly: true, StatementTimeout: countTime})
	if err != nil {
		return Count{}, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	w := &work{Provider: p, conn: c}
	err = conn.InTransaction(ctx, c, func(tx conn.Tx) error {
		return w.asRole(ctx, tx, func() error {
			n, err = count(ctx, tx, t, columns)
			return err
		})
	})
	if err != nil {
		return Count{}, fmt.Errorf("counting what %s has: %w", t, w.explain(err))
	}
	return n, nil
}

func count(ctx context.Context, tx conn.Tx, t spec.Table, columns []string) (Count, error) {
	wanted := []string{"count(*)"}
	for _, column := range columns {
		wanted = append(wanted, "count("+migrations.Ident(column)+")")
	}
	rows, err := tx.Query(ctx, "select array["+strings.Join(wanted, ", ")+"] from "+migrations.Ident(t.Schema, t.Name))
	if err != nil {
		return Count{}, err
	}
	counts, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]int64])
	if err != nil {
		return Count{}, err
	}
	return Count{Rows: counts[0], Values: counts[1:]}, nil
}
