package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"pleat/migrations/conn"
	"pleat/planner"
)

const (
	// lookEvery is how often limits and control are asked; in between nothing
	// is known to have changed.
	lookEvery = 500 * time.Millisecond
	// gaugeTime is how long a limit may take to be read before it is unknown.
	gaugeTime = 2 * time.Second
)

// governor says whether a back-fill may go on, for all of its workers: whoever
// comes when it is time looks, and the others wait for what is seen.
type governor struct {
	fill    *fill
	gauges  []gauge
	looking sync.Mutex
	asked   time.Time
	said    string
	rate    meter
	wrote   time.Duration // how long the last small write took

	mutex   sync.Mutex
	control control
}

func newGovernor(f *fill) *governor {
	return &governor{fill: f, gauges: gaugesOf(f)}
}

// wait returns once the back-fill may do a batch. It holds while a limit is
// crossed, or while nobody can tell.
func (g *governor) wait(ctx context.Context, w *work) error {
	g.looking.Lock()
	defer g.looking.Unlock()
	if time.Since(g.asked) >= lookEvery {
		if err := g.hold(ctx, w); err != nil {
			return err
		}
	}
	return g.fill.pace.await(ctx, g.limit())
}

func (g *governor) hold(ctx context.Context, w *work) error {
	for {
		reason, err := g.look(ctx, w)
		if err != nil {
			return err
		}
		g.asked = time.Now()
		if reason != g.said {
			g.fill.say(planner.Waiting{For: reason})
			g.said = reason
		}
		if reason == "" || g.fill.regroup.Load() {
			return nil
		}
		if err := sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// look asks every limit, so that a person sees all that is in the way.
func (g *governor) look(ctx context.Context, w *work) (string, error) {
	if err := g.hear(ctx, w); err != nil {
		return "", err
	}
	// First of all, because what it takes is a limit too.
	if err := g.publish(ctx, w, g.said); err != nil {
		return "", err
	}
	var reasons []string
	if c := g.heard(); c.paused {
		reasons = append(reasons, "somebody to resume it: paused by "+c.who)
	}
	for _, each := range g.gauges {
		reason, err := each.read(ctx, w)
		if err != nil && (w.conn.IsClosed() || stopped(ctx)) {
			return "", err
		}
		if err != nil {
			reason = each.name + " is unknown: " + serverText(err)
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
	}
	reason := strings.Join(reasons, "; ")
	if reason == g.said {
		return reason, nil
	}
	return reason, g.publish(ctx, w, reason)
}

// hear reads what people said. Another number of workers is arranged by whoever
// has them.
func (g *governor) hear(ctx context.Context, w *work) error {
	c, err := lastControl(ctx, w.conn, g.fill.action.Change, g.fill.unit())
	if err != nil {
		return err
	}
	before := g.workers()
	g.mutex.Lock()
	g.control = c
	g.mutex.Unlock()
	if g.workers() != before {
		g.fill.regroup.Store(true)
	}
	return nil
}

func (g *governor) heard() control {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.control
}

// workers is how many there should be.
func (g *governor) workers() int { return firstSet(g.heard().workers, g.fill.action.Workers, 1) }

// batch is with how many rows a worker begins.
func (g *governor) batch() int { return firstSet(g.heard().batch, g.fill.action.Batch, 1) }

// largest is how many rows a batch may have. What a person said while the
// back-fill runs is meant as said.
func (g *governor) largest() int {
	if said := g.heard().batch; said > 0 {
		return said
	}
	most := max(g.fill.action.Batch, 1) * steering
	if limit := g.limit(); limit > 0 {
		return min(most, max(limit/4, 1))
	}
	return most
}

// limit is how many rows a second it may do; 0 is any number.
func (g *governor) limit() int {
	return firstSet(g.heard().rows, g.fill.action.Throttle.RowsPerSecond)
}

func firstSet(all ...int) int {
	for _, n := range all {
		if n > 0 {
			return n
		}
	}
	return 0
}

// reset takes back what people said: it was about this back-fill, not about the
// next of that name.
func (g *governor) reset(ctx context.Context, tx conn.Tx) error {
	if g.heard() == (control{}) {
		return nil
	}
	return command(ctx, tx, g.fill.action.Change, g.fill.unit(), control{who: "pleat, at the end"})
}

// publish writes down how far it is. The time that takes is what a small write
// takes at present.
func (g *governor) publish(ctx context.Context, w *work, held string) error {
	f := g.fill
	f.mutex.Lock()
	p := f.progress()
	f.mutex.Unlock()
	start := time.Now()
	_, err := w.conn.Exec(ctx, `
		insert into pleat.fill as f (change, unit, run, total, rows, rate, workers, batch, held)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict (change, unit) do update set
		  began = case when f.finished then excluded.began else f.began end,
		  run = excluded.run, total = excluded.total, rows = excluded.rows, rate = excluded.rate, workers = excluded.workers,
		  batch = excluded.batch, held = excluded.held, finished = false, updated = excluded.updated`,
		f.action.Change, f.unit(), f.ticket.Run, p.Total, p.Done, g.rate.at(start, p.Done), g.workers(), g.largest(), held)
	g.wrote = time.Since(start)
	if err != nil {
		return fmt.Errorf("writing down how far the back-fill of %s is: %w", f.action.Table, err)
	}
	return nil
}

func (f *fill) publishEnd(ctx context.Context, tx conn.Tx) error {
	p := f.progress()
	_, err := tx.Exec(ctx, `
		update pleat.fill set finished = true, held = '', rate = 0, total = $3, rows = $3, updated = pg_catalog.clock_timestamp()
		where change = $1 and unit = $2`, f.action.Change, f.unit(), p.Done)
	if err != nil {
		return fmt.Errorf("writing down that the back-fill of %s is done: %w", f.action.Table, err)
	}
	return nil
}

// meterTime is the time over which a rate is taken.
const meterTime = 5 * time.Second

// meter is how many rows a second were done lately.
type meter struct {
	since time.Time
	from  int64
	rate  int64
}

func (m *meter) at(now time.Time, rows int64) int64 {
	if m.since.IsZero() || rows < m.from {
		m.since, m.from = now, rows
		return 0
	}
	passed := now.Sub(m.since)
	if passed >= lookEvery {
		m.rate = int64(float64(rows-m.from) / passed.Seconds())
	}
	if passed >= meterTime {
		m.since, m.from = now, rows
	}
	return m.rate
}

// pace keeps all workers together below a number of rows a second.
type pace struct {
	mutex sync.Mutex
	spent int64 // since the last that was waited for
	due   time.Time
}

func (p *pace) spend(rows int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.spent += rows
}

// await returns once what was spent is within the limit; 0 is no limit.
func (p *pace) await(ctx context.Context, limit int) error {
	p.mutex.Lock()
	spent := p.spent
	p.spent = 0
	now := time.Now()
	if limit > 0 {
		if p.due.Before(now) {
			p.due = now
		}
		p.due = p.due.Add(time.Duration(float64(spent) / float64(limit) * float64(time.Second)))
	}
	due := p.due
	p.mutex.Unlock()
	if limit <= 0 || !due.After(now) {
		return nil
	}
	return sleep(ctx, due.Sub(now))
}
