package postgres

import "pleat/migrations"

// views are those that show the tables, also through others, and what stands in
// the way of making each again: somebody who needs the view as it is, or what a
// new one would not have.
func (r *reader) views() {
	var v migrations.View
	r.each(`
		with recursive shows (tab, view) as (
		    select d.refobjid, w.ev_class
		    from pg_catalog.pg_depend d join pg_catalog.pg_rewrite w on w.oid = d.objid
		    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
		      and d.refobjid = any($1::oid[]) and w.ev_class <> d.refobjid
		  union
		    select s.tab, w.ev_class
		    from shows s
		    join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.view and d.classid = 'pg_rewrite'::regclass
		    join pg_catalog.pg_rewrite w on w.oid = d.objid
		    where w.ev_class not in (s.tab, s.view)
		), named (tab, view, name) as (
		    select s.tab, s.view, case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname
		    from shows s join pg_catalog.pg_class c on c.oid = s.view join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		), used (view, class, object, part) as (
		    select distinct w.ev_class, d.refclassid, d.refobjid, d.refobjsubid
		    from pg_catalog.pg_depend d join pg_catalog.pg_rewrite w on w.oid = d.objid
		    where d.classid = 'pg_rewrite'::regclass and w.ev_class in (select s.view from shows s)
		)
		select s.tab, s.name, pg_catalog.pg_describe_object('pg_class'::regclass, c.oid, 0),
		       array(select a.attname::text from used u join pg_catalog.pg_attribute a on a.attrelid = u.object and a.attnum = u.part
		             where u.view = s.view and u.class = 'pg_class'::regclass and u.object = s.tab and u.part > 0 order by a.attnum),
		       array(select distinct o.name from used u join named o on o.tab = s.tab and o.view = u.object
		             where u.view = s.view and u.class = 'pg_class'::regclass and u.object <> s.view order by 1),
		       array(select distinct a.attname::text from used u join pg_catalog.pg_constraint k on k.oid = u.object and k.conrelid = s.tab
		             join pg_catalog.pg_attribute a on a.attrelid = s.tab and a.attnum = any(k.conkey)
		             where u.view = s.view and u.class = 'pg_constraint'::regclass order by 1),
		       c.relkind = 'm', c.relkind = 'm' and c.relispopulated,
		       array(select 'its rule shows it' where c.relkind not in ('v', 'm')
		             union all select 'it is a session''s own' where c.relpersistence = 't'
		             union all select 'it has a security label' where exists (
		               select from pg_catalog.pg_seclabel l where l.classoid = 'pg_class'::regclass and l.objoid = c.oid)
		             union all select 'it belongs to ' || pg_catalog.pg_get_userbyid(c.relowner) || ', and pleat''s role is no member of that'
		             where not pg_catalog.pg_has_role(session_user, c.relowner, 'member')
		             union all select 'extension ' || e.extname || ' has it'
		             from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
		             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_extension'::regclass
		             union all (
		               select distinct pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || ' needs it as it is'
		               from pg_catalog.pg_depend d
		               left join pg_catalog.pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
		               left join pg_catalog.pg_trigger g on d.classid = 'pg_trigger'::regclass and g.oid = d.objid
		               left join pg_catalog.pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
		               where d.deptype in ('n', 'a')
		                 and (d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
		                      or d.refclassid = 'pg_type'::regclass and d.refobjid in (c.reltype, y.typarray))
		                 and (w.oid is null or w.ev_class = s.tab or w.ev_class <> c.oid and d.refclassid = 'pg_type'::regclass)
		                 and g.tgrelid is distinct from c.oid and f.adrelid is distinct from c.oid and c.relkind in ('v', 'm')
		                 and not exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indexrelid = d.objid and d.classid = 'pg_class'::regclass)
		                 and not exists (select from pg_catalog.pg_statistic_ext e where e.stxrelid = c.oid and e.oid = d.objid and d.classid = 'pg_statistic_ext'::regclass
		                                 and pg_catalog.pg_has_role(session_user, e.stxowner, 'member'))
		               order by 1))
		from named s join pg_catalog.pg_class c on c.oid = s.view left join pg_catalog.pg_type y on y.oid = c.reltype
		order by s.tab, s.name collate "C"`,
		[]any{&v.Name, &v.Object, &v.Columns, &v.Reads, &v.Groups, &v.Materialized, &v.Filled, &v.Stays},
		func(t *migrations.Table) { t.Views = append(t.Views, v) })
}
