package pgtest

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

//go:embed catalog.sql
var catalogSQL string

// Catalog is what the server's catalog says of a database's schema, without
// the schemas in except: two databases with the same text have the same
// schema. It stands in for pg_dump, which a server's programs may come
// without and which knows no server younger than itself. It has one line for
// each thing, sorted; lines "TABLE columns …" hold the order of columns and
// nothing else does.
func Catalog(t testing.TB, url string, except ...string) string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if except == nil {
		except = []string{}
	}
	// With nothing else in the path, definitions are written with schemas.
	if _, err := c.Exec(t.Context(), "set search_path = pg_catalog; set jit = off"); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(t.Context(), catalogSQL, except)
	if err != nil {
		t.Fatalf("reading the catalog: %v", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("reading the catalog: %v", err)
	}
	return strings.Join(lines, "\n")
}
