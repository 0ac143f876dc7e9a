package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// rebuilds is how often a build begins again after a deadlock or what another
// session left.
const rebuilds = 5

// indexState is what the catalog says of an index.
type indexState struct {
	exists      bool
	ours        bool   // it is on the table that it was asked for
	valid       bool   //
	builder     int    // pid of the session that builds it; 0 = none
	application string // of the builder
}

// lookAtIndex asks by the name, which is its schema's, and whether it is the
// table's.
func lookAtIndex(ctx context.Context, c *pgx.Conn, table, index spec.Table) (indexState, error) {
	var s indexState
	err := c.QueryRow(ctx, `
		select i.indisvalid and i.indisready, coalesce(i.indrelid = pg_catalog.to_regclass($2), false),
		       coalesce(p.pid, 0), coalesce(a.application_name, '')
		from pg_catalog.pg_index i
		left join pg_catalog.pg_stat_progress_create_index p
		  on p.index_relid = i.indexrelid and p.pid <> pg_catalog.pg_backend_pid()
		left join pg_catalog.pg_stat_activity a on a.pid = p.pid
		where i.indexrelid = pg_catalog.to_regclass($1)`, migrations.Ident(index.Schema, index.Name), migrations.Ident(table.Schema, table.Name)).
		Scan(&s.valid, &s.ours, &s.builder, &s.application)
	if errors.Is(err, pgx.ErrNoRows) {
		return indexState{}, nil
	}
	if err != nil {
		return indexState{}, fmt.Errorf("looking at index %s: %w", index, err)
	}
	s.exists = true
	return s, nil
}

// buildIndex ends with a valid index or with an error that says why not. A
// leftover is never trusted: Postgres keeps the invalid index of a build that
// was interrupted.
func (w *work) buildIndex(ctx context.Context, a *planner.BuildIndex) error {
	if err := w.setPath(ctx, a.Table); err != nil { // its expressions may call the author's functions
		return err
	}
	if err := w.prepareConcurrent(ctx); err != nil {
		return err
	}
	defer w.report(planner.Waiting{})
	for attempt := 0; ; attempt++ {
		valid, err := w.clearLeftover(ctx, a)
		if err != nil {
			return err
		}
		if valid {
			break
		}
		err = w.watched(ctx, a.SQL)
		if err == nil {
			continue
		}
		// 42P07: an orphan's build, which no catalog showed yet, was first.
		if attempt >= rebuilds || !retryable(err) && sqlState(err) != duplicateTable {
			return w.buildError(ctx, a, err)
		}
	}
	if err := w.leaveRole(ctx); err != nil {
		return err
	}
	if len(a.Then) > 0 {
		return w.transact(ctx, w.transaction(&planner.Transaction{
			Database: a.Database, Table: a.Table, Lock: a.Lock, SQL: a.Then,
			Change: a.Change, Unit: a.Unit, Reverse: a.Reverse, Phase: a.Phase, Digest: a.Digest,
		}))
	}
	return w.finish(ctx, entry{change: a.Change, digest: a.Digest, unit: a.Unit, reverse: a.Reverse, phase: a.Phase}, nothingElse)
}

// prepareConcurrent makes sure that we still are the holder, and lifts the
// limits on this session: a concurrent build waits for others and blocks
// nobody. Its bound is the step's.
func (w *work) prepareConcurrent(ctx context.Context) error {
	err := conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error { return w.holdFence(ctx, tx) })
	if err != nil {
		return err
	}
	_, err = w.conn.Exec(ctx, `
		select pg_catalog.set_config('lock_timeout', '0', false), pg_catalog.set_config('statement_timeout', '0', false)`)
	if err != nil {
		return fmt.Errorf("lifting the session's limits: %w", err)
	}
	if err := w.confirmLifted(ctx); err != nil {
		return err
	}
	if w.db.Role == "" {
		return nil
	}
	if _, err := w.conn.Exec(ctx, "set role "+migrations.Ident(w.db.Role)); err != nil {
		return fmt.Errorf("becoming role %s: %w", w.db.Role, err)
	}
	return nil
}

// confirmLifted reads back: with a lock timeout, a concurrent build leaves an
// invalid index.
func (w *work) confirmLifted(ctx context.Context) error {
	var lock, statement string
	err := w.conn.QueryRow(ctx, `
		select pg_catalog.current_setting('lock_timeout'), pg_catalog.current_setting('statement_timeout')`).Scan(&lock, &statement)
	if err != nil {
		return fmt.Errorf("reading the session's limits: %w", err)
	}
	if lock != "0" || statement != "0" {
		return fmt.Errorf("the session has lock_timeout %s and statement_timeout %s after both were set to 0", lock, statement)
	}
	return nil
}

func (w *work) leaveRole(ctx context.Context) error {
	if w.db.Role == "" {
		return nil
	}
	_, err := w.conn.Exec(ctx, "set role none")
	return err
}

// clearLeftover tells whether the index is there and valid. It returns once
// nobody builds it and no invalid one is in the way.
func (w *work) clearLeftover(ctx context.Context, a *planner.BuildIndex) (valid bool, err error) {
	state, err := w.awaitBuilder(ctx, a.Table, a.Index)
	if err != nil || !state.exists {
		return false, err
	}
	if !state.ours {
		return false, fmt.Errorf("there is an index %s, and it is not on %s", a.Index, a.Table)
	}
	if state.valid {
		return true, nil
	}
	if err := w.dropIndex(ctx, a.Index); err != nil {
		return false, err
	}
	w.at("index.dropped")
	return false, nil
}

// awaitBuilder waits for whoever builds the table's index. A session of
// pleat's has lost its process: there is one holder, and that is us.
func (w *work) awaitBuilder(ctx context.Context, table, index spec.Table) (indexState, error) {
	start := time.Now()
	for {
		state, err := lookAtIndex(ctx, w.conn, table, index)
		if err != nil || state.builder == 0 || !state.ours {
			return state, err
		}
		w.report(planner.Waiting{For: fmt.Sprintf("index %s, which pid %d %s builds", index, state.builder, state.application)})
		if strings.HasPrefix(state.application, "pleat") && time.Since(start) > orphanGrace {
			if err := terminate(ctx, w.conn, []int{state.builder}); err != nil {
				return state, err
			}
		}
		if err := sleep(ctx, 5*look); err != nil {
			return state, err
		}
	}
}

func (w *work) dropIndex(ctx context.Context, index spec.Table) error {
	return w.alone(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+migrations.Ident(index.Schema, index.Name), func() {})
}

// alone runs a statement that allows no transaction. meanwhile is called now
// and then until it is over, always from this goroutine.
func (w *work) alone(ctx context.Context, sql string, meanwhile func()) error {
	over := make(chan error, 1)
	go func() {
		_, err := w.conn.Exec(ctx, sql)
		over <- err
	}()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	meanwhile()
	for {
		select {
		case err := <-over:
			return w.aloneError(ctx, sql, err)
		case <-ticker.C:
			meanwhile()
		}
	}
}

// aloneError knows that a statement which the server refused had no effect
// that a look at the catalog would not show. Without an answer it may go on.
func (w *work) aloneError(ctx context.Context, sql string, err error) error {
	if err == nil {
		return nil
	}
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return fmt.Errorf("%s: %w", firstLine(sql), err)
	}
	return fmt.Errorf("%s: %w: %w", firstLine(sql), conn.ErrOutcomeUnknown, err)
}

// progress only tells; what it cannot see it leaves out.
func (w *work) progress(ctx context.Context, watch *pgx.Conn, pid uint32) {
	var phase string
	var done, total, blocked int64
	err := watch.QueryRow(ctx, `
		select phase, greatest(blocks_done, tuples_done), greatest(blocks_total, tuples_total), coalesce(current_locker_pid, 0)
		from pg_catalog.pg_stat_progress_create_index where pid = $1`, pid).Scan(&phase, &done, &total, &blocked)
	if err != nil {
		return
	}
	w.report(planner.Progress{Done: done, Total: total, Unit: "blocks, " + phase})
	if blocked != 0 {
		w.report(planner.Waiting{For: fmt.Sprintf("the transaction of pid %d, which is older than the index", blocked)})
	}
}

// buildError leaves no invalid index behind when the rows are at fault.
func (w *work) buildError(ctx context.Context, a *planner.BuildIndex, err error) error {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Code != uniqueViolation {
		return err
	}
	duplicate := &DuplicateError{Index: a.Index.String(), Detail: refusal.Message + "; " + refusal.Detail}
	if err := w.dropIndex(ctx, a.Index); err != nil {
		return errors.Join(duplicate, fmt.Errorf("dropping the invalid index: %w", err))
	}
	return duplicate
}

// removeIndex drops the table's index; one that is gone is done.
func (w *work) removeIndex(ctx context.Context, a *planner.RemoveIndex) error {
	if err := w.prepareConcurrent(ctx); err != nil {
		return err
	}
	defer w.report(planner.Waiting{})
	state, err := w.awaitBuilder(ctx, a.Table, a.Index)
	if err != nil {
		return err
	}
	if state.ours {
		if err := w.dropIndex(ctx, a.Index); err != nil {
			return err
		}
	}
	if err := w.leaveRole(ctx); err != nil {
		return err
	}
	return w.finish(ctx, entry{change: a.Change, digest: a.Digest, unit: a.Unit, reverse: a.Reverse, phase: a.Phase}, nothingElse)
}
