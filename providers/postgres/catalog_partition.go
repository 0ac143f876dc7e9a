package postgres

import "pleat/migrations"

// What is asked of a partition p: why it is no plain table, and what foreign keys it
// has that are not its table's.
const (
	unlike  = `case p.relkind when 'p' then 'it is partitioned itself' when 'f' then 'it has its rows on another server' else '' end`
	ownKeys = `(select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', own.conname, 'valid', own.convalidated) order by own.conname collate "C")
		        from pg_catalog.pg_constraint own where own.conrelid = p.oid and own.contype = 'f' and own.conparentid = 0)`
)

// ownOfPartitions are the things that hang on a column of a partition and did not
// come from its table: they do not go along when that replaces the column.
func (r *reader) ownOfPartitions() {
	identity := "u.attidentity"
	if r.server < 17 {
		identity = "''" // no column of a partition had that of its table
	}
	var partition string
	var d migrations.Dependent
	r.each(`
		with part (parent, oid, name) as (
		    select h.inhparent, t.oid, case n.nspname when 'public' then '' else n.nspname || '.' end || t.relname
		    from pg_catalog.pg_inherits h join pg_catalog.pg_class t on t.oid = h.inhrelid join pg_catalog.pg_namespace n on n.oid = t.relnamespace
		    where h.inhparent = any($1::oid[]) and t.relispartition
		), col as (
		    select p.parent, p.oid, p.name, a.attnum, a.attname, a.attoptions is not null or a.attacl is not null
		           or coalesce(a.attstattarget, -1) <> coalesce(u.attstattarget, -1) or a.attstorage <> u.attstorage
		           or pg_catalog.to_jsonb(a) ->> 'attcompression' is distinct from pg_catalog.to_jsonb(u) ->> 'attcompression' as settings,
		           a.attnotnull <> u.attnotnull as nulls, a.attidentity <> `+identity+` as identity,
		           pg_catalog.pg_get_expr(f.adbin, f.adrelid) is distinct from pg_catalog.pg_get_expr(g.adbin, g.adrelid) as value
		    from part p
		    join pg_catalog.pg_attribute a on a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped
		    join pg_catalog.pg_attribute u on u.attrelid = p.parent and u.attname = a.attname and not u.attisdropped
		    left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
		    left join pg_catalog.pg_attrdef g on g.adrelid = u.attrelid and g.adnum = u.attnum
		)
		    select parent, name, attname, own.object
		    from col, lateral (
		      select 'its settings' where settings union all select 'its NOT NULL' where nulls
		      union all select 'its identity' where identity union all select 'its default' where value) as own (object)
		  union
		    select c.parent, c.name, c.attname, coalesce(pg_catalog.pg_describe_object('pg_class'::regclass, w.ev_class, 0), pg_catalog.pg_describe_object(d.classid, d.objid, 0))
		    from col c
		    join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = c.attnum
		    left join pg_catalog.pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
		    left join pg_catalog.pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
		    left join pg_catalog.pg_trigger g on d.classid = 'pg_trigger'::regclass and g.oid = d.objid
		    left join pg_catalog.pg_class i on d.classid = 'pg_class'::regclass and i.oid = d.objid
		    where d.classid <> 'pg_attrdef'::regclass
		      and not (k.oid is not null and (k.conparentid <> 0 or k.coninhcount > 0 or k.contype = 'n'))
		      and not (g.oid is not null and (g.tgparentid <> 0 or g.tgisinternal))
		      and not (coalesce(i.relkind in ('i', 'I'), false) and exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.oid))
		  union
		    select c.parent, c.name, c.attname, 'the state of ' || pg_catalog.pg_describe_object('pg_trigger'::regclass, g.oid, 0)
		    from col c
		    join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = c.attnum and d.classid = 'pg_trigger'::regclass
		    join pg_catalog.pg_trigger g on g.oid = d.objid
		    join pg_catalog.pg_trigger whole on whole.oid = g.tgparentid and whole.tgenabled <> g.tgenabled
		  order by 1, 2, 3, 4`,
		[]any{&partition, &d.Column, &d.Object},
		func(t *migrations.Table) {
			for i := range t.Partitions {
				if t.Partitions[i].Table == partition {
					t.Partitions[i].Own = append(t.Partitions[i].Own, d)
				}
			}
		})
}
