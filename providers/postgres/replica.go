package postgres

import (
	"context"
	"fmt"
	"time"

	"pleat/planner"
)

// lagEvery is how often replicas are asked; in between nothing is known to
// have changed.
const lagEvery = 500 * time.Millisecond

// replicas remembers when the replicas were asked last.
type replicas struct {
	limit time.Duration
	asked time.Time
	said  string
}

// awaitReplicas holds the back-fill for as long as a replica is further behind
// than allowed, or nobody can tell how far.
func (f *fill) awaitReplicas(ctx context.Context) error {
	if f.lag.limit <= 0 || time.Since(f.lag.asked) < lagEvery {
		return nil
	}
	for {
		reason, err := f.behind(ctx)
		if err != nil {
			return err
		}
		f.lag.asked = time.Now()
		if reason != f.lag.said {
			f.report(planner.Waiting{For: reason})
			f.lag.said = reason
		}
		if reason == "" {
			return nil
		}
		if err := sleep(ctx, lagEvery); err != nil {
			return err
		}
	}
}

// behind says why the back-fill must hold, or "". A replica that has replayed
// everything reports no lag at all; one that has not and reports none is one
// of which nothing is known.
func (f *fill) behind(ctx context.Context) (string, error) {
	var connected, unknown int
	var lag float64
	err := f.conn.QueryRow(ctx, `
		select count(*),
		       count(*) filter (where replay_lag is null and replay_lsn is distinct from pg_catalog.pg_current_wal_lsn()),
		       coalesce(extract(epoch from max(replay_lag)), 0)::float8
		from pg_catalog.pg_stat_replication`).Scan(&connected, &unknown, &lag)
	if err != nil {
		return "", fmt.Errorf("asking how far replicas are behind: %w", err)
	}
	switch {
	case connected == 0:
		return "replica lag is unknown: no replica is connected", nil
	case unknown > 0:
		return fmt.Sprintf("replica lag is unknown for %d of %d replicas (to see it, the role needs pg_monitor)", unknown, connected), nil
	case lag > f.lag.limit.Seconds():
		return fmt.Sprintf("replica lag %.1fs is over %s", lag, f.lag.limit), nil
	}
	return "", nil
}
