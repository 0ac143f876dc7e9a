package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	_, authors := g.(*planner.Quiet)
	w.session.keep, w.session.idle = !authors, !authors
	switch g := g.(type) {
	case *planner.NoSessions:
		return w.noSessions(ctx, g)
	case *planner.Soak:
		return w.soak(ctx, g)
	case *planner.NoStatements:
		return w.noStatements(ctx, g)
	case *planner.Quiet:
		return w.quiet(ctx, g)
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
	found := open(g, all)
	if found == "" {
		return planner.Answer{Met: true}, nil
	}
	if err := w.stopSoak(ctx, g.Change); err != nil {
		return planner.Answer{}, err
	}
	return planner.Answer{Reason: found}, nil
}

// open names the sessions that a guard asks not to be there, or is "".
func open(g *planner.NoSessions, all []planner.Sessions) string {
	var found []string
	for _, s := range all {
		if concerns(g, s) {
			found = append(found, fmt.Sprintf("%s of %s %s", sessionCount(s.Count), s.Service, s.Release))
		}
	}
	return strings.Join(found, ", ")
}

// confirm asks again for the evidence of a transaction, in it: whoever comes
// later waits behind its lock.
func confirm(ctx context.Context, tx conn.Tx, evidence []planner.NoSessions) error {
	if len(evidence) == 0 {
		return nil
	}
	all, err := sessions(ctx, tx)
	if err != nil {
		return err
	}
	for _, g := range evidence {
		if found := open(&g, all); found != "" {
			return &EvidenceError{Change: g.Change, Found: found}
		}
	}
	return nil
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
