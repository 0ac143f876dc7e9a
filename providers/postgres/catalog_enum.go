package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/spec"
)

// enums are the labels of those types that exist.
func enums(ctx context.Context, c *pgx.Conn, types []spec.Table) (map[string][]string, error) {
	found := map[string][]string{}
	for _, t := range types {
		var labels []string
		err := c.QueryRow(ctx, `
			select coalesce(pg_catalog.array_agg(e.enumlabel::text order by e.enumsortorder) filter (where e.oid is not null), '{}')
			from pg_catalog.pg_type y join pg_catalog.pg_namespace n on n.oid = y.typnamespace
			left join pg_catalog.pg_enum e on e.enumtypid = y.oid
			where n.nspname = $1 and y.typname = $2 and y.typtype = 'e'
			group by y.oid`, t.Schema, t.Name).Scan(&labels)
		if err == pgx.ErrNoRows {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading type %s: %w", t, err)
		}
		found[t.String()] = labels
	}
	return found, nil
}

// typeUses are what needs the types, or their arrays, by the type. What goes away
// with columns depends on them automatically (deptype a).
func typeUses(ctx context.Context, c *pgx.Conn, types []spec.Table) (map[string][]migrations.TypeUse, error) {
	var found map[string][]migrations.TypeUse
	for _, t := range types {
		rows, err := c.Query(ctx, `
			with uses as (
			select distinct coalesce(on_table.name, '') as on_table, coalesce(on_table.columns, '{}') as columns,
			       case when w.oid is not null then pg_catalog.pg_describe_object('pg_class'::regclass, w.ev_class, 0)
			            else pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) end as object
			from pg_catalog.pg_type y
			join pg_catalog.pg_namespace n on n.oid = y.typnamespace
			join pg_catalog.pg_depend d on d.refclassid = 'pg_type'::regclass and d.refobjid in (y.oid, y.typarray) and d.deptype <> 'i'
			left join pg_catalog.pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
			left join lateral (
			  select case s.nspname when 'public' then '' else s.nspname || '.' end || k.relname as name,
			         pg_catalog.array_agg(a.attname::text order by a.attnum) as columns
			  from (select d.objid as table_id, d.objsubid as num where d.classid = 'pg_class'::regclass and d.objsubid > 0
			        union
			        select o.refobjid, o.refobjsubid from pg_catalog.pg_depend o
			        where o.classid = d.classid and o.objid = d.objid and o.refclassid = 'pg_class'::regclass
			          and o.refobjsubid > 0 and o.deptype = 'a') as owner
			  join pg_catalog.pg_class k on k.oid = owner.table_id
			  join pg_catalog.pg_namespace s on s.oid = k.relnamespace
			  join pg_catalog.pg_attribute a on a.attrelid = k.oid and a.attnum = owner.num
			  group by 1 order by 1 limit 1) as on_table on true
			where n.nspname = $1 and y.typname = $2 and y.typtype = 'e'
			)
			select on_table, columns, object from uses order by object collate "C"`, t.Schema, t.Name)
		if err != nil {
			return nil, fmt.Errorf("reading what uses type %s: %w", t, err)
		}
		uses, err := pgx.CollectRows(rows, pgx.RowToStructByPos[migrations.TypeUse])
		if err != nil {
			return nil, fmt.Errorf("reading what uses type %s: %w", t, err)
		}
		if len(uses) == 0 {
			continue
		}
		if found == nil {
			found = map[string][]migrations.TypeUse{}
		}
		found[t.String()] = uses
	}
	return found, nil
}
