package migrations

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// partedKeyUnits add a foreign key to a partitioned table. Before PostgreSQL 18 that
// takes none that is not valid yet, and would have all rows looked at while nobody
// can write them, but takes over the one that each partition has. parent is the table
// that it references; there is what the catalog has of that name.
func partedKeyUnits(t, parent spec.Table, partitions []Partition, c Constraint, there *Constraint, source hcl.Range) []Unit {
	var units []Unit
	for _, p := range partitions {
		own := there
		if i := slices.IndexFunc(p.Keys, func(k Constraint) bool { return k.Name == c.Name }); own == nil && i >= 0 {
			own = &p.Keys[i]
		}
		units = append(units, constraintUnits(spec.ParseTable(p.Table), parent, c, own, source)...)
	}
	what := "constraint " + c.Name + " of " + t.String()
	u := Unit{
		ID: "constraint." + t.String() + "." + c.Name, Title: what, Mode: InTransaction, Table: t,
		Lock: ShareRowExclusive, Also: append(partedLocks(t, partitions, ShareRowExclusive), TableLock{Table: parent, Lock: AccessExclusive}),
		UndoLock: AccessExclusive, UndoAlso: append(partedLocks(t, partitions, AccessExclusive), TableLock{Table: parent, Lock: AccessExclusive}),
		Statements: []string{partsHaveKey(t, c.Name), addConstraintSQL(t, c.Name, c.Definition)},
		Undo:       []string{dropConstraintSQL(t, c.Name)}, UndoTitle: "drop constraint",
		Applied: there != nil, Visible: true, Source: source,
	}
	return append(units, missingUnless(u, what))
}

// partedLocks are those on a partitioned table and its partitions.
func partedLocks(t spec.Table, partitions []Partition, lock Lock) []TableLock {
	if len(partitions) == 0 {
		return []TableLock{{Table: t, Lock: lock}}
	}
	return (&Table{Partitions: partitions}).family(t, lock)
}

// partsHaveKey stops what would have the rows of a partition looked at under a lock.
func partsHaveKey(t spec.Table, name string) string {
	return do(fmt.Sprintf(`
declare
  part text;
begin
  select pg_catalog.format('%%I.%%I', n.nspname, t.relname) into part
  from pg_catalog.pg_inherits h join pg_catalog.pg_class t on t.oid = h.inhrelid join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  where h.inhparent = %[1]s::pg_catalog.regclass
    and not exists (select from pg_catalog.pg_constraint k where k.conrelid = t.oid and k.conname = %[2]s and k.contype = 'f' and k.convalidated);
  if part is not null then
    raise exception 'partition %% came after the plan was made, and has no valid constraint %% yet. Apply again: it gets that then.', part, %[2]s;
  end if;
end
`, Literal(tableIdent(t)), Literal(name)))
}

// namedPartKeys gives what the partitions have of a foreign key its name.
func namedPartKeys(t spec.Table, from, to string) string {
	return do(fmt.Sprintf(`
declare
  part record;
begin
  for part in
    select n.nspname, t.relname
    from pg_catalog.pg_constraint whole
    join pg_catalog.pg_constraint k on k.conparentid = whole.oid and k.conrelid <> whole.conrelid and k.conname = %[2]s
    join pg_catalog.pg_class t on t.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = t.relnamespace
    where whole.conrelid = %[1]s::pg_catalog.regclass and whole.conname = %[3]s
    order by t.relname
  loop
    execute pg_catalog.format('alter table %%I.%%I rename constraint %%I to %%I', part.nspname, part.relname, %[2]s, %[3]s);
  end loop;
end
`, Literal(tableIdent(t)), Literal(from), Literal(to)))
}
