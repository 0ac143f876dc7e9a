package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/planner"
)

// evict ends those in the way that the step's limits allow. The server judges
// each once more as it is ended: what became active or committed meanwhile
// stays. A role that may not end them is told once, and the step waits on.
func (w *work) evict(ctx context.Context, table string, found []Blocker) error {
	names := evictable(w.step.Limits.Evict, found)
	if len(names) == 0 {
		return nil
	}
	ended, err := w.terminate(ctx, names, w.step.Limits.Evict.Idle)
	if sqlState(err) == insufficientRight {
		w.cannotEvict(err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending sessions that hold %s: %w", table, err)
	}
	for _, b := range ended {
		service, release, _, _ := parseApplication(b.Application)
		w.report(planner.SessionEnded{
			PID: b.PID, Application: b.Application, Service: service, Release: release, Idle: b.Idle, Table: table,
		})
	}
	return nil
}

// evictable gives the sessions to ask the server for, by their pids.
func evictable(allowed *planner.Eviction, found []Blocker) map[int]string {
	names := map[int]string{}
	for _, b := range found {
		service, release, _, ok := parseApplication(b.Application)
		if allowed != nil && ok && b.idleInTransaction() && b.Idle >= allowed.Idle && slices.Contains(allowed.Releases, service+"@"+release) {
			names[b.PID] = b.Application
		}
	}
	return names
}

func (w *work) terminate(ctx context.Context, names map[int]string, idle time.Duration) ([]Blocker, error) {
	pids, applications := make([]int32, 0, len(names)), make([]string, 0, len(names))
	for pid, application := range names {
		pids, applications = append(pids, int32(pid)), append(applications, application)
	}
	// MATERIALIZED: nobody is ended whom the conditions leave out.
	rows, err := w.conn.Query(ctx, `
		with condemned as materialized (
		  select a.pid, a.application_name, extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::float8 as idle
		  from pg_catalog.pg_stat_activity a
		  join rows from (pg_catalog.unnest($1::int[]), pg_catalog.unnest($2::text[])) as seen (pid, application_name)
		    on seen.pid = a.pid and seen.application_name = a.application_name
		  where a.datname = pg_catalog.current_database() and a.state like 'idle in transaction%'
		    and a.state_change <= pg_catalog.clock_timestamp() - $3::float8 * interval '1 second'
		  order by a.pid)
		select pid, application_name, idle from condemned where pg_catalog.pg_terminate_backend(pid)`,
		pids, applications, idle.Seconds())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Blocker, error) {
		var b Blocker
		var seconds float64
		err := row.Scan(&b.PID, &b.Application, &seconds)
		b.Idle = time.Duration(seconds * float64(time.Second))
		return b, err
	})
}

func (w *work) cannotEvict(err error) {
	if w.told {
		return
	}
	w.told = true
	w.report(planner.Warning{Text: fmt.Sprintf("sessions in the way cannot be ended: %s; GRANT pg_signal_backend TO %s;",
		err, migrations.Ident(w.conn.Config().User))})
}
