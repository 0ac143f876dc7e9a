package migrations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pleat/spec"
)

type serveView struct {
	plain
	*spec.ServeView
}

func (o serveView) rank() int { return rankConstraint }

func (o serveView) form() any { return []any{o.Table, o.To, o.Columns, o.Schema} }

// expand takes no lock that anybody could wait for: nobody knows the view yet.
func (o serveView) expand(l *lowering) bool {
	t, ended := o.live(l)
	if t == nil {
		l.table(o.Table, o.Range)
		return true
	}
	applied := ended || t.hasView(o.View())
	if !applied && !o.check(l, t) {
		return true
	}
	u := Unit{
		ID: "view." + o.View().String(), Title: "view of " + o.Table.String() + ": " + o.renames(" as "), Mode: InTransaction,
		Table: o.View(), UndoLock: AccessExclusive,
		Undo: dropServed(o.View()), UndoTitle: "drop view", Applied: applied, Visible: true, Source: o.Range,
	}
	if !applied {
		u.waits = l.live.keptBySync(t, o.Table)
	}
	if !ended {
		u.Statements = servedView(o.View(), o.Table, t, o.Columns, l.live.Version)
		l.next.Table(o.Table).addView(o.View())
	}
	l.program.Expand = append(l.program.Expand, missingUnless(u, "view "+o.View().String()))
	return true
}

// live is the table as it is, and whether it has the names that the view shows.
func (o serveView) live(l *lowering) (t *Table, ended bool) {
	if t := l.next.Table(o.Table); t != nil && (o.To != "" || !o.ended(t)) {
		return t, false
	}
	t = l.next.Table(o.Renamed())
	return t, t != nil && o.ended(t)
}

// ended tells whether the columns have their names.
func (o serveView) ended(t *Table) bool {
	for from, to := range o.Columns {
		if t.Column(from) != nil || t.Column(to) == nil {
			return false
		}
	}
	return true
}

func (o serveView) check(l *lowering, t *Table) bool {
	before := len(l.diags)
	if o.To != "" && l.next.Table(o.Renamed()) != nil {
		l.problem(o.Range, "Name is taken", fmt.Sprintf("Table %s exists; %s cannot be renamed to it.", o.Renamed(), o.Table))
	}
	o.checkColumns(l, t)
	switch other := t.servedBy(o.View()); {
	case other != "":
		l.problem(o.Range, "Table is in the middle of another change", fmt.Sprintf(
			"The %s shows %s under other names. Rename once the change of that view is contracted.", other, o.Table))
	case len(o.Columns) > 0 && l.typed(o.Range, o.Table, t):
	case t.PartitionOf != "" && len(o.Columns) > 0:
		l.problem(o.Range, "Column of a partition", fmt.Sprintf(
			"%s is a partition of %s, which has the columns. Rename it there.", o.Table, t.PartitionOf))
	case t.RowSecurity && l.live.Version < 15:
		l.problem(o.Range, "Row security would not hold", fmt.Sprintf(
			"Before PostgreSQL 15 a view reads its table with the rights of its owner, whom the policies of %s do not bind. Leave serve out.", o.Table))
	}
	return len(l.diags) == before
}

// keptBySync says which change keeps two shapes of a table in step, so that it
// cannot have other names yet.
func (c *Catalog) keptBySync(t *Table, name spec.Table) Wait {
	for _, g := range t.syncsBut("") {
		return c.keeping(g, name)
	}
	return Wait{}
}

func (o serveView) checkColumns(l *lowering, t *Table) {
	taken := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(o.Columns)) {
		to := o.Columns[from]
		switch {
		case !t.has(from):
			l.unknownColumn(o.Range, o.Table, t, from)
		case t.Column(from) != nil && t.Column(from).Inherited:
			l.inherited(o.Range, o.Table, from)
		case t.Column(to) != nil || taken[to]:
			l.problem(o.Range, "Name is taken", fmt.Sprintf("Another column of %s is called %s; %s cannot be renamed to it.", o.Table, to, from))
		}
		taken[to] = true
	}
}

func (o serveView) renames(into string) string {
	var all []string
	if o.To != "" {
		all = append(all, o.Table.String()+into+o.Renamed().String())
	}
	for _, from := range slices.Sorted(maps.Keys(o.Columns)) {
		all = append(all, from+into+o.Columns[from])
	}
	return strings.Join(all, ", ")
}

func (o serveView) unexpand(l *lowering) { l.next.Table(o.Table).removeView(o.View()) }

// named has the table in next by its names of before or after, whatever it has.
func (o serveView) named(l *lowering, after bool) *Table {
	from, to, columns := o.Renamed(), o.Table, map[string]string{}
	for old, name := range o.Columns {
		if after {
			columns[old] = name
		} else {
			columns[name] = old
		}
	}
	if after {
		from, to = to, from
	}
	if t := l.next.Table(from); t != nil && l.next.Table(to) == nil {
		delete(l.next.Tables, from.String())
		l.next.Tables[to.String()] = t
	}
	t := l.next.Table(to)
	t.renameColumns(columns, o.Table.String(), o.Renamed().String())
	return t
}

type endView struct {
	plain
	*spec.EndView
}

func (o endView) form() any { return serveView{ServeView: o.View}.form() }

func (o endView) view() serveView { return serveView{ServeView: o.View} }

// contract renames what the view shows, which the view follows by itself. Both
// steps have a way back to the end: no data goes with a name.
func (o endView) contract(l *lowering, _ int) bool {
	v := o.view()
	t, ended := v.live(l)
	if t == nil {
		return true
	}
	hide := Unit{
		ID: "rename." + v.Table.String(), Title: v.Table.String() + ": " + v.renames(" to "), Mode: InTransaction, Table: v.Table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: v.forward(), Undo: v.backward(), UndoTitle: "rename it back", Applied: ended, Visible: true, Verb: "rename", Source: o.Range,
	}
	if v.To != "" {
		hide.UndoAlso = []TableLock{{Table: v.Renamed(), Lock: AccessExclusive}}
	}
	drop := Unit{
		ID: "drop." + v.View().String(), Title: "view " + v.View().String(), Mode: InTransaction, Table: v.View(), Lock: AccessExclusive,
		Statements: dropServed(v.View()), Undo: servedView(v.View(), v.Renamed(), v.renamed(t), nil, l.live.Version), UndoTitle: "make it again",
		Applied: ended && !t.hasView(v.View()), Visible: true, HideFor: o.Hide, Source: o.Range,
	}
	l.program.Hide = append(l.program.Hide, missingUnless(hide, hide.Title))
	l.program.Drop = append(l.program.Drop, missingUnless(drop, drop.Title))
	return true
}

func (o endView) uncontract(l *lowering) {
	if t := o.view().named(l, false); t != nil {
		t.addView(o.View.View())
	}
}

func (o endView) takeAway(l *lowering, to Phase) {
	t := o.view().named(l, true)
	if to == Contracted {
		t.removeView(o.View.View())
	}
}

func (o serveView) forward() []string {
	var all []string
	for _, from := range slices.Sorted(maps.Keys(o.Columns)) {
		all = append(all, renameColumn(o.Table, from, o.Columns[from]))
	}
	if o.To != "" {
		all = append(all, renameTable(o.Table, o.Renamed()))
	}
	return all
}

func (o serveView) backward() []string {
	var all []string
	if o.To != "" {
		all = append(all, renameTable(o.Renamed(), o.Table))
	}
	for _, from := range slices.Sorted(maps.Keys(o.Columns)) {
		all = append(all, renameColumn(o.Table, o.Columns[from], from))
	}
	return all
}

// renamed is the table with the names that it has in the end.
func (o serveView) renamed(t *Table) *Table {
	copied := *t
	copied.Columns = slices.Clone(t.Columns)
	for i, c := range copied.Columns {
		if to := o.Columns[c.Name]; to != "" {
			copied.Columns[i].Name = to
		}
	}
	return &copied
}

// servedView makes the schema with the first view in it. A view is made with
// the table's owner, who needs a place in the schema for that.
func servedView(view, of spec.Table, t *Table, columns map[string]string, version int) []string {
	selected := make([]string, 0, len(t.Columns))
	for _, c := range t.Columns {
		text := Ident(c.Name)
		if to := columns[c.Name]; to != "" {
			text += " AS " + Ident(to)
		}
		selected = append(selected, text)
	}
	if t.whole() {
		selected = []string{"*"}
	}
	schema := Ident(view.Schema)
	grant := fmt.Sprintf(`
begin
  execute (select pg_catalog.format('grant usage, create on schema %%s to %%I', %s, pg_catalog.pg_get_userbyid(relowner))
           from pg_catalog.pg_class where oid = %s::pg_catalog.regclass);
end
`, Literal(schema), Literal(tableIdent(of)))
	quote := dollarQuote(grant)
	return append([]string{
		"CREATE SCHEMA IF NOT EXISTS " + schema,
		"GRANT USAGE ON SCHEMA " + schema + " TO PUBLIC",
		"DO " + quote + grant + quote,
		fmt.Sprintf("CREATE VIEW %s %sAS SELECT %s FROM %s", tableIdent(view), invoker(version), strings.Join(selected, ", "), tableIdent(of)),
	}, sameRights(view, of, columns))
}

// dropServed drops the schema with the last view in it.
func dropServed(view spec.Table) []string {
	body := fmt.Sprintf(`
begin
  if not exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = %s) then
    drop schema if exists %s;
  end if;
end
`, Literal(view.Schema), Ident(view.Schema))
	quote := dollarQuote(body)
	return []string{"DROP VIEW IF EXISTS " + tableIdent(view), "DO " + quote + body + quote}
}

// servedBy is another change's view of the table; "" where there is none.
func (t *Table) servedBy(own spec.Table) string {
	if t == nil {
		return ""
	}
	for _, d := range t.Dependents {
		if d.served() && !d.isView(own) {
			return strings.ReplaceAll(d.Object, `"`, "")
		}
	}
	return ""
}

// served tells whether it is a view that a change serves releases by.
func (d Dependent) served() bool {
	return strings.HasPrefix(strings.ReplaceAll(d.Object, `"`, ""), "view pleat_")
}

// renameColumns leaves what has a column by its number as Postgres would write
// it afterwards. own are the names by which the table may refer to itself.
func (t *Table) renameColumns(names map[string]string, own ...string) {
	if t == nil || len(names) == 0 {
		return
	}
	renamed := func(columns []string) []string { return renamedColumns(columns, names) }
	for i, c := range t.Columns {
		t.Columns[i].Name = renamed([]string{c.Name})[0]
	}
	t.PrimaryKey = renamed(t.PrimaryKey)
	for i := range t.Indexes {
		index := &t.Indexes[i]
		index.Key = renamed(index.Key)
		if head, rest, ok := strings.Cut(index.Definition, " USING "); ok {
			index.Definition = head + " USING " + spec.RenameColumns(rest, names)
		}
	}
	for i := range t.Constraints {
		c := &t.Constraints[i]
		c.Columns = renamed(c.Columns)
		if c.Kind == Foreign {
			c.Definition = spec.RenameForeignKey(c.Definition, names, onlyIn(own, c.References, names))
		} else {
			c.Definition = spec.RenameColumns(c.Definition, names)
		}
	}
	for i := range t.Triggers {
		t.Triggers[i].Columns = renamed(t.Triggers[i].Columns)
	}
	for i := range t.Dependents {
		t.Dependents[i].Column = renamed([]string{t.Dependents[i].Column})[0]
	}
	t.References = slices.Clone(t.References)
	for i := range t.References {
		k := &t.References[i]
		k.Referenced = renamed(k.Referenced)
		k.Columns = renamedColumns(k.Columns, onlyIn(own, k.Table, names))
		k.Definition = spec.RenameForeignKey(k.Definition, onlyIn(own, k.Table, names), names)
	}
}

// onlyIn gives the names where the table is the one that they are of.
func onlyIn(own []string, table string, names map[string]string) map[string]string {
	if slices.Contains(own, table) {
		return names
	}
	return nil
}
