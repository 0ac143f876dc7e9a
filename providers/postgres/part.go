package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

// part is a relation that holds rows of a back-fill's table: the table itself,
// or each leaf of one that is partitioned or inherited from.
type part struct {
	oid          uint32
	schema, name string
	pages, rows  int64    // estimates
	types        []string // of the key's columns
	lines        int64    // that a page can have at most
	byPage       bool     // it has no key, and is gone along by ctid
	ranges       bool     // the server scans ranges of ctids
}

// keyOf is what orders the part.
func (p part) keyOf(a *planner.Backfill) []string {
	if p.byPage {
		return []string{"ctid"}
	}
	return a.Key
}

// perPage is how many rows are taken to be on a page.
func (p part) perPage() int64 {
	return max(p.rows/max(p.pages, 1), 1)
}

// partsOf gives the parts that hold rows, in the order of their oids. It
// refuses rows that are on another server.
func partsOf(ctx context.Context, q conn.Tx, a *planner.Backfill) ([]part, error) {
	types, err := keyTypes(ctx, q, a)
	if err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, `
		with recursive tree (oid) as (
		  select pg_catalog.to_regclass($1)::oid
		  union all
		  select i.inhrelid from pg_catalog.pg_inherits i join tree on tree.oid = i.inhparent)
		select c.oid, n.nspname, c.relname, c.relkind = 'f',
		       pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint,
		       greatest(c.reltuples, 0)::bigint, pg_catalog.current_setting('block_size')::bigint / 28,
		       pg_catalog.current_setting('server_version_num')::int >= 140000
		from tree join pg_catalog.pg_class c on c.oid = tree.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'f')
		order by c.oid`, migrations.Ident(a.Table.Schema, a.Table.Name))
	if err != nil {
		return nil, fmt.Errorf("looking for the parts of %s: %w", a.Table, err)
	}
	var all []part
	p := part{types: types, byPage: len(a.Key) == 0}
	if p.byPage {
		p.types = []string{"tid"}
	}
	var foreign bool
	_, err = pgx.ForEachRow(rows, []any{&p.oid, &p.schema, &p.name, &foreign, &p.pages, &p.rows, &p.lines, &p.ranges}, func() error {
		if foreign {
			return fmt.Errorf("%s.%s holds its rows on another server", p.schema, p.name)
		}
		all = append(all, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the parts of %s: %w", a.Table, err)
	}
	return all, nil
}

// keyTypes are the types of the key's columns, to read a stored key by.
func keyTypes(ctx context.Context, q conn.Tx, a *planner.Backfill) ([]string, error) {
	rows, err := q.Query(ctx, `
		select pg_catalog.format_type(t.atttypid, t.atttypmod)
		from pg_catalog.unnest($2::text[]) with ordinality as k (name, place)
		join pg_catalog.pg_attribute t on t.attname = k.name and t.attrelid = pg_catalog.to_regclass($1) and not t.attisdropped
		order by k.place`, migrations.Ident(a.Table.Schema, a.Table.Name), a.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", a.Table, err)
	}
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", a.Table, err)
	}
	if len(types) != len(a.Key) {
		return nil, fmt.Errorf("table %s has not all columns of the key %v", a.Table, a.Key)
	}
	return types, nil
}

// root is the table's own oid, or that of its first part: enough to tell it
// from other tables.
func (f *fill) root() uint32 {
	if len(f.parts) == 0 {
		return 0
	}
	return f.parts[0].oid
}

func (f *fill) part(oid uint32) (part, bool) {
	for _, p := range f.parts {
		if p.oid == oid {
			return p, true
		}
	}
	return part{}, false
}
