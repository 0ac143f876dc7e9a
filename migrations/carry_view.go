package migrations

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

const formerly = "pleat_former_"

// formerView is what a view is called that shows what a change has replaced: it
// is kept with the columns that it shows, so that the way back has it as it was.
func formerView(change string, view spec.Table) spec.Table {
	return spec.Table{Schema: view.Schema, Name: shorten(formerly + change + "_" + view.Name)}
}

// ShownBy are the views that show columns of the table, also through others, each
// after those that it reads.
func (t *Table) ShownBy(columns []string) []View {
	if t == nil {
		return nil
	}
	has := func(columns []string) func(View) bool {
		return func(v View) bool {
			return slices.ContainsFunc(v.Columns, func(c string) bool { return slices.Contains(columns, c) })
		}
	}
	var names []string
	shows := has(columns)
	for again := true; again; {
		again = false
		for _, v := range t.Views {
			if !slices.Contains(names, v.Name) && (shows(v) || v.reads(names)) {
				names, again = append(names, v.Name), true
			}
		}
	}
	var all []View
	for len(names) > 0 {
		at := slices.IndexFunc(t.Views, func(v View) bool { return slices.Contains(names, v.Name) && !v.reads(names) })
		if at < 0 {
			return append(all, t.inCircle(names)...)
		}
		all = append(all, t.Views[at])
		names = slices.DeleteFunc(names, func(n string) bool { return n == t.Views[at].Name })
	}
	return all
}

func (v View) reads(names []string) bool {
	return slices.ContainsFunc(v.Reads, func(n string) bool { return slices.Contains(names, n) })
}

// inCircle are views that read each other by their rules.
func (t *Table) inCircle(names []string) []View {
	var all []View
	for _, v := range t.Views {
		if slices.Contains(names, v.Name) {
			v.Stays = append(slices.Clone(v.Stays), "views read each other")
			all = append(all, v)
		}
	}
	return all
}

// stays says why the view cannot be made again once columns of the table have
// been replaced; none where it can.
func (v View) stays(columns []string) []string {
	why := slices.Clone(v.Stays)
	if slices.ContainsFunc(v.Groups, func(c string) bool { return slices.Contains(columns, c) }) {
		why = append(why, "it groups by a key that moves to the new column last")
	}
	return why
}

// carriedView is a view that goes along with what it shows.
type carriedView struct {
	spec.Table
	materialized, filled bool
}

// kind is what SQL calls it.
func (v carriedView) kind() string {
	if v.materialized {
		return "MATERIALIZED VIEW"
	}
	return "VIEW"
}

// called is the same view under another name.
func (v carriedView) called(name spec.Table) carriedView {
	v.Table = name
	return v
}

// carried are the views that go along with the replacements on a table, each
// after those that it reads. Once names are swapped, each is there a second time.
func (l *lowering) carried(t spec.Table) []carriedView {
	live := l.live.Table(t)
	var before, after []string
	for _, r := range l.replaced(t) {
		switch swapState(live, r) {
		case original:
			before = append(before, r.Column)
		case hidden:
			after = append(after, r.Final())
		}
	}
	var all []carriedView
	for _, v := range live.ShownBy(before) {
		// What another change keeps for its way back, or has made to take over, stays:
		// the swap waits for its end.
		if name := spec.ParseTable(v.Name); !strings.HasPrefix(name.Name, formerly) && !strings.HasPrefix(name.Name, carriedName("")) {
			all = append(all, carriedView{name, v.Materialized, v.Filled})
		}
	}
	for _, v := range live.ShownBy(after) {
		name := spec.ParseTable(v.Name)
		former := formerView(l.change.Name, name).String()
		if slices.ContainsFunc(live.Views, func(other View) bool { return other.Name == former }) {
			all = append(all, carriedView{name, v.Materialized, v.Filled})
		}
	}
	return all
}

// carryViews has the swap make the views again that show what it swaps, or give
// those that were made beside them their names. Whoever goes through one locks it
// before what it shows, so they come before the table.
func (l *lowering) carryViews(u *Unit, t spec.Table) {
	views := l.carried(t)
	if len(views) == 0 {
		return
	}
	var away, back, makes, names []string
	for _, v := range outermost(views) {
		former := formerView(l.change.Name, v.Table)
		away = append(away, v.putAside(former))
		u.Also, u.UndoAlso = append(u.Also, lockView(v.Table)), append(u.UndoAlso, lockView(v.Table))
	}
	for _, v := range views {
		back = append(back, v.called(formerView(l.change.Name, v.Table)).bringBack(v.Table))
		names = append(names, strings.ToLower(v.kind())+" "+v.String())
	}
	for _, v := range outermost(views) {
		u.UndoAlso = append(u.UndoAlso, lockView(formerView(l.change.Name, v.Table)))
	}
	does := "locked before the table, and made again: "
	if beside(views) {
		makes = l.takeOver(views)
		does = "locked before the table, and replaced by what was made beside it: "
		for _, v := range outermost(views) {
			u.Also = append(u.Also, lockView(besideView(v.Table)))
		}
	} else {
		makes = l.byFormerNames(t, makeViews())
	}
	if len(u.Statements) > 0 {
		u.Statements = slices.Concat([]string{l.keepViews(t, views)}, away, u.Statements, makes)
	}
	u.Undo = slices.Concat([]string{l.keepRights(views)}, dropViews(outermost(views)), u.Undo, back)
	u.Does = append(u.Does, does+strings.Join(names, ", "))
}

// byFormerNames has a statement find the columns that keep their names by those of the
// columns that they replace: the views' definitions have them so, and bring out the
// columns under those names.
func (l *lowering) byFormerNames(t spec.Table, statement string) []string {
	all := []string{statement}
	for _, r := range l.replaced(t) {
		if r.Keep {
			all = slices.Concat([]string{renameColumn(t, r.By, r.Column)}, all, []string{renameColumn(t, r.Column, r.By)})
		}
	}
	return all
}

// outermost are the views, each before those that it reads.
func outermost(views []carriedView) []carriedView {
	all := slices.Clone(views)
	slices.Reverse(all)
	return all
}

// dropViews drops views, which are in the order in which that can be done.
func dropViews(views []carriedView) []string {
	if !beside(views) {
		var names []string
		for _, v := range views {
			names = append(names, tableIdent(v.Table))
		}
		return []string{"DROP VIEW IF EXISTS " + strings.Join(names, ", ")}
	}
	var all []string
	for _, v := range views {
		all = append(all, "DROP "+v.kind()+" IF EXISTS "+tableIdent(v.Table))
	}
	return all
}

// retireViews drops what the way back would have needed.
func (l *lowering) retireViews(u *Unit, t spec.Table) {
	var formers []carriedView
	for _, v := range outermost(l.carried(t)) {
		former := formerView(l.change.Name, v.Table)
		u.Also = append(u.Also, lockView(former))
		formers = append(formers, v.called(former))
	}
	if len(formers) > 0 {
		u.Statements = slices.Concat(dropViews(formers), u.Statements)
	}
}

// lockView locks a view and nothing that it shows.
func lockView(v spec.Table) TableLock {
	return TableLock{Table: v, Lock: AccessExclusive, View: true, Only: true}
}

// keepViews has the transaction remember what makes the views again as they are
// at that moment. A view that came after the plan would be left behind, so that
// is an error.
func (l *lowering) keepViews(t spec.Table, views []carriedView) string {
	var columns, names []string
	for _, r := range l.replaced(t) {
		columns = append(columns, r.Column)
	}
	for _, v := range views {
		names = append(names, Literal(tableIdent(v.Table)))
	}
	body := fmt.Sprintf(`
declare
  carried pg_catalog.regclass[] := array[%[1]s]::pg_catalog.regclass[];
  other text;
begin
  select pg_catalog.string_agg(distinct pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0), ', ') into other
  from pg_catalog.pg_depend d
  join pg_catalog.pg_rewrite w on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and w.oid = d.objid
  left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
  where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and w.ev_class <> d.refobjid and w.ev_class <> all (carried)
    and (d.refobjid = %[2]s::pg_catalog.regclass and a.attname = any (%[3]s) or d.refobjid = any (carried));
  if other is not null then
    raise exception '%% shows what is replaced, and came after the plan was made or belongs to another change that is not contracted', other;
  end if;
  perform pg_catalog.set_config('pleat.views', pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'view', v.name, 'kind', v.kind, 'filled', v.relispopulated, 'comment', pg_catalog.obj_description(v.oid, 'pg_class'),
    'make', 'create ' || v.kind || ' ' || v.name || v.kept || ' as ' || pg_catalog.rtrim(pg_catalog.pg_get_viewdef(v.oid), ';') || v.unfilled, 'more', (
      select coalesce(pg_catalog.jsonb_agg(s.sql order by s.place, s.nth, s.sql), '[]') from (%[4]s) as s (place, nth, sql)
    )) order by v.place)::text, true)
  from (
    select c.*, k.place, pg_catalog.format('%%I.%%I', n.nspname, c.relname) as name, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)) as owner,
      case c.relkind when 'm' then 'materialized view' else 'view' end as kind, case c.relkind when 'm' then ' with no data' else '' end as unfilled,
      coalesce(' using ' || pg_catalog.quote_ident(m.amname), '') || coalesce(' tablespace ' || pg_catalog.quote_ident(p.spcname), '') as kept
    from pg_catalog.unnest(carried) with ordinality as k (view, place)
    join pg_catalog.pg_class c on c.oid = k.view join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_am m on m.oid = c.relam left join pg_catalog.pg_tablespace p on p.oid = c.reltablespace
  ) v;
end
`, strings.Join(names, ", "), Literal(tableIdent(t)), nameArray(columns), viewStatements)
	return do(body)
}

// viewStatements are what makes a view v, as its query alone has made it, what it
// is: with a place for each, and a number within that.
const viewStatements = `
        select 1, 0, 'alter ' || v.kind || ' ' || v.name || ' set (' || pg_catalog.array_to_string(v.reloptions, ', ') || ')'
        where v.reloptions is not null
        union all
        select 2, 0, 'alter ' || v.kind || ' ' || v.name || ' owner to ' || v.owner where v.owner <> pg_catalog.quote_ident(current_user)
        union all
        select 3, a.attnum, pg_catalog.format('alter view %s alter %I set default %s', v.name, a.attname, pg_catalog.pg_get_expr(f.adbin, f.adrelid))
        from pg_catalog.pg_attrdef f join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum where f.adrelid = v.oid
        union all
        select 4, 0, pg_catalog.pg_get_ruledef(w.oid) from pg_catalog.pg_rewrite w where w.ev_class = v.oid and w.rulename <> '_RETURN'
        union all
        select 5, 0, pg_catalog.pg_get_triggerdef(g.oid) from pg_catalog.pg_trigger g where g.tgrelid = v.oid and not g.tgisinternal
        union all
        select 5, m.place, m.sql from (` + storedStatements + `) as m (place, sql)
        union all
        select 6, 0, pg_catalog.format('comment on %s %s is %L', v.kind, v.name, c.description)
        from pg_catalog.pg_description c where c.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.objoid = v.oid and c.objsubid = 0
        union all
        select 6, a.attnum, pg_catalog.format('comment on column %s.%I is %L', v.name, a.attname, c.description)
        from pg_catalog.pg_description c join pg_catalog.pg_attribute a on a.attrelid = c.objoid and a.attnum = c.objsubid
        where c.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.objoid = v.oid and c.objsubid > 0
        union all
        select 6, 0, pg_catalog.format('comment on rule %I on %s is %L', w.rulename, v.name, c.description)
        from pg_catalog.pg_description c join pg_catalog.pg_rewrite w on w.oid = c.objoid and w.ev_class = v.oid
        where c.classoid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        union all
        select 6, 0, pg_catalog.format('comment on trigger %I on %s is %L', g.tgname, v.name, c.description)
        from pg_catalog.pg_description c join pg_catalog.pg_trigger g on g.oid = c.objoid and g.tgrelid = v.oid
        where c.classoid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
        union all
        select 7, 0, 'revoke all on ' || v.name || ' from ' || v.owner where v.relacl is not null
        union all
        select 8, a.nth, 'grant ' || a.privilege_type || ' on ' || v.name || ' to ' ||
               case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end ||
               case when a.is_grantable then ' with grant option' else '' end
        from pg_catalog.aclexplode(v.relacl) with ordinality as a (grantor, grantee, privilege_type, is_grantable, nth)
        union all
        select 9, a.nth, pg_catalog.format('grant %s (%I) on %s to ', a.privilege_type, t.attname, v.name) ||
               case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end ||
               case when a.is_grantable then ' with grant option' else '' end
        from pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) with ordinality as a (grantor, grantee, privilege_type, is_grantable, nth)
        where t.attrelid = v.oid`

// makeViews makes again what keepViews remembers. What default privileges give a
// new view is not what the view had.
func makeViews() string {
	body := `
declare
  kept pg_catalog.jsonb;
  whom text;
  statement text;
begin
  for kept in select * from pg_catalog.jsonb_array_elements(pg_catalog.current_setting('pleat.views')::pg_catalog.jsonb) loop
    execute kept ->> 'make';
    for whom in
      select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
      from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
      where c.oid = (kept ->> 'view')::pg_catalog.regclass and a.grantee <> c.relowner
    loop
      execute 'revoke all on ' || (kept ->> 'view') || ' from ' || whom;
    end loop;
    for statement in select * from pg_catalog.jsonb_array_elements_text(kept -> 'more') loop
      execute statement;
    end loop;
  end loop;
end
`
	return do(body)
}
