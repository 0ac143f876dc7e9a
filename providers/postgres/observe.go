package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// Scope is what of a database a plan is about.
type Scope struct {
	Tables  []spec.Table
	Indexes []spec.Table // whose tables are read too
	Types   []spec.Table // enums
	// Functions are names of functions whose volatility matters.
	Functions []string
	// Retyped are the types that columns of tables are to have: what shows them is
	// asked about.
	Retyped map[spec.Table]map[string]string
	Changes []string
	// Migrations are golang-migrate's tables, by the name of the directory.
	Migrations map[string]spec.Table
	// Files are those of the directories, to look for what is there of one that
	// was left half done; none where nobody asks.
	Files map[string][]spec.Migration
}

// Observe reads what is live, all of it as of one moment. It writes nothing,
// and pleat's own tables need not be there.
func (p *Provider) Observe(ctx context.Context, scope Scope) (db *planner.Database, err error) {
	s, err := p.take(ctx, conn.Options{Application: "pleat", ReadOnly: true})
	if err != nil {
		return nil, err
	}
	s.keep = true
	defer func() { err = errors.Join(err, p.give(ctx, s, err)) }()
	c := s.Conn
	w := &work{Provider: p, conn: c}
	db = &planner.Database{}
	err = conn.InTransaction(ctx, c, func(tx conn.Tx) error {
		// Before the first query, which takes the snapshot.
		if _, err := tx.Exec(ctx, "set transaction isolation level repeatable read, read only"); err != nil {
			return err
		}
		if err := observe(ctx, c, scope, db); err != nil {
			return err
		}
		return w.directories(ctx, tx, scope, db)
	})
	if err != nil {
		return nil, w.explain(err)
	}
	db.Circumstances = w.circumstances(ctx, scope.Tables)
	return db, nil
}

func observe(ctx context.Context, c *pgx.Conn, scope Scope, db *planner.Database) error {
	var err error
	if db.Identity, db.Name, err = conn.Identity(ctx, c); err != nil {
		return err
	}
	owners, err := tablesOf(ctx, c, scope.Indexes)
	if err != nil {
		return err
	}
	if db.Catalog, err = catalog(ctx, c, append(owners, scope.Tables...)); err != nil {
		return err
	}
	if err = others(ctx, c, scope.Indexes, db.Catalog); err != nil {
		return err
	}
	if db.Catalog.Dotted, err = dotted(ctx, c); err != nil {
		return err
	}
	if err = fit(ctx, c, db.Catalog, scope.Retyped); err != nil {
		return err
	}
	if db.Catalog.Enums, err = enums(ctx, c, scope.Types); err != nil {
		return err
	}
	if db.Catalog.TypeUses, err = typeUses(ctx, c, scope.Types); err != nil {
		return err
	}
	if db.Catalog.Functions, err = functions(ctx, c, scope.Functions); err != nil {
		return err
	}
	if db.Sessions, err = sessions(ctx, c); err != nil {
		return err
	}
	if db.Changes, err = changes(ctx, c, scope.Changes); err != nil || db.Changes == nil {
		return err
	}
	db.Left, err = left(ctx, c, scope.Changes)
	return err
}

// left are the changes that are half way and not among the names.
func left(ctx context.Context, q conn.Tx, names []string) ([]string, error) {
	rows, err := q.Query(ctx, `
		select name from (
			select pg_catalog.split_part(pg_catalog.obj_description(oid, 'pg_trigger'), ':', 2) as name
			from pg_catalog.pg_trigger
			where tgname like 'zzz\_pleat\_%' and pg_catalog.obj_description(oid, 'pg_trigger') like 'pleat:%'
			union select name from pleat.change where phase = 'hidden'
		) half_way
		where name <> all(coalesce($1::text[], '{}'))
		order by 1`, names)
	if err != nil {
		return nil, fmt.Errorf("reading which changes are half way: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading which changes are half way: %w", err)
	}
	return all, nil
}

// sessions counts by service and release. A name that is not pleat's to read
// is nobody's.
func sessions(ctx context.Context, q conn.Tx) ([]planner.Sessions, error) {
	rows, err := q.Query(ctx, `
		select application_name, pg_catalog.count(*) from pg_catalog.pg_stat_activity
		where datname = pg_catalog.current_database() and application_name like '%@%'
		group by application_name`)
	if err != nil {
		return nil, fmt.Errorf("counting sessions: %w", err)
	}
	counts := map[planner.Sessions]int{}
	var name string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error {
		if service, release, _, ok := parseApplication(name); ok {
			counts[planner.Sessions{Service: service, Release: release}] += n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("counting sessions: %w", err)
	}
	var all []planner.Sessions
	for s, n := range counts {
		s.Count = n
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b planner.Sessions) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Release, b.Release))
	})
	return all, nil
}

// changes are what pleat recorded; nothing where it never was.
func changes(ctx context.Context, q conn.Tx, names []string) (map[string]migrations.Recorded, error) {
	var there bool
	err := q.QueryRow(ctx, "select pg_catalog.to_regclass('pleat.change') is not null").Scan(&there)
	if err != nil || !there {
		return nil, err
	}
	rows, err := q.Query(ctx, `
		select name, phase, digest, units, quiet_since, hidden_at, old_writes, updated
		from pleat.change where name = any($1)`, names)
	if err != nil {
		return nil, fmt.Errorf("reading what is recorded of changes: %w", err)
	}
	found := map[string]migrations.Recorded{}
	for rows.Next() {
		var name string
		var r migrations.Recorded
		if err := rows.Scan(&name, &r.Phase, &r.Digest, &r.Units, &r.QuietSince, &r.HiddenAt, &r.OldWrites, &r.Updated); err != nil {
			return nil, fmt.Errorf("reading what is recorded of changes: %w", err)
		}
		found[name] = r
	}
	return found, rows.Err()
}
