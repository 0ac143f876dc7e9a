package migrations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pleat/spec"
)

type renameTableOperation struct {
	plain
	*spec.RenameTable
}

func (o renameTableOperation) rank() int { return rankConstraint }

func (o renameTableOperation) form() any { return []any{o.Table, o.To} }

// expand leaves nobody without the name that he knows: table and view change in
// one transaction.
func (o renameTableOperation) expand(l *lowering) bool {
	from, to := l.live.Table(o.Table), l.live.Table(o.Renamed())
	if from == nil && to == nil {
		l.table(o.Table, o.Range)
		return true
	}
	if !o.check(l, from, to) {
		return true
	}
	u := Unit{
		ID: "rename." + o.Table.String(), Title: "table " + o.Table.String() + " to " + o.Renamed().String(), Mode: InTransaction,
		Table: o.Table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		// Whoever goes through the view locks it before the table.
		UndoAlso:   []TableLock{{Table: o.Table, Lock: AccessExclusive, View: true}, {Table: o.Renamed(), Lock: AccessExclusive}},
		Statements: append([]string{renameTable(o.Table, o.Renamed())}, formerName(o.Table, o.Renamed(), l.live.Version)...),
		Undo:       []string{"DROP VIEW IF EXISTS " + tableIdent(o.Table), renameTable(o.Renamed(), o.Table)},
		UndoTitle:  "rename it back", Applied: from == nil, Visible: true, Source: o.Range, takes: true,
	}
	if !u.Applied {
		u.missing = []string{"table " + o.Renamed().String()}
		u.waits = l.live.keptBySync(from, o.Table)
	}
	l.program.Expand = append(l.program.Expand, u)
	if from != nil {
		o.move(l, o.Table, o.Renamed())
		l.next.Table(o.Renamed()).addView(o.Table)
	}
	return true
}

func (o renameTableOperation) check(l *lowering, from, to *Table) bool {
	switch {
	case from != nil && to != nil:
		l.problem(o.Range, "Name is taken", fmt.Sprintf("Table %s exists; %s cannot be renamed to it.", o.Renamed(), o.Table))
	case from == nil:
		return true
	case l.live.Others[o.Renamed().String()] != "":
		l.problem(o.Range, "Name is taken", fmt.Sprintf("The %s has that name; table %s cannot be renamed to it.", l.live.Others[o.Renamed().String()], o.Table))
	case from.RowSecurity && l.live.Version < 15:
		l.problem(o.Range, "Row security would not hold", fmt.Sprintf(
			"Before PostgreSQL 15 a view reads its table with the rights of its owner, whom the policies of %s do not bind. Use an sql block.", o.Table))
	default:
		return true
	}
	return false
}

func (o renameTableOperation) unexpand(l *lowering) {
	o.move(l, o.Renamed(), o.Table)
	l.next.Table(o.Table).removeView(o.Table)
}

func (o renameTableOperation) move(l *lowering, from, to spec.Table) {
	if t := l.next.Table(from); t != nil && l.next.Table(to) == nil {
		delete(l.next.Tables, from.String())
		l.next.Tables[to.String()] = t
	}
}

type retireName struct {
	plain
	*spec.RetireName
}

func (o retireName) form() any { return []any{o.Table, o.Of} }

// contract has a way back to the end: no data goes with a view.
func (o retireName) contract(l *lowering, _ int) bool {
	away := hiddenTable(o.Table)
	t := l.live.Table(o.Of)
	title := "view " + o.Table.String() + " of " + o.Of.String()
	hide := Unit{
		ID: "hide." + o.Table.String(), Title: title, Mode: InTransaction, Table: o.Table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{renameView(o.Table, away)}, Undo: []string{renameView(away, o.Table)}, UndoTitle: "un-hide",
		Applied: t != nil && !t.hasView(o.Table), Visible: true, Source: o.Range,
	}
	drop := Unit{
		ID: "drop." + o.Table.String(), Title: title, Mode: InTransaction, Table: away, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{"DROP VIEW IF EXISTS " + tableIdent(away)}, Undo: formerName(away, o.Of, l.live.Version), UndoTitle: "make it again",
		Applied: hide.Applied && !t.hasView(away), Visible: true, HideFor: o.Hide, Source: o.Range,
	}
	l.program.Hide = append(l.program.Hide, missingUnless(hide, title))
	l.program.Drop = append(l.program.Drop, missingUnless(drop, title))
	return true
}

func (o retireName) uncontract(l *lowering) {
	if t := l.next.Table(o.Of); t != nil {
		t.removeView(hiddenTable(o.Table))
		t.removeView(o.Table)
		t.addView(o.Table)
	}
}

func (o retireName) takeAway(l *lowering, to Phase) {
	t := l.next.Table(o.Of)
	if t == nil {
		return
	}
	delete(l.next.Others, o.Table.String())
	t.removeView(o.Table)
	if to == Hidden {
		t.addView(hiddenTable(o.Table))
	}
}

func renameView(from, to spec.Table) string {
	return fmt.Sprintf("ALTER VIEW %s RENAME TO %s", tableIdent(from), Ident(to.Name))
}

// formerName makes the view that has the former name of a table.
func formerName(view, of spec.Table, version int) []string {
	return []string{
		fmt.Sprintf("CREATE VIEW %s %sAS SELECT * FROM %s", tableIdent(view), invoker(version), tableIdent(of)),
		sameRights(view, of, nil),
	}
}

// invoker has whoever goes through a view need his own rights, and bound by
// policies, where the server can do that.
func invoker(version int) string {
	if version >= 15 {
		return "WITH (security_invoker = true) "
	}
	return ""
}

// sameRights gives a view the owner and the rights that the table has: where the
// server knows no invoker, the owner's rights count on the table. columns are
// the names that the view has for columns, where they are others.
func sameRights(view, of spec.Table, columns map[string]string) string {
	name := "t.attname"
	for _, from := range slices.Sorted(maps.Keys(columns)) {
		name = fmt.Sprintf("case t.attname when %s then %s else %s end", Literal(from), Literal(columns[from]), name)
	}
	body := fmt.Sprintf(`
declare
  granted record;
begin
  execute (select pg_catalog.format('alter view %%s owner to %%I', %[1]s, pg_catalog.pg_get_userbyid(relowner))
           from pg_catalog.pg_class where oid = %[2]s::pg_catalog.regclass);
  for granted in
    select a.privilege_type || c.columns as what, case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as whom,
           case when a.is_grantable then ' with grant option' else '' end as option
    from (select relacl as acl, '' as columns, relowner as owner from pg_catalog.pg_class where oid = %[2]s::pg_catalog.regclass
          union all
          select t.attacl, pg_catalog.format(' (%%I)', %[3]s), k.relowner from pg_catalog.pg_attribute t
          join pg_catalog.pg_class k on k.oid = t.attrelid where t.attrelid = %[2]s::pg_catalog.regclass and not t.attisdropped) c,
         pg_catalog.aclexplode(c.acl) a
    where a.grantee <> c.owner and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  loop
    execute 'grant ' || granted.what || ' on ' || %[1]s || ' to ' || granted.whom || granted.option;
  end loop;
end
`, Literal(tableIdent(view)), Literal(tableIdent(of)), name)
	return do(body)
}

// viewObject is how the catalog describes a view that depends on a table.
func viewObject(view spec.Table) string { return "view " + view.Schema + "." + view.Name }

func (d Dependent) isView(view spec.Table) bool {
	return strings.ReplaceAll(d.Object, `"`, "") == viewObject(view)
}

func (t *Table) hasView(view spec.Table) bool {
	return t != nil && slices.ContainsFunc(t.Dependents, func(d Dependent) bool { return d.isView(view) })
}

func (t *Table) addView(view spec.Table) {
	if !t.hasView(view) {
		t.Dependents = append(t.Dependents, Dependent{Object: viewObject(view)})
	}
}

func (t *Table) removeView(view spec.Table) {
	if t != nil {
		t.Dependents = slices.DeleteFunc(t.Dependents, func(d Dependent) bool { return d.isView(view) })
	}
}
