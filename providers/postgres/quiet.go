package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// questionTime bounds an author's question, which is asked again and again.
const questionTime = 10 * time.Second

// century is in seconds: longer than any soak, and no overflow.
const century = 100 * 365 * 24 * 3600

// seen is an author's answer.
type seen struct {
	at     *time.Time // nil: no time
	passed *float64   // seconds since then
	never  bool
}

// quiet fails closed: what the server refuses to answer, and what is no time,
// is as if it had just been seen. Nothing of it fails the run.
func (w *work) quiet(ctx context.Context, g *planner.Quiet) (planner.Answer, error) {
	last, err := w.lastSeen(ctx, g)
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && !stopped(ctx) {
		return planner.Answer{Reason: fmt.Sprintf("quiet %s cannot be asked: %s%s", g.Name, w.explain(refusal), w.hinted(refusal))}, nil
	}
	if err != nil {
		return planner.Answer{}, err
	}
	if last.never {
		return planner.Answer{Met: true}, nil
	}
	if last.at == nil {
		return planner.Answer{Reason: fmt.Sprintf(
			"quiet %s gives no time, which says nothing; where nothing means never, have it give '-infinity'", g.Name)}, nil
	}
	left := g.For - time.Duration(min(*last.passed, century)*float64(time.Second))
	if left <= 0 {
		return planner.Answer{Met: true}, nil
	}
	return planner.Answer{
		Reason:  fmt.Sprintf("quiet %s: last seen %s, quiet for %s at %s", g.Name, clock(*last.at), g.For, clock(last.at.Add(g.For))),
		Recheck: left,
	}, nil
}

// lastSeen asks in a read-only transaction, as the database's role, by the
// server's clock.
func (w *work) lastSeen(ctx context.Context, g *planner.Quiet) (last seen, err error) {
	question, err := migrations.Question(g.SQL)
	if err != nil {
		return seen{}, fmt.Errorf("quiet %s: %w", g.Name, err)
	}
	err = conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		err := setLocal(ctx, tx, map[string]string{
			"transaction_read_only": "on",
			"statement_timeout":     milliseconds(questionTime),
			"search_path":           searchPath(spec.Table{}),
		})
		if err != nil {
			return err
		}
		return w.asRole(ctx, tx, func() error {
			return tx.QueryRow(ctx, fmt.Sprintf(`
				select case when pg_catalog.isfinite(at) then at end,
				       case when pg_catalog.isfinite(at) then extract(epoch from pg_catalog.clock_timestamp() - at)::float8 end,
				       coalesce(at = '-infinity', false)
				from (select (%s
				)::timestamptz as at) as answer`, question)).Scan(&last.at, &last.passed, &last.never)
		})
	})
	return last, err
}

// hinted is what a person can do about a refusal, to stand behind it.
func (w *work) hinted(err error) string {
	var missing *RightError
	if errors.As(w.explain(err), &missing) {
		return "; " + missing.Hint()
	}
	return ""
}
