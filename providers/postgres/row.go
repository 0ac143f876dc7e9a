package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
)

// Row is the first row of an author's query as a JSON object, its columns in
// their order; nil where the query gives none. It runs in a transaction that can
// write nothing, as the database's role, and ends with ctx.
func (p *Provider) Row(ctx context.Context, sql string) (row json.RawMessage, err error) {
	question, err := migrations.Question(sql)
	if err != nil {
		return nil, err
	}
	c, err := p.readOnly(ctx, "pleat")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx), c)) }()
	err = conn.InTransaction(ctx, c, func(tx conn.Tx) error {
		if p.db.Role != "" {
			if _, err := tx.Exec(ctx, "set local role "+migrations.Ident(p.db.Role)); err != nil {
				return fmt.Errorf("becoming role %s: %w", p.db.Role, err)
			}
		}
		var text []byte
		err := tx.QueryRow(ctx, "select pg_catalog.row_to_json(answer) from ("+question+"\n) as answer limit 1").Scan(&text)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		row = text
		return err
	})
	return row, err
}
