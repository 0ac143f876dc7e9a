// Package journal is the durable record of releases, runs and their steps, in
// pleat's tables of the state database. It owns the rows of pleat.run, entry,
// event and release of one environment. Nothing is written without the fence
// of the lease: every write holds it in its own transaction, and one whose
// COMMIT was not answered is looked for before anything else happens.
package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/bookkeeping"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// Journal is one environment's journal. Its methods may be called from
// several goroutines; they take turns on one connection.
type Journal struct {
	url         spec.Text
	environment string
	application string
	patience    time.Duration // with a server that restarts

	mutex     sync.Mutex
	conn      *pgx.Conn
	installed bool // pleat's tables were seen
	// proof tells whether what was written last is there; nil: nothing was.
	proof func(ctx context.Context, tx conn.Tx) (bool, error)
	gone  error // it was not there when it was looked for
}

// Open connects to the state database at url. application is what others see
// as application_name. It reads and writes nothing; pleat's tables need not
// exist before something is written. The caller closes it.
func Open(ctx context.Context, url spec.Text, environment, application string) (*Journal, error) {
	j := &Journal{url: url, environment: environment, application: application, patience: patience}
	if err := j.connect(ctx); err != nil {
		return nil, err
	}
	return j, nil
}

// Close ends the connection, also when ctx was cancelled. Closing again does
// nothing.
func (j *Journal) Close(ctx context.Context) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return conn.Close(ctx, j.conn)
}

// Run is one apply or rollback.
type Run struct {
	ID          string
	Kind        string // "apply", "rollback"
	Status      string
	Fingerprint string
	Wish        string
	Plan        json.RawMessage // comes back byte for byte
	Who         string
	Host        string
	Started     time.Time // the server's clock
	Finished    time.Time // zero while the run is open
}

// Read gives the releases that were recorded, which of them are kept without
// requests, whose word was not heard, and the open run. It writes nothing, and is
// empty where pleat's tables do not exist.
func (j *Journal) Read(ctx context.Context) (planner.Journal, error) {
	var read planner.Journal
	err := j.read(ctx, "reading the journal", func(tx conn.Tx) (err error) {
		read.Releases, err = releases(ctx, tx, j.environment)
		if err != nil {
			return err
		}
		if read.Kept, err = kept(ctx, tx, j.environment); err != nil {
			return err
		}
		if read.Unheard, err = unheard(ctx, tx, j.environment); err != nil {
			return err
		}
		open, err := unfinished(ctx, tx, j.environment)
		if open != nil {
			read.Open = &planner.Run{ID: open.ID, Kind: open.Kind, Fingerprint: open.Fingerprint}
		}
		return err
	})
	return read, err
}

func releases(ctx context.Context, tx conn.Tx, environment string) ([]planner.Release, error) {
	rows, err := tx.Query(ctx, `
		select definition, held from pleat.release
		where environment = $1 order by service collate "C", version collate "C"`, environment)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (planner.Release, error) {
		var definition []byte
		var held string
		var r planner.Release
		if err := row.Scan(&definition, &held); err != nil {
			return r, err
		}
		err := json.Unmarshal(definition, &r)
		r.Held = held
		return r, err
	})
}

// Unfinished gives the run that began and did not end; nil is none.
func (j *Journal) Unfinished(ctx context.Context) (open *Run, err error) {
	err = j.read(ctx, "reading the open run", func(tx conn.Tx) (err error) {
		open, err = unfinished(ctx, tx, j.environment)
		return err
	})
	return open, err
}

// Runs gives the latest runs, the last one first, limit at most.
func (j *Journal) Runs(ctx context.Context, limit int) (runs []Run, err error) {
	err = j.read(ctx, "reading runs", func(tx conn.Tx) (err error) {
		runs, err = selectRuns(ctx, tx, "where environment = $1 order by started desc, id limit $2", j.environment, limit)
		return err
	})
	return runs, err
}

// RunsAbout gives the runs whose plans name an address, the last one first.
func (j *Journal) RunsAbout(ctx context.Context, address spec.Address) (runs []Run, err error) {
	err = j.read(ctx, "reading runs", func(tx conn.Tx) (err error) {
		runs, err = selectRuns(ctx, tx, `where environment = $1 and pg_catalog.strpos(plan::text, '"' || $2 || '"') > 0
			order by started desc, id`, j.environment, string(address))
		return err
	})
	return runs, err
}

// RunsSince gives the runs that began after one, the last one first.
func (j *Journal) RunsSince(ctx context.Context, run Run) (runs []Run, err error) {
	err = j.read(ctx, "reading runs", func(tx conn.Tx) (err error) {
		runs, err = selectRuns(ctx, tx, "where environment = $1 and started > $2 order by started desc, id", j.environment, run.Started)
		return err
	})
	return runs, err
}

func unfinished(ctx context.Context, tx conn.Tx, environment string) (*Run, error) {
	runs, err := selectRuns(ctx, tx, "where environment = $1 and finished is null", environment)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return &runs[0], nil
}

func selectRuns(ctx context.Context, tx conn.Tx, which string, args ...any) ([]Run, error) {
	rows, err := tx.Query(ctx, `
		select id, kind, status, fingerprint, wish, plan, who, host, started, finished
		from pleat.run `+which, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Run, error) {
		var r Run
		var plan []byte
		var finished *time.Time
		err := row.Scan(&r.ID, &r.Kind, &r.Status, &r.Fingerprint, &r.Wish, &plan, &r.Who, &r.Host, &r.Started, &finished)
		r.Plan = plan
		if finished != nil {
			r.Finished = *finished
		}
		return r, err
	})
}

// read asks on the journal's connection, which is made anew once when it is
// found dead. It asks nothing where pleat's tables do not exist.
func (j *Journal) read(ctx context.Context, what string, ask func(tx conn.Tx) error) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	err := j.readOnce(ctx, ask)
	if err != nil && ctx.Err() == nil && j.conn.IsClosed() {
		err = j.readOnce(ctx, ask)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (j *Journal) readOnce(ctx context.Context, ask func(tx conn.Tx) error) error {
	if err := j.reconnect(ctx); err != nil {
		return err
	}
	if !j.installed {
		version, err := bookkeeping.Installed(ctx, j.conn)
		if err != nil || version == 0 {
			return err
		}
		j.installed = true
	}
	return ask(j.conn)
}

func (j *Journal) connect(ctx context.Context) error {
	c, err := conn.Open(ctx, j.url, conn.Options{Application: j.application})
	if err != nil {
		return err
	}
	j.conn = c
	return nil
}

const (
	// Well below the time after which the lease expires.
	patience          = 15 * time.Second
	reconnectInterval = 100 * time.Millisecond
)

// reconnect makes a new connection where the last one is dead, and waits for
// a server that is restarting. A server that lacks what was written last is not
// the one to go on with.
func (j *Journal) reconnect(ctx context.Context) error {
	if j.gone != nil || !j.conn.IsClosed() {
		return j.gone
	}
	ctx, cancel := context.WithTimeout(ctx, j.patience)
	defer cancel()
	tick := time.NewTicker(reconnectInterval)
	defer tick.Stop()
	for {
		err := j.connect(ctx)
		if err == nil {
			return j.lookBack(ctx)
		}
		var unreachable *conn.OpenError
		if !errors.As(err, &unreachable) || !unreachable.Transient() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// lookBack looks for what was written last: what is written one after the other is
// lost from its end, so that nothing is lost when that is there.
func (j *Journal) lookBack(ctx context.Context) error {
	if j.proof == nil {
		return nil
	}
	there, err := j.proof(ctx, j.conn)
	if err == nil && !there {
		j.gone = &conn.GoneBackError{What: "the last entry of the journal"}
	}
	return cmp.Or(err, j.gone)
}
