package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// besideView is what the copy of a view is called until the swap. Where one is
// materialized all that a swap carries is made before it: the rows are put together
// while everybody reads the former one, and nobody ever meets one without rows.
func besideView(view spec.Table) spec.Table {
	return spec.Table{Schema: view.Schema, Name: carriedName(view.Name)}
}

// beside tells whether the views are made before the swap.
func beside(views []carriedView) bool {
	return slices.ContainsFunc(views, func(v carriedView) bool { return v.materialized })
}

// makeBeside makes the views for the columns that take over, as the swap would, and
// fills them.
func (l *lowering) makeBeside(t spec.Table) {
	views := l.carried(t)
	if !beside(views) {
		return
	}
	var copies []carriedView
	for _, v := range views {
		copies = append(copies, v.called(besideView(v.Table)))
	}
	source, swapped := l.replaced(t)[0].Range, l.swapped(t)
	u := Unit{
		ID: "views." + t.String(), Title: "views of " + t.String() + " with the new columns", Mode: InTransaction, Table: t, Lock: AccessExclusive,
		Undo: dropViews(outermost(copies)), UndoTitle: "drop the new views", Verb: "make",
		Applied: swapped || l.live.Table(t).hasViews(copies), Visible: true, Source: source,
		Does: []string{"columns and views have each other's names within the transaction"},
	}
	for i, v := range outermost(views) {
		u.Also = append(u.Also, lockView(v.Table))
		u.UndoAlso = append(u.UndoAlso, lockView(outermost(copies)[i].Table))
	}
	if !swapped {
		u.Statements = l.besideStatements(t, views, copies)
	}
	l.program.Hide = append(l.program.Hide, u)
	for i, c := range copies {
		if c.filled {
			l.program.Hide = append(l.program.Hide, fillView(t, views[i], c, swapped, source))
		}
	}
}

// swapped tells whether the names of the table's columns are swapped.
func (l *lowering) swapped(t spec.Table) bool {
	return !slices.ContainsFunc(l.replaced(t), func(r *spec.ReplaceColumn) bool { return swapState(l.live.Table(t), r) == original })
}

func (t *Table) hasViews(views []carriedView) bool {
	return !slices.ContainsFunc(views, func(v carriedView) bool {
		return !slices.ContainsFunc(t.Views, func(other View) bool { return other.Name == v.String() })
	})
}

// besideStatements are those of one transaction in which everything has the names
// that it has after the swap, for as long as the definitions are read by those.
func (l *lowering) besideStatements(t spec.Table, views, copies []carriedView) []string {
	all := append(dropViews(outermost(copies)), l.keepViews(t, views))
	for _, v := range outermost(views) {
		all = append(all, v.putAside(formerView(l.change.Name, v.Table)))
	}
	var back []string
	for _, r := range l.replaced(t) {
		if swapState(l.live.Table(t), r) != original {
			continue
		}
		all = append(all, renameColumn(t, r.Column, HiddenName(r.Column)), renameColumn(t, r.By, r.Column))
		back = append([]string{renameColumn(t, r.Column, r.By), renameColumn(t, HiddenName(r.Column), r.Column)}, back...)
	}
	all = append(all, makeViews())
	for _, v := range outermost(views) {
		all = append(all, v.putAside(besideView(v.Table)))
	}
	all = append(all, back...)
	for _, v := range views {
		all = append(all, v.called(formerView(l.change.Name, v.Table)).bringBack(v.Table))
	}
	return append(all, markViews(copies))
}

// fillView has the rows of a materialized view be those of now: right before the
// swap, and again where a run begins anew.
func fillView(t spec.Table, view, c carriedView, swapped bool, source hcl.Range) Unit {
	return Unit{
		ID: "fill." + view.String(), Title: "rows of materialized view " + view.String(), Mode: InTransaction, Table: t,
		Also:       []TableLock{lockView(c.Table)},
		Statements: []string{"REFRESH MATERIALIZED VIEW " + tableIdent(c.Table), "ANALYZE " + tableIdent(c.Table)},
		Undo:       []string{}, UndoTitle: "-", Verb: "fill", Applied: swapped, Visible: true, Source: source,
		Does: []string{"in " + c.String() + ", which nobody reads before the swap"},
	}
}

// takeOver gives the copies the names of the views, which have gone aside.
func (l *lowering) takeOver(views []carriedView) []string {
	var all []string
	var copies []carriedView
	for _, v := range views {
		c := v.called(besideView(v.Table))
		copies, all = append(copies, c), append(all, c.bringBack(v.Table))
	}
	return append(all, unmarkViews(views, copies))
}

// putAside gives the view another name, and its indexes and extended statistics,
// which share a namespace with those of the copy, names that say nothing: what they
// were called is in their comments.
func (v carriedView) putAside(name spec.Table) string {
	if !v.materialized {
		return renameView(v.Table, name)
	}
	return do(fmt.Sprintf(`
declare
  i record;
begin
  for i in
    select p.kind, n.nspname, p.name, p.oid, pg_catalog.jsonb_build_object('name', p.name, 'comment', pg_catalog.obj_description(p.oid, p.catalog)) as was
    from (`+storedParts+`) as p join pg_catalog.pg_namespace n on n.oid = p.schema
    where p.of = %[1]s::pg_catalog.regclass
  loop
    execute pg_catalog.format('comment on %%s %%I.%%I is %%L', i.kind, i.nspname, i.name, i.was);
    execute pg_catalog.format('alter %%s %%I.%%I rename to %%I', i.kind, i.nspname, i.name, 'pleat_' || i.kind || '_' || i.oid);
  end loop;
  alter materialized view %[2]s rename to %[3]s;
end
`, Literal(tableIdent(v.Table)), tableIdent(v.Table), Ident(name.Name)))
}

// storedParts are what a materialized view has that is called by a name of its own.
const storedParts = `
      select 'index' as kind, 'pg_class' as catalog, x.indrelid as of, c.oid, c.relname as name, c.relnamespace as schema
      from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
      union all
      select 'statistics', 'pg_statistic_ext', e.stxrelid, e.oid, e.stxname, e.stxnamespace from pg_catalog.pg_statistic_ext e`

// bringBack undoes putAside.
func (v carriedView) bringBack(name spec.Table) string {
	if !v.materialized {
		return fmt.Sprintf("ALTER VIEW IF EXISTS %s RENAME TO %s", tableIdent(v.Table), Ident(name.Name))
	}
	return do(fmt.Sprintf(`
declare
  i record;
begin
  if pg_catalog.to_regclass(%[1]s) is null then
    return;
  end if;
  for i in
    select p.kind, n.nspname, p.name, pg_catalog.obj_description(p.oid, p.catalog)::pg_catalog.jsonb as was
    from (`+storedParts+`) as p join pg_catalog.pg_namespace n on n.oid = p.schema
    where p.of = %[1]s::pg_catalog.regclass and p.name = 'pleat_' || p.kind || '_' || p.oid
  loop
    execute pg_catalog.format('alter %%s %%I.%%I rename to %%I', i.kind, i.nspname, i.name, i.was ->> 'name');
    execute pg_catalog.format('comment on %%s %%I.%%I is %%L', i.kind, i.nspname, i.was ->> 'name', i.was ->> 'comment');
  end loop;
  alter materialized view %[2]s rename to %[3]s;
end
`, Literal(tableIdent(v.Table)), tableIdent(v.Table), Ident(name.Name)))
}

// markViews writes to the copies what the views were as these were made.
func markViews(copies []carriedView) string {
	return do(fmt.Sprintf(`
declare
  kept pg_catalog.jsonb := pg_catalog.current_setting('pleat.views');
  copies text[] := %s;
begin
  for i in 1 .. pg_catalog.cardinality(copies) loop
    execute pg_catalog.format('comment on %%s %%s is %%L', kept -> i - 1 ->> 'kind', copies[i], %s);
  end loop;
end
`, textArray(copies), viewMark))
}

// viewMark tells whether a view is still what a copy was made of.
const viewMark = `'pleat:' || pg_catalog.hashtextextended((kept -> i - 1)::text, 0)`

// unmarkViews gives the views, which were copies, their comments, and stops what
// would lose a change that came after the copies were made.
func unmarkViews(views, copies []carriedView) string {
	return do(fmt.Sprintf(`
declare
  kept pg_catalog.jsonb := pg_catalog.current_setting('pleat.views');
  views text[] := %s;
begin
  for i in 1 .. pg_catalog.cardinality(views) loop
    if pg_catalog.obj_description(views[i]::pg_catalog.regclass, 'pg_class') is distinct from %s then
      raise exception '%% is no longer what its copy with the new columns was made of. Apply again after %%: they are made anew.', views[i], %s;
    end if;
    if (kept -> i - 1 ->> 'filled')::boolean and not (select c.relispopulated from pg_catalog.pg_class c where c.oid = views[i]::pg_catalog.regclass) then
      raise exception 'the copy of %% with the new columns has no rows yet. Apply again: it is filled then.', views[i];
    end if;
    execute pg_catalog.format('comment on %%s %%s is %%L', kept -> i - 1 ->> 'kind', views[i], kept -> i - 1 ->> 'comment');
  end loop;
end
`, textArray(views), viewMark, Literal(strings.Join(dropViews(outermost(copies)), "; "))))
}

func textArray(views []carriedView) string {
	var names []string
	for _, v := range views {
		names = append(names, Literal(tableIdent(v.Table)))
	}
	return "array[" + strings.Join(names, ", ") + "]::text[]"
}

// storedStatements are what makes a materialized view v, without rows, what it is
// beyond what other views are.
const storedStatements = `
          select i.indexrelid::bigint * 10, pg_catalog.pg_get_indexdef(i.indexrelid) from pg_catalog.pg_index i where i.indrelid = v.oid
          union all
          select i.indexrelid::bigint * 10 + 1, pg_catalog.format('alter index %s set tablespace %I', i.indexrelid::pg_catalog.regclass, p.spcname)
          from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid join pg_catalog.pg_tablespace p on p.oid = x.reltablespace where i.indrelid = v.oid
          union all
          select i.indexrelid::bigint * 10 + 2, pg_catalog.format('alter index %s alter column %s set statistics %s', i.indexrelid::pg_catalog.regclass, a.attnum, a.attstattarget)
          from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indexrelid and a.attstattarget >= 0 where i.indrelid = v.oid
          union all
          select i.indexrelid::bigint * 10 + 3, pg_catalog.format('comment on index %s is %L', i.indexrelid::pg_catalog.regclass, pg_catalog.obj_description(i.indexrelid, 'pg_class'))
          from pg_catalog.pg_index i where i.indrelid = v.oid and pg_catalog.obj_description(i.indexrelid, 'pg_class') is not null
          union all
          select i.indexrelid::bigint * 10 + 4, pg_catalog.format('alter materialized view %s cluster on %I', v.name, x.relname)
          from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid where i.indrelid = v.oid and i.indisclustered
          union all
          select e.oid::bigint * 10, pg_catalog.pg_get_statisticsobjdef(e.oid) from pg_catalog.pg_statistic_ext e where e.stxrelid = v.oid
          union all
          select e.oid::bigint * 10 + 1, pg_catalog.format('alter statistics %I.%I owner to %I', n.nspname, e.stxname, pg_catalog.pg_get_userbyid(e.stxowner))
          from pg_catalog.pg_statistic_ext e join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
          where e.stxrelid = v.oid and pg_catalog.pg_get_userbyid(e.stxowner) <> current_user
          union all
          select e.oid::bigint * 10 + 2, pg_catalog.format('alter statistics %I.%I set statistics %s', n.nspname, e.stxname, e.stxstattarget)
          from pg_catalog.pg_statistic_ext e join pg_catalog.pg_namespace n on n.oid = e.stxnamespace where e.stxrelid = v.oid and e.stxstattarget >= 0
          union all
          select e.oid::bigint * 10 + 3, pg_catalog.format('comment on statistics %I.%I is %L', n.nspname, e.stxname, pg_catalog.obj_description(e.oid, 'pg_statistic_ext'))
          from pg_catalog.pg_statistic_ext e join pg_catalog.pg_namespace n on n.oid = e.stxnamespace
          where e.stxrelid = v.oid and pg_catalog.obj_description(e.oid, 'pg_statistic_ext') is not null
          union all
          select a.attnum, pg_catalog.format('alter materialized view %s alter %I set statistics %s', v.name, a.attname, a.attstattarget)
          from pg_catalog.pg_attribute a where a.attrelid = v.oid and v.relkind = 'm' and a.attnum > 0 and a.attstattarget >= 0
          union all
          select a.attnum, pg_catalog.format('alter materialized view %s alter %I set (%s)', v.name, a.attname, pg_catalog.array_to_string(a.attoptions, ', '))
          from pg_catalog.pg_attribute a where a.attrelid = v.oid and v.relkind = 'm' and a.attoptions is not null
          union all
          select a.attnum, pg_catalog.format('alter materialized view %s alter %I set storage %s', v.name, a.attname,
                 case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end)
          from pg_catalog.pg_attribute a join pg_catalog.pg_type y on y.oid = a.atttypid
          where a.attrelid = v.oid and v.relkind = 'm' and a.attnum > 0 and not a.attisdropped and a.attstorage <> y.typstorage
          union all
          select a.attnum, pg_catalog.format('alter materialized view %s alter %I set compression %s', v.name, a.attname,
                 case pg_catalog.to_jsonb(a) ->> 'attcompression' when 'p' then 'pglz' else 'lz4' end)
          from pg_catalog.pg_attribute a where a.attrelid = v.oid and v.relkind = 'm' and pg_catalog.to_jsonb(a) ->> 'attcompression' in ('p', 'l')`
