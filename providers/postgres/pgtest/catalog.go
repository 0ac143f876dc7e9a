package pgtest

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

//go:embed catalog.sql
var catalogSQL string

// Catalog is what the server's catalog says of the schema of c's database,
// without the schemas in except: two databases with the same text have the
// same schema. It stands in for pg_dump, which a server's programs may come
// without and which knows no server younger than itself. It has one line for
// each thing, sorted; lines "TABLE columns …" hold the order of columns and
// nothing else does.
func Catalog(t testing.TB, c *pgx.Conn, except ...string) string {
	t.Helper()
	if except == nil {
		except = []string{}
	}
	var lines []string
	err := pgx.BeginTxFunc(t.Context(), c, pgx.TxOptions{}, func(tx pgx.Tx) error {
		// With nothing else in the path, definitions are written with schemas.
		if _, err := tx.Exec(t.Context(), "set local search_path = pg_catalog; set local jit = off"); err != nil {
			return err
		}
		rows, err := tx.Query(t.Context(), catalogSQL, except)
		if err != nil {
			return err
		}
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Fatalf("reading the catalog: %v", err)
	}
	return strings.Join(lines, "\n")
}
