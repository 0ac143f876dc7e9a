package migrations

import (
	"fmt"
	"strings"
)

// keepRights gives the views that come back the owner and the rights that those
// have which took their place, where somebody changed them meanwhile.
func (l *lowering) keepRights(views []carriedView) string {
	var pairs []string
	for _, v := range views {
		pairs = append(pairs, fmt.Sprintf("(%s, %s)", Literal(tableIdent(v.Table)), Literal(tableIdent(formerView(l.change.Name, v.Table)))))
	}
	body := fmt.Sprintf(`
declare
  pair record;
  statement text;
begin
  for pair in
    select b.name as back, n.oid as now, f.oid as former, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(n.relowner)) as owner,
           n.relowner <> f.relowner as given
    from (values %[1]s) as b (seen, name)
    join pg_catalog.pg_class n on n.oid = pg_catalog.to_regclass(b.seen) join pg_catalog.pg_class f on f.oid = pg_catalog.to_regclass(b.name)
  loop
    if pair.given then
      execute 'alter table ' || pair.back || ' owner to ' || pair.owner;
    end if;
    continue when not exists (
      select from (%[2]s) r where r.of in (pair.now, pair.former) group by r.name, r.grantee, r.right, r.grantable having count(*) = 1
    );
    for statement in
      select distinct 'revoke all on ' || pair.back || ' from ' || r.grantee from (%[2]s) r where r.of = pair.former
      union all
      select distinct 'revoke all on ' || pair.back || ' from ' || pair.owner
    loop
      execute statement;
    end loop;
    for statement in
      select 'grant ' || r.right || r.name || ' on ' || pair.back || ' to ' || r.grantee || r.grantable from (%[2]s) r where r.of = pair.now
    loop
      execute statement;
    end loop;
  end loop;
end
`, strings.Join(pairs, ", "), rightsOf)
	quote := dollarQuote(body)
	return "DO " + quote + body + quote
}

// rightsOf are the rights on all relations and on their columns, also those that
// an owner has by itself.
const rightsOf = `
      select c.oid as of, '' as name, case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as grantee,
             a.privilege_type as right, case when a.is_grantable then ' with grant option' else '' end as grantable
      from pg_catalog.pg_class c, pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) a
      union all
      select t.attrelid, ' (' || pg_catalog.quote_ident(t.attname) || ')', case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
             a.privilege_type, case when a.is_grantable then ' with grant option' else '' end
      from pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a where t.attnum > 0 and not t.attisdropped`
