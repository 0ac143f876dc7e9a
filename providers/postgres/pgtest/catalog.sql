-- What the catalog says of an application's schema, a line for each object or
-- property, in the words of every server version from 13 on: names and not
-- oids, defaults left out, nothing that statistics or writes change. $1 are
-- schemas to leave out.
with space as (
  select oid, nspname, nspacl from pg_namespace
  where nspname !~ '^pg_' and nspname <> 'information_schema' and nspname <> all ($1)
), extension_part as (
  select classid, objid from pg_depend where deptype = 'e'
), class as (
  select c.*, format('%I.%I', s.nspname, c.relname) as name
  from pg_class c join space s on s.oid = c.relnamespace
  where (('pg_class'::regclass, c.oid) not in (select classid, objid from extension_part))
), line (of, kind, text) as (
  select nspname, '0 schema', coalesce('acl ' || nspacl::text, '') from space
  union all
  select name, '1 relation', concat_ws(' ', relkind, relpersistence,
    'with ' || array_to_string(reloptions, ','),
    case when relrowsecurity then 'row security' end, case when relforcerowsecurity then 'forced' end,
    case when relreplident <> case when relkind in ('r', 'p', 'm') then 'd' else 'n' end then 'replica identity ' || relreplident::text end,
    'partition by ' || case when relkind = 'p' then pg_get_partkeydef(oid) end,
    'partition ' || pg_get_expr(relpartbound, oid),
    'acl ' || (select string_agg(a::text, ',' order by a::text) from unnest(relacl) a))
  from class where relkind in ('r', 'p', 'v', 'm', 'f')
  union all
  select c.name, '2 inherits', format('%s %s', i.inhseqno, i.inhparent::regclass)
  from class c join pg_inherits i on i.inhrelid = c.oid where c.relkind in ('r', 'p', 'f')
  union all
  select name, '3 view', pg_get_viewdef(oid) from class where relkind in ('v', 'm')
  union all
  select c.name, '4 columns', string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  from class c join pg_attribute a on a.attrelid = c.oid
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and a.attnum > 0 and not a.attisdropped group by c.name
  union all
  select c.name, '5 column', concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
    'collate ' || case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end,
    case when a.attnotnull then 'not null' end,
    case a.attgenerated when '' then 'default ' else 'generated ' || a.attgenerated::text || ' ' end || pg_get_expr(d.adbin, d.adrelid),
    'identity ' || nullif(a.attidentity::text, ''),
    'storage ' || case when a.attstorage <> t.typstorage then a.attstorage::text end,
    'statistics ' || nullif(a.attstattarget, -1),
    'options ' || array_to_string(a.attoptions, ','),
    case when not a.attislocal then 'inherited' end,
    'acl ' || (select string_agg(x::text, ',' order by x::text) from unnest(a.attacl) x))
  from class c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and a.attnum > 0 and not a.attisdropped
  union all
  select c.name, '6 constraint', concat_ws(' ', quote_ident(k.conname), pg_get_constraintdef(k.oid),
    case when not k.convalidated then 'not validated' end, case when not k.conislocal then 'inherited' end)
  from class c join pg_constraint k on k.conrelid = c.oid where k.contype <> 't'
    and not exists (select from pg_constraint whole where whole.oid = k.conparentid and whole.conrelid = k.conrelid)
  union all
  select c.name, '7 index', concat_ws(' ', pg_get_indexdef(i.indexrelid),
    case when not i.indisvalid then 'INVALID' end, case when not i.indisready then 'NOT READY' end,
    case when i.indisclustered then 'clustered' end, case when i.indisreplident then 'replica identity' end,
    'part of ' || h.inhparent::regclass::text)
  from class c join pg_index i on i.indrelid = c.oid left join pg_inherits h on h.inhrelid = i.indexrelid
  union all
  select c.name, '8 trigger', concat_ws(' ', pg_get_triggerdef(t.oid), case when t.tgenabled <> 'O' then 'enabled ' || t.tgenabled::text end)
  from class c join pg_trigger t on t.tgrelid = c.oid where not t.tgisinternal
  union all
  select c.name, '8 rule', pg_get_ruledef(r.oid) from class c join pg_rewrite r on r.ev_class = c.oid where r.rulename <> '_RETURN'
  union all
  select c.name, '8 policy', concat_ws(' ', quote_ident(p.polname), p.polcmd::text, case when not p.polpermissive then 'restrictive' end,
    'to ' || (select string_agg(case when r = 0 then 'public' else r::regrole::text end, ',' order by r) from unnest(p.polroles) r),
    'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
  from class c join pg_policy p on p.polrelid = c.oid
  union all
  select c.name, '8 statistics', pg_get_statisticsobjdef(x.oid) from class c join pg_statistic_ext x on x.stxrelid = c.oid
  union all
  select c.name, '8 published', quote_ident(p.pubname)
  from class c join pg_publication_rel r on r.prrelid = c.oid join pg_publication p on p.oid = r.prpubid
  union all
  select c.name, '9 sequence', concat_ws(' ', format_type(s.seqtypid, null), 'start', s.seqstart, 'by', s.seqincrement, 'from', s.seqmin, 'to', s.seqmax,
    'cache', s.seqcache, case when s.seqcycle then 'cycle' end,
    (select format('owned by %s.%I %s', d.refobjid::regclass, a.attname, d.deptype) from pg_depend d
     join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')),
    'acl ' || c.relacl::text)
  from class c join pg_sequence s on s.seqrelid = c.oid
  union all
  select format('%I.%I', s.nspname, t.typname), 'a type', concat_ws(' ', t.typtype::text,
    (select 'labels ' || string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
    case when t.typtype = 'd' then 'of ' || format_type(t.typbasetype, t.typtypmod) end,
    case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
    (select 'range of ' || format_type(r.rngsubtype, null) from pg_range r where r.rngtypid = t.oid))
  from pg_type t join space s on s.oid = t.typnamespace
  where t.typtype in ('e', 'd', 'r') and ('pg_type'::regclass, t.oid) not in (select classid, objid from extension_part)
  union all
  select format('%I.%I', s.nspname, t.typname), 'a type', concat_ws(' ', 'constraint', quote_ident(k.conname), pg_get_constraintdef(k.oid))
  from pg_constraint k join pg_type t on t.oid = k.contypid join space s on s.oid = t.typnamespace
  union all
  select format('%I.%s', s.nspname, p.oid::regprocedure), 'b function', concat_ws(' ', pg_get_functiondef(p.oid), 'acl ' || p.proacl::text)
  from pg_proc p join space s on s.oid = p.pronamespace
  where p.prokind <> 'a' and ('pg_proc'::regclass, p.oid) not in (select classid, objid from extension_part)
  union all
  select format('%I.%s', s.nspname, p.oid::regprocedure), 'b aggregate', '' from pg_proc p join space s on s.oid = p.pronamespace
  where p.prokind = 'a' and ('pg_proc'::regclass, p.oid) not in (select classid, objid from extension_part)
  union all
  select quote_ident(extname), 'c extension', extversion from pg_extension where extname <> 'plpgsql'
  union all
  select quote_ident(evtname), 'd event trigger', concat_ws(' ', evtevent, evtfoid::regproc, evtenabled) from pg_event_trigger
  union all
  select concat_ws(' ', type, identity), 'e comment', quote_literal(d.description)
  from pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid)
  where d.objoid >= 16384 and coalesce(schema, identity) <> all ($1)
    and not exists (select from unnest($1) left_out where identity ~ ('(^| on )' || left_out || '\.'))
    and (d.classoid, d.objoid) not in (select classid, objid from extension_part)
)
select concat_ws(' ', of, substr(kind, 3), nullif(text, ''))
from line order by of collate "C", kind collate "C", text collate "C"
