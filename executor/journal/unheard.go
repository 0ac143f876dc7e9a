package journal

import (
	"context"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/planner"
)

// unheard are the instances that the last run to start any of their release
// began, whose word it was to wait for as its plan says, and whose word no run has
// had since.
func unheard(ctx context.Context, tx conn.Tx, environment string) ([]planner.Unheard, error) {
	rows, err := tx.Query(ctx, `
		with started as (
		  select found[1] as service, found[2] as version, found[3] as instance, r.id as run, r.plan, e.seq,
		         max(r.started) over (partition by found[1], found[2]) = r.started as latest
		  from pleat.entry e
		  join pleat.run r on r.id = e.run
		  cross join lateral regexp_match(e.step, '^service\.([^/]+)/(.+)/start/([^/]+)$') as found
		  where r.environment = $1 and e.step like 'service.%' and e.status = 'started'
		), last as (
		  select service, version, instance, run, plan::text as plan, max(seq) as seq,
		         'service.' || service || '/' || version || '/handover/' || instance as word
		  from started where service is not null and latest
		  group by service, version, instance, run, plan::text
		)
		select service, version, instance, run from last
		where pg_catalog.strpos(plan, '"' || word || '"') > 0
		  and not exists (
		    select from pleat.entry e join pleat.run r on r.id = e.run
		    where r.environment = $1 and e.step = last.word and e.status in ('done', 'settled') and e.seq > last.seq)
		order by service collate "C", version collate "C", instance collate "C"`, environment)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[planner.Unheard])
}
