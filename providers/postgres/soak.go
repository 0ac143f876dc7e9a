package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

// quiet is what soak remembers of a change, and how long that is ago.
type quiet struct {
	since  *time.Time
	writes int64
	passed time.Duration
}

// asked remembers which runs asked about which changes.
type asked struct {
	mutex sync.Mutex
	seen  map[[2]string]bool
}

// first tells whether this is the first time.
func (a *asked) first(run, change string) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	key := [2]string{run, change}
	if a.seen[key] {
		return false
	}
	if a.seen == nil {
		a.seen = map[[2]string]bool{}
	}
	a.seen[key] = true
	return true
}

// soak begins the quiet time when it is asked first, and anew when a write in
// the old shape was counted since.
func (w *work) soak(ctx context.Context, g *planner.Soak) (planner.Answer, error) {
	if g.Anew && w.asked.first(w.ticket.Run, g.Change) {
		if err := w.stopSoak(ctx, g.Change); err != nil {
			return planner.Answer{}, err
		}
	}
	var now quiet
	var anew bool
	err := conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		if err := w.holdFence(ctx, tx); err != nil {
			return err
		}
		if err := recordFound(ctx, tx, g.Change, g.Digest, g.Phase); err != nil {
			return err
		}
		writes, err := oldWrites(ctx, tx, g.Sequence)
		if err != nil {
			return err
		}
		now, anew, err = quietTime(ctx, tx, g.Change, writes)
		return err
	})
	if err != nil {
		return planner.Answer{}, w.explain(err)
	}
	if now.passed >= g.For {
		return planner.Answer{Met: true}, nil
	}
	reason := fmt.Sprintf("soak of %s until %s", g.For, clock(now.since.Add(g.For)))
	if anew {
		reason = fmt.Sprintf("soak of %s begins anew: writes in the old shape since it was last asked", g.For)
	}
	return planner.Answer{Reason: reason, Recheck: g.For - now.passed}, nil
}

// clock is an instant in a reason, which must not change from one asking to
// the next: each change of it is told.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// recordFound records a change of which pleat has carried out nothing yet, as
// the catalog showed it: there is nothing else to keep its clock with.
func recordFound(ctx context.Context, tx conn.Tx, change, digest string, phase migrations.Phase) error {
	_, err := tx.Exec(ctx, `
		insert into pleat.change (name, phase, digest) values ($1, coalesce(nullif($2, ''), 'absent'), $3)
		on conflict (name) do nothing`, change, string(phase), digest)
	if err != nil {
		return fmt.Errorf("recording change %s: %w", change, err)
	}
	return nil
}

// quietTime is by the server's clock, as everything that is compared with it.
// It begins anew when the counter of writes has moved.
func quietTime(ctx context.Context, tx conn.Tx, change string, writes int64) (now quiet, anew bool, err error) {
	var was quiet
	err = tx.QueryRow(ctx, "select quiet_since, old_writes from pleat.change where name = $1 for update", change).
		Scan(&was.since, &was.writes)
	if err != nil {
		return quiet{}, false, fmt.Errorf("reading the quiet time of %s: %w", change, err)
	}
	moved := was.writes != writes
	if was.since == nil || moved {
		_, err := tx.Exec(ctx, `
			update pleat.change set quiet_since = pg_catalog.clock_timestamp(), old_writes = $2 where name = $1`, change, writes)
		if err != nil {
			return quiet{}, false, fmt.Errorf("recording the quiet time of %s: %w", change, err)
		}
	}
	var passed float64
	err = tx.QueryRow(ctx, `
		select quiet_since, extract(epoch from pg_catalog.clock_timestamp() - quiet_since)::float8
		from pleat.change where name = $1`, change).Scan(&now.since, &passed)
	if err != nil {
		return quiet{}, false, fmt.Errorf("reading the quiet time of %s: %w", change, err)
	}
	now.passed = time.Duration(passed * float64(time.Second))
	return now, was.since != nil && moved, nil
}

// oldWrites reads the counter; a sequence that was never used counts nothing.
func oldWrites(ctx context.Context, tx conn.Tx, sequence string) (int64, error) {
	if sequence == "" {
		return 0, nil
	}
	var n int64
	err := tx.QueryRow(ctx, "select case when is_called then last_value else 0 end from "+migrations.Ident("pleat", sequence)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting writes in the old shape: %w", err)
	}
	return n, nil
}

// hiddenFor starts the clock of what is hidden and was not recorded so.
func (w *work) hiddenFor(ctx context.Context, g *planner.HiddenFor) (planner.Answer, error) {
	if g.Found {
		if err := w.startHidden(ctx, g); err != nil {
			return planner.Answer{}, w.explain(err)
		}
	}
	var at time.Time
	var passed float64
	err := w.conn.QueryRow(ctx, `
		select hidden_at, extract(epoch from pg_catalog.clock_timestamp() - hidden_at)::float8
		from pleat.change where name = $1 and hidden_at is not null`, g.Change).Scan(&at, &passed)
	if errors.Is(err, pgx.ErrNoRows) {
		return planner.Answer{Reason: "change " + g.Change + " is not recorded as hidden", Recheck: g.For}, nil
	}
	if err != nil {
		return planner.Answer{}, fmt.Errorf("asking since when %s is hidden: %w", g.Change, err)
	}
	left := g.For - time.Duration(passed*float64(time.Second))
	if left <= 0 {
		return planner.Answer{Met: true}, nil
	}
	return planner.Answer{Reason: fmt.Sprintf("hidden for %s until %s", g.For, clock(at.Add(g.For))), Recheck: left}, nil
}

func (w *work) startHidden(ctx context.Context, g *planner.HiddenFor) error {
	return conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		if err := w.holdFence(ctx, tx); err != nil {
			return err
		}
		if err := recordFound(ctx, tx, g.Change, g.Digest, migrations.Hidden); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			update pleat.change set hidden_at = pg_catalog.clock_timestamp() where name = $1 and hidden_at is null`, g.Change)
		if err != nil {
			return fmt.Errorf("recording since when %s is hidden: %w", g.Change, err)
		}
		return nil
	})
}
