// Package bookkeeping is pleat's own tables: what they are, in SQL files of
// golang-migrate's form, and how they get into a database. It owns the schema
// pleat there. A migration and the version that it leads to are one commit, so
// that a killed process leaves either neither or both.
package bookkeeping

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/spec"
)

//go:embed *.sql
var files embed.FS

// patience is how long Migrate waits for another one to be done.
const patience = time.Minute

// NewerError is a database whose tables were made by a later pleat.
type NewerError struct{ Installed, Known int }

func (e *NewerError) Error() string {
	return fmt.Sprintf("pleat's tables have version %d, this pleat knows %d", e.Installed, e.Known)
}

// Hint is what to do about it.
func (e *NewerError) Hint() string { return "use the pleat that made them, or a later one" }

// PrivilegeError is a role that may not make pleat's schema, or nothing in it.
type PrivilegeError struct {
	Database, Role string
	SchemaExists   bool
}

func (e *PrivilegeError) Error() string {
	if e.SchemaExists {
		return fmt.Sprintf("the role %q may not create tables in the schema pleat of the database %q", e.Role, e.Database)
	}
	return fmt.Sprintf("the role %q may not create the schema pleat in the database %q", e.Role, e.Database)
}

// Hint is the statement that gives it the right.
func (e *PrivilegeError) Hint() string {
	if e.SchemaExists {
		return fmt.Sprintf("as the schema's owner: GRANT USAGE, CREATE ON SCHEMA pleat TO %s;", quote(e.Role))
	}
	return fmt.Sprintf("as the database's owner: GRANT CREATE ON DATABASE %s TO %s;", quote(e.Database), quote(e.Role))
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// Installed gives the version of pleat's tables in the database of c; 0 when
// there are none. A version that this pleat does not know is a *NewerError. It
// writes nothing.
func Installed(ctx context.Context, c conn.Tx) (int, error) {
	installed, err := version(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("asking for the version of pleat's tables: %w", err)
	}
	known, err := Known()
	if err != nil {
		return 0, err
	}
	if installed > known {
		return 0, &NewerError{installed, known}
	}
	return installed, nil
}

// Known is the version that Migrate leads to.
func Known() (int, error) {
	files, err := embedded()
	if err != nil {
		return 0, err
	}
	return last(files)
}

func last(files source.Driver) (int, error) {
	v, err := files.First()
	for {
		if err != nil {
			return 0, fmt.Errorf("reading pleat's own migrations: %w", err)
		}
		var next uint
		next, err = files.Next(v)
		if errors.Is(err, fs.ErrNotExist) {
			return int(v), nil
		}
		v = next
	}
}

func embedded() (source.Driver, error) {
	d, err := iofs.New(files, ".")
	if err != nil {
		return nil, fmt.Errorf("reading pleat's own migrations: %w", err)
	}
	return d, nil
}

// Migrate brings pleat's tables in the database at url to the version that
// this pleat knows, and does nothing when they have it. Several may run at
// once: one works, the others wait for it, for a minute at most. A kill at any
// moment leaves a database that the next call brings up. Cancelling ctx stops
// it with everything or nothing done of each version.
func Migrate(ctx context.Context, url spec.Text) error {
	err := migrateOnce(ctx, url)
	if errors.Is(err, conn.ErrOutcomeUnknown) {
		// A second look is no blind retry: it reads the version, under the lock
		// that the first session holds until its commit is over.
		err = migrateOnce(ctx, url)
	}
	if err != nil {
		return fmt.Errorf("bringing pleat's tables up: %w", err)
	}
	return nil
}

func migrateOnce(ctx context.Context, url spec.Text) (err error) {
	c, err := conn.Open(ctx, url, conn.Options{Application: "pleat/bookkeeping"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	installed, err := Installed(ctx, c)
	if err != nil {
		return err
	}
	known, err := Known()
	if err != nil || installed == known {
		return err
	}
	if err := conn.Preflight(ctx, c); err != nil {
		return err
	}
	return up(ctx, c)
}

func up(ctx context.Context, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	files, err := embedded()
	if err != nil {
		return err
	}
	m, err := migrate.NewWithInstance("pleat", files, "pleat", &driver{ctx: ctx, conn: c})
	if err != nil {
		return err
	}
	// The driver's own context ends the wait, and with it the goroutine that waits.
	m.LockTimeout = patience + time.Minute
	if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return err
	}
	return nil
}
