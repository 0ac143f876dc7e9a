package migrations

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

// takeNames ends with the table as the direct change of type would have left
// it. Constraints and indexes of the old column go with it. What another change
// made beside those of its own columns stays as it is.
func (l *lowering) takeNames(t spec.Table, replaced []*spec.ReplaceColumn, live *Table) []string {
	at, columns := tableIdent(t), l.replacing(t)
	var before, after []string
	for _, i := range live.Indexes {
		beside := carriedName(i.Name)
		if !l.hasCopy(t, live, i) {
			continue
		}
		if i.Settings && live.Partitioned == "" {
			before = append(before, sameStanding(t, i.Name, beside))
		}
		kind := live.keyKind(i.Name)
		if kind == "" {
			after = append(after, fmt.Sprintf("ALTER INDEX %s RENAME TO %s", Ident(t.Schema, beside), Ident(i.Name)))
			after = described(after, "INDEX "+Ident(t.Schema, i.Name), i.Comment)
			if live.Partitioned != "" {
				after = append(after, namedParts(spec.Table{Schema: t.Schema, Name: i.Name}, live, beside))
			}
			continue
		}
		after = described(after, fmt.Sprintf("CONSTRAINT %s ON %s", Ident(i.Name), at), i.Comment)
		if live.Partitioned != "" {
			before = append(before, l.partedKey(t, replaced, live, i).take())
			continue
		}
		before = append(before, fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %[2]s %[3]s USING INDEX %[4]s", at, Ident(i.Name), kind, Ident(beside)))
	}
	for _, c := range live.Constraints {
		if live.Constraint(carriedName(c.Name)) != nil && among(columns, c.Columns) && !l.parents(c) {
			after = append(after, fmt.Sprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", at, Ident(carriedName(c.Name)), Ident(c.Name)))
			if live.Partitioned != "" && c.Kind == Foreign {
				after = append(after, namedPartKeys(t, carriedName(c.Name), c.Name))
			}
			after = described(after, fmt.Sprintf("CONSTRAINT %s ON %s", Ident(c.Name), at), c.Comment)
		}
	}
	for _, s := range live.Statistics {
		if beside := s.beside(); live.statistics(beside.String()) != nil && concerns(columns, s.Definition, " ON ") {
			after = append(after, fmt.Sprintf("ALTER STATISTICS %s RENAME TO %s", tableIdent(beside), Ident(spec.ParseTable(s.Name).Name)))
			after = described(after, "STATISTICS "+tableIdent(spec.ParseTable(s.Name)), s.Comment)
		}
	}
	var drop []string
	for _, r := range replaced {
		drop = extended(drop, t, "DROP COLUMN IF EXISTS "+Ident(HiddenName(r.Column)))
	}
	return slices.Concat(before, drop, after)
}

// sameStanding has a table be clustered by an index if it is by another one, and gives it
// the statistics targets of that.
func sameStanding(t spec.Table, from, to string) string {
	return do(fmt.Sprintf(`
declare
  has record;
begin
  if (select i.indisclustered from pg_catalog.pg_index i where i.indexrelid = %[1]s::pg_catalog.regclass) then
    alter table %[2]s cluster on %[3]s;
  end if;
  for has in
    select a.attnum, a.attstattarget from pg_catalog.pg_attribute a where a.attrelid = %[1]s::pg_catalog.regclass and a.attstattarget >= 0
  loop
    execute pg_catalog.format('alter index %%s alter column %%s set statistics %%s', %[4]s, has.attnum, has.attstattarget);
  end loop;
end
`, Literal(Ident(t.Schema, from)), tableIdent(t), Ident(to), Literal(Ident(t.Schema, to))))
}

// hasCopy tells whether what was made beside an index is to replace it.
func (l *lowering) hasCopy(t spec.Table, live *Table, i Index) bool {
	return live.index(carriedName(i.Name)) != nil && concerns(l.replacing(t), i.Definition, " USING ")
}

// concerns tells whether a definition has one of the columns, after those words.
func concerns(columns map[string]string, definition, from string) bool {
	_, rest, _ := strings.Cut(definition, from)
	return spec.RenameColumns(rest, columns) != rest
}

// described gives what has taken a name the comment of what had it.
func described(statements []string, object, comment string) []string {
	if comment == "" {
		return statements
	}
	return append(statements, fmt.Sprintf("COMMENT ON %s IS %s", object, Literal(comment)))
}

// takeNotNullName swaps the names of the two columns' NOT NULL, which is a
// constraint from PostgreSQL 18 on.
func takeNotNullName(r *spec.ReplaceColumn) string {
	at := tableIdent(r.Table)
	nameOf := func(column string) string {
		return fmt.Sprintf(`(select c.conname from pg_catalog.pg_constraint c join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
    where c.conrelid = %s::pg_catalog.regclass and c.contype = 'n' and a.attname = %s)`, Literal(at), Literal(column))
	}
	body := fmt.Sprintf(`
declare
  former text := %[1]s;
  name text := %[2]s;
begin
  if former is not null and name is not null then
    execute pg_catalog.format('alter table %[3]s rename constraint %%I to pleat_not_null', name);
    execute pg_catalog.format('alter table %[3]s rename constraint %%I to %%I', former, name);
    execute pg_catalog.format('alter table %[3]s rename constraint pleat_not_null to %%I', former);
  end if;
end
`, nameOf(HiddenName(r.Column)), nameOf(r.Final()), strings.ReplaceAll(strings.ReplaceAll(at, "%", "%%"), "'", "''"))
	return do(body)
}

func notValid(definition string) string { return strings.TrimSuffix(definition, " NOT VALID") }
