package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/spec"
)

// old is the age from which a transaction counts as one that will not end in
// a moment.
const old = 50 * time.Millisecond

// Blocker is a session that holds a lock which keeps a step away.
type Blocker struct {
	PID         int
	Application string
	State       string
	Age         time.Duration // of its transaction; 0 = not to be seen
	Idle        time.Duration // since it did something last; 0 = not to be seen
	Query       string        // its first line
	Maintains   bool          // it holds what a vacuum holds
}

// String is the blocker as a person reads it.
func (b Blocker) String() string {
	if b.PID == 0 {
		return "a prepared transaction"
	}
	text := fmt.Sprintf("pid %d", b.PID)
	if b.Application != "" {
		text += " " + b.Application
	}
	if b.State != "" {
		text += " " + b.State
	}
	if b.Age > 0 {
		text += " for " + rounded(b.Age)
	}
	if b.Query == unseen {
		return text + ", whose statement a role with pg_read_all_stats sees"
	}
	if b.Query != "" {
		text += ": " + b.Query
	}
	return text
}

// unseen is the statement of a session that the role may not see.
const unseen = "<insufficient privilege>"

// short is String without the query.
func (b Blocker) short() string {
	b.Query = ""
	return b.String()
}

func (b Blocker) idleInTransaction() bool { return strings.HasPrefix(b.State, "idle in transaction") }

// mayBeAutovacuum tells whether the session is one, as far as the role may see.
func (b Blocker) mayBeAutovacuum() bool {
	return b.Maintains && (b.Query == "" || strings.HasPrefix(b.Query, "autovacuum") || b.Query == unseen)
}

func (b Blocker) hint() string {
	service, release, _, ok := parseApplication(b.Application)
	switch {
	case b.PID == 0:
		return "commit or roll back the prepared transactions that pg_prepared_xacts shows"
	case ok && b.idleInTransaction():
		return fmt.Sprintf("release %s %s leaks transactions; deploy a fix or stop it first", service, release)
	case b.idleInTransaction():
		return fmt.Sprintf("pid %d forgot its transaction; end it by SELECT pg_terminate_backend(%d);", b.PID, b.PID)
	case ok && b.State == "active":
		return fmt.Sprintf("release %s %s runs a long statement; wait for it, or stop the release first", service, release)
	case strings.HasPrefix(b.Query, "autovacuum"):
		return "autovacuum works on the table; apply again when it is through"
	}
	return ""
}

func rounded(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// clipped is how much Postgres keeps of an application_name.
const clipped = 63

// parseApplication reads "SERVICE@RELEASE/PROCESS.N". What Postgres cut off
// within the release is a release that nobody knows, not nobody's session.
func parseApplication(name string) (service, release, instance string, ok bool) {
	service, rest, ok := strings.Cut(name, "@")
	if !ok || service == "" {
		return "", "", "", false
	}
	i := strings.LastIndex(rest, "/")
	if i < 0 && len(name) >= clipped {
		return service, rest, "", true
	}
	if i <= 0 {
		return "", "", "", false
	}
	return service, rest[:i], rest[i+1:], true
}

// conflicts are the modes, as pg_locks writes them, that each mode waits for
// (manual, table 13.2).
var conflicts = map[migrations.Lock][]string{
	migrations.AccessExclusive: {"AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock",
		"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"},
	migrations.Exclusive: {"RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
		"ExclusiveLock", "AccessExclusiveLock"},
	migrations.ShareRowExclusive: {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
		"ExclusiveLock", "AccessExclusiveLock"},
	migrations.ShareUpdateExclusive: {"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock",
		"AccessExclusiveLock"},
	migrations.Share: {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock",
		"AccessExclusiveLock"},
	migrations.RowExclusive: {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"},
}

// strong tells whether holders of the lock keep writers away.
func strong(l migrations.Lock) bool {
	switch l {
	case migrations.AccessExclusive, migrations.Exclusive, migrations.ShareRowExclusive, migrations.Share:
		return true
	}
	return false
}

// blockers are those that hold what the lock waits for, longest transaction
// first. Of sessions whose age the role may not see, none counts as old.
func blockers(ctx context.Context, q conn.Tx, t spec.Table, l migrations.Lock, least time.Duration) ([]Blocker, error) {
	found, err := holders(ctx, q, `
		k.locktype = 'relation'
		and k.relation = pg_catalog.to_regclass($1)
		and k.mode = any($2)
		and ($3::float8 = 0 or k.pid is null or extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) > $3)`,
		migrations.Ident(t.Schema, t.Name), conflicts[l], least.Seconds())
	if err != nil {
		return nil, fmt.Errorf("asking who holds %s: %w", t, err)
	}
	return found, nil
}

// blockersOf is blockers of several tables, as authors' SQL names them.
func blockersOf(ctx context.Context, q conn.Tx, locks []migrations.NamedLock, path spec.Table, least time.Duration) ([]Blocker, error) {
	var names, modes []string
	for _, l := range locks {
		for _, mode := range conflicts[l.Lock] {
			names, modes = append(names, l.Table), append(modes, mode)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	found, err := holders(ctx, q, `
		k.locktype = 'relation'
		and (k.relation, k.mode) in (
		  select `+resolved("wanted.name", "$3")+`, wanted.mode
		  from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (name, mode))
		and ($4::float8 = 0 or k.pid is null or extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) > $4)`,
		names, modes, migrations.Ident(path.Schema), least.Seconds())
	if err != nil {
		return nil, fmt.Errorf("asking who holds the tables of a file: %w", err)
	}
	return found, nil
}

// resolved is SQL for the relation that a name in a migration file means; both
// arguments are SQL of text: the name as it is written, and the first schema of
// the file's search path, quoted.
func resolved(name, schema string) string {
	return fmt.Sprintf("coalesce(pg_catalog.to_regclass(%[1]s), pg_catalog.to_regclass(%[2]s || '.' || %[1]s), pg_catalog.to_regclass('public.' || %[1]s))", name, schema)
}

// holders are the others that hold a lock in this database of which that is
// true, longest transaction first.
func holders(ctx context.Context, q conn.Tx, lock string, args ...any) ([]Blocker, error) {
	rows, err := q.Query(ctx, `
		select coalesce(k.pid, 0), coalesce(a.application_name, ''), coalesce(a.state, ''),
		       coalesce(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start), 0)::float8,
		       coalesce(extract(epoch from pg_catalog.clock_timestamp() - a.state_change), 0)::float8,
		       coalesce(a.query, ''), k.mode = 'ShareUpdateExclusiveLock'
		from pg_catalog.pg_locks k
		left join pg_catalog.pg_stat_activity a on a.pid = k.pid
		where k.granted
		  and k.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
		  and k.pid is distinct from pg_catalog.pg_backend_pid()
		  and `+lock+`
		order by a.xact_start nulls last, k.pid`, args...)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, blocker)
	if err != nil {
		return nil, err
	}
	return distinct(found), nil
}

func blocker(row pgx.CollectableRow) (Blocker, error) {
	var b Blocker
	var age, idle float64
	err := row.Scan(&b.PID, &b.Application, &b.State, &age, &idle, &b.Query, &b.Maintains)
	b.Age, b.Idle = time.Duration(age*float64(time.Second)), time.Duration(idle*float64(time.Second))
	b.Query = firstLine(b.Query)
	return b, err
}

// distinct names a session once that holds several modes.
func distinct(all []Blocker) []Blocker {
	at := map[int]int{}
	var kept []Blocker
	for _, b := range all {
		i, seen := at[b.PID]
		if seen {
			kept[i].Maintains = kept[i].Maintains || b.Maintains
			continue
		}
		at[b.PID] = len(kept)
		kept = append(kept, b)
	}
	return kept
}
