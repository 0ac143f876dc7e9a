package migrations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pleat/spec"
)

// served is a view by which releases of an earlier change read and write a
// table that the change renames in the end, or columns of it. What a later change
// adds to the table the view shows too, and what it takes away leaves the view
// first.
type served struct {
	by      *spec.ServeView
	of      spec.Table // by the name that it has
	version int        // of the server
}

// served is the view of a table of a change that this one comes after.
func (l *lowering) served(t spec.Table) (served, bool) {
	name := l.live.Table(t).servedBy(spec.Table{})
	if name == "" {
		return served{}, false
	}
	for _, v := range viewsBefore(l.change) {
		if viewObject(v.View()) == name {
			return served{by: v.ServeView, of: t, version: l.live.Version}, true
		}
	}
	return served{}, false
}

// checkServed refuses a column that a view of the table could not go along
// with.
func (l *lowering) checkServed(o spec.Operation, t spec.Table) {
	if d := l.renames(o); d != nil {
		l.diags = append(l.diags, d)
		return
	}
	name := l.live.Table(t).servedBy(spec.Table{})
	if _, known := l.served(t); name != "" && !known {
		l.problem(o.Source(), "Table is in the middle of another change", fmt.Sprintf(
			"Releases read %s through the %s, and the change of the view does not come before this one. Name that in `after`, so that the view goes along.", t, name))
	}
}

// lock is taken before that on the table, as readers of the view do.
func (v served) lock() TableLock {
	return TableLock{Table: v.by.View(), Lock: AccessExclusive, View: true}
}

// with has the view show columns that come last in the table.
func (v served) with(columns []string) []string { return v.remade(columns, nil, true) }

// again has the view show columns where they are in the table.
func (v served) again(columns []string) []string {
	return append(v.remade(columns, nil, false), v.rights())
}

// without takes columns out of the view.
func (v served) without(columns []string) []string {
	return append(v.remade(nil, columns, false), v.rights())
}

// remade makes the view from what it shows as it runs: meanwhile the columns may
// have their names, or the view may be gone.
func (v served) remade(added, gone []string, replace bool) []string {
	view, of := tableIdent(v.by.View()), tableIdent(v.of)
	names := []string{"(null, null)"}
	for _, from := range slices.Sorted(maps.Keys(v.by.Columns)) {
		names = append(names, "("+Literal(from)+", "+Literal(v.by.Columns[from])+")")
	}
	drop := "execute 'drop view ' || " + Literal(view) + ";"
	if replace {
		drop = ""
	}
	body := fmt.Sprintf(`
declare
  shown text;
begin
  if pg_catalog.to_regclass(%[1]s) is null then
    return;
  end if;
  select pg_catalog.string_agg(pg_catalog.format('%%I as %%I', t.attname, n.name), ', ' order by t.attnum) into shown
  from pg_catalog.pg_attribute t
  cross join lateral (select coalesce((
      select m.into_name from (values %[3]s) as m (from_name, into_name)
      where m.from_name = t.attname and not exists (
        select from pg_catalog.pg_attribute x where x.attrelid = t.attrelid and x.attname = m.into_name and not x.attisdropped)),
    t.attname::text) as name) n
  where t.attrelid = %[2]s::pg_catalog.regclass and t.attnum > 0 and not t.attisdropped and t.attname <> all (%[5]s)
    and (t.attname = any (%[4]s) or exists (
      select from pg_catalog.pg_attribute a where a.attrelid = %[1]s::pg_catalog.regclass and a.attname = n.name and not a.attisdropped));
  %[6]s
  execute 'create or replace view ' || %[1]s || %[7]s || shown || ' from ' || %[2]s;
end
`, Literal(view), Literal(of), strings.Join(names, ", "), nameArray(added), nameArray(gone), drop, Literal(" "+invoker(v.version)+"as select "))
	return []string{do(body)}
}

func nameArray(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = Literal(n)
	}
	return "array[" + strings.Join(quoted, ", ") + "]::pg_catalog.name[]"
}

// rights are those of the table, for as long as there is a view to have them.
func (v served) rights() string {
	view := tableIdent(v.by.View())
	rights := sameRights(v.by.View(), v.of, v.by.Columns)
	body := fmt.Sprintf("\nbegin\n  if pg_catalog.to_regclass(%s) is not null then\n    execute %s;\n  end if;\nend\n", Literal(view), Literal(rights))
	return do(body)
}

// show has the unit's new columns in the view, and out of it before they go.
func (u *Unit) show(v served, added, all []string) {
	if len(u.Statements) > 0 && len(added) > 0 {
		u.Statements = append(slices.Clone(u.Statements), v.with(added)...)
	}
	if len(u.Undo) > 0 && len(added) > 0 {
		u.Undo = append(v.without(added), u.Undo...)
	}
	if u.all != nil {
		u.all = &reverse{statements: append(v.without(all), u.all.statements...), loses: u.all.loses}
	}
	u.Also, u.UndoAlso = append(slices.Clone(u.Also), v.lock()), append(slices.Clone(u.UndoAlso), v.lock())
}

// showAll goes through the units that add columns, once each is whole.
func (l *lowering) showAll() {
	for i := range l.program.Expand {
		u := &l.program.Expand[i]
		if v, ok := l.served(u.Table); ok && len(u.columns) > 0 {
			u.show(v, u.fresh, u.columns)
		}
	}
}

// hideServed takes what a unit hides out of the view first.
func (l *lowering) hideServed(u *Unit, t spec.Table, columns []string) {
	v, ok := l.served(t)
	if !ok {
		return
	}
	u.Statements = append(v.without(columns), u.Statements...)
	u.Undo = append(slices.Clone(u.Undo), v.again(columns)...)
	u.Also, u.UndoAlso = append(slices.Clone(u.Also), v.lock()), append(slices.Clone(u.UndoAlso), v.lock())
}
