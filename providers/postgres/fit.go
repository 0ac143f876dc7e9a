package postgres

import (
	"context"
	"errors"
	"fmt"
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

// fit asks the server whether the views and triggers of tables would still mean something
// with other types of some columns, and notes why not. The table's name is given to a
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
