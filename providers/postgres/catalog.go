package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/spec"
)

// catalog reads the tables and, under the names that hiding gives them, those
// that are hidden.
func catalog(ctx context.Context, c *pgx.Conn, tables []spec.Table) (*migrations.Catalog, error) {
	r := &reader{conn: c, tables: map[uint32]*migrations.Table{}}
	cat := &migrations.Catalog{Tables: map[string]*migrations.Table{}}
	for _, t := range tables {
		hidden := spec.Table{Schema: t.Schema, Name: migrations.HiddenName(t.Name)}
		for _, name := range []spec.Table{t, hidden} {
			found, err := r.table(ctx, name)
			if err != nil {
				return nil, fmt.Errorf("reading table %s: %w", name, err)
			}
			if found != nil {
				cat.Tables[name.String()] = found
			}
		}
	}
	if err := r.details(ctx); err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	return cat, nil
}

// tablesOf are the tables that have these indexes: a drop of an index names no
// table.
func tablesOf(ctx context.Context, c *pgx.Conn, indexes []spec.Table) ([]spec.Table, error) {
	names := make([]string, len(indexes))
	for i, index := range indexes {
		names[i] = migrations.Ident(index.Schema, index.Name)
	}
	rows, err := c.Query(ctx, `
		select distinct n.nspname, t.relname
		from pg_catalog.unnest($1::text[]) as wanted (name)
		join pg_catalog.pg_index i on i.indexrelid = pg_catalog.to_regclass(wanted.name)
		join pg_catalog.pg_class t on t.oid = i.indrelid
		join pg_catalog.pg_namespace n on n.oid = t.relnamespace
		order by 1, 2`, names)
	if err != nil {
		return nil, fmt.Errorf("looking for the tables of indexes: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[spec.Table])
	if err != nil {
		return nil, fmt.Errorf("looking for the tables of indexes: %w", err)
	}
	return tables, nil
}

// reader fills tables by their oid.
type reader struct {
	conn   *pgx.Conn
	tables map[uint32]*migrations.Table
}

func (r *reader) table(ctx context.Context, name spec.Table) (*migrations.Table, error) {
	var oid uint32
	t := &migrations.Table{Columns: []migrations.Column{}}
	err := r.conn.QueryRow(ctx, `
		select c.oid, coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''),
		       greatest(c.reltuples, 0)::bigint, pg_catalog.pg_relation_size(c.oid)
		from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')`, name.Schema, name.Name).
		Scan(&oid, &t.Comment, &t.Rows, &t.Bytes)
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.tables[oid] = t
	return t, nil
}

func (r *reader) details(ctx context.Context) error {
	for _, read := range []func(context.Context) error{
		r.columns, r.primaryKeys, r.indexes, r.triggers, r.constraints, r.dependents,
	} {
		if err := read(ctx); err != nil {
			return err
		}
	}
	return nil
}

// each asks about all tables at once. The first column is the table's oid.
func (r *reader) each(ctx context.Context, sql string, fields []any, add func(*migrations.Table)) error {
	oids := make([]uint32, 0, len(r.tables))
	for oid := range r.tables {
		oids = append(oids, oid)
	}
	rows, err := r.conn.Query(ctx, sql, oids)
	if err != nil {
		return err
	}
	var oid uint32
	_, err = pgx.ForEachRow(rows, append([]any{&oid}, fields...), func() error {
		add(r.tables[oid])
		return nil
	})
	return err
}

func (r *reader) columns(ctx context.Context) error {
	var c migrations.Column
	return r.each(ctx, `
		select a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
		       coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''),
		       coalesce(pg_catalog.col_description(a.attrelid, a.attnum), '')
		from pg_catalog.pg_attribute a
		left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped
		order by a.attrelid, a.attnum`,
		[]any{&c.Name, &c.Type, &c.NotNull, &c.Default, &c.Comment},
		func(t *migrations.Table) { t.Columns = append(t.Columns, c) })
}

func (r *reader) primaryKeys(ctx context.Context) error {
	var column string
	return r.each(ctx, `
		select i.indrelid, a.attname
		from pg_catalog.pg_index i, pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (num, place),
		     pg_catalog.pg_attribute a
		where i.indrelid = any($1::oid[]) and i.indisprimary and a.attrelid = i.indrelid and a.attnum = k.num
		order by i.indrelid, k.place`,
		[]any{&column},
		func(t *migrations.Table) { t.PrimaryKey = append(t.PrimaryKey, column) })
}

func (r *reader) indexes(ctx context.Context) error {
	var i migrations.Index
	return r.each(ctx, `
		select i.indrelid, c.relname, pg_catalog.pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid and i.indisready
		from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
		where i.indrelid = any($1::oid[])
		order by i.indrelid, c.relname collate "C"`,
		[]any{&i.Name, &i.Definition, &i.Unique, &i.Valid},
		func(t *migrations.Table) { t.Indexes = append(t.Indexes, i) })
}

// triggers tells BEFORE ROW by the bits of tgtype: 1 is ROW, 2 is BEFORE.
func (r *reader) triggers(ctx context.Context) error {
	var g migrations.Trigger
	return r.each(ctx, `
		select g.tgrelid, g.tgname, pg_catalog.pg_get_triggerdef(g.oid),
		       case when g.tgname like 'zzz\_pleat\_%' then pg_catalog.pg_get_functiondef(g.tgfoid) else '' end, g.tgtype & 3 = 3,
		       coalesce(pg_catalog.obj_description(g.oid, 'pg_trigger'), '')
		from pg_catalog.pg_trigger g
		where g.tgrelid = any($1::oid[]) and not g.tgisinternal
		order by g.tgrelid, g.tgname collate "C"`,
		[]any{&g.Name, &g.Definition, &g.Function, &g.BeforeRow, &g.Comment},
		func(t *migrations.Table) { t.Triggers = append(t.Triggers, g) })
}

func (r *reader) constraints(ctx context.Context) error {
	var c migrations.Constraint
	return r.each(ctx, `
		select c.conrelid, c.conname, pg_catalog.pg_get_constraintdef(c.oid), c.convalidated
		from pg_catalog.pg_constraint c
		where c.conrelid = any($1::oid[]) and c.contype not in ('p', 't', 'n')
		order by c.conrelid, c.conname collate "C"`,
		[]any{&c.Name, &c.Definition, &c.Valid},
		func(t *migrations.Table) { t.Constraints = append(t.Constraints, c) })
}

// dependents are views, by the rules that they are made of, and foreign keys
// of other tables.
func (r *reader) dependents(ctx context.Context) error {
	var d migrations.Dependent
	return r.each(ctx, `
		select distinct dep.refobjid, coalesce(a.attname, '') as attname,
		       coalesce(pg_catalog.pg_describe_object('pg_class'::regclass, w.ev_class, 0),
		                pg_catalog.pg_describe_object(dep.classid, dep.objid, 0)) as object
		from pg_catalog.pg_depend dep
		left join pg_catalog.pg_rewrite w on dep.classid = 'pg_rewrite'::regclass and w.oid = dep.objid
		left join pg_catalog.pg_constraint f on dep.classid = 'pg_constraint'::regclass and f.oid = dep.objid
		left join pg_catalog.pg_attribute a on a.attrelid = dep.refobjid and a.attnum = dep.refobjsubid and a.attnum > 0
		where dep.refclassid = 'pg_class'::regclass and dep.refobjid = any($1::oid[]) and dep.deptype = 'n'
		  and (w.ev_class <> dep.refobjid or f.contype = 'f' and f.conrelid <> dep.refobjid)
		order by dep.refobjid, object, attname`,
		[]any{&d.Column, &d.Object},
		func(t *migrations.Table) { t.Dependents = append(t.Dependents, d) })
}
