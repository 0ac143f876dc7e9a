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
	followers := &replicas{limit: t.ReplicaLag}
	add(t.ReplicaLag > 0, "replica lag", followers.read)
	add(t.LockWaiters > 0, "how many wait for locks", f.lockWaiters)
	add(t.Autovacuum == "any" || t.Autovacuum == "wraparound", "whether the table is vacuumed", f.vacuumed)
	wal := &walMeter{limit: t.WALRate}
	add(t.WALRate > 0, "the WAL rate", wal.read)
	add(t.ArchiverBacklog > 0, "the archiver's backlog", f.archiverBehind)
	add(t.DeadRows > 0, "how many rows are dead", f.deadRows)
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

// replicas knows how far those are behind that follow this server.
type replicas struct {
	limit time.Duration
	said  map[int32]reply // by the process that sends to it
}

// reply is the last sign of life of a replica, by its own clock, and at how many
// looks in a row there was no other.
type reply struct {
	at   time.Time
	same int
}

// silent is at how many looks in a row a replica may have said nothing. Each look
// writes something, which a replica that lives has answered by the next one; the
// server itself gives one up after wal_sender_timeout, a minute.
const silent = 2

// replica is one as the server has it. Where the role may not see it, only the
// process is known.
type replica struct {
	PID    int32
	Reply  *time.Time
	Lag    *float64 // seconds; nil also where it had replayed everything for some time
	Behind *bool    // it has not replayed everything
}

// read says which replica is too far behind. One of which nothing is known is,
// and so is one that stopped saying how far it is.
func (r *replicas) read(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	rows, err := tx.Query(ctx, `
		select pid, reply_time, extract(epoch from replay_lag)::float8, replay_lsn is distinct from pg_catalog.pg_current_wal_lsn()
		from pg_catalog.pg_stat_replication`)
	if err != nil {
		return "", err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[replica])
	switch {
	case err != nil:
		return "", err
	case len(all) == 0:
		return "replica lag is unknown: no replica is connected", nil
	}
	r.hear(all)
	var hidden, quiet, unknown int
	var lag float64
	for _, each := range all {
		switch {
		case each.Reply == nil:
			hidden++
		case !*each.Behind:
		case r.said[each.PID].same >= silent:
			quiet++
		case each.Lag == nil:
			unknown++
		default:
			lag = max(lag, *each.Lag)
		}
	}
	switch {
	case hidden > 0:
		return fmt.Sprintf("replica lag is unknown for %d of %d replicas (to see it, the role needs pg_monitor)", hidden, len(all)), nil
	case quiet > 0:
		return fmt.Sprintf("replica lag is unknown: %d of %d replicas do not answer", quiet, len(all)), nil
	case unknown > 0:
		return fmt.Sprintf("replica lag is unknown: %d of %d replicas have not told yet", unknown, len(all)), nil
	case lag > r.limit.Seconds():
		return fmt.Sprintf("replica lag %.1fs is over %s", lag, r.limit), nil
	}
	return "", nil
}

// hear compares what the replicas said last with what was heard before.
func (r *replicas) hear(all []replica) {
	said := map[int32]reply{}
	for _, each := range all {
		if each.Reply == nil {
			continue
		}
		last := reply{at: *each.Reply}
		if before, known := r.said[each.PID]; known && before.at.Equal(last.at) {
			last.same = before.same + 1
		}
		said[each.PID] = last
	}
	r.said = said
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

// walTime is over how long the rate of WAL is taken. A back-fill writes much in
// bursts between two looks: over the time between those alone, each rest would
// pay for whatever was written before it.
const walTime = 10 * time.Second

// walMeter is how much WAL the server writes, by whomever.
type walMeter struct {
	limit int64 // bytes a second
	seen  []walSeen
}

type walSeen struct {
	at  time.Time
	lsn int64
}

func (m *walMeter) read(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	var lsn int64
	err := tx.QueryRow(ctx, "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint").Scan(&lsn)
	if err != nil {
		return "", err
	}
	now := time.Now()
	for len(m.seen) > 1 && now.Sub(m.seen[1].at) >= walTime {
		m.seen = m.seen[1:]
	}
	m.seen = append(m.seen, walSeen{now, lsn})
	first := m.seen[0]
	if len(m.seen) == 1 {
		return "the WAL rate is unknown so far", nil
	}
	if rate := float64(lsn-first.lsn) / now.Sub(first.at).Seconds(); rate > float64(m.limit) {
		return fmt.Sprintf("WAL is written at %.1f MB/s, over %.1f MB/s", rate/(1<<20), float64(m.limit)/(1<<20)), nil
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

// deadRows counts what a vacuum of the table would take away. The server's
// counters may be a second old.
func (f *fill) deadRows(ctx context.Context, _ *work, tx conn.Tx) (string, error) {
	var counted bool
	var dead, living int64
	err := tx.QueryRow(ctx, `
		select pg_catalog.current_setting('track_counts')::boolean,
		       coalesce(sum(pg_catalog.pg_stat_get_dead_tuples(oid)), 0)::bigint, coalesce(sum(pg_catalog.pg_stat_get_live_tuples(oid)), 0)::bigint
		from pg_catalog.unnest($1::oid[]) as oid`, f.oids()).Scan(&counted, &dead, &living)
	switch limit := f.action.Throttle.DeadRows; {
	case err != nil:
		return "", err
	case !counted:
		return "how many rows are dead is unknown: track_counts is off", nil
	case dead*100 > living*int64(limit):
		return fmt.Sprintf("%d dead rows of %s wait for a vacuum, over %d %% of %d", dead, f.action.Table, limit, living), nil
	}
	return "", nil
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
