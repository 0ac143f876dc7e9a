package migrations

import (
	"fmt"
	"strings"

	"pleat/spec"
)

// partedKey is the primary key or a unique constraint of a partitioned table, on its
// way to the columns that take over. Postgres makes no index that a partitioned table
// has its constraint, but takes over constraints that its partitions have. The copy
// that was made beside keeps the new columns unique in all partitions until then,
// and its parts cannot leave it: the constraints get indexes of their own.
type partedKey struct {
	table   spec.Table
	live    *Table
	name    string // of the constraint, and of its index
	kind    string // as SQL says it: "UNIQUE" or "PRIMARY KEY"
	columns string // of its index, once the names are swapped, with what follows them
	sql     string // of the constraint then
}

// keyKind is the kind of the constraint that an index is of, as SQL says it; "" for
// an index that is of none.
func (t *Table) keyKind(index string) string {
	if index == t.PrimaryKeyName {
		return "PRIMARY KEY"
	}
	if c := t.Constraint(index); c != nil && c.Kind == Unique {
		return "UNIQUE"
	}
	return ""
}

// partedKey is the one of an index that has a copy beside it.
func (l *lowering) partedKey(t spec.Table, replaced []*spec.ReplaceColumn, live *Table, i Index) partedKey {
	names := takenOver(replaced, live)
	_, columns, _ := strings.Cut(i.Definition, " USING ")
	k := partedKey{table: t, live: live, name: i.Name, kind: live.keyKind(i.Name), columns: spec.RenameColumns(columns, names)}
	k.sql = k.kind + strings.TrimPrefix(k.columns, "btree")
	if c := live.Constraint(i.Name); c != nil {
		k.sql = spec.RenameColumns(c.Definition, names) // which leaves out how it is stored
		if stored := strings.LastIndex(k.columns, ") WITH ("); stored >= 0 {
			k.sql += k.columns[stored+1:]
		}
	}
	return k
}

// takenOver are the columns that are replaced, by the names that they have now, and
// what those that take over are called once the names are swapped.
func takenOver(replaced []*spec.ReplaceColumn, t *Table) map[string]string {
	names := map[string]string{}
	for _, r := range replaced {
		switch swapState(t, r) {
		case original:
			names[r.Column] = r.Final()
		case hidden:
			names[HiddenName(r.Column)] = r.Final()
		}
	}
	return names
}

// part is what pleat calls the index of a partition until its constraint has it.
func (k partedKey) part(p Partition) spec.Table {
	return spec.Table{Schema: spec.ParseTable(p.Table).Schema, Name: partName(p, "pleat_key_"+k.name)}
}

// buildKeys builds the indexes that the constraints of partitions are to have, once
// nothing stands in the way of the drop.
func (l *lowering) buildKeys(t spec.Table, replaced []*spec.ReplaceColumn, live *Table, drop Unit) []Unit {
	if live.Partitioned == "" {
		return nil
	}
	var units []Unit
	for _, i := range live.Indexes {
		if !l.hasCopy(t, live, i) || live.keyKind(i.Name) == "" {
			continue
		}
		k := l.partedKey(t, replaced, live, i)
		for _, p := range live.Partitions {
			on, index := spec.ParseTable(p.Table), k.part(p)
			u := buildUnit(l, on, index, "CREATE UNIQUE INDEX CONCURRENTLY "+Ident(index.Name)+" ON "+tableIdent(on)+" USING "+k.columns, drop.Source)
			u.Verb, u.HideFor, u.Drops, u.missing = "build", drop.HideFor, drop.Drops, nil
			units = append(units, u)
		}
	}
	return units
}

// take ends the constraint on the old columns, and with it the copy beside, and makes
// the one that takes over of what was built. A partition without its index would have
// it built while nobody can use the table. The foreign keys that need the copy are
// added again within the transaction, and hold for each row that is written from then
// on.
func (k partedKey) take() string {
	var names []string
	for _, p := range k.live.Partitions {
		names = append(names, k.part(p).Name)
	}
	var referring []string
	for _, f := range k.live.References {
		referring = append(referring, f.Name)
	}
	at, name, beside := tableIdent(k.table), Ident(k.name), Ident(k.table.Schema, carriedName(k.name))
	body := fmt.Sprintf(`
declare
  kept pg_catalog.jsonb;
  referring pg_catalog.jsonb;
  it pg_catalog.jsonb;
begin
  select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'table', pg_catalog.format('%%I.%%I', n.nspname, t.relname), 'name', pg_catalog.quote_ident(own.conname), 'index', (
      select pg_catalog.quote_ident(x.relname) from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
      where i.indrelid = t.oid and i.indisvalid and x.relname = any (%[1]s))) order by t.relname) into kept
  from pg_catalog.pg_inherits h
  join pg_catalog.pg_class t on t.oid = h.inhrelid
  join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  join pg_catalog.pg_constraint k on k.conrelid = h.inhparent and k.conname = %[2]s
  join pg_catalog.pg_constraint own on own.conrelid = t.oid and own.conparentid = k.oid
  where h.inhparent = %[3]s::pg_catalog.regclass;
  for it in select * from pg_catalog.jsonb_array_elements(kept) loop
    if it ->> 'index' is null then
      raise exception 'partition %% came after the plan was made, and has no index yet that its constraint could take. Apply again: it is built then.', it ->> 'table';
    end if;
  end loop;
  select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'table', pg_catalog.format('%%I.%%I', n.nspname, t.relname), 'name', pg_catalog.quote_ident(f.conname), 'known', f.conname = any (%[10]s),
    'sql', pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(f.oid), ' NOT VALID$', ''), 'comment', pg_catalog.obj_description(f.oid, 'pg_constraint'))
    order by n.nspname, t.relname, f.conname) into referring
  from pg_catalog.pg_constraint f
  join pg_catalog.pg_class t on t.oid = f.conrelid
  join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  where f.contype = 'f' and f.conparentid = 0 and f.conindid = %[9]s::pg_catalog.regclass;
  for it in select * from pg_catalog.jsonb_array_elements(referring) loop
    if not (it ->> 'known')::boolean then
      raise exception 'constraint %% of %% came after the plan was made, and nothing would validate it again. Apply again: it is known then.', it ->> 'name', it ->> 'table';
    end if;
    execute pg_catalog.format('alter table %%s drop constraint %%s', it ->> 'table', it ->> 'name');
  end loop;
  alter table %[4]s drop constraint %[5]s;
  drop index %[6]s;
  for it in select * from pg_catalog.jsonb_array_elements(kept) loop
    execute pg_catalog.format('alter table %%s add constraint %%s %[7]s using index %%s', it ->> 'table', it ->> 'name', it ->> 'index');
  end loop;
  alter table %[4]s add constraint %[5]s %[8]s;
  for it in select * from pg_catalog.jsonb_array_elements(referring) loop
    execute pg_catalog.format('alter table %%s add constraint %%s %%s not valid', it ->> 'table', it ->> 'name', it ->> 'sql');
    if it ->> 'comment' is not null then
      execute pg_catalog.format('comment on constraint %%s on %%s is %%L', it ->> 'name', it ->> 'table', it ->> 'comment');
    end if;
  end loop;
end
`, nameArray(names), Literal(k.name), Literal(at), at, name, beside, strings.ToLower(k.kind), k.sql, Literal(beside), nameArray(referring))
	return do(body)
}

// referAgain are the units that validate the foreign keys to a partitioned table again
// which the drop adds anew, and whose tables that locks first.
func (l *lowering) referAgain(t spec.Table, replaced []*spec.ReplaceColumn, live *Table, drop *Unit) []Unit {
	if live.Partitioned == "" {
		return nil
	}
	final := map[string]string{}
	for _, r := range replaced {
		for _, name := range []string{r.Column, r.By, HiddenName(r.Column)} {
			final[name] = r.Final()
		}
	}
	var units []Unit
	for _, k := range live.References {
		if !among(final, k.Referenced) || strings.HasPrefix(k.Name, carriedName("")) {
			continue
		}
		child := spec.ParseTable(k.Table)
		drop.Also = append(drop.Also, TableLock{Table: child, Lock: AccessExclusive})
		units = append(units, Unit{
			ID: "drop.validate." + k.Table + "." + k.Name, Title: constraintTitle(child, k.Name) + ", all rows", Mode: InTransaction,
			Table: child, Lock: ShareUpdateExclusive, Statements: []string{validateSQL(child, k.Name)}, Undo: []string{}, UndoTitle: "-",
			Verb: "validate", Applied: drop.Applied && k.Valid, Visible: true, Source: drop.Source,
		})
	}
	return units
}
