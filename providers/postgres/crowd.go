package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
)

// crowd looks over another session at who stands behind the step in the queue
// for a lock. It is there once a first attempt has failed: who gets the lock at
// once keeps nobody.
type crowd struct {
	conn   *pgx.Conn // nil: nobody looks
	pid    uint32    // of the step's session
	behind []Blocker // as seen last
}

// gather begins to look. That it cannot is no reason to fail a step.
func (w *work) gather(ctx context.Context, c *crowd) {
	if c.conn != nil {
		return
	}
	if own, err := w.readOnly(ctx, "pleat"); err == nil {
		*c = crowd{conn: own, pid: w.conn.PgConn().PID()}
	}
}

// during does what may wait for a lock, and looks half way through its time.
func (c *crowd) during(ctx context.Context, wait time.Duration, once func() error) error {
	if c.conn == nil {
		return once()
	}
	seen, done := make(chan []Blocker, 1), make(chan struct{})
	go func() {
		defer close(seen)
		timer := time.NewTimer(wait / 2)
		defer timer.Stop()
		select {
		case <-timer.C:
			seen <- c.look(ctx)
		case <-done:
		}
	}()
	err := once()
	close(done)
	if behind := <-seen; len(behind) > 0 {
		c.behind = behind
	}
	return err
}

// look gives nobody where the question fails: it is for the report only.
func (c *crowd) look(ctx context.Context) []Blocker {
	rows, err := c.conn.Query(ctx, `
		select a.pid, coalesce(a.application_name, ''), coalesce(a.state, ''),
		       coalesce(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start), 0)::float8, 0::float8, coalesce(a.query, ''), false
		from pg_catalog.pg_locks k join pg_catalog.pg_stat_activity a on a.pid = k.pid
		where not k.granted and $1 = any(pg_catalog.pg_blocking_pids(k.pid))
		order by a.xact_start nulls last, a.pid`, int32(c.pid))
	if err != nil {
		return nil
	}
	found, err := pgx.CollectRows(rows, blocker)
	if err != nil {
		return nil
	}
	return distinct(found)
}

func (c *crowd) leave(ctx context.Context) error { return conn.Close(ctx, c.conn) }

// behindText says who was kept, and for how long at most.
func behindText(behind []Blocker, wait time.Duration) string {
	if len(behind) == 0 {
		return ""
	}
	var who []string
	for _, b := range behind[:min(len(behind), samples)] {
		name := b.Application
		if name == "" {
			name = fmt.Sprintf("pid %d", b.PID)
		}
		who = append(who, name)
	}
	slices.Sort(who)
	more := ""
	if len(behind) > samples {
		more = fmt.Sprintf(" and %d more", len(behind)-samples)
	}
	return fmt.Sprintf("%s stood behind it, for %s at most: %s%s", sessionCount(len(behind)), wait, strings.Join(slices.Compact(who), ", "), more)
}
