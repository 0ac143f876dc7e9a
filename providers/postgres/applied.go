package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// applied reads which versions of a directory are known to be there; none where
// pleat's tables are not.
func applied(ctx context.Context, tx conn.Tx, t spec.Table) ([]planner.Applied, error) {
	there, err := isTable(ctx, tx, spec.Table{Schema: "pleat", Name: "applied"})
	if err != nil || !there {
		return nil, err
	}
	rows, err := tx.Query(ctx, "select version, sha256, run = '' from pleat.applied where version_table = $1 order by version", t.String())
	if err != nil {
		return nil, fmt.Errorf("reading what ran of %s: %w", t, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (planner.Applied, error) {
		var a planner.Applied
		var version int64
		err := row.Scan(&version, &a.SHA256, &a.TakenOver)
		a.Version = uint64(version)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what ran of %s: %w", t, err)
	}
	return all, nil
}

// recordApplied records what a migration did, and what it found.
func (w *work) recordApplied(ctx context.Context, tx conn.Tx, a *planner.Migrate) error {
	if len(a.TakenOver) > 0 {
		if err := takeOver(ctx, tx, a.Table, a.TakenOver, "do nothing"); err != nil {
			return err
		}
	}
	if a.To < a.From {
		return forgetApplied(ctx, tx, a.Table, a.To)
	}
	sum := sha256.Sum256([]byte(a.SQL))
	_, err := tx.Exec(ctx, `
		insert into pleat.applied (version_table, version, sha256, run) values ($1, $2, $3, $4)
		on conflict (version_table, version) do update
		  set sha256 = excluded.sha256, run = excluded.run, applied_at = pg_catalog.clock_timestamp()`,
		a.Table.String(), int64(a.To), hex.EncodeToString(sum[:]), w.ticket.Run)
	if err != nil {
		return fmt.Errorf("recording what ran of %s: %w", a.Table, err)
	}
	return nil
}

// takeOver records versions that pleat did not run; known is what becomes of
// those that are recorded.
func takeOver(ctx context.Context, tx conn.Tx, t spec.Table, versions []planner.Applied, known string) error {
	var numbers []int64
	var sums []string
	for _, v := range versions {
		numbers, sums = append(numbers, int64(v.Version)), append(sums, v.SHA256)
	}
	_, err := tx.Exec(ctx, `
		insert into pleat.applied as a (version_table, version, sha256, run)
		select $1, version, sha256, ''
		from rows from (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::text[])) as found (version, sha256)
		on conflict (version_table, version) `+known, t.String(), numbers, sums)
	if err != nil {
		return fmt.Errorf("recording what is there of %s: %w", t, err)
	}
	return nil
}

// forgetApplied forgets the versions above one.
func forgetApplied(ctx context.Context, tx conn.Tx, t spec.Table, above uint64) error {
	_, err := tx.Exec(ctx, "delete from pleat.applied where version_table = $1 and version > $2", t.String(), int64(above))
	if err != nil {
		return fmt.Errorf("recording what is gone of %s: %w", t, err)
	}
	return nil
}
