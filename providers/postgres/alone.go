package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/migrations/hazard"
	"pleat/planner"
	"pleat/spec"
)

// pieceAlone runs a statement that allows no transaction, between a record that
// it was sent and one that it is through. What an earlier attempt sent is looked
// for first.
func (w *work) pieceAlone(ctx context.Context, f *file, p migrations.Piece, next planner.Halfway) error {
	s := p.Statements[0]
	again := f.at.Doing == s.Number
	if again && !s.Effect.Settles() {
		return w.unsettled(f.Migrate, s)
	}
	if !again {
		intent := f.at
		intent.Doing, intent.Problem = s.Number, ""
		if err := w.advance(ctx, f, migrations.Piece{}, intent, func(conn.Tx, planner.Limits) error { return nil }); err != nil {
			return err
		}
	}
	w.at("migrate.intended")
	if err := w.prepareFile(ctx, f, p); err != nil {
		return err
	}
	err := w.sendAlone(ctx, s, again)
	if err := errors.Join(err, w.leaveRole(ctx)); err != nil {
		return w.migrationError(f.Migrate, p, err)
	}
	w.at("migrate.sent")
	return w.advance(ctx, f, migrations.Piece{}, next, func(conn.Tx, planner.Limits) error { return nil })
}

// prepareFile gives the session what the file's earlier statements set, and
// then takes the limits off, also those that it set.
func (w *work) prepareFile(ctx context.Context, f *file, p migrations.Piece) error {
	if err := w.setPath(ctx, f.Table); err != nil {
		return err
	}
	if err := w.replay(ctx, w.conn, f, p); err != nil {
		return err
	}
	return w.prepareConcurrent(ctx)
}

// setPath has the session find names as a transaction of a step would.
func (w *work) setPath(ctx context.Context, t spec.Table) error {
	if _, err := w.conn.Exec(ctx, "select pg_catalog.set_config('search_path', $1, false)", searchPath(t)); err != nil {
		return fmt.Errorf("setting the search path: %w", err)
	}
	return nil
}

// runAlone runs an author's statement that allows no transaction. Whether an
// earlier attempt had its effect is what the catalog says.
func (w *work) runAlone(ctx context.Context, a *planner.RunAlone) error {
	s, err := migrations.AloneStatement(a.SQL)
	if err != nil {
		return err
	}
	if err := w.setPath(ctx, public); err != nil {
		return err
	}
	if err := w.prepareConcurrent(ctx); err != nil {
		return err
	}
	if err := errors.Join(w.sendAlone(ctx, s, true), w.leaveRole(ctx)); err != nil {
		return err
	}
	return w.finish(ctx, entry{change: a.Change, digest: a.Digest, unit: a.Unit, reverse: a.Reverse, phase: a.Phase}, nothingElse)
}

// sendAlone ends with the statement's effect there, or with an error that says
// why not. again: an earlier attempt may have had the effect, or part of it.
func (w *work) sendAlone(ctx context.Context, s migrations.FileStatement, again bool) error {
	defer w.report(planner.Waiting{})
	for attempt := 0; ; attempt++ {
		done, err := w.clearFor(ctx, s, again)
		if err != nil || done {
			return err
		}
		err = w.watched(ctx, s.Text)
		if err == nil {
			return w.confirmAlone(ctx, s)
		}
		// 42P07: an orphan's build, which no catalog showed yet, was first.
		orphans := again && sqlState(err) == duplicateTable
		if attempt >= rebuilds || !retryable(err) && !orphans {
			return errors.Join(err, w.tidy(ctx, s, err))
		}
		again = true
	}
}

// clearFor takes away what an interrupted attempt left, whoever's it was, and
// tells whether the effect is there already.
func (w *work) clearFor(ctx context.Context, s migrations.FileStatement, again bool) (done bool, err error) {
	switch s.Effect.Kind {
	case hazard.MakesIndex:
		return w.clearIndex(ctx, s, again)
	case hazard.TakesIndex:
		_, there, err := w.relation(ctx, s.Effect.Name)
		return again && !there, err
	case hazard.RemakesIndex, hazard.RemakesIndexes:
		return false, w.clearRebuilds(ctx, s.Effect)
	case hazard.DetachesPartition:
		return w.finalizeDetach(ctx, s.Effect, again)
	}
	return false, nil
}

// clearIndex drops the invalid index that an interrupted build left: IF NOT
// EXISTS would take it for the index.
func (w *work) clearIndex(ctx context.Context, s migrations.FileStatement, again bool) (done bool, err error) {
	index, table, err := w.indexOf(ctx, s.Effect)
	if err != nil || index == (spec.Table{}) {
		return false, err
	}
	state, err := w.awaitBuilder(ctx, table, index)
	if err != nil || !state.exists || !state.ours || state.valid {
		return again && state.ours && state.valid, err
	}
	if err := w.dropIndex(ctx, index); err != nil {
		return false, err
	}
	w.at("index.dropped")
	return false, nil
}

// indexOf finds the names of an index and its table; zero where the table is
// not there or the index has no name yet.
func (w *work) indexOf(ctx context.Context, e hazard.Effect) (index, table spec.Table, err error) {
	table, there, err := w.relation(ctx, e.Table)
	if err != nil || !there || e.Name == "" {
		return spec.Table{}, table, err
	}
	// An index is in its table's schema, and CREATE INDEX names none.
	var name string
	if err := w.conn.QueryRow(ctx, "select (pg_catalog.parse_ident($1))[1]", e.Name).Scan(&name); err != nil {
		return spec.Table{}, table, fmt.Errorf("reading the name of index %s: %w", e.Name, err)
	}
	return spec.Table{Schema: table.Schema, Name: name}, table, nil
}

// relation finds what a name means in the session's search path.
func (w *work) relation(ctx context.Context, name string) (t spec.Table, there bool, err error) {
	err = w.conn.QueryRow(ctx, `
		select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where c.oid = pg_catalog.to_regclass($1)`, name).Scan(&t.Schema, &t.Name)
	if errors.Is(err, pgx.ErrNoRows) {
		return spec.Table{}, false, nil
	}
	if err != nil {
		return spec.Table{}, false, fmt.Errorf("looking for %s: %w", name, err)
	}
	return t, true, nil
}

// clearRebuilds drops the invalid indexes that an interrupted REINDEX left
// beside those that it was to build anew.
func (w *work) clearRebuilds(ctx context.Context, e hazard.Effect) error {
	rows, err := w.conn.Query(ctx, `
		select n.nspname, c.relname
		from pg_catalog.pg_index i
		join pg_catalog.pg_class c on c.oid = i.indexrelid
		join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'
		  and (i.indrelid = pg_catalog.to_regclass($1)
		       or i.indrelid = (select x.indrelid from pg_catalog.pg_index x where x.indexrelid = pg_catalog.to_regclass($1)))`, e.Name)
	if err != nil {
		return fmt.Errorf("looking for what a REINDEX left: %w", err)
	}
	left, err := pgx.CollectRows(rows, pgx.RowToStructByPos[spec.Table])
	if err != nil {
		return fmt.Errorf("looking for what a REINDEX left: %w", err)
	}
	for _, index := range left {
		if err := w.dropIndex(ctx, index); err != nil {
			return err
		}
		w.at("index.dropped")
	}
	return nil
}

// finalizeDetach brings a detach that was interrupted between its two
// transactions to its end.
func (w *work) finalizeDetach(ctx context.Context, e hazard.Effect, again bool) (done bool, err error) {
	partition, there, err := w.relation(ctx, e.Name)
	if err != nil || !there {
		return false, err
	}
	parent, there, err := w.relation(ctx, e.Table)
	if err != nil || !there {
		return false, err
	}
	var pending bool
	err = w.conn.QueryRow(ctx, `
		select coalesce((pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::boolean, false) from pg_catalog.pg_inherits i
		where i.inhrelid = pg_catalog.to_regclass($1) and i.inhparent = pg_catalog.to_regclass($2)`, e.Name, e.Table).Scan(&pending)
	if errors.Is(err, pgx.ErrNoRows) {
		return again, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking whether %s is a partition of %s: %w", partition, parent, err)
	}
	if !pending {
		return false, nil
	}
	return true, w.alone(ctx, "ALTER TABLE "+migrations.Ident(parent.Schema, parent.Name)+
		" DETACH PARTITION "+migrations.Ident(partition.Schema, partition.Name)+" FINALIZE", func() {})
}

// watched runs a statement while another session tells how far it has come. That there
// is no room for one more is no reason to fail a step.
func (w *work) watched(ctx context.Context, sql string) error {
	watch, err := w.readOnly(ctx, "pleat")
	if sqlState(err) == tooManyConnections {
		return w.alone(ctx, sql, func() { w.at("index.building") })
	}
	if err != nil {
		return err
	}
	pid := w.conn.PgConn().PID()
	err = w.alone(ctx, sql, func() {
		w.at("index.building")
		w.progress(ctx, watch, pid)
	})
	return errors.Join(err, conn.Close(ctx, watch))
}

// confirmAlone refuses an index that is there and not valid after all.
func (w *work) confirmAlone(ctx context.Context, s migrations.FileStatement) error {
	if s.Effect.Kind != hazard.MakesIndex {
		return nil
	}
	index, table, err := w.indexOf(ctx, s.Effect)
	if err != nil || index == (spec.Table{}) {
		return err
	}
	state, err := lookAtIndex(ctx, w.conn, table, index)
	if err != nil || !state.exists || state.valid {
		return err
	}
	return fmt.Errorf("the index %s is there and not valid", index)
}

// tidy leaves no invalid index behind where the server refused the statement.
func (w *work) tidy(ctx context.Context, s migrations.FileStatement, failed error) error {
	var refusal *pgconn.PgError
	if w.conn.IsClosed() || !errors.As(failed, &refusal) {
		return nil
	}
	switch s.Effect.Kind {
	case hazard.MakesIndex:
		_, err := w.clearIndex(ctx, s, true)
		return err
	case hazard.RemakesIndex, hazard.RemakesIndexes:
		return w.clearRebuilds(ctx, s.Effect)
	}
	return nil
}

// halfwayOutcome tells whether a file can be gone on with.
func (w *work) halfwayOutcome(ctx context.Context, a *planner.Migrate, h *planner.Halfway) (planner.Outcome, error) {
	pieces, err := migrations.Pieces(a.SQL)
	if err != nil {
		return planner.Unknown, err
	}
	for _, p := range pieces {
		if s := p.Statements[0]; p.Alone && s.Number == h.Doing && !s.Effect.Settles() {
			return planner.Unknown, w.unsettled(a, s)
		}
	}
	return planner.NotDone, nil
}

// UnsettledError is a statement that allows no transaction, was sent, and of
// which neither an answer came nor a catalog shows what became of it.
type UnsettledError struct {
	Migration, SQL string
	Number         int
	directory      string
	from, to       uint64
}

func (w *work) unsettled(a *planner.Migrate, s migrations.FileStatement) error {
	return &UnsettledError{Migration: w.migration(a), SQL: firstLine(s.Text), Number: s.Number, directory: a.Migrations, from: a.From, to: a.To}
}

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("%s: statement %d was sent and nobody knows whether it took effect: %s", e.Migration, e.Number, e.SQL)
}

// Unwrap is planner.ErrOutcomeUnknown.
func (e *UnsettledError) Unwrap() error { return planner.ErrOutcomeUnknown }

// Hint is what to look at, and what to type then.
func (e *UnsettledError) Hint() string {
	return fmt.Sprintf("look whether what that statement does is there. Where it is: pleat migrations force %[1]s %[2]d --through %[3]d; "+
		"where it is not: pleat migrations force %[1]s %[2]d --through %[4]d; then pleat apply goes on with the next statement",
		e.directory, e.to, e.Number, e.Number-1)
}
