package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/spec"
)

// catalog reads the tables and, under the names that hiding gives them, those
// that are hidden.
func catalog(ctx context.Context, c *pgx.Conn, tables []spec.Table) (*migrations.Catalog, error) {
	r := &reader{conn: c, tables: map[uint32]*migrations.Table{}}
	cat := &migrations.Catalog{Tables: map[string]*migrations.Table{}}
	if err := r.version(cat); err != nil {
		return nil, err
	}
	if err := r.find(ctx, tables, cat); err != nil {
		return nil, fmt.Errorf("looking for tables: %w", err)
	}
	if err := r.details(ctx); err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	return cat, nil
}

// tablesOf are the tables that have these indexes: a drop of an index names no
// table.
func tablesOf(ctx context.Context, c *pgx.Conn, indexes []spec.Table) ([]spec.Table, error) {
	names := make([]string, len(indexes))
	for i, index := range indexes {
		names[i] = migrations.Ident(index.Schema, index.Name)
	}
	rows, err := c.Query(ctx, `
		select distinct n.nspname, t.relname
		from pg_catalog.unnest($1::text[]) as wanted (name)
		join pg_catalog.pg_index i on i.indexrelid = pg_catalog.to_regclass(wanted.name)
		join pg_catalog.pg_class t on t.oid = i.indrelid
		join pg_catalog.pg_namespace n on n.oid = t.relnamespace
		order by 1, 2`, names)
	if err != nil {
		return nil, fmt.Errorf("looking for the tables of indexes: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[spec.Table])
	if err != nil {
		return nil, fmt.Errorf("looking for the tables of indexes: %w", err)
	}
	return tables, nil
}

// others adds what has the name of an index and is none. Tables that the catalog has
// are not among them.
func others(ctx context.Context, c *pgx.Conn, indexes []spec.Table, cat *migrations.Catalog) error {
	names := make([]string, len(indexes))
	for i, index := range indexes {
		names[i] = migrations.Ident(index.Schema, index.Name)
	}
	rows, err := c.Query(ctx, `
		select n.nspname, c.relname, pg_catalog.pg_describe_object('pg_class'::regclass, c.oid, 0)
		from pg_catalog.unnest($1::text[]) as wanted (name)
		join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(wanted.name) and c.relkind not in ('i', 'I')
		join pg_catalog.pg_namespace n on n.oid = c.relnamespace`, names)
	if err != nil {
		return fmt.Errorf("looking for what has the names of indexes: %w", err)
	}
	var name spec.Table
	var other string
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Name, &other}, func() error {
		if cat.Table(name) == nil {
			taken(cat, name, other)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for what has the names of indexes: %w", err)
	}
	return nil
}

// dotted are the relations and extended statistics with a dot in their names or in that
// of their schema; nil: none.
func dotted(ctx context.Context, c *pgx.Conn) (map[string]bool, error) {
	rows, err := c.Query(ctx, `
		select case n.nspname when 'public' then '' else n.nspname || '.' end || o.name
		from (select relnamespace, relname from pg_catalog.pg_class union all select stxnamespace, stxname from pg_catalog.pg_statistic_ext) as o (schema, name)
		join pg_catalog.pg_namespace n on n.oid = o.schema
		where pg_catalog.strpos(o.name, '.') > 0 or pg_catalog.strpos(n.nspname, '.') > 0`)
	if err != nil {
		return nil, fmt.Errorf("looking for names with a dot: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return nil, err
	}
	found := map[string]bool{}
	for _, name := range names {
		found[name] = true
	}
	return found, nil
}

// taken notes that a relation which is no table of the catalog has a name.
func taken(cat *migrations.Catalog, name spec.Table, other string) {
	if cat.Others == nil {
		cat.Others = map[string]string{}
	}
	cat.Others[name.String()] = other
}

// reader fills tables by their oid. What it asks about all of them goes to the
// server at once: a round trip may be longer than all the answers.
type reader struct {
	conn   *pgx.Conn
	server int // its version
	tables map[uint32]*migrations.Table
	oids   []uint32
	batch  pgx.Batch

	// What any of the tables has. Questions about the rest are not asked: to plan one
	// of them takes the server longer than to find that there is nothing.
	partitioned, viewed, published bool
}

func (r *reader) version(cat *migrations.Catalog) error {
	said := r.conn.PgConn().ParameterStatus("server_version")
	digits := strings.IndexFunc(said+".", func(c rune) bool { return !unicode.IsDigit(c) }) // "18.1", "19beta2"
	n, err := strconv.Atoi(said[:digits])
	if err != nil {
		return fmt.Errorf("the server says that its version is %q", said)
	}
	cat.Version, r.server = n, n
	return nil
}

// find looks for the tables, and for each under the name that hiding gives it, and
// for what else has such a name.
func (r *reader) find(ctx context.Context, tables []spec.Table, cat *migrations.Catalog) error {
	var schemas, names []string
	for _, t := range tables {
		schemas = append(schemas, t.Schema, t.Schema)
		names = append(names, t.Name, migrations.HiddenName(t.Name))
	}
	rows, err := r.conn.Query(ctx, `
		select distinct c.oid, n.nspname, c.relname, coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''),
		       greatest(c.reltuples, 0)::bigint, case when c.relkind in ('r', 'p') then pg_catalog.pg_relation_size(c.oid) else 0 end,
		       coalesce(pg_catalog.pg_get_partkeydef(c.oid), ''), c.relrowsecurity,
		       case when c.relnatts < 1500 then 0 else c.relnatts end,
		       case when c.reloftype = 0 then '' else pg_catalog.format_type(c.reloftype, null) end,
		       coalesce((select case p.nspname when 'public' then '' else p.nspname || '.' end || k.relname
		                 from pg_catalog.pg_inherits h join pg_catalog.pg_class k on k.oid = h.inhparent
		                 join pg_catalog.pg_namespace p on p.oid = k.relnamespace
		                 where h.inhrelid = c.oid and c.relispartition), ''),
		       exists (select from pg_catalog.pg_depend d where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.classid = 'pg_rewrite'::regclass),
		       exists (select from pg_catalog.pg_publication),
		       case when c.relkind in ('r', 'p') then '' else pg_catalog.pg_describe_object('pg_class'::regclass, c.oid, 0) end
		from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (schema, name)
		join pg_catalog.pg_namespace n on n.nspname = wanted.schema
		join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name`, schemas, names)
	if err != nil {
		return err
	}
	var oid uint32
	var name spec.Table
	var t migrations.Table
	var viewed, published bool
	var other string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name.Schema, &name.Name, &t.Comment, &t.Rows, &t.Bytes, &t.Partitioned, &t.RowSecurity, &t.Used, &t.Typed, &t.PartitionOf, &viewed, &published, &other}, func() error {
		if other != "" {
			taken(cat, name, other)
			return nil
		}
		r.partitioned, r.viewed, r.published = r.partitioned || t.Partitioned != "", r.viewed || viewed, published
		found := t
		found.Columns = []migrations.Column{}
		r.tables[oid], cat.Tables[name.String()] = &found, &found
		r.oids = append(r.oids, oid)
		return nil
	})
	return err
}

func (r *reader) details(ctx context.Context) error {
	if len(r.oids) == 0 {
		return nil
	}
	asks := []func(){
		r.columns, r.primaryKeys, r.indexes, r.triggers, r.constraints, r.dependents,
		r.references, r.statistics, r.children,
	}
	if r.partitioned {
		asks = append(asks, r.partitions, r.ownOfPartitions)
	}
	if r.published {
		asks = append(asks, r.publications)
	}
	if r.viewed {
		asks = append(asks, r.views)
	}
	for _, ask := range asks {
		ask()
	}
	return r.conn.SendBatch(ctx, &r.batch).Close()
}

// each asks about all tables at once. The first column is the table's oid.
func (r *reader) each(sql string, fields []any, add func(*migrations.Table)) {
	r.batch.Queue(sql, r.oids).Query(func(rows pgx.Rows) error {
		var oid uint32
		_, err := pgx.ForEachRow(rows, append([]any{&oid}, fields...), func() error {
			add(r.tables[oid])
			return nil
		})
		return err
	})
}

func (r *reader) columns() {
	compressed := ""
	if r.server >= 14 {
		compressed = " or a.attcompression <> ''"
	}
	var c migrations.Column
	r.each(`
		select a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
		       coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''),
		       coalesce(pg_catalog.col_description(a.attrelid, a.attnum), ''),
		       case a.attidentity when 'a' then 'ALWAYS' when 'd' then 'BY DEFAULT' else '' end,
		       case a.attgenerated when 's' then 'STORED' when 'v' then 'VIRTUAL' else '' end,
		       case when a.attcollation <> y.typcollation and a.attcollation <> 0
		            then pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(l.collname) else '' end,
		       coalesce((select case p.nspname when 'public' then '' else p.nspname || '.' end || k.relname
		                 from pg_catalog.pg_depend o join pg_catalog.pg_class k on k.oid = o.objid and k.relkind = 'S'
		                 join pg_catalog.pg_namespace p on p.oid = k.relnamespace
		                 where o.refobjid = a.attrelid and o.refobjsubid = a.attnum and o.deptype in ('a', 'i')
		                   and o.classid = 'pg_class'::regclass and o.refclassid = 'pg_class'::regclass
		                 order by k.oid limit 1), ''),
		       a.attacl is not null or a.attoptions is not null or coalesce(a.attstattarget, -1) >= 0
		       or a.attstorage <> y.typstorage`+compressed+`,
		       a.attinhcount > 0 and not k.relispartition
		from pg_catalog.pg_attribute a
		join pg_catalog.pg_class k on k.oid = a.attrelid
		join pg_catalog.pg_type y on y.oid = a.atttypid
		left join pg_catalog.pg_collation l on l.oid = a.attcollation
		left join pg_catalog.pg_namespace n on n.oid = l.collnamespace
		left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped
		order by a.attrelid, a.attnum`,
		[]any{&c.Name, &c.Type, &c.NotNull, &c.Default, &c.Comment, &c.Identity, &c.Generated, &c.Collation, &c.Sequence, &c.Settings, &c.Inherited},
		func(t *migrations.Table) { t.Columns = append(t.Columns, c) })
}

func (r *reader) primaryKeys() {
	var column, name, deferrable string
	r.each(`
		select i.indrelid, a.attname, c.conname, case when c.condeferrable then pg_catalog.pg_get_constraintdef(c.oid) else '' end
		from pg_catalog.pg_index i
		join pg_catalog.pg_constraint c on c.conrelid = i.indrelid and c.conindid = i.indexrelid and c.contype = 'p',
		     pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (num, place), pg_catalog.pg_attribute a
		where i.indrelid = any($1::oid[]) and i.indisprimary and k.place <= i.indnkeyatts and a.attrelid = i.indrelid and a.attnum = k.num
		order by i.indrelid, k.place`,
		[]any{&column, &name, &deferrable},
		func(t *migrations.Table) {
			t.PrimaryKey, t.PrimaryKeyName, t.DeferrableKey = append(t.PrimaryKey, column), name, deferrable
		})
}

func (r *reader) indexes() {
	var i migrations.Index
	r.each(`
		select i.indrelid, c.relname, pg_catalog.pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid and i.indisready,
		       coalesce(o.conname, ''),
		       coalesce((select p.relname from pg_catalog.pg_inherits h join pg_catalog.pg_class p on p.oid = h.inhparent
		                 where h.inhrelid = i.indexrelid), ''), i.indisreplident,
		       coalesce(case when o.oid is null then pg_catalog.obj_description(i.indexrelid, 'pg_class')
		                else pg_catalog.obj_description(o.oid, 'pg_constraint') end, ''), k.names,
		       coalesce((select s.spcname from pg_catalog.pg_tablespace s where s.oid = c.reltablespace), ''),
		       i.indisclustered or exists (select from pg_catalog.pg_attribute a where a.attrelid = i.indexrelid and coalesce(a.attstattarget, -1) >= 0)
		from pg_catalog.pg_index i
		join pg_catalog.pg_class c on c.oid = i.indexrelid
		join pg_catalog.pg_am m on m.oid = c.relam
		left join pg_catalog.pg_constraint o on o.conrelid = i.indrelid and o.conindid = i.indexrelid and o.contype in ('p', 'u', 'x')
		left join lateral (
		  select pg_catalog.array_agg(a.attname::text order by key.place) as names
		  from pg_catalog.unnest(i.indkey::int2[]) with ordinality as key (num, place)
		  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.num
		  where key.place <= i.indnkeyatts
		  having pg_catalog.bool_and(a.attnotnull)) k
		  on i.indisunique and i.indisvalid and i.indisready and i.indpred is null and i.indexprs is null and m.amname = 'btree'
		where i.indrelid = any($1::oid[])
		order by i.indrelid, c.relname collate "C"`,
		[]any{&i.Name, &i.Definition, &i.Unique, &i.Valid, &i.Constraint, &i.Parent, &i.Identity, &i.Comment, &i.Key, &i.Tablespace, &i.Settings},
		func(t *migrations.Table) { t.Indexes = append(t.Indexes, i) })
}

// triggers tells BEFORE ROW by the bits of tgtype: 1 is ROW, 2 is BEFORE.
func (r *reader) triggers() {
	var g migrations.Trigger
	r.each(`
		select g.tgrelid, g.tgname, pg_catalog.pg_get_triggerdef(g.oid),
		       case when g.tgname like 'zzz\_pleat\_%' then pg_catalog.pg_get_functiondef(g.tgfoid) else '' end, g.tgtype & 3 = 3,
		       coalesce(pg_catalog.obj_description(g.oid, 'pg_trigger'), ''),
		       coalesce((select pg_catalog.array_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
		                 where a.attrelid = g.tgrelid and a.attnum = any(g.tgattr::int2[])), '{}'),
		       array(select distinct a.attname::text from pg_catalog.pg_depend d
		             join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
		             where d.classid = 'pg_trigger'::regclass and d.objid = g.oid and d.refclassid = 'pg_class'::regclass
		               and d.refobjid = g.tgrelid and d.refobjsubid > 0 order by 1),
		       array(select a.attname::text from pg_catalog.pg_attribute a
		             where a.attrelid = g.tgrelid and a.attnum > 0 and not a.attisdropped and g.tgname not like 'zzz\_pleat\_%'
		               and f.prosrc || ' ' || pg_catalog.replace(pg_catalog.encode(g.tgargs, 'escape'), '\000', ' ') ~*
		                   ('(^|\W)' || pg_catalog.regexp_replace(a.attname, '(\W)', '\\\1', 'g') || '(\W|$)') order by a.attnum),
		       g.tgenabled in ('D', 'R')
		from pg_catalog.pg_trigger g join pg_catalog.pg_proc f on f.oid = g.tgfoid
		where g.tgrelid = any($1::oid[]) and not g.tgisinternal
		order by g.tgrelid, g.tgname collate "C"`,
		[]any{&g.Name, &g.Definition, &g.Function, &g.BeforeRow, &g.Comment, &g.Columns, &g.Names, &g.Says, &g.Off},
		func(t *migrations.Table) { t.Triggers = append(t.Triggers, g) })
}

func (r *reader) constraints() {
	var c migrations.Constraint
	r.each(`
		select c.conrelid, c.conname, pg_catalog.pg_get_constraintdef(c.oid), c.convalidated,
		       case c.contype when 'c' then 'check' when 'f' then 'foreign_key' when 'u' then 'unique' when 'x' then 'exclusion' else '' end,
		       coalesce((select pg_catalog.array_agg(a.attname order by k.place)
		                 from pg_catalog.unnest(c.conkey) with ordinality as k (num, place)
		                 join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num), '{}'),
		       coalesce((select case n.nspname when 'public' then '' else n.nspname || '.' end || t.relname
		                 from pg_catalog.pg_class t join pg_catalog.pg_namespace n on n.oid = t.relnamespace
		                 where t.oid = c.confrelid), ''),
		       (select pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by k.place)
		        from pg_catalog.unnest(c.confkey) with ordinality as k (num, place)
		        join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.num),
		       coalesce(pg_catalog.obj_description(c.oid, 'pg_constraint'), '')
		from pg_catalog.pg_constraint c
		where c.conrelid = any($1::oid[]) and c.contype not in ('p', 't', 'n')
		  -- A key to a partitioned table has another one to each partition.
		  and not exists (select from pg_catalog.pg_constraint whole where whole.oid = c.conparentid and whole.conrelid = c.conrelid)
		order by c.conrelid, c.conname collate "C"`,
		[]any{&c.Name, &c.Definition, &c.Valid, &c.Kind, &c.Columns, &c.References, &c.OtherTypes, &c.Comment},
		func(t *migrations.Table) { t.Constraints = append(t.Constraints, c) })
}

// statistics are those that an author made.
func (r *reader) statistics() {
	var s migrations.Statistics
	r.each(`
		select s.stxrelid, case n.nspname when 'public' then '' else n.nspname || '.' end || s.stxname,
		       pg_catalog.pg_get_statisticsobjdef(s.oid), coalesce(pg_catalog.obj_description(s.oid, 'pg_statistic_ext'), '')
		from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
		where s.stxrelid = any($1::oid[])
		order by s.stxrelid, n.nspname collate "C", s.stxname collate "C"`,
		[]any{&s.Name, &s.Definition, &s.Comment},
		func(t *migrations.Table) { t.Statistics = append(t.Statistics, s) })
}

// dependents are what would stop a drop: views, by the rules that they are made of,
// rules of the table itself that name a column, foreign keys of other tables,
// policies, functions whose bodies the server has read, whatever is of the type of
// the table's rows, and defaults elsewhere that count with a sequence of the table.
func (r *reader) dependents() {
	var d migrations.Dependent
	r.each(`
		select distinct dep.refobjid, coalesce(a.attname, '') as attname,
		       coalesce(pg_catalog.pg_describe_object('pg_class'::regclass, nullif(w.ev_class, dep.refobjid), 0),
		                pg_catalog.pg_describe_object(dep.classid, dep.objid, 0)) as object
		from pg_catalog.pg_depend dep
		left join pg_catalog.pg_rewrite w on dep.classid = 'pg_rewrite'::regclass and w.oid = dep.objid
		left join pg_catalog.pg_constraint f on dep.classid = 'pg_constraint'::regclass and f.oid = dep.objid
		left join pg_catalog.pg_attribute a on a.attrelid = dep.refobjid and a.attnum = dep.refobjsubid and a.attnum > 0
		where dep.refclassid = 'pg_class'::regclass and dep.refobjid = any($1::oid[]) and dep.deptype = 'n'
		  and (w.ev_class <> dep.refobjid or w.ev_class = dep.refobjid and dep.refobjsubid > 0 or f.contype = 'f' and f.conrelid <> dep.refobjid
		       or dep.classid in ('pg_policy'::regclass, 'pg_proc'::regclass))
		union
		select c.oid, '', pg_catalog.pg_describe_object(dep.classid, dep.objid, dep.objsubid)
		from pg_catalog.pg_class c join pg_catalog.pg_type y on y.oid = c.reltype
		join pg_catalog.pg_depend dep on dep.refclassid = 'pg_type'::regclass and dep.refobjid in (y.oid, y.typarray)
		where c.oid = any($1::oid[]) and dep.deptype = 'n'
		union
		select own.refobjid, a.attname, pg_catalog.pg_describe_object(dep.classid, dep.objid, 0)
		from pg_catalog.pg_depend own
		join pg_catalog.pg_attribute a on a.attrelid = own.refobjid and a.attnum = own.refobjsubid
		join pg_catalog.pg_depend dep on dep.refclassid = 'pg_class'::regclass and dep.refobjid = own.objid
		join pg_catalog.pg_attrdef f on dep.classid = 'pg_attrdef'::regclass and f.oid = dep.objid and f.adrelid <> own.refobjid
		where own.classid = 'pg_class'::regclass and own.refclassid = 'pg_class'::regclass and own.refobjid = any($1::oid[])
		  and own.refobjsubid > 0 and own.deptype in ('a', 'i')
		order by 1, 3, 2`,
		[]any{&d.Column, &d.Object},
		func(t *migrations.Table) { t.Dependents = append(t.Dependents, d) })
}

// references are foreign keys to the tables; those of partitions are their
// parent's.
func (r *reader) references() {
	var k migrations.ForeignKey
	r.each(`
		select c.confrelid, c.conname, case n.nspname when 'public' then '' else n.nspname || '.' end || t.relname,
		       (select pg_catalog.array_agg(a.attname order by k.place)
		        from pg_catalog.unnest(c.conkey) with ordinality as k (num, place)
		        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num),
		       (select pg_catalog.array_agg(a.attname order by k.place)
		        from pg_catalog.unnest(c.confkey) with ordinality as k (num, place)
		        join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.num),
		       (select pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by k.place)
		        from pg_catalog.unnest(c.conkey) with ordinality as k (num, place)
		        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num),
		       pg_catalog.pg_get_constraintdef(c.oid), c.convalidated, coalesce(pg_catalog.obj_description(c.oid, 'pg_constraint'), ''), t.relkind = 'p',
		       case t.relkind when 'p' then (
		         select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
		           'table', case m.nspname when 'public' then '' else m.nspname || '.' end || p.relname, 'unlike', `+unlike+`, 'keys', `+ownKeys+`)
		           order by m.nspname collate "C", p.relname collate "C")
		         from pg_catalog.pg_inherits h join pg_catalog.pg_class p on p.oid = h.inhrelid join pg_catalog.pg_namespace m on m.oid = p.relnamespace
		         where h.inhparent = t.oid and p.relispartition) end
		from pg_catalog.pg_constraint c
		join pg_catalog.pg_class t on t.oid = c.conrelid
		join pg_catalog.pg_namespace n on n.oid = t.relnamespace
		where c.confrelid = any($1::oid[]) and c.contype = 'f' and c.conparentid = 0
		order by c.confrelid, n.nspname collate "C", t.relname collate "C", c.conname collate "C"`,
		[]any{&k.Name, &k.Table, &k.Columns, &k.Referenced, &k.OtherTypes, &k.Definition, &k.Valid, &k.Comment, &k.Partitioned, &k.Partitions},
		func(t *migrations.Table) { t.References = append(t.References, k) })
}

// partitions are read with the sign, which servers have from 14 on, that one
// is on its way out.
func (r *reader) partitions() {
	detaching := "false"
	if r.server >= 14 {
		detaching = "h.inhdetachpending"
	}
	var p migrations.Partition
	r.each(`
		select h.inhparent, case n.nspname when 'public' then '' else n.nspname || '.' end || p.relname,
		       pg_catalog.pg_get_expr(p.relpartbound, p.oid), `+detaching+`, `+unlike+`, `+ownKeys+`
		from pg_catalog.pg_inherits h
		join pg_catalog.pg_class p on p.oid = h.inhrelid
		join pg_catalog.pg_namespace n on n.oid = p.relnamespace
		where h.inhparent = any($1::oid[]) and p.relispartition
		order by h.inhparent, n.nspname collate "C", p.relname collate "C"`,
		[]any{&p.Table, &p.Bound, &p.Detaching, &p.Unlike, &p.Keys},
		func(t *migrations.Table) { t.Partitions = append(t.Partitions, p) })
}

func (r *reader) children() {
	var name string
	r.each(`
		select h.inhparent, case n.nspname when 'public' then '' else n.nspname || '.' end || t.relname
		from pg_catalog.pg_inherits h
		join pg_catalog.pg_class t on t.oid = h.inhrelid
		join pg_catalog.pg_namespace n on n.oid = t.relnamespace
		where h.inhparent = any($1::oid[]) and not t.relispartition
		order by h.inhparent, n.nspname collate "C", t.relname collate "C"`,
		[]any{&name},
		func(t *migrations.Table) { t.Children = append(t.Children, name) })
}

func (r *reader) publications() {
	var name string
	r.each(`
		select t.oid, p.pubname
		from pg_catalog.pg_class t
		join pg_catalog.pg_namespace n on n.oid = t.relnamespace
		join pg_catalog.pg_publication_tables p on p.schemaname = n.nspname and p.tablename = t.relname
		where t.oid = any($1::oid[])
		order by t.oid, p.pubname collate "C"`,
		[]any{&name},
		func(t *migrations.Table) { t.Publications = append(t.Publications, name) })
}

// functions are the volatility of those that exist, in any schema; of several
// of one name, the worst.
func functions(ctx context.Context, c *pgx.Conn, names []string) (map[string]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := c.Query(ctx, `
		select proname::text, pg_catalog.max(provolatile::text) -- i < s < v
		from pg_catalog.pg_proc where proname = any($1) group by proname`, names)
	if err != nil {
		return nil, fmt.Errorf("reading functions: %w", err)
	}
	found := map[string]string{}
	var name, volatility string
	_, err = pgx.ForEachRow(rows, []any{&name, &volatility}, func() error {
		found[name] = volatility
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading functions: %w", err)
	}
	return found, nil
}
