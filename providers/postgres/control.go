package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/spec"
)

// control is what people told a back-fill; the zero value leaves it to the spec.
type control struct {
	paused  bool
	workers int
	batch   int
	rows    int // a second
	who     string
}

func lastControl(ctx context.Context, q conn.Tx, change, unit string) (c control, err error) {
	err = q.QueryRow(ctx, `
		select paused, workers, batch, rows_per_second, who from pleat.control
		where change = $1 and unit = $2 order by seq desc limit 1`, change, unit).
		Scan(&c.paused, &c.workers, &c.batch, &c.rows, &c.who)
	if errors.Is(err, pgx.ErrNoRows) {
		return control{}, nil
	}
	if err != nil {
		return control{}, fmt.Errorf("reading what the back-fill of %s was told: %w", unit, err)
	}
	return c, nil
}

func command(ctx context.Context, tx conn.Tx, change, unit string, c control) error {
	_, err := tx.Exec(ctx, `
		insert into pleat.control (change, unit, paused, workers, batch, rows_per_second, who) values ($1, $2, $3, $4, $5, $6, $7)`,
		change, unit, c.paused, c.workers, c.batch, c.rows, c.who)
	if err != nil {
		return fmt.Errorf("telling the back-fill of %s: %w", unit, err)
	}
	return nil
}

// FillID names a back-fill of a database.
type FillID struct {
	Change string
	Table  spec.Table
}

// Fill is how far a back-fill is, and what it was told.
type Fill struct {
	FillID
	Run         string
	Done, Total int64 // rows; Total is an estimate
	Rate        int64 // rows a second, lately
	Workers     int
	Batch       int
	RowsLimit   int    // a second; 0: none
	Held        string // why it holds; "" = it does not
	Paused      bool
	By          string // who told it last; "" = nobody
	Finished    bool
	Failed      int // rows that it passed by
	Began       time.Time
	Updated     time.Time // when it was heard of last
	Now         time.Time // the server's
}

// silence is after how long a back-fill that said nothing is taken to be cut
// short: it speaks twice a second, but for a batch that takes its time.
const silence = 15 * time.Second

// Silent tells that nobody carries it on at present.
func (f Fill) Silent() bool { return !f.Finished && f.Now.Sub(f.Updated) > silence }

// Fills gives the back-fills that pleat's tables know of, by change and table, but
// for those that were done of a change that was taken back since. How far one is that
// was killed is known from its cursor: it speaks twice a second only. It writes
// nothing; a database without those tables has none.
func (p *Provider) Fills(ctx context.Context) (all []Fill, err error) {
	c, err := p.readOnly(ctx, "pleat")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	rows, err := c.Query(ctx, `
		select f.change, f.unit, f.run,
		       greatest(f.rows, (select sum(u.rows)::bigint from pleat.cursor u where u.change = f.change and u.unit = f.unit)),
		       f.total, f.rate, f.workers, f.batch, f.held, f.finished, f.began, f.updated,
		       pg_catalog.clock_timestamp(), coalesce(k.paused, false), coalesce(k.who, ''), coalesce(k.rows_per_second, 0),
		       (select count(*) from pleat.failed_row x where x.change = f.change and x.unit = f.unit)
		from pleat.fill f
		left join lateral (select * from pleat.control k where k.change = f.change and k.unit = f.unit order by seq desc limit 1) k on true
		where not f.finished or not exists (select from pleat.change c where c.name = f.change and c.phase = 'absent')
		order by f.change, f.unit`)
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Fill, err error) {
			var unit string
			err = row.Scan(&f.Change, &unit, &f.Run, &f.Done, &f.Total, &f.Rate, &f.Workers, &f.Batch, &f.Held, &f.Finished, &f.Began,
				&f.Updated, &f.Now, &f.Paused, &f.By, &f.RowsLimit, &f.Failed)
			f.Table = spec.ParseTable(unit)
			return f, err
		})
	}
	if sqlState(err) == undefinedTable {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading how far back-fills are: %w", err)
	}
	return all, nil
}

// Command is what a back-fill is told. nil leaves a part as it is; 0 of a
// number is what the spec says.
type Command struct {
	Pause         *bool
	Workers       *int
	Batch         *int
	RowsPerSecond *int
}

// Tell tells a back-fill, which listens twice a second while it runs, and else
// when it begins. Who says it is kept. It lasts until the back-fill is done,
// whoever is killed meanwhile. One that is done is ErrFilled: what it was told would
// be there for the next one of that name.
func (p *Provider) Tell(ctx context.Context, id FillID, who string, say Command) (err error) {
	c, err := conn.Open(ctx, p.db.URL, conn.Options{Application: "pleat"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	err = conn.InTransaction(ctx, c, func(tx conn.Tx) error {
		switch done, err := filled(ctx, tx, id.Change); {
		case err != nil:
			return err
		case done:
			return ErrFilled
		}
		next, err := lastControl(ctx, tx, id.Change, id.Table.String())
		if err != nil {
			return err
		}
		next.who = who
		set(&next.paused, say.Pause)
		set(&next.workers, say.Workers)
		set(&next.batch, say.Batch)
		set(&next.rows, say.RowsPerSecond)
		return command(ctx, tx, id.Change, id.Table.String(), next)
	})
	if sqlState(err) == undefinedTable {
		return errors.New("no back-fill can be told anything: this database has no tables of pleat, or older ones, until the next apply")
	}
	return (&work{Provider: p, conn: c}).explain(err)
}

// ErrFilled is that a change's back-fills are done.
var ErrFilled = errors.New("it is done")

// filled tells whether the change has come further than its back-fills.
func filled(ctx context.Context, tx conn.Tx, change string) (yes bool, err error) {
	err = tx.QueryRow(ctx, "select exists (select from pleat.change where name = $1 and phase <> all ($2))", change,
		[]string{string(migrations.Absent), string(migrations.Expanded)}).Scan(&yes)
	return yes, err
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
