package postgres

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// around is the reading of circumstances, each question by itself on a session
// that only reads: one that the server refuses is said, and spoils no other.
type around struct {
	*work
	names              []string // of the tables, as spec.Table's text
	schemas, relations []string // the two parts of each
	found              *planner.Circumstances
}

// circumstances reads what surrounds the schema. It fails nothing.
func (w *work) circumstances(ctx context.Context, tables []spec.Table) *planner.Circumstances {
	a := &around{work: w, found: &planner.Circumstances{Unverified: conn.Unverified(w.db.URL), Schemas: map[string]bool{}, Tables: map[string]planner.TableCircumstance{}}}
	for _, t := range tables {
		a.names = append(a.names, t.String())
		a.schemas, a.relations = append(a.schemas, t.Schema), append(a.relations, t.Name)
	}
	for _, q := range []struct {
		what string
		ask  func(context.Context, conn.Tx) error
	}{
		{"who may do what", a.server}, {"schemas", a.inSchemas}, {"tables", a.ofTables}, {"what publications list", a.publications},
		{"autovacuum", a.vacuums}, {"open transactions", a.transactions}, {"replication slots", a.slots}, {"free disk", a.disk}, {"extensions", a.extensions}, {"functions", a.functions},
	} {
		if err := q.ask(ctx, w.conn); err != nil && !stopped(ctx) {
			a.unseen("%s cannot be read: %s", q.what, firstLine(err.Error()))
		}
	}
	return a.found
}

func (a *around) unseen(format string, args ...any) {
	a.found.Unseen = append(a.found.Unseen, fmt.Sprintf(format, args...))
}

func (a *around) server(ctx context.Context, tx conn.Tx) error {
	c := a.found
	var free int
	var creates, installs bool
	err := tx.QueryRow(ctx, `
		select pg_catalog.current_setting('server_version_num')::int, session_user::text,
		       coalesce(nullif($1, ''), session_user::text),
		       $1 = '' or exists (select from pg_catalog.pg_roles r where r.rolname = $1 and pg_catalog.pg_has_role(session_user, r.oid, 'member')),
		       pg_catalog.current_setting('max_connections')::int - pg_catalog.current_setting('superuser_reserved_connections')::int
		       - (select sum(numbackends)::int from pg_catalog.pg_stat_database),
		       coalesce((select pg_catalog.has_database_privilege(r.oid, d.oid, 'create') from pg_catalog.pg_roles r
		                 where r.rolname = coalesce(nullif($1, ''), session_user::text)), false),
		       pg_catalog.has_database_privilege(session_user, d.oid, 'create') or exists (select from pg_catalog.pg_namespace where nspname = 'pleat')
		from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`, a.db.Role).
		Scan(&c.Version, &c.User, &c.Role, &c.Becomes, &free, &creates, &installs)
	c.Connections, c.Creates, c.Installs = &free, &creates, &installs
	if err != nil {
		c.Connections, c.Creates, c.Installs = nil, nil, nil
	}
	return err
}

// inSchemas reads those of the tables, and pleat's own, in which a trigger's
// function is made: where the user owns that one it lets the role.
func (a *around) inSchemas(ctx context.Context, tx conn.Tx) error {
	rows, err := tx.Query(ctx, `
		select n.nspname,
		       pg_catalog.has_schema_privilege(r.oid, n.oid, 'create') and pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage')
		       or n.nspname = 'pleat' and pg_catalog.pg_has_role(session_user, n.nspowner, 'usage')
		from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.rolname = $1
		where n.nspname = 'pleat' or n.nspname = any($2)`, a.found.Role, a.schemas)
	if err != nil {
		return err
	}
	var name string
	var may bool
	_, err = pgx.ForEachRow(rows, []any{&name, &may}, func() error {
		a.found.Schemas[name] = may
		return nil
	})
	return err
}

// wanted is a part of a query that gives the tables that are there; its
// parameters are names, schemas and relations. to_regclass would refuse a schema
// that the role may not use.
const wanted = `
	rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) as w (name, schema, relation)
	join pg_catalog.pg_namespace ns on ns.nspname = w.schema
	join pg_catalog.pg_class c on c.relnamespace = ns.oid and c.relname = w.relation`

func (a *around) ofTables(ctx context.Context, tx conn.Tx) error {
	rows, err := tx.Query(ctx, `
		select w.name, pg_catalog.pg_get_userbyid(c.relowner), pg_catalog.pg_has_role(r.oid, c.relowner, 'usage'),
		       pg_catalog.has_table_privilege(r.oid, c.oid, 'select') and pg_catalog.has_table_privilege(r.oid, c.oid, 'update'),
		       c.relreplident in ('f', 'i') or c.relreplident = 'd'
		         and exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary),
		       exists (select from pg_catalog.pg_subscription_rel s where s.srrelid = c.oid),
		       c.relrowsecurity and not (r.rolsuper or r.rolbypassrls) and (c.relforcerowsecurity or not pg_catalog.pg_has_role(r.oid, c.relowner, 'usage'))
		from `+wanted+`
		join pg_catalog.pg_roles r on r.rolname = $4`, a.names, a.schemas, a.relations, a.found.Role)
	if err != nil {
		return err
	}
	var name string
	var t planner.TableCircumstance
	_, err = pgx.ForEachRow(rows, []any{&name, &t.Owner, &t.Owned, &t.Written, &t.Identified, &t.Subscribed, &t.Policed}, func() error {
		a.found.Tables[name] = t
		return nil
	})
	return err
}

// publications reads column lists and row filters, which there are from version 15
// on.
func (a *around) publications(ctx context.Context, tx conn.Tx) error {
	if a.found.Version < 15_00_00 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		select w.name, p.pubname, array(
		         select t.attname::text from pg_catalog.pg_attribute t
		         where t.attrelid = c.oid and t.attnum = any(pr.prattrs::int2[]) order by t.attnum), pr.prattrs is not null,
		       array(
		         select t.attname::text from pg_catalog.pg_depend d
		         join pg_catalog.pg_attribute t on t.attrelid = c.oid and t.attnum = d.refobjsubid
		         where pr.prqual is not null and d.classid = 'pg_publication_rel'::regclass and d.objid = pr.oid
		           and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and t.attnum <> all(coalesce(pr.prattrs::int2[], '{}'))
		         order by t.attnum)
		from `+wanted+`
		join pg_catalog.pg_publication_rel pr on pr.prrelid = c.oid and (pr.prattrs is not null or pr.prqual is not null)
		join pg_catalog.pg_publication p on p.oid = pr.prpubid`, a.names, a.schemas, a.relations)
	if err != nil {
		return err
	}
	var name, publication string
	var columns, filtered []string
	var lists bool
	_, err = pgx.ForEachRow(rows, []any{&name, &publication, &columns, &lists, &filtered}, func() error {
		t := a.found.Tables[name]
		if lists {
			t.Listed = with(t.Listed, publication, columns)
		}
		if len(filtered) > 0 {
			t.Filtered = with(t.Filtered, publication, filtered)
		}
		a.found.Tables[name] = t
		return nil
	})
	return err
}

// vacuums are told by what they do: who may not see that sees only the lock.
func (a *around) vacuums(ctx context.Context, tx conn.Tx) error {
	rows, err := tx.Query(ctx, `
		select w.name, s.query
		from `+wanted+`
		join pg_catalog.pg_locks k on k.relation = c.oid and k.granted and k.locktype = 'relation'
		  and k.mode = 'ShareUpdateExclusiveLock'
		  and k.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
		join pg_catalog.pg_stat_activity s on s.pid = k.pid
		where s.query like 'autovacuum:%'`, a.names, a.schemas, a.relations)
	if err != nil {
		return err
	}
	var name, query string
	_, err = pgx.ForEachRow(rows, []any{&name, &query}, func() error {
		t := a.found.Tables[name]
		t.Vacuum = "autovacuum"
		if strings.Contains(query, "to prevent wraparound") {
			t.Vacuum += " (to prevent wraparound)"
		}
		a.found.Tables[name] = t
		return nil
	})
	return err
}

// longOpen is the age from which a transaction is worth a line.
const longOpen = 10 * time.Second

func (a *around) transactions(ctx context.Context, tx conn.Tx) error {
	rows, err := tx.Query(ctx, `
		select s.application_name, s.pid, s.state, extract(epoch from pg_catalog.clock_timestamp() - s.xact_start)::float8,
		       s.backend_xmin is not null or s.backend_xid is not null,
		       array(select distinct w.name from `+wanted+` join pg_catalog.pg_locks k on k.relation = c.oid and k.granted
		             where k.pid = s.pid and k.locktype = 'relation' order by 1)
		from pg_catalog.pg_stat_activity s
		where s.datname = pg_catalog.current_database() and s.pid <> pg_catalog.pg_backend_pid()
		  and s.backend_type = 'client backend' and s.xact_start < pg_catalog.clock_timestamp() - $4::float8 * interval '1 second'
		order by s.xact_start, s.pid`, a.names, a.schemas, a.relations, longOpen.Seconds())
	if err != nil {
		return err
	}
	var o planner.OpenTransaction
	var seconds float64
	_, err = pgx.ForEachRow(rows, []any{&o.Application, &o.PID, &o.State, &seconds, &o.Snapshot, &o.Tables}, func() error {
		o.Age = time.Duration(seconds * float64(time.Second))
		a.found.Transactions = append(a.found.Transactions, o)
		return nil
	})
	if err != nil {
		return err
	}
	var hidden int
	err = tx.QueryRow(ctx, `
		select count(*) from pg_catalog.pg_stat_activity s
		where s.datname = pg_catalog.current_database() and s.query = '<insufficient privilege>'`).Scan(&hidden)
	if hidden > 0 {
		a.unseen("what %s of other roles do and how old their transactions are cannot be seen; GRANT pg_read_all_stats TO %s;",
			sessionCount(hidden), migrations.Ident(a.found.User))
	}
	return err
}

func (a *around) slots(ctx context.Context, tx conn.Tx) error {
	err := tx.QueryRow(ctx, "select pg_catalog.current_setting('max_slot_wal_keep_size') <> '-1'").Scan(&a.found.SlotsLimited)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		select slot_name, coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn), 0)::bigint,
		       active, safe_wal_size
		from pg_catalog.pg_replication_slots
		where restart_lsn is not null and (not active or safe_wal_size is not null)
		order by slot_name`)
	if err != nil {
		return err
	}
	a.found.Slots, err = pgx.CollectRows(rows, pgx.RowToStructByPos[planner.Slot])
	return err
}

// disk asks the author's query, or looks itself where the server is reached by
// a unix socket, and so is on this machine. Elsewhere nothing is known.
func (a *around) disk(ctx context.Context, tx conn.Tx) error {
	if a.db.FreeDisk != "" {
		question, err := migrations.Question(a.db.FreeDisk)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, fmt.Sprintf("select (%s\n)::bigint", question)).Scan(&a.found.Disk)
	}
	if !strings.HasPrefix(a.conn.Config().Host, "/") {
		return nil
	}
	var directory *string
	err := tx.QueryRow(ctx, "select setting from pg_catalog.pg_settings where name = 'data_directory'").Scan(&directory)
	if err == pgx.ErrNoRows || directory == nil {
		return nil
	}
	var st syscall.Statfs_t
	if err != nil || syscall.Statfs(*directory, &st) != nil {
		return err
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	a.found.Disk = &free
	return nil
}

func (a *around) extensions(ctx context.Context, tx conn.Tx) error {
	view, err := statementsView(ctx, tx)
	a.found.Statements = planner.StatementsCounted
	if view == "" {
		a.found.Statements = planner.StatementsMissing
	}
	return err
}

// functions are those of nobody's extension whose text has a table's name in it.
// From version 14 on a body may be kept as a tree.
func (a *around) functions(ctx context.Context, tx conn.Tx) error {
	body := "p.prosrc"
	if a.found.Version >= 14_00_00 {
		body = "coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)"
	}
	rows, err := tx.Query(ctx, `
		select n.nspname || '.' || p.proname, l.lanname, `+body+`
		from pg_catalog.pg_proc p
		join pg_catalog.pg_namespace n on n.oid = p.pronamespace
		join pg_catalog.pg_language l on l.oid = p.prolang
		where n.nspname not in ('pg_catalog', 'information_schema', 'pleat') and l.lanname not in ('internal', 'c')
		  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
		  and exists (select from pg_catalog.unnest($1::text[]) as t (name) where pg_catalog.strpos(pg_catalog.lower(`+body+`), pg_catalog.lower(t.name)) > 0)
		order by 1, p.oid`, a.relations)
	if err != nil {
		return err
	}
	a.found.Functions, err = pgx.CollectRows(rows, pgx.RowToStructByPos[planner.Function])
	return err
}

func with(m map[string][]string, key string, value []string) map[string][]string {
	if m == nil {
		m = map[string][]string{}
	}
	m[key] = value
	return m
}
