package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

const (
	samples   = 5
	cellWidth = 80
	countMost = 1000 // above what is allowed; beyond it is "more"
)

// verify asks in a read-only transaction and records the answer in another.
func (w *work) verify(ctx context.Context, a *planner.Verify) error {
	var found *VerifyError
	err := conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		err := setLocal(ctx, tx, map[string]string{
			"transaction_read_only": "on",
			"statement_timeout":     milliseconds(w.step.Limits.Run),
			"search_path":           searchPath(spec.Table{}),
		})
		if err != nil {
			return err
		}
		return w.asRole(ctx, tx, func() error {
			found, err = w.broken(ctx, tx, a)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("verify %s: %w", a.Name, err)
	}
	if found.Rows > a.Max {
		return found
	}
	return w.finish(ctx, entry{change: a.Change, digest: a.Digest, phase: a.Phase}, nothingElse)
}

// broken counts the rows that the question gives, as a subquery, so that it
// can be nothing but a question.
func (w *work) broken(ctx context.Context, tx conn.Tx, a *planner.Verify) (*VerifyError, error) {
	question, err := migrations.Question(a.SQL)
	if err != nil {
		return nil, err
	}
	limit := a.Max + countMost
	sql := fmt.Sprintf("select * from ("+ours+" %s\n) as broken limit %d", question, limit+1)
	rows, err := tx.Query(ctx, sql, pgx.QueryResultFormats{pgx.TextFormatCode})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := &VerifyError{Name: a.Name, Max: a.Max, Writers: map[string]int{}}
	for rows.Next() {
		if found.Rows == limit {
			found.More = true
			break
		}
		found.Rows++
		if by := writer(rows); by != "" {
			found.Writers[by]++
		}
		if len(found.Samples) < samples {
			found.Samples = append(found.Samples, sample(rows))
		}
	}
	rows.Close()
	return found, rows.Err()
}

// writerColumn has the application_name of the session that wrote a row.
const writerColumn = "written_by"

// writer is the release that a row says wrote it, "" for none.
func writer(rows pgx.Rows) string {
	for i, raw := range rows.RawValues() {
		if rows.FieldDescriptions()[i].Name != writerColumn {
			continue
		}
		if service, release, instance, ok := parseApplication(string(raw)); ok && instance != "" {
			return service + " " + release
		}
	}
	return ""
}

// sample is a row as "column=value", whatever the types.
func sample(rows pgx.Rows) string {
	fields := rows.FieldDescriptions()
	cells := make([]string, len(fields))
	for i, raw := range rows.RawValues() {
		value := "NULL"
		if raw != nil {
			value = cut(string(raw), cellWidth)
		}
		cells[i] = fields[i].Name + "=" + value
	}
	return strings.Join(cells, " ")
}
