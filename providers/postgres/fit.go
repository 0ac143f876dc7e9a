package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/spec"
)

// unfit are the errors by which the server says that a query has no meaning with
// the types that it is asked about. Others say that it was asked otherwise than
// the view would be made.
var unfit = []string{
	"42883", // no such function or operator
	"42725", // more than one
	"42804", // types that do not go together
	"42846", // no cast
	"22P02", // a constant that is no value of the type
	"22003", "22007", "22008",
}

// fit asks the server whether the views, triggers and indexes of tables would still mean
// something with other types of some columns, and notes why not. The table's name is given to a
// query of its columns for that, and those of the views to theirs: nothing is made,
// and nothing is executed.
func fit(ctx context.Context, c *pgx.Conn, cat *migrations.Catalog, types map[spec.Table]map[string]string) error {
	for table, retyped := range types {
		t := cat.Table(table)
		if t == nil {
			continue
		}
		var columns []string
		for c := range retyped {
			columns = append(columns, c)
		}
		with := []string{columnsOf(table.Name, t, retyped)}
		for _, v := range t.ShownBy(columns) {
			name := spec.ParseTable(v.Name)
			query, why, err := askView(ctx, c, table, name, with)
			if err != nil {
				return fmt.Errorf("asking whether view %s fits: %w", name, err)
			}
			if why != "" {
				at := slices.IndexFunc(t.Views, func(other migrations.View) bool { return other.Name == v.Name })
				t.Views[at].Stays = append(t.Views[at].Stays, invalid+why)
			} else if query != "" && name.Schema == table.Schema {
				with = append(with, migrations.Ident(name.Name)+" as materialized ("+query+")")
			}
		}
		if err := fitTriggers(ctx, c, table, t, retyped); err != nil {
			return err
		}
		if err := fitIndexes(ctx, c, table, t, retyped); err != nil {
			return err
		}
	}
	return nil
}

// fitTriggers is fit for the conditions of the table's triggers.
func fitTriggers(ctx context.Context, c *pgx.Conn, table spec.Table, t *migrations.Table, retyped map[string]string) error {
	with := []string{columnsOf("old", t, retyped), columnsOf("new", t, retyped)}
	for i, g := range t.Triggers {
		_, rest, _ := strings.Cut(g.Definition, " WHEN (")
		end := strings.LastIndex(rest, ") EXECUTE ")
		if end < 0 || !slices.ContainsFunc(g.Names, func(c string) bool { return retyped[c] != "" }) {
			continue
		}
		why, err := ask(ctx, c, table, func() error {
			_, err := c.Exec(ctx, "explain with "+strings.Join(with, ", ")+" select from old, new where "+rest[:end])
			return err
		})
		if err != nil {
			return fmt.Errorf("asking whether trigger %s fits: %w", g.Name, err)
		}
		if why != "" {
			t.Triggers[i].Stays = invalid + why
		}
	}
	return nil
}

// fitIndexes looks whether indexes could be made of columns of other types: the operator
// class that one names must take the type, and for one that names none there must be a
// default.
func fitIndexes(ctx context.Context, c *pgx.Conn, table spec.Table, t *migrations.Table, retyped map[string]string) error {
	columns := slices.Sorted(maps.Keys(retyped))
	types := make([]string, len(columns))
	for i, name := range columns {
		types[i] = retyped[name]
	}
	_, err := ask(ctx, c, table, func() error {
		rows, err := c.Query(ctx, classless, migrations.Ident(table.Schema, table.Name), columns, types)
		if err != nil {
			return err
		}
		var name, why string
		_, err = pgx.ForEachRow(rows, []any{&name, &why}, func() error {
			at := slices.IndexFunc(t.Indexes, func(i migrations.Index) bool { return i.Name == name })
			if at >= 0 {
				t.Indexes[at].Stays = invalid + why
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("asking whether indexes of %s fit: %w", table, err)
	}
	return nil
}

// classless are the indexes of a table for which there is no operator class of the
// types that columns are to have, with why.
const classless = `
	select x.relname, case when own.opcdefault
	         then pg_catalog.format('data type %s has no default operator class for access method "%s"', pg_catalog.format_type(y.oid, null), m.amname)
	         else pg_catalog.format('operator class "%s" does not accept data type %s', own.opcname, pg_catalog.format_type(y.oid, null)) end
	from pg_catalog.pg_index i
	join pg_catalog.pg_class x on x.oid = i.indexrelid
	join pg_catalog.pg_am m on m.oid = x.relam
	cross join rows from (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indclass::oid[])) as k (num, class)
	join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
	join pg_catalog.pg_opclass own on own.oid = k.class
	join rows from (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) as r (name, type) on r.name = a.attname
	join pg_catalog.pg_type named on named.oid = pg_catalog.to_regtype(r.type)
	join pg_catalog.pg_type y on y.oid = case named.typtype when 'd' then named.typbasetype else named.oid end
	where i.indrelid = pg_catalog.to_regclass($1) and y.typtype <> 'd' and not exists (
	  select from pg_catalog.pg_opclass d join pg_catalog.pg_type o on o.oid = d.opcintype
	  where d.opcmethod = m.oid and case when own.opcdefault then d.opcdefault else d.oid = own.oid end
	    and (o.oid = y.oid or o.typname in ('any', 'anyelement')
	         or o.typname = case y.typtype when 'e' then 'anyenum' when 'r' then 'anyrange' when 'm' then 'anymultirange' when 'c' then 'record' end
	         or o.typname = 'anyarray' and y.typcategory = 'A'
	         or exists (select from pg_catalog.pg_cast c where c.castsource = y.oid and c.casttarget = o.oid and c.castmethod = 'b' and c.castcontext = 'i')))
	order by 1, 2`

const invalid = "with the new type it would not be valid: "

// columnsOf is a query by a name with the columns of a table and their types.
func columnsOf(name string, t *migrations.Table, retyped map[string]string) string {
	var columns []string
	for _, c := range t.Columns {
		kind := c.Type
		if to := retyped[c.Name]; to != "" {
			kind = to
		}
		columns = append(columns, "cast(null as "+kind+") as "+migrations.Ident(c.Name))
	}
	return migrations.Ident(name) + " as materialized (select " + strings.Join(columns, ", ") + ")"
}

// askView gives the view's query, "" where nothing can be said of it, and why the
// server finds it invalid behind the others.
func askView(ctx context.Context, c *pgx.Conn, table, view spec.Table, with []string) (query, why string, err error) {
	why, err = ask(ctx, c, table, func() error {
		err := c.QueryRow(ctx, "select coalesce(pg_catalog.rtrim(pg_catalog.pg_get_viewdef(pg_catalog.to_regclass($1)), ';'), '')",
			migrations.Ident(view.Schema, view.Name)).Scan(&query)
		if err == nil && query != "" {
			_, err = c.Exec(ctx, "explain with "+strings.Join(with, ", ")+" select from ("+query+") as view")
		}
		return err
	})
	if why != "" {
		query = ""
	}
	return query, why, err
}

// ask gives what the server has against the types in a question, if that is what
// it has something against. With nothing but the table's schema in the path, the
// names that are given to queries are found where the question means the table.
func ask(ctx context.Context, c *pgx.Conn, table spec.Table, question func() error) (why string, err error) {
	if _, err := c.Exec(ctx, "savepoint pleat_fit"); err != nil {
		return "", err
	}
	defer func() {
		_, failed := c.Exec(ctx, "rollback to savepoint pleat_fit")
		err = errors.Join(err, failed)
	}()
	err = setLocal(ctx, c, map[string]string{"search_path": migrations.Ident(table.Schema), "lock_timeout": milliseconds(old)})
	if err != nil {
		return "", err
	}
	var said *pgconn.PgError
	switch err := question(); {
	case !errors.As(err, &said):
		return "", err
	case slices.Contains(unfit, said.Code):
		return said.Message, nil
	}
	return "", nil
}
