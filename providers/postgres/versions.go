package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// directories reads what golang-migrate's tables say, and what pleat knows
// beside that, by the name of the directory. One without a version is not among
// them.
func (w *work) directories(ctx context.Context, tx conn.Tx, scope Scope, db *planner.Database) error {
	db.Versions = map[string]planner.Version{}
	for _, name := range slices.Sorted(maps.Keys(scope.Migrations)) {
		table := scope.Migrations[name]
		v, err := w.version(ctx, tx, table)
		if err != nil {
			return err
		}
		if v != (planner.Version{}) {
			db.Versions[name] = v
		}
		known, err := applied(ctx, tx, table)
		if err != nil {
			return err
		}
		if len(known) > 0 {
			put(&db.Applied, name, known)
		}
		found, err := traces(ctx, tx, table, v, scope.Files[name])
		if err != nil {
			return err
		}
		if len(found) > 0 {
			put(&db.Traces, name, found)
		}
	}
	return nil
}

func put[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}

// version reads as the role that migrates: the table may be nobody else's to
// see.
func (w *work) version(ctx context.Context, tx conn.Tx, t spec.Table) (v planner.Version, err error) {
	err = w.asRole(ctx, tx, func() error {
		there, err := isTable(ctx, tx, t)
		if err != nil || !there {
			return err
		}
		v, err = readVersion(ctx, tx, t)
		return err
	})
	if err != nil || !v.Dirty {
		return v, err
	}
	v.Halfway, err = halfway(ctx, tx, t)
	if v.Halfway != nil && v.Halfway.To != v.Version {
		v.Halfway = nil // it is about a file that somebody has settled since
	}
	return v, err
}

// readVersion gives the zero value where no version is recorded.
func readVersion(ctx context.Context, tx conn.Tx, t spec.Table) (planner.Version, error) {
	// A first migration that failed leaves -1 and dirty.
	var version int64
	var dirty bool
	err := tx.QueryRow(ctx, "select version, dirty from "+migrations.Ident(t.Schema, t.Name)+" limit 1").Scan(&version, &dirty)
	if errors.Is(err, pgx.ErrNoRows) {
		return planner.Version{}, nil
	}
	if err != nil {
		return planner.Version{}, fmt.Errorf("reading the version in %s: %w", t, err)
	}
	return planner.Version{Version: uint64(max(version, 0)), Dirty: dirty}, nil
}

// makeVersionTable makes golang-migrate's table as its own driver does.
func makeVersionTable(ctx context.Context, tx conn.Tx, t spec.Table) error {
	_, err := tx.Exec(ctx, "create table "+migrations.Ident(t.Schema, t.Name)+" (version bigint not null primary key, dirty boolean not null)")
	if err != nil {
		return fmt.Errorf("making golang-migrate's table %s: %w", t, err)
	}
	return nil
}

// lockVersion makes golang-migrate's table where it is missing, keeps every
// other writer of it away until tx ends, and reads it.
func lockVersion(ctx context.Context, tx conn.Tx, t spec.Table) (planner.Version, error) {
	there, err := isTable(ctx, tx, t)
	if err != nil {
		return planner.Version{}, err
	}
	if !there {
		return planner.Version{}, makeVersionTable(ctx, tx, t) // which nobody else sees yet
	}
	if _, err := tx.Exec(ctx, "lock table "+migrations.Ident(t.Schema, t.Name)+" in "+string(versionLock)+" mode"); err != nil {
		return planner.Version{}, fmt.Errorf("locking %s: %w", t, err)
	}
	return readVersion(ctx, tx, t)
}

// writeVersion leaves one row, or none for a version of 0 that is not dirty.
func writeVersion(ctx context.Context, tx conn.Tx, t spec.Table, v planner.Version) error {
	name := migrations.Ident(t.Schema, t.Name)
	if v != (planner.Version{}) {
		// The usual case in one statement: there is one row.
		tag, err := tx.Exec(ctx, "update "+name+" set version = $1, dirty = $2 where (select pg_catalog.count(*) from "+name+") = 1", recorded(v), v.Dirty)
		if err != nil {
			return fmt.Errorf("recording version %d in %s: %w", v.Version, t, err)
		}
		if tag.RowsAffected() == 1 {
			return nil
		}
	}
	for _, p := range versionPieces(t, v) {
		args := make([]any, len(p.Args))
		for i, arg := range p.Args {
			args[i] = arg
		}
		if _, err := tx.Exec(ctx, p.SQL, args...); err != nil {
			return p.told(err)
		}
	}
	return nil
}

// versionPieces leave one row, or none for a version of 0 that is not dirty, however
// many there were.
func versionPieces(t spec.Table, v planner.Version) []piece {
	told := func(err error) error { return fmt.Errorf("recording version %d in %s: %w", v.Version, t, err) }
	name := migrations.Ident(t.Schema, t.Name)
	pieces := []piece{{conn.Statement{SQL: "delete from " + name}, told}}
	if v == (planner.Version{}) {
		return pieces
	}
	return append(pieces, piece{conn.Statement{
		SQL:  "insert into " + name + " (version, dirty) values ($1, $2)",
		Args: []string{strconv.FormatInt(recorded(v), 10), strconv.FormatBool(v.Dirty)},
	}, told})
}

// recorded is how golang-migrate writes a version down.
func recorded(v planner.Version) int64 {
	if v.Version == 0 {
		return int64(database.NilVersion)
	}
	return int64(v.Version)
}

// lockOut takes, until tx ends, the locks that a golang-migrate of that table
// takes, or fails with a *LockBudgetError that names who has one. It does not
// wait: whoever waits in a transaction deadlocks with a golang-migrate that
// builds an index concurrently.
func (w *work) lockOut(ctx context.Context, tx conn.Tx, t spec.Table, limits planner.Limits) error {
	keys, err := lockKeys(ctx, tx, t)
	if err != nil {
		return err
	}
	got := make([]bool, len(keys))
	err = tx.QueryRow(ctx, "select pg_catalog.pg_try_advisory_xact_lock($1), pg_catalog.pg_try_advisory_xact_lock($2)", keys[0], keys[1]).Scan(&got[0], &got[1])
	if err != nil {
		return fmt.Errorf("taking golang-migrate's lock: %w", err)
	}
	for i, key := range keys {
		if got[i] {
			continue
		}
		found, err := holders(ctx, tx, "k.locktype = 'advisory' and k.classid = 0 and k.objid::bigint = $1 and k.objsubid = 1", key)
		if err != nil {
			return fmt.Errorf("asking who has golang-migrate's lock: %w", err)
		}
		return &LockBudgetError{Table: fmt.Sprintf("golang-migrate's lock of %s", t), Patience: limits.Patience, Blockers: found}
	}
	return nil
}

// lockKeys are two: golang-migrate's command takes the database's name out of
// the URL with the slash before it, its library asks the server for it.
func lockKeys(ctx context.Context, tx conn.Tx, t spec.Table) (keys [2]int64, err error) {
	var name string
	if err := tx.QueryRow(ctx, "select pg_catalog.current_database()").Scan(&name); err != nil {
		return keys, fmt.Errorf("asking for the database's name: %w", err)
	}
	for i, name := range []string{"/" + name, name} {
		id, err := database.GenerateAdvisoryLockId(name, t.Schema, t.Name)
		if err != nil {
			return keys, fmt.Errorf("finding golang-migrate's lock: %w", err)
		}
		if keys[i], err = strconv.ParseInt(id, 10, 64); err != nil {
			return keys, fmt.Errorf("finding golang-migrate's lock: %w", err)
		}
	}
	return keys, nil
}
