package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
)

// gauge reads one limit of a back-fill: why to hold, or "". An error is a limit
// of which nothing is known.
type gauge struct {
	name string
	read func(ctx context.Context, w *work) (reason string, err error)
}

// gaugesOf are the limits that the spec sets.
func gaugesOf(f *fill) []gauge {
	t := f.action.Throttle
	var all []gauge
	add := func(wanted bool, name string, read func(ctx context.Context, w *work, tx conn.Tx) (string, error)) {
		if wanted {
			all = append(all, gauge{name, bounded(f, read)})
		}
	}
	add(t.ReplicaLag > 0, "replica lag", f.replicasBehind)
	add(t.LockWaiters > 0, "how many wait for locks", f.lockWaiters)
	add(t.Autovacuum == "any" || t.Autovacuum == "wraparound", "whether the table is vacuumed", f.vacuumed)
	wal := &walMeter{limit: t.WALRate}
	add(t.WALRate > 0, "the WAL rate", wal.read)
	add(t.ArchiverBacklog > 0, "the archiver's backlog", f.archiverBehind)
	add(t.SQL != "", "the answer to throttle.sql", f.askedBySQL)
	if t.Latency > 0 {
		all = append(all, gauge{"write latency", f.writesSlow})
	}
	return all
}

// bounded reads in a transaction that writes nothing and is over in time.
func bounded(f *fill, read func(ctx context.Context, w *work, tx conn.Tx) (string, error)) func(context.Context, *work) (string, error) {
	return func(ctx context.Context, w *work) (reason string, err error) {
		err = conn.InTransaction(ctx, w.conn, func(tx conn.Tx) error {
			err := setLocal(ctx, tx, map[string]string{
				"transaction_read_only": "on", "statement_timeout": milliseconds(gaugeTime), "search_path": searchPath(f.action.Table),
			})
			if err != nil {
				return err
			}
			reason, err = read(ctx, w, tx)
			return err
		})
		return reason, err
	}
}

// replicasBehind says which replica is too far behind. One that has replayed
// everything reports no lag at all; one that has not and reports none is one of
// which nothing is known.
func (f *fill) replicasBehind(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	var connected, unknown int
	var lag float64
	err := tx.QueryRow(ctx, `
		select count(*),
		       count(*) filter (where replay_lag is null and replay_lsn is distinct from pg_catalog.pg_current_wal_lsn()),
		       coalesce(extract(epoch from max(replay_lag)), 0)::float8
		from pg_catalog.pg_stat_replication`).Scan(&connected, &unknown, &lag)
	limit := f.action.Throttle.ReplicaLag
	switch {
	case err != nil:
		return "", err
	case connected == 0:
		return "replica lag is unknown: no replica is connected", nil
	case unknown > 0:
		return fmt.Sprintf("replica lag is unknown for %d of %d replicas (to see it, the role needs pg_monitor)", unknown, connected), nil
	case lag > limit.Seconds():
		return fmt.Sprintf("replica lag %.1fs is over %s", lag, limit), nil
	}
	return "", nil
}

// lockWaiters counts who waits for a lock on the table, and who waits for a
// session of this run.
func (f *fill) lockWaiters(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	var waiting int
	err := tx.QueryRow(ctx, `
		with own as (select pid from pg_catalog.pg_stat_activity 
		             where application_name = $2 and datname = pg_catalog.current_database())
		select count(distinct k.pid) from pg_catalog.pg_locks k
		where not k.granted and k.pid not in (select pid from own)
		  and (k.relation = any($1::oid[]) and k.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
		       or pg_catalog.pg_blocking_pids(k.pid) && (select pg_catalog.array_agg(pid) from own))`,
		f.oids(), application(f.ticket.Run)).Scan(&waiting)
	if limit := f.action.Throttle.LockWaiters; err == nil && waiting > limit {
		return fmt.Sprintf("%d sessions wait for locks of %s, over %d", waiting, f.action.Table, limit), nil
	}
	return "", err
}

func (f *fill) oids() []uint32 {
	all := make([]uint32, len(f.parts))
	for i, p := range f.parts {
		all[i] = p.oid
	}
	return all
}

// vacuumed tells by the lock that a vacuum has, which every role may see. One
// that prevents wraparound is told by the age at which the server begins it.
func (f *fill) vacuumed(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	var pid int
	var wraparound bool
	err := tx.QueryRow(ctx, `
		select k.pid, pg_catalog.age(c.relfrozenxid) > least(o.xids, pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint)
		    or pg_catalog.mxid_age(c.relminmxid) > pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint as wraparound
		from pg_catalog.pg_locks k
		join pg_catalog.pg_class c on c.oid = k.relation
		left join lateral (select option_value::bigint as xids from pg_catalog.pg_options_to_table(c.reloptions)
		                   where option_name = 'autovacuum_freeze_max_age') o on true
		where k.granted and k.mode = 'ShareUpdateExclusiveLock' and k.relation = any($1::oid[])
		  and k.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
		order by wraparound desc, k.pid limit 1`, f.oids()).Scan(&pid, &wraparound)
	switch {
	case err == pgx.ErrNoRows:
		return "", nil
	case err != nil:
		return "", err
	case wraparound:
		return fmt.Sprintf("%s is vacuumed to prevent wraparound (pid %d)", f.action.Table, pid), nil
	case f.action.Throttle.Autovacuum == "any":
		return fmt.Sprintf("%s is vacuumed or analyzed (pid %d)", f.action.Table, pid), nil
	}
	return "", nil
}

// walMeter is how much WAL the server writes, by whomever.
type walMeter struct {
	limit int64 // bytes a second
	at    time.Time
	lsn   int64
}

func (m *walMeter) read(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	var lsn int64
	err := tx.QueryRow(ctx, "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint").Scan(&lsn)
	if err != nil {
		return "", err
	}
	now := time.Now()
	passed, written := now.Sub(m.at), lsn-m.lsn
	first := m.at.IsZero()
	m.at, m.lsn = now, lsn
	if rate := float64(written) / passed.Seconds(); !first && rate > float64(m.limit) {
		return fmt.Sprintf("WAL is written at %.0f MB/s, over %.0f MB/s", rate/(1<<20), float64(m.limit)/(1<<20)), nil
	}
	return "", nil
}

// archiverBehind counts the segments since the last one that was archived.
func (f *fill) archiverBehind(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	var mode, last, current string
	var size int64
	err := tx.QueryRow(ctx, `
		select pg_catalog.current_setting('archive_mode'), coalesce(last_archived_wal, ''),
		       pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()),
		       pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))
		from pg_catalog.pg_stat_archiver`).Scan(&mode, &last, &current, &size)
	if err != nil {
		return "", err
	}
	if mode == "off" {
		return "the archiver's backlog is unknown: archive_mode is off", nil
	}
	done, knownDone := segment(last, size)
	now, knownNow := segment(current, size)
	if !knownDone || !knownNow {
		return "the archiver's backlog is unknown: nothing was archived so far", nil
	}
	if behind := now - done - 1; behind > int64(f.action.Throttle.ArchiverBacklog) {
		return fmt.Sprintf("%d WAL segments wait to be archived, over %d", behind, f.action.Throttle.ArchiverBacklog), nil
	}
	return "", nil
}

// segment is the number of a WAL file: after eight digits of the timeline come
// eight of the log and eight of the segment in it.
func segment(name string, size int64) (int64, bool) {
	if len(name) < 24 || size <= 0 {
		return 0, false
	}
	log, err := strconv.ParseInt(name[8:16], 16, 64)
	if err != nil {
		return 0, false
	}
	in, err := strconv.ParseInt(name[16:24], 16, 64)
	return log*(1<<32/size) + in, err == nil
}

// askedBySQL asks the author's own question, as the role that fills.
func (f *fill) askedBySQL(ctx context.Context, w *work, tx conn.Tx) (reason string, err error) {
	err = w.asRole(ctx, tx, func() error {
		rows, err := tx.Query(ctx, f.action.Throttle.SQL, pgx.QueryExecModeExec)
		if err != nil {
			return err
		}
		answer, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (any, error) {
			values, err := row.Values()
			if err != nil || len(values) != 1 {
				return nil, fmt.Errorf("it has %d columns, not one: %w", len(values), err)
			}
			return values[0], nil
		})
		if err != nil {
			return err
		}
		if len(answer) != 1 || answer[0] == nil {
			reason = "the answer to throttle.sql is unknown: it gives no value"
			return nil
		}
		reason = answered(answer[0])
		return nil
	})
	return reason, err
}

// answered is why to hold after an answer, or "".
func answered(answer any) string {
	text := fmt.Sprint(answer)
	switch a := answer.(type) {
	case bool:
		if a {
			return "throttle.sql says so"
		}
		return ""
	case string:
		return a
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "the answer to throttle.sql is unknown: " + text + " is neither true or false, nor a number, nor a text"
	}
	if number > 0 {
		return "throttle.sql says " + text
	}
	return ""
}

// writesSlow is about the last small write of its own, which waits for the same
// disk and the same replicas as everybody's.
func (f *fill) writesSlow(_ context.Context, _ *work) (string, error) {
	limit := f.action.Throttle.Latency
	if took := f.governor.wrote; took > limit {
		return fmt.Sprintf("a small write takes %s, over %s", took.Round(time.Millisecond), limit), nil
	}
	return "", nil
}
