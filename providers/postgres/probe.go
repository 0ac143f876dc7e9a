package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/planner"
)

const (
	orphanGrace = 3 * time.Second  // the server notices by itself that a client is gone
	orphanEnd   = 10 * time.Second // for a session that was told to end
)

// Probe tells whether the step's effect is there. Sessions that a killed
// process of the run left behind are waited for, and ended if they do not end
// by themselves: what they do must be over before anybody can tell.
func (p *Provider) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (outcome planner.Outcome, err error) {
	c, err := p.readOnly(ctx, "pleat")
	if err != nil {
		return planner.Unknown, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx, c)) }()
	if err := p.last.lookBack(ctx, c); err != nil {
		return planner.Unknown, err
	}
	if err := endOrphans(ctx, c, t.Run); err != nil {
		return planner.Unknown, err
	}
	done, err := took(ctx, c, t, s)
	if err != nil {
		return planner.Unknown, err
	}
	if done {
		return planner.Done, nil
	}
	if a, ok := s.Action.(*planner.Migrate); ok {
		return (&work{Provider: p, conn: c}).versionOutcome(ctx, a)
	}
	return planner.NotDone, nil
}

// took asks the catalog about an index by which the step is done, and the mark
// about all else.
func took(ctx context.Context, c *pgx.Conn, t planner.Ticket, s planner.Step) (bool, error) {
	switch a := s.Action.(type) {
	case *planner.BuildIndex:
		if len(a.Then) == 0 {
			state, err := lookAtIndex(ctx, c, a.Table, a.Index)
			return state.ours && state.valid, err
		}
	case *planner.RemoveIndex:
		state, err := lookAtIndex(ctx, c, a.Table, a.Index)
		return !state.ours, err
	}
	done, err := marked(ctx, c, t.Run, s.ID)
	if sqlState(err) == undefinedTable {
		return false, nil
	}
	return done, err
}

// endOrphans returns once no session of the run's steps does anything.
func endOrphans(ctx context.Context, c *pgx.Conn, run string) error {
	start, told := time.Now(), false
	for {
		pids, err := sessionsOf(ctx, c, run)
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Since(start) > orphanGrace && !told {
			if err := terminate(ctx, c, pids); err != nil {
				return err
			}
			told = true
		}
		if time.Since(start) > orphanGrace+orphanEnd {
			return fmt.Errorf("sessions %v of run %s do not end", pids, run)
		}
		if err := sleep(ctx, look); err != nil {
			return err
		}
	}
}

func sessionsOf(ctx context.Context, c *pgx.Conn, run string) ([]int, error) {
	rows, err := c.Query(ctx, `
		select pid from pg_catalog.pg_stat_activity
		where application_name = $1 and pid <> pg_catalog.pg_backend_pid()
		  and datname = pg_catalog.current_database() and state is distinct from 'idle'
		order by pid`, application(run))
	if err != nil {
		return nil, fmt.Errorf("looking for sessions of run %s: %w", run, err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("looking for sessions of run %s: %w", run, err)
	}
	return pids, nil
}

func terminate(ctx context.Context, c *pgx.Conn, pids []int) error {
	_, err := c.Exec(ctx, "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.unnest($1::int[]) as p (pid)", pids)
	if err != nil {
		return fmt.Errorf("ending sessions %v: %w", pids, err)
	}
	return nil
}
