package migrations

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

// replaceColumn is undone by swapping names back for as long as the old column
// is there, hidden and kept right by the sync. Keys and constraints therefore
// stay on it until it is dropped; those of the new one were made beside them.
type replaceColumn struct {
	plain
	*spec.ReplaceColumn
}

func (o replaceColumn) form() any {
	if o.Keep {
		return []any{o.Table, o.Column, o.By}
	}
	return []any{o.Table, o.Column, o.By, o.Type, o.Default}
}

// replaced are the contract's replacements on one table, in the author's
// order.
func (l *lowering) replaced(t spec.Table) []*spec.ReplaceColumn {
	if l.change.Contract == nil {
		return nil
	}
	var all []*spec.ReplaceColumn
	for _, op := range l.change.Contract.Operations {
		if r, ok := op.(*spec.ReplaceColumn); ok && r.Table == t {
			all = append(all, r)
		}
	}
	return all
}

// replacedBy is the replacement that a column takes part in as the new one.
func (l *lowering) replacedBy(t spec.Table, column string) *spec.ReplaceColumn {
	for _, r := range l.replaced(t) {
		if r.By == column {
			return r
		}
	}
	return nil
}

// tookOver tells whether a column has the name already that it takes over.
func (l *lowering) tookOver(t spec.Table, column string) bool {
	r := l.replacedBy(t, column)
	return r != nil && swapState(l.live.Table(t), r) != original
}

// swapState is where the old column of a replacement is on its way out. The type
// tells one that was hidden from one that another change hid before, and once it is
// gone it is all that does: a column that has it already needs nothing, nor does one
// that a later change has taken away. Where the new one keeps its name, the old one's
// tells.
func swapState(t *Table, r *spec.ReplaceColumn) presence {
	if r.Keep {
		if t == nil || t.whole() || t.Column(r.By) == nil {
			return original
		}
		return t.state(r.Column)
	}
	switch {
	case t == nil || t.whole() || t.Column(r.By) != nil:
		return original
	case !becomes(t.Column(r.Column), r):
		return original
	case t.Column(HiddenName(r.Column)) != nil:
		return hidden
	}
	return gone
}

// becomes tells whether a column is what a replacement ends with, or was it before
// another one took it away.
func becomes(c *Column, r *spec.ReplaceColumn) bool {
	return c != nil && (sameType(c.Type, r.Type) || c.Type == "" && c.Former != nil && c.Former != spec.Operation(r))
}

// swappedColumns are the table's columns as the catalog has them after a swap.
func (l *lowering) swappedColumns(t spec.Table, replaced []*spec.ReplaceColumn) []string {
	var names []string
	for _, c := range l.next.Table(t).Columns {
		names = append(names, swappedName(c.Name, replaced))
	}
	return names
}

func swappedName(name string, replaced []*spec.ReplaceColumn) string {
	for _, r := range replaced {
		switch name {
		case r.By:
			return r.Final()
		case r.Column:
			if !slices.ContainsFunc(replaced, func(other *spec.ReplaceColumn) bool { return other.Column == HiddenName(name) }) {
				return HiddenName(name)
			}
		}
	}
	return name
}

// contract takes all replacements on one table together, at the first of them.
func (o replaceColumn) contract(l *lowering, _ int) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || l.replaced(o.Table)[0] != o.ReplaceColumn || !l.checkReplaced(o.Table, t) {
		return true
	}
	l.carry(o.Table, t)
	l.widenTriggers(o.Table)
	l.makeBeside(o.Table)
	l.swap(o.Table)
	l.retire(o.Table)
	l.lockPartitions(o.Table)
	return true
}

func (o replaceColumn) uncontract(l *lowering) {
	t := l.next.Table(o.Table)
	if t == nil || t.whole() || swapState(t, o.ReplaceColumn) == original {
		return
	}
	if t.Column(HiddenName(o.Column)) != nil {
		t.renameColumn(o.Final(), o.By)
		t.renameColumn(HiddenName(o.Column), o.Column)
		return
	}
	if c := t.Column(o.Final()); c != nil {
		c.Name = o.By
	}
	if o.Keep {
		t.renameUses(o.By, o.Column)
	}
	former := Column{Name: o.Column, Former: o.ReplaceColumn}
	if by := t.Column(o.By); o.Keep && by != nil {
		former.Type, former.Collation = by.Type, by.Collation
	}
	t.Columns = append(t.Columns, former)
}

func (o replaceColumn) takeAway(l *lowering, to Phase) {
	t := l.next.Table(o.Table)
	if t == nil {
		return
	}
	if to == Contracted {
		t.remove(o.Column)
		t.remove(HiddenName(o.Column))
	} else if c := t.Column(o.Column); c != nil {
		c.Name = HiddenName(o.Column)
	}
	if c := t.Column(o.By); c != nil {
		c.Name = o.Final()
	}
}

// swap is one transaction on one table.
func (l *lowering) swap(t spec.Table) {
	u := Unit{
		ID: "swap." + t.String(), Mode: InTransaction, Table: t, Lock: AccessExclusive, UndoLock: AccessExclusive,
		UndoTitle: "swap back", Verb: "swap", Applied: true, Visible: true, Source: l.replaced(t)[0].Range,
	}
	live := l.next.Table(t)
	for _, r := range l.replaced(t) {
		u.Title = joined(u.Title, t.String()+"."+r.Column+" with "+cmp.Or(r.Type, r.By))
		if swapState(l.live.Table(t), r) == original {
			u.Applied = false
			u.missing = append(u.missing, "column "+t.String()+"."+r.Final()+" with "+cmp.Or(r.Type, "what "+r.Column+" has"))
			there, back := exchange(r, *live.Column(r.Column), live.Column(r.Column).Type)
			if r.Default != "" {
				l.askExpression(expression{
					unit: u.ID, at: r.Range, table: t, sql: r.Default, as: r.Type, kind: "default",
					what: fmt.Sprintf("the default of column %s of table %s", r.Column, t),
				})
			}
			u.Statements, u.Undo = append(u.Statements, there...), slices.Concat(back, u.Undo)
			continue
		}
		if old := live.Column(HiddenName(r.Column)); old != nil {
			_, back := exchange(r, *live.Column(r.Final()), old.Type)
			u.Undo = slices.Concat(back, u.Undo)
		}
	}
	if sync := l.syncOf(t); sync != nil {
		u.Statements = append(u.Statements, l.hiding(sync).install()...)
		u.Undo = append(u.Undo, l.shapes(sync).install()...)
	}
	l.carryTriggers(&u, t)
	l.carryViews(&u, t)
	l.program.Hide = append(l.program.Hide, u)
}

// exchange swaps the names, and takes over what a column has but its data:
// was is the column that has the name, on the side that it is on, and former
// the type of the old one.
func exchange(r *spec.ReplaceColumn, was Column, former string) (there, back []string) {
	t, away, final := r.Table, HiddenName(r.Column), r.Final()
	there = []string{renameColumn(t, r.Column, away)}
	back = []string{renameColumn(t, away, r.Column)}
	if final != r.By {
		there = append(there, renameColumn(t, r.By, final))
		back = append([]string{renameColumn(t, final, r.By)}, back...)
	}
	switch {
	case was.Identity != "" && r.Default == "":
		there = append(there, moveIdentity(t, was.Identity, away, final)...)
		back = append(back, moveIdentity(t, was.Identity, r.By, r.Column)...)
	case was.Sequence != "" && r.Default == "":
		there = append(there, moveSequence(t, was, r.Type, away, final)...)
		back = append(back, moveSequence(t, was, former, r.By, r.Column)...)
	case was.Default != "" || r.Default != "":
		// The old column keeps its own, which nothing asks for while it is hidden.
		there = append(there, defaultTo(t, final, cmp.Or(r.Default, was.Default)))
		back = append(back, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", tableIdent(t), Ident(r.By)))
	}
	if was.Settings {
		there = append(there, sameSettings(t, away, final))
		if !r.Keep { // which has had them from the beginning
			back = append(back, noSettings(t, r.By))
		}
	}
	if was.Comment != "" {
		there = append(there, columnComment(t, final, was.Comment), columnComment(t, away, ""))
		back = append(back, columnComment(t, r.Column, was.Comment), columnComment(t, r.By, ""))
	}
	return there, back
}

// sameSettings gives a column the rights, the statistics target, the options, the
// storage and the compression that another one has, as far as its type has any. Both
// are of one table.
func sameSettings(t spec.Table, from, to string) string {
	body := fmt.Sprintf(`
declare
  granted record;
  has record;
begin
  select t.attacl, t.attoptions, coalesce(t.attstattarget, -1) as target,
         case when t.attstorage <> own.typstorage and y.typstorage <> 'p'
              then case t.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end as storage,
         case when y.typstorage <> 'p'
              then case pg_catalog.to_jsonb(t) ->> 'attcompression' when 'p' then 'pglz' when 'l' then 'lz4' end end as compression into has
  from pg_catalog.pg_attribute t join pg_catalog.pg_type own on own.oid = t.atttypid
  join pg_catalog.pg_attribute n on n.attrelid = t.attrelid and n.attname = %[5]s join pg_catalog.pg_type y on y.oid = n.atttypid
  where t.attrelid = %[1]s::pg_catalog.regclass and t.attname = %[2]s;
  for granted in
    select a.privilege_type as what, case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as whom,
           case when a.is_grantable then ' with grant option' else '' end as option
    from pg_catalog.aclexplode(has.attacl) a
  loop
    execute 'grant ' || granted.what || %[3]s || granted.whom || granted.option;
  end loop;
  if has.target >= 0 then
    execute %[4]s || 'set statistics ' || has.target;
  end if;
  if has.attoptions is not null then
    execute %[4]s || 'set (' || pg_catalog.array_to_string(has.attoptions, ', ') || ')';
  end if;
  if has.storage is not null then
    execute %[4]s || 'set storage ' || has.storage;
  end if;
  if has.compression is not null then
    execute %[4]s || 'set compression ' || has.compression;
  end if;
end
`, Literal(tableIdent(t)), Literal(from), Literal(" ("+Ident(to)+") on "+tableIdent(t)+" to "), Literal("alter table "+tableIdent(t)+" alter column "+Ident(to)+" "), Literal(to))
	return do(body)
}

// noSettings takes all that away again.
func noSettings(t spec.Table, column string) string {
	body := fmt.Sprintf(`
declare
  whom text;
  has record;
begin
  for whom in
    select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
    from pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a
    where t.attrelid = %[1]s::pg_catalog.regclass and t.attname = %[2]s
  loop
    execute %[3]s || whom || ' cascade';
  end loop;
  execute %[4]s || 'set statistics -1';
  execute %[4]s || 'reset (n_distinct, n_distinct_inherited)';
  select case when t.attstorage <> y.typstorage
              then case y.typstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end as storage,
         pg_catalog.to_jsonb(t) ->> 'attcompression' <> '' as compressed into has
  from pg_catalog.pg_attribute t join pg_catalog.pg_type y on y.oid = t.atttypid
  where t.attrelid = %[1]s::pg_catalog.regclass and t.attname = %[2]s;
  if has.storage is not null then
    execute %[4]s || 'set storage ' || has.storage;
  end if;
  if has.compressed then
    execute %[4]s || 'set compression default';
  end if;
end
`, Literal(tableIdent(t)), Literal(column), Literal("revoke all ("+Ident(column)+") on "+tableIdent(t)+" from "), Literal("alter table "+tableIdent(t)+" alter column "+Ident(column)+" "))
	return do(body)
}

func renameColumn(t spec.Table, from, to string) string {
	return fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", tableIdent(t), Ident(from), Ident(to))
}

func defaultTo(t spec.Table, column, value string) string {
	return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", tableIdent(t), Ident(column), value)
}

// moveSequence moves the default with the sequence that the column owns, which
// has to be of the column's type to count as far.
func moveSequence(t spec.Table, was Column, kind, from, to string) []string {
	at := tableIdent(t)
	owned := "ALTER SEQUENCE " + tableIdent(spec.ParseTable(was.Sequence))
	if slices.Contains([]string{"smallint", "integer", "bigint"}, canonicalType(kind)) {
		owned += " AS " + canonicalType(kind)
	}
	return []string{
		fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT, ALTER COLUMN %s SET DEFAULT %s", at, Ident(from), Ident(to), was.Default),
		fmt.Sprintf("%s OWNED BY %s.%s", owned, at, Ident(to)),
	}
}

// retire drops the old columns of a table, and gives what was made beside
// their keys and constraints the names of those.
func (l *lowering) retire(t spec.Table) {
	live, names := l.next.Table(t), l.replaced(t)
	u := Unit{
		ID: "drop." + t.String(), Mode: InTransaction, Table: t, Lock: AccessExclusive,
		Applied: true, Visible: true, Source: names[0].Range,
	}
	for _, r := range names {
		away := t.String() + "." + HiddenName(r.Column)
		u.Title, u.Drops = joined(u.Title, away), append(u.Drops, away)
		u.HideFor = max(u.HideFor, r.Hide)
		if swapState(live, r) != gone {
			u.Applied = false
		}
		if live.Column(HiddenName(r.Column)) != nil {
			u.missing = append(u.missing, "column "+away)
		}
	}
	if l.live != nil && l.live.Version >= 18 {
		for _, r := range names {
			u.Statements = append(u.Statements, takeNotNullName(r))
		}
	}
	u.Statements = append(u.Statements, l.takeNames(t, names, live)...)
	u.Loses = "what is in " + u.Title
	if sync := l.syncOf(t); sync != nil {
		l.endSync(&u, sync)
	}
	l.retireViews(&u, t)
	for _, c := range live.Constraints {
		if c.Kind == Foreign && among(l.replacing(t), c.Columns) && !l.parents(c) {
			u.Also = append(append(u.Also, partedLocks(t, live.Partitions, AccessExclusive)...), TableLock{Table: spec.ParseTable(c.References), Lock: AccessExclusive})
		}
	}
	// Keys go first: the other end's old column would take its key along.
	again := l.referAgain(t, names, live, &u)
	l.program.Drop = slices.Concat(l.retireKeys(t, names, live, u), l.program.Drop, l.buildKeys(t, names, live, u), []Unit{u}, again)
}

// retireKeys ends the foreign keys to the old columns, each in a transaction of
// its own: the key beside it holds.
func (l *lowering) retireKeys(parent spec.Table, replaced []*spec.ReplaceColumn, t *Table, drop Unit) []Unit {
	taken, columns := map[string]bool{}, l.replacing(parent)
	for _, r := range replaced {
		taken[r.Final()] = swapState(t, r) == hidden
	}
	var units []Unit
	for _, k := range t.References {
		if strings.HasPrefix(k.Name, carriedName("")) {
			continue // it is the one beside
		}
		beside := slices.ContainsFunc(t.References, func(other ForeignKey) bool {
			return other.Table == k.Table && other.Name == carriedName(k.Name)
		})
		ended := !beside && slices.ContainsFunc(k.Referenced, func(c string) bool { return taken[c] })
		if !beside && !ended {
			continue
		}
		if !ended && !among(columns, k.Referenced) {
			continue // the copy is another change's
		}
		child := spec.ParseTable(k.Table)
		others := l.replaced(child)
		own, referenced := awayNames(others, l.next.Table(child)), awayNames(replaced, t)
		if ended {
			own, referenced = hiddenNames(others), hiddenNames(replaced)
		}
		u := retireKey(parent, k, spec.RenameForeignKey(notValid(k.Definition), own, referenced), ended, drop)
		if t.Partitioned != "" {
			u.Also = partedLocks(parent, t.Partitions, AccessExclusive)
			u.UndoAlso = u.Also
		}
		if among(l.replacing(child), k.Columns) {
			for _, r := range others {
				u.HideFor = min(u.HideFor, r.Hide)
			}
		}
		u.Drops = drop.Drops // the word for the columns is one for their keys
		units = append(units, u)
	}
	return units
}

// awayNames are the columns that still have their names, and those that they are
// hidden by.
func awayNames(replaced []*spec.ReplaceColumn, t *Table) map[string]string {
	names := map[string]string{}
	for _, r := range replaced {
		if swapState(t, r) == original {
			names[r.Column] = HiddenName(r.Column)
		}
	}
	return names
}

// hiddenNames are the columns that took over, and the names of those that they
// took over from.
func hiddenNames(replaced []*spec.ReplaceColumn) map[string]string {
	names := map[string]string{}
	for _, r := range replaced {
		names[r.Final()] = HiddenName(r.Column)
	}
	return names
}

func retireKey(parent spec.Table, k ForeignKey, definition string, ended bool, drop Unit) Unit {
	child := spec.ParseTable(k.Table)
	at, name, beside := tableIdent(child), Ident(k.Name), Ident(carriedName(k.Name))
	u := Unit{
		ID: "drop.key." + k.Table + "." + k.Name, Title: "former key " + k.Name + " of " + k.Table, Mode: InTransaction,
		Table: child, Lock: AccessExclusive, UndoLock: AccessExclusive, Applied: ended, Visible: true, HideFor: drop.HideFor, Source: drop.Source,
		Statements: []string{
			fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", at, name),
			fmt.Sprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", at, beside, name),
		},
		Undo: []string{
			fmt.Sprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", at, name, beside),
			fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", at, name, definition),
		},
		UndoTitle: "add it again, not validated",
	}
	if child != parent {
		u.Also = []TableLock{{Table: parent, Lock: AccessExclusive}}
		u.UndoAlso = u.Also
	}
	if k.Partitioned {
		u.Statements = append(u.Statements, namedPartKeys(child, carriedName(k.Name), k.Name))
		u.Also = append(partedLocks(child, k.Partitions, AccessExclusive), u.Also...)
		u.Undo, u.UndoTitle, u.UndoLock, u.UndoAlso = nil, "", "", nil
		u.Does = []string{"no way back in this run: to add the former key again would have all rows looked at while nobody can write them"}
	}
	u.Statements = described(u.Statements, fmt.Sprintf("CONSTRAINT %s ON %s", name, at), k.Comment)
	return missingUnless(u, u.Title)
}
