package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/migrations/hazard"
	"pleat/planner"
)

// ours is in the statements by which pleat itself reads or writes the rows of an
// application's table, and tells them from the application's.
const ours = "/* pleat */"

// statementsView is pg_stat_statements as it is to be written, "" where the
// extension is not there.
func statementsView(ctx context.Context, tx conn.Tx) (string, error) {
	var schema string
	err := tx.QueryRow(ctx, `
		select n.nspname from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
		where e.extname = 'pg_stat_statements'`).Scan(&schema)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for pg_stat_statements: %w", err)
	}
	return migrations.Ident(schema, "pg_stat_statements"), nil
}

// counted is what the view says of the statements that use something, as of
// one moment.
type counted struct {
	reset  string
	calls  map[string]int64  // by user and query
	texts  map[string]string // the same
	hidden int               // statements of which the role may not see the text
}

// noStatements compares what was counted when the quiet time began with what is
// counted now. The view has no times: a statement whose count rose was run since,
// and so was one that was not there. Its reset makes everything begin anew.
func (w *work) noStatements(ctx context.Context, g *planner.NoStatements) (planner.Answer, error) {
	now, err := w.counts(ctx, g)
	if err != nil {
		return planner.Answer{}, w.explain(err)
	}
	if now == nil {
		return planner.Answer{Reason: "pg_stat_statements is gone, by which the plan looks for statements; plan again"}, nil
	}
	if now.hidden > 0 {
		return planner.Answer{Reason: fmt.Sprintf("%d statements in pg_stat_statements cannot be seen; GRANT pg_read_all_stats TO %s;",
			now.hidden, migrations.Ident(w.conn.Config().User))}, nil
	}
	reason := ""
	err = conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		if err := w.holdFence(ctx, tx); err != nil {
			return err
		}
		was, err := countedBefore(ctx, tx, g.Change)
		if err != nil {
			return err
		}
		if was != nil {
			if reason = now.since(was); reason == "" {
				return nil
			}
		}
		return now.keep(ctx, tx, g.Change)
	})
	return planner.Answer{Met: reason == "", Reason: reason}, w.explain(err)
}

// counts reads the view and judges each text by the grammar. One that cannot be
// read counts as a use.
func (w *work) counts(ctx context.Context, g *planner.NoStatements) (*counted, error) {
	view, err := statementsView(ctx, w.conn)
	if err != nil || view == "" {
		return nil, err
	}
	now := &counted{calls: map[string]int64{}, texts: map[string]string{}}
	if now.reset, err = resetOf(ctx, w.conn, view); err != nil {
		return nil, err
	}
	var patterns []string
	for _, u := range g.Uses {
		patterns = append(patterns, "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(u.Table.Name)+"%")
	}
	// The pattern only spares texts the reading.
	rows, err := w.conn.Query(ctx, fmt.Sprintf(`
		select coalesce(userid || ' ' || queryid, 'hidden'), sum(calls)::bigint, min(query) from %s
		where dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
		  and (query ilike any($1) or query = '<insufficient privilege>')
		group by 1`, view), patterns)
	if err != nil {
		return nil, fmt.Errorf("reading pg_stat_statements: %w", err)
	}
	var key, text string
	var calls int64
	_, err = pgx.ForEachRow(rows, []any{&key, &calls, &text}, func() error {
		switch {
		case text == unseen:
			now.hidden++
		case !strings.Contains(text, ours) && w.uses(text, g.Uses):
			now.calls[key], now.texts[key] = calls, text
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading pg_stat_statements: %w", err)
	}
	return now, nil
}

func (w *work) uses(text string, uses []planner.Use) bool {
	for _, u := range uses {
		used, err := hazard.Uses(text, hazard.Target{Schema: u.Table.Schema, Table: u.Table.Name, Columns: u.Columns})
		if used || err != nil {
			return true
		}
	}
	return false
}

// resetOf is when the view was emptied, "" before version 14, which does not say.
func resetOf(ctx context.Context, tx conn.Tx, view string) (string, error) {
	info := strings.TrimSuffix(view, `"`) + `_info"`
	var there bool
	if err := tx.QueryRow(ctx, "select pg_catalog.to_regclass($1) is not null", info).Scan(&there); err != nil || !there {
		return "", err
	}
	var at string
	err := tx.QueryRow(ctx, "select stats_reset::text from "+info).Scan(&at)
	if err != nil {
		return "", fmt.Errorf("asking when pg_stat_statements was reset: %w", err)
	}
	return at, nil
}

// countedBefore is nil where no quiet time has begun.
func countedBefore(ctx context.Context, tx conn.Tx, change string) (*counted, error) {
	var was counted
	var raw []byte
	err := tx.QueryRow(ctx, `
		select s.reset, s.calls from pleat.statements s join pleat.change c on c.name = s.change
		where s.change = $1 and c.quiet_since is not null for update of c`, change).Scan(&was.reset, &raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what statements were counted: %w", err)
	}
	return &was, json.Unmarshal(raw, &was.calls)
}

// since says what was run, "" for nothing.
func (c *counted) since(was *counted) string {
	if c.reset != was.reset {
		return "pg_stat_statements was reset; the quiet time begins anew"
	}
	for key := range was.calls {
		if _, there := c.calls[key]; !there && c.reset == "" {
			return "pg_stat_statements has forgotten a statement; the quiet time begins anew"
		}
	}
	first, times := "", int64(0)
	for key, calls := range c.calls {
		before := was.calls[key]
		if calls < before { // it was forgotten, and run since
			before = 0
		}
		if calls == before {
			continue
		}
		times += calls - before
		if first == "" || c.texts[key] < first {
			first = c.texts[key]
		}
	}
	if times == 0 {
		return ""
	}
	return fmt.Sprintf("statements still use it (%d since it was last quiet), such as: %s", times, firstLine(first))
}

// keep has what is counted now stand for the beginning of the quiet time, which
// is asked for next.
func (c *counted) keep(ctx context.Context, tx conn.Tx, change string) error {
	raw, err := json.Marshal(c.calls)
	if err != nil {
		return fmt.Errorf("keeping what statements were counted: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into pleat.statements (change, reset, calls) values ($1, $2, $3::text::jsonb)
		on conflict (change) do update set reset = $2, calls = $3::text::jsonb, at = pg_catalog.clock_timestamp()`, change, c.reset, string(raw))
	if err != nil {
		return fmt.Errorf("keeping what statements were counted: %w", err)
	}
	_, err = tx.Exec(ctx, "update pleat.change set quiet_since = null where name = $1 and quiet_since is not null", change)
	if err != nil {
		return fmt.Errorf("beginning a quiet time anew: %w", err)
	}
	return nil
}
