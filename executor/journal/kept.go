package journal

import (
	"context"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
	"pleat/planner"
)

// kept are the releases of which something was drained since anything of them
// was started or attached. A drain that was taken back has attached it again.
func kept(ctx context.Context, tx conn.Tx, environment string) ([]planner.Kept, error) {
	rows, err := tx.Query(ctx, `
		select service, version, max(at) filter (where drained)
		from (
		  select found[1] as service, found[2] as version, found[3] = 'drain' and e.status <> 'undone' as drained, e.at
		  from pleat.entry e
		  join pleat.run r on r.id = e.run
		  cross join lateral regexp_match(e.step, '^service\.([^/]+)/(.+)/(drain|start|attach)/') as found
		  where r.environment = $1 and e.step like 'service.%'
		    and (e.status in ('done', 'settled') or e.status = 'undone' and found[3] = 'drain')
		) as turn
		where service is not null
		group by service, version
		having max(at) filter (where drained) > coalesce(max(at) filter (where not drained), '-infinity')
		order by service collate "C", version collate "C"`, environment)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[planner.Kept])
}
