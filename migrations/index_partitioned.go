package migrations

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// parted is an index of a partitioned table: its parts are named after the
// partitions and part, and sql puts what it is called and is on into its definition.
type parted struct {
	table      spec.Table
	name, part string
	sql        func(where string) string
	at         hcl.Range
}

// parted builds the index of a partitioned table, which Postgres cannot
// do concurrently: the parent's alone and at once, each partition's
// concurrently, and then they are put together. A partition that is made
// meanwhile gets its own with the parent's. Whatever of it was done already is
// done once.
func (l *lowering) parted(t *Table, x parted) []Unit {
	index := spec.Table{Schema: x.table.Schema, Name: x.name}
	live := l.live.Table(x.table).index(x.name)
	whole := live != nil && live.Valid || l.next.Former[index.String()]
	parent := Unit{
		ID: "index." + index.String() + ".parent", Title: "index " + index.String() + " on only " + x.table.String(), Mode: InTransaction,
		Table: x.table, Lock: ShareRowExclusive, UndoLock: AccessExclusive,
		Statements: []string{x.sql(Ident(x.name) + " ON ONLY " + tableIdent(x.table))},
		Undo:       []string{"DROP INDEX IF EXISTS " + tableIdent(index)},
		UndoTitle:  "drop index",
		Also:       t.family(x.table, ShareRowExclusive), UndoAlso: t.family(x.table, AccessExclusive),
		Applied: live != nil || whole, Visible: true, Source: x.at,
	}
	attach := Unit{
		ID: "index." + index.String(), Title: "index " + index.String() + " on " + x.table.String(), Mode: InTransaction,
		Table: x.table, Lock: ShareUpdateExclusive, UndoLock: AccessExclusive,
		Undo: parent.Undo, UndoTitle: "drop index",
		Also: t.family(x.table, ShareUpdateExclusive), UndoAlso: parent.UndoAlso,
		Applied: whole, Visible: true, Source: x.at,
	}
	units := []Unit{missingUnless(parent, "index "+index.String())}
	for _, p := range t.Partitions {
		on := spec.ParseTable(p.Table)
		own := spec.Table{Schema: on.Schema, Name: partName(p, x.part)}
		u := buildUnit(l, on, own, x.sql("CONCURRENTLY "+Ident(own.Name)+" ON "+tableIdent(on)), x.at)
		if whole {
			u.Applied, u.missing = true, nil
		}
		units = append(units, u)
		attach.Statements = append(attach.Statements, fmt.Sprintf("ALTER INDEX %s ATTACH PARTITION %s", tableIdent(index), tableIdent(u.Index)))
	}
	return append(units, missingUnless(attach, "index "+index.String()))
}

// partName is what pleat calls the part of an index on a partition until it is
// a part.
func partName(p Partition, part string) string {
	return shorten(spec.ParseTable(p.Table).Name + "_" + part)
}

// namedParts calls the parts of an index what Postgres would have: the table and
// the columns, each cut as the server cuts them, and a number where something
// else has the name. A part that is not called as pleat called it is left alone.
func namedParts(index spec.Table, t *Table, part string) string {
	var names []string
	for _, p := range t.Partitions {
		names = append(names, partName(p, part))
	}
	body := fmt.Sprintf(`
declare
  part record;
  relation text;
  columns text;
  label text;
  counted int;
begin
  for part in
    select n.oid as schema, n.nspname, x.relname as was, t.relname as on_table,
           (select pg_catalog.string_agg(coalesce(c.attname, a.attname), '_' order by a.attnum) from pg_catalog.pg_attribute a
            left join pg_catalog.pg_attribute c on c.attrelid = t.oid and c.attnum = (i.indkey::int2[])[a.attnum - 1] and a.attname like 'pleat\_new\_%%'
            where a.attrelid = x.oid) as on_columns
    from pg_catalog.pg_inherits h
    join pg_catalog.pg_class x on x.oid = h.inhrelid
    join pg_catalog.pg_index i on i.indexrelid = x.oid
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_namespace n on n.oid = x.relnamespace
    where h.inhparent = pg_catalog.to_regclass(%s) and x.relname = any (%s)
    order by t.relname
  loop
    counted := 0;
    loop
      label := '_idx' || case counted when 0 then '' else counted::text end;
      relation := part.on_table;
      columns := part.on_columns;
      while octet_length(relation) + octet_length(columns) + octet_length(label) > %d loop
        if octet_length(relation) > octet_length(columns) then
          relation := pg_catalog.left(relation, -1);
        else
          columns := pg_catalog.left(columns, -1);
        end if;
      end loop;
      exit when not exists (select from pg_catalog.pg_class c where c.relnamespace = part.schema and c.relname = relation || '_' || columns || label);
      counted := counted + 1;
    end loop;
    execute pg_catalog.format('alter index %%I.%%I rename to %%I', part.nspname, part.was, relation || '_' || columns || label);
  end loop;
end
`, Literal(tableIdent(index)), nameArray(names), maxName-len("_"))
	return do(body)
}

// partitionedRemoval drops the index with its parts, which Postgres does not do
// concurrently, and with nothing left there is no short way back: a run that
// fails leaves the table without it.
func partitionedRemoval(u Unit, on *Table) Unit {
	u.Mode, u.Lock, u.UndoLock = InTransaction, AccessExclusive, ""
	u.Statements = []string{"DROP INDEX IF EXISTS " + tableIdent(u.Index)}
	u.Also = on.family(u.Table, AccessExclusive)
	u.Does = []string{"no way back in this run: create_index builds it again, without keeping anybody waiting"}
	return u
}
