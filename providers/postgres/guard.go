package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

// Ask answers a guard by what is live. Soak also records what it saw, under
// the ticket's fence, so that the quiet time is counted across runs.
func (p *Provider) Ask(ctx context.Context, t planner.Ticket, g planner.Guard) (answer planner.Answer, err error) {
	nobody := func(planner.Report) {}
	err = p.persist(ctx, t.Run, nobody, func() (lost bool, err error) {
		return p.on(ctx, t, nobody, func(w *work) (err error) {
			answer, err = w.ask(ctx, g)
			return err
		})
	})
	return answer, err
}

func (w *work) ask(ctx context.Context, g planner.Guard) (planner.Answer, error) {
	switch g := g.(type) {
	case *planner.NoSessions:
		return w.noSessions(ctx, g)
	case *planner.Soak:
		return w.soak(ctx, g)
	case *planner.HiddenFor:
		return w.hiddenFor(ctx, g)
	}
	return planner.Answer{}, fmt.Errorf("a database cannot answer %T", g)
}

func (w *work) noSessions(ctx context.Context, g *planner.NoSessions) (planner.Answer, error) {
	all, err := sessions(ctx, w.conn)
	if err != nil {
		return planner.Answer{}, err
	}
	var found []string
	for _, s := range all {
		if concerns(g, s) {
			found = append(found, fmt.Sprintf("%s of %s %s", sessionCount(s.Count), s.Service, s.Release))
		}
	}
	if len(found) == 0 {
		return planner.Answer{Met: true}, nil
	}
	if err := w.stopSoak(ctx, g.Change); err != nil {
		return planner.Answer{}, err
	}
	return planner.Answer{Reason: strings.Join(found, ", ")}, nil
}

// stopSoak makes a quiet time begin anew when it is asked for next.
func (w *work) stopSoak(ctx context.Context, change string) error {
	if change == "" {
		return nil
	}
	return w.explain(conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		if err := w.holdFence(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "update pleat.change set quiet_since = null where name = $1 and quiet_since is not null", change)
		return err
	}))
}

func sessionCount(n int) string {
	if n == 1 {
		return "1 session"
	}
	return fmt.Sprintf("%d sessions", n)
}

func concerns(g *planner.NoSessions, s planner.Sessions) bool {
	if g.Service == "" {
		return !slices.Contains(g.Others, s.Service) && !slices.Contains(g.Except, s.Service+"@"+s.Release)
	}
	if s.Service != g.Service {
		return false
	}
	if len(g.Versions) > 0 {
		return slices.Contains(g.Versions, s.Release)
	}
	return !slices.Contains(g.Except, s.Release)
}

// quiet is what soak remembers of a change.
type quiet struct {
	since  *time.Time
	writes int64
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
	var left time.Duration
	var writes, before int64
	err := conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
		if err := w.holdFence(ctx, tx); err != nil {
			return err
		}
		var err error
		if writes, err = oldWrites(ctx, tx, g.Sequence); err != nil {
			return err
		}
		left, before, err = w.quietLeft(ctx, tx, g, writes)
		return err
	})
	if err != nil {
		return planner.Answer{}, w.explain(err)
	}
	if left <= 0 {
		return planner.Answer{Met: true}, nil
	}
	return planner.Answer{Reason: soakReason(g, left, writes-before), Recheck: left}, nil
}

func soakReason(g *planner.Soak, left time.Duration, writes int64) string {
	reason := fmt.Sprintf("soak of %s, %s left", g.For, left.Round(time.Second))
	if writes > 0 {
		reason += fmt.Sprintf(": %d writes in the old shape since it was last asked", writes)
	}
	return reason
}

// quietLeft is by the server's clock, as everything that is compared with it.
func (w *work) quietLeft(ctx context.Context, tx conn.Tx, g *planner.Soak, writes int64) (time.Duration, int64, error) {
	var was quiet
	err := tx.QueryRow(ctx, "select quiet_since, old_writes from pleat.change where name = $1 for update", g.Change).
		Scan(&was.since, &was.writes)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, fmt.Errorf("change %s is not recorded in this database", g.Change)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading the quiet time of %s: %w", g.Change, err)
	}
	if was.since == nil || was.writes != writes {
		_, err := tx.Exec(ctx, `
			update pleat.change set quiet_since = pg_catalog.clock_timestamp(), old_writes = $2 where name = $1`, g.Change, writes)
		if err != nil {
			return 0, 0, fmt.Errorf("recording the quiet time of %s: %w", g.Change, err)
		}
	}
	var passed float64
	err = tx.QueryRow(ctx, `
		select extract(epoch from pg_catalog.clock_timestamp() - quiet_since)::float8 from pleat.change where name = $1`,
		g.Change).Scan(&passed)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the quiet time of %s: %w", g.Change, err)
	}
	if was.since == nil {
		was.writes = writes
	}
	return g.For - time.Duration(passed*float64(time.Second)), was.writes, nil
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

func (w *work) hiddenFor(ctx context.Context, g *planner.HiddenFor) (planner.Answer, error) {
	var passed *float64
	err := w.conn.QueryRow(ctx, `
		select extract(epoch from pg_catalog.clock_timestamp() - hidden_at)::float8
		from pleat.change where name = $1`, g.Change).Scan(&passed)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return planner.Answer{}, fmt.Errorf("asking since when %s is hidden: %w", g.Change, err)
	}
	if passed == nil {
		return planner.Answer{Reason: "change " + g.Change + " is not recorded as hidden", Recheck: g.For}, nil
	}
	left := g.For - time.Duration(*passed*float64(time.Second))
	if left <= 0 {
		return planner.Answer{Met: true}, nil
	}
	return planner.Answer{Reason: fmt.Sprintf("hidden for %s, %s left", g.For, left.Round(time.Second)), Recheck: left}, nil
}
