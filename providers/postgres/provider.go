// Package postgres changes and watches one Postgres database for the executor:
// schema steps within lock and time budgets, index builds, back-fills that can
// be resumed, verifies, evidence, and the catalog. Every effect commits
// together with the step's mark, under the lease's fence. One session at most is
// kept between two calls, and nothing in it that a step set or took.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// Provider is one database. Its methods may be called from several goroutines.
type Provider struct {
	db    *spec.Database
	at    func(point string)
	asked asked // about soaks that begin anew
	kept  kept
	last  last
}

// New makes the provider of a database. It connects to nothing. at is called
// at each named point where a test may want the process to die; nil is nobody.
func New(db *spec.Database, at func(point string)) *Provider {
	if at == nil {
		at = func(string) {}
	}
	return &Provider{db: db, at: at}
}

const (
	maxLosses  = 10          // of the connection, in one step
	restarting = time.Minute // how long a server may take to come back
)

// work is one call: a step under a ticket on a session of its own.
type work struct {
	*Provider
	conn    *pgx.Conn
	session *session // that conn is of, where it may be kept
	ticket  planner.Ticket
	step    planner.Step
	report  func(planner.Report)
	told    bool // that sessions cannot be ended
	marks   bool // the step's mark was written, or was there
}

// Apply makes the step's effect and returns once it is committed with the
// step's mark. A step whose mark is there is done. An error wraps
// planner.ErrOutcomeUnknown where the effect may be there in spite of it; one
// with a Hint() tells a person what to do. Limits.Run bounds all of it, and
// cancelling ctx cancels the statement that runs. What a lost connection is
// known to have undone is done again over another one, and a back-fill goes on.
func (p *Provider) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	ctx, cancel := within(ctx, s.Limits.Run)
	defer cancel()
	_, resumable := s.Action.(*planner.Backfill)
	return p.persist(ctx, t.Run, report, func() (lost bool, err error) {
		lost, err = p.on(ctx, t, report, func(w *work) error {
			w.step = s
			if err := w.preflight(ctx); err != nil {
				return err
			}
			if err := w.apply(ctx); err != nil {
				return w.explain(err)
			}
			if w.marks {
				p.last.set(t.Run, s.ID)
			}
			return nil
		})
		return lost && (resumable || !errors.Is(err, planner.ErrOutcomeUnknown)), err
	})
}

// persist does something again for as long as only its connection was lost.
func (p *Provider) persist(ctx context.Context, run string, report func(planner.Report), once func() (lost bool, err error)) error {
	for losses := 1; ; losses++ {
		lost, err := once()
		if !lost || losses > maxLosses || stopped(ctx) {
			return err
		}
		report(planner.Waiting{For: "the database, after its connection was lost"})
		if again := p.awaitServer(ctx, run); again != nil {
			return errors.Join(err, again)
		}
		report(planner.Waiting{})
	}
}

// on runs body over a session that nobody else uses, and tells whether that was
// lost.
func (p *Provider) on(ctx context.Context, t planner.Ticket, report func(planner.Report), body func(*work) error) (lost bool, err error) {
	s, err := p.take(ctx, conn.Options{Application: application(t.Run)})
	if err != nil {
		return transient(err), err
	}
	defer func() { err = errors.Join(err, p.give(ctx, s, err)) }()
	err = body(&work{Provider: p, conn: s.Conn, session: s, ticket: t, report: report})
	var lostOne *sessionLost
	return err != nil && (s.IsClosed() || errors.As(err, &lostOne)), err
}

// transient tells whether opening failed for a reason that passes: the server
// is on its way down or up, or ended the session before it was of use.
func transient(err error) bool {
	var unreachable *conn.OpenError
	return errors.As(err, &unreachable) && unreachable.Transient()
}

func (w *work) apply(ctx context.Context) error {
	switch w.step.Action.(type) {
	case *planner.Backfill, *planner.Verify: // an author's expressions are prepared
	default:
		w.session.keep = true
	}
	switch a := w.step.Action.(type) {
	case *planner.Transaction:
		return w.transact(ctx, w.transaction(a))
	case *planner.Migrate:
		return w.migrate(ctx, a)
	case *planner.BuildIndex:
		return w.buildIndex(ctx, a)
	case *planner.RemoveIndex:
		return w.removeIndex(ctx, a)
	case *planner.RunAlone:
		return w.runAlone(ctx, a)
	case *planner.Backfill:
		return w.backfill(ctx, a)
	case *planner.Verify:
		return w.verify(ctx, a)
	}
	return fmt.Errorf("a database cannot carry out %T", w.step.Action)
}

// within bounds a context; 0 is no bound.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// application is what others see of a run's steps in pg_stat_activity.
func application(run string) string { return "pleat/" + run }

func (p *Provider) open(ctx context.Context, run string) (*pgx.Conn, error) {
	return conn.Open(ctx, p.db.URL, conn.Options{Application: application(run)})
}

// awaitServer returns once the server answers again and does nothing more for
// the session that was lost.
func (p *Provider) awaitServer(ctx context.Context, run string) error {
	deadline := time.Now().Add(restarting)
	for {
		c, err := p.readOnly(ctx, "pleat")
		if err == nil {
			return errors.Join(endOrphans(ctx, c, run), conn.Close(ctx, c))
		}
		if time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, jittered(time.Second)); err != nil {
			return err
		}
	}
}

// readOnly gives a session for looking, and what closes it.
func (p *Provider) readOnly(ctx context.Context, name string) (*pgx.Conn, error) {
	return conn.Open(ctx, p.db.URL, conn.Options{Application: name, ReadOnly: true})
}
