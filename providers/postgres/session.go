package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/spec"
)

// setLocal sets parameters until the transaction ends.
func setLocal(ctx context.Context, tx conn.Tx, settings map[string]string) error {
	_, err := tx.Exec(ctx, setLocalSQL, settingLists(settings)...)
	if err != nil {
		return fmt.Errorf("setting limits: %w", err)
	}
	return nil
}

const setLocalSQL = `
	select pg_catalog.set_config(name, value, true)
	from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (name, value)`

// settingLists are the arguments of setLocalSQL.
func settingLists(settings map[string]string) []any {
	names, values := make([]string, 0, len(settings)), make([]string, 0, len(settings))
	for name, value := range settings {
		names, values = append(names, name), append(values, value)
	}
	return []any{names, values}
}

// milliseconds rounds up: 0 would be no limit at all.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}

// searchPath lets authors' SQL name things as their applications do. pg_catalog
// comes first unsaid, and nothing is ever made there.
func searchPath(t spec.Table) string {
	if t.Schema == "" || t.Schema == "public" {
		return `"public", pg_temp`
	}
	return migrations.Ident(t.Schema) + `, "public", pg_temp`
}
