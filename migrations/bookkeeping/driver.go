package bookkeeping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
)

const (
	// lockKey is "pleat" in ASCII.
	lockKey      = 0x706c656174
	lockInterval = 50 * time.Millisecond
)

// driver lets golang-migrate work on one connection, with each migration and
// its version in one transaction. It needs no dirty flag: what golang-migrate
// announces by SetVersion(dirty) and Run is kept until SetVersion(clean), and
// only then carried out. One Up long; golang-migrate's interface has no
// context, so it is here.
type driver struct {
	ctx     context.Context
	conn    *pgx.Conn
	pending []byte
}

// Open is for drivers that are named by a URL, which this one never is.
func (d *driver) Open(string) (database.Driver, error) {
	return nil, errors.New("pleat's tables are reached by an open connection only")
}

// Close leaves the connection to its owner.
func (d *driver) Close() error { return nil }

// Lock polls: waiting within pg_advisory_lock deadlocks with a CREATE INDEX
// CONCURRENTLY, which waits for all transactions.
func (d *driver) Lock() error {
	tick := time.NewTicker(lockInterval)
	defer tick.Stop()
	for {
		var got bool
		if err := d.conn.QueryRow(d.ctx, "select pg_catalog.pg_try_advisory_lock($1)", lockKey).Scan(&got); err != nil {
			return fmt.Errorf("locking: %w", err)
		}
		if got {
			return nil
		}
		select {
		case <-d.ctx.Done():
			return fmt.Errorf("waiting for another pleat that makes its tables: %w", d.ctx.Err())
		case <-tick.C:
		}
	}
}

// Unlock gives the lock back. A session that is lost, or that was cut off by a
// cancel, has no lock.
func (d *driver) Unlock() error {
	if d.conn.IsClosed() {
		return nil
	}
	_, err := d.conn.Exec(context.WithoutCancel(d.ctx), "select pg_catalog.pg_advisory_unlock($1)", lockKey)
	return err
}

// Run keeps the migration for SetVersion.
func (d *driver) Run(migration io.Reader) error {
	var err error
	d.pending, err = io.ReadAll(migration)
	return err
}

// SetVersion carries the kept migration out and records the version, in one
// transaction. The announcement before that needs no record.
func (d *driver) SetVersion(version int, dirty bool) error {
	if dirty {
		return nil
	}
	return conn.InTransaction(d.ctx, d.conn, func(tx conn.Tx) error {
		if err := showTriggers(d.ctx, tx); err != nil {
			return err
		}
		if err := ensureVersionTable(d.ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(d.ctx, string(d.pending)); err != nil {
			return fmt.Errorf("version %d: %w", version, err)
		}
		return record(d.ctx, tx, version)
	})
}

// showTriggers has event triggers find what they name without a schema where they find
// it in any session of the role, behind what the server itself has.
func showTriggers(ctx context.Context, tx conn.Tx) error {
	_, err := tx.Exec(ctx, `
		select pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog', nullif(reset_val, '')), true)
		from pg_catalog.pg_settings where name = 'search_path'`)
	if err != nil {
		return fmt.Errorf("setting the path for event triggers: %w", err)
	}
	return nil
}

func record(ctx context.Context, tx conn.Tx, version int) error {
	if _, err := tx.Exec(ctx, "delete from pleat.schema_version"); err != nil {
		return fmt.Errorf("recording version %d: %w", version, err)
	}
	if _, err := tx.Exec(ctx, "insert into pleat.schema_version (version) values ($1)", version); err != nil {
		return fmt.Errorf("recording version %d: %w", version, err)
	}
	return nil
}

// Version is never dirty.
func (d *driver) Version() (int, bool, error) {
	v, err := version(d.ctx, d.conn)
	if err == nil && v == 0 {
		v = database.NilVersion
	}
	return v, false, err
}

// Drop is what golang-migrate offers and pleat never asks for.
func (d *driver) Drop() error { return errors.New("pleat's tables are not dropped wholesale") }

// version is 0 where there are no tables.
func version(ctx context.Context, tx conn.Tx) (int, error) {
	var there bool
	err := tx.QueryRow(ctx, "select pg_catalog.to_regclass('pleat.schema_version') is not null").Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	var v int
	err = tx.QueryRow(ctx, "select version from pleat.schema_version").Scan(&v)
	return v, err
}

// ensureVersionTable makes the schema and the table, each only where it is
// missing: CREATE SCHEMA IF NOT EXISTS asks for the privilege even then.
func ensureVersionTable(ctx context.Context, tx conn.Tx) error {
	var there, may bool
	denied := &PrivilegeError{}
	err := tx.QueryRow(ctx, `
		select pg_catalog.to_regnamespace('pleat') is not null,
		       case when pg_catalog.to_regnamespace('pleat') is null
		            then pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')
		            else pg_catalog.has_schema_privilege('pleat', 'create') end,
		       pg_catalog.current_database(), current_user`).
		Scan(&there, &may, &denied.Database, &denied.Role)
	if err != nil {
		return err
	}
	if !may {
		denied.SchemaExists = there
		return denied
	}
	if !there {
		if _, err := tx.Exec(ctx, "create schema pleat"); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "create table if not exists pleat.schema_version (version integer not null)")
	if err != nil {
		return err
	}
	// Where all tables are published, the server deletes no row that it cannot tell apart.
	_, err = tx.Exec(ctx, "alter table pleat.schema_version replica identity full")
	return err
}
