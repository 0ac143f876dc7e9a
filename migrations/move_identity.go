package migrations

import (
	"fmt"

	"pleat/spec"
)

// moveIdentity has the new sequence go on where the old one is, counting as that does,
// under its name, with its rights and its comment. It is made under the old one's lock
// on the table, so nobody counts between. Limits that are those of the former type are
// those of the new one then.
func moveIdentity(t spec.Table, kind, from, to string) []string {
	at := tableIdent(t)
	body := fmt.Sprintf(`
declare
  former regclass := pg_catalog.pg_get_serial_sequence(%[1]s, %[2]s);
  last bigint;
  called boolean;
  has record;
  whom text;
  granted record;
begin
  execute pg_catalog.format('select last_value, is_called from %%s', former) into last, called;
  select s.*, c.relacl as acl, pg_catalog.format('%%I.%%I', n.nspname, c.relname) as name,
         pg_catalog.obj_description(c.oid, 'pg_class') as comment, case y.typlen when 2 then 32767 when 4 then 2147483647 else 9223372036854775807 end as top into has
  from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_type y on y.oid = s.seqtypid
  where s.seqrelid = former;
  alter table %[3]s alter column %[4]s drop identity;
  execute 'alter table ' || %[1]s || ' alter column ' || %[5]s || ' add generated %[6]s as identity (sequence name ' || has.name
    || pg_catalog.format(' start with %%s increment by %%s cache %%s', has.seqstart, has.seqincrement, has.seqcache)
    || case when has.seqincrement > 0 and has.seqmax = has.top then '' else ' maxvalue ' || has.seqmax end
    || case when has.seqincrement < 0 and has.seqmin = -has.top - 1 then '' else ' minvalue ' || has.seqmin end
    || case when has.seqcycle then ' cycle' else '' end || ')';
  perform pg_catalog.setval(has.name::pg_catalog.regclass, last, called);
  if has.comment is not null then
    execute pg_catalog.format('comment on sequence %%s is %%L', has.name, has.comment);
  end if;
  for whom in
    select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
    from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a where c.oid = has.name::pg_catalog.regclass and (a.grantee <> c.relowner or has.acl is not null)
  loop
    execute 'revoke all on sequence ' || has.name || ' from ' || whom;
  end loop;
  for granted in
    select a.privilege_type as what, case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as whom,
           case when a.is_grantable then ' with grant option' else '' end as option
    from pg_catalog.aclexplode(has.acl) a
  loop
    execute 'grant ' || granted.what || ' on sequence ' || has.name || ' to ' || granted.whom || granted.option;
  end loop;
end
`, Literal(at), Literal(from), at, Ident(from), Literal(Ident(to)), kind)
	return []string{do(body)}
}
