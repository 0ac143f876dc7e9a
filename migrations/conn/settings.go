package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// setting is one session parameter. Durations are milliseconds, which is the
// unit that pg_settings reports them in.
type setting struct{ name, value string }

func required(opts Options) []setting {
	all := []setting{
		{"application_name", cmp.Or(opts.Application, "pleat")},
		{"search_path", "pg_catalog"},
		{"default_transaction_isolation", "read committed"},
		{"statement_timeout", milliseconds(cmp.Or(opts.StatementTimeout, 30*time.Second))},
		{"lock_timeout", milliseconds(cmp.Or(opts.LockTimeout, 5*time.Second))},
		{"idle_in_transaction_session_timeout", milliseconds(10 * time.Second)},
	}
	if opts.ReadOnly {
		// Never "off": whoever made the role or the server read-only meant it.
		all = append(all, setting{"default_transaction_read_only", "on"})
	}
	return all
}

// optional settings may be refused or ignored by a server: too old, or on a
// platform or kind of socket that lacks them. Those of one group go together.
var optional = [][]setting{
	// Without it the server runs on for a client that was killed (PostgreSQL 14).
	{{"client_connection_check_interval", milliseconds(time.Second)}},
	{{"tcp_keepalives_idle", "10"}, {"tcp_keepalives_interval", "3"}, {"tcp_keepalives_count", "3"}},
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// limit sets the session's parameters and reads them back: a session that
// was silently replaced, or a pooler in between, has none of them.
func limit(ctx context.Context, c *pgx.Conn, opts Options) error {
	if err := set(ctx, c, required(opts)); err != nil {
		return err
	}
	for _, group := range optional {
		err := set(ctx, c, group)
		var refusal *pgconn.PgError
		if err != nil && !errors.As(err, &refusal) {
			return err
		}
	}
	return confirm(ctx, c, required(opts))
}

func set(ctx context.Context, c *pgx.Conn, group []setting) error {
	var names, values []string
	for _, s := range group {
		names = append(names, s.name)
		values = append(values, s.value)
	}
	_, err := c.Exec(ctx, `
		select pg_catalog.set_config(name, value, false)
		from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (name, value)`, names, values)
	return err
}

func confirm(ctx context.Context, c *pgx.Conn, wanted []setting) error {
	rows, err := c.Query(ctx, "select name, setting from pg_catalog.pg_settings")
	if err != nil {
		return err
	}
	live := map[string]string{}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		live[name] = value
		return nil
	}); err != nil {
		return err
	}
	for _, s := range wanted {
		if live[s.name] != s.value {
			return fmt.Errorf("%s is %q after it was set to %q", s.name, live[s.name], s.value)
		}
	}
	return nil
}
