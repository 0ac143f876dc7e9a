package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// setting is one session parameter, with the value as the server shows it.
type setting struct{ name, value string }

func required(opts Options) []setting {
	all := []setting{
		{"application_name", cmp.Or(opts.Application, "pleat")},
		{"search_path", "pg_catalog"},
		{"default_transaction_isolation", "read committed"},
		// What policies would hide is an error, not a row that is left out.
		{"row_security", "off"},
		// Texts and definitions are written and read in one way, whatever the database says.
		{"standard_conforming_strings", "on"},
		{"quote_all_identifiers", "off"},
		{"statement_timeout", shown(cmp.Or(opts.StatementTimeout, 30*time.Second))},
		{"lock_timeout", shown(cmp.Or(opts.LockTimeout, 5*time.Second))},
		{"idle_in_transaction_session_timeout", shown(10 * time.Second)},
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
	{{"client_connection_check_interval", shown(time.Second)}},
	{{"tcp_keepalives_idle", "10"}, {"tcp_keepalives_interval", "3"}, {"tcp_keepalives_count", "3"}},
}

// shown is a duration as the server shows it: in the largest unit of which it
// is a whole number.
func shown(d time.Duration) string {
	n := d.Milliseconds()
	for _, larger := range []struct {
		unit string
		of   int64
	}{{"d", 24 * 60 * 60 * 1000}, {"h", 60 * 60 * 1000}, {"min", 60 * 1000}, {"s", 1000}} {
		if n != 0 && n%larger.of == 0 {
			return strconv.FormatInt(n/larger.of, 10) + larger.unit
		}
	}
	if n == 0 {
		return "0"
	}
	return strconv.FormatInt(n, 10) + "ms"
}

// limit sets the session's parameters and reads them back: a session that
// was silently replaced, or a pooler in between, has none of them.
func limit(ctx context.Context, c *pgx.Conn, opts Options) error {
	if _, err := setAll(ctx, c, opts); err != nil {
		return err
	}
	wanted := required(opts)
	names := make([]string, len(wanted))
	for i, s := range wanted {
		names[i] = s.name
	}
	live, err := texts(ctx, c, `
		select pg_catalog.current_setting(name) from pg_catalog.unnest($1::text[]) with ordinality as wanted (name, place)
		order by place`, names)
	if err != nil {
		return err
	}
	return confirm(wanted, live)
}

// limitAgain is limit for a session that has been found to be the server's own:
// what it answers while it is set is what it has.
func limitAgain(ctx context.Context, c *pgx.Conn, opts Options) error {
	live, err := setAll(ctx, c, opts)
	if err != nil {
		return err
	}
	return confirm(required(opts), live)
}

// setAll gives what the server shows of the required settings, first of all.
func setAll(ctx context.Context, c *pgx.Conn, opts Options) (live []string, err error) {
	// In one round trip where the server takes them all, else in three.
	live, err = set(ctx, c, slices.Concat(append([][]setting{required(opts)}, optional...)...))
	if !refused(err) {
		return live, err
	}
	if live, err = set(ctx, c, required(opts)); err != nil {
		return nil, err
	}
	for _, group := range optional {
		if _, err := set(ctx, c, group); err != nil && !refused(err) {
			return nil, err
		}
	}
	return live, nil
}

func refused(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal)
}

func set(ctx context.Context, c *pgx.Conn, group []setting) (live []string, err error) {
	var names, values []string
	for _, s := range group {
		names = append(names, s.name)
		values = append(values, s.value)
	}
	return texts(ctx, c, `
		select pg_catalog.set_config(name, value, false)
		from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) with ordinality as wanted (name, value, place)
		order by place`, names, values)
}

// texts prepares nothing, because a session asks once.
func texts(ctx context.Context, c *pgx.Conn, sql string, args ...any) ([]string, error) {
	rows, err := c.Query(ctx, sql, append([]any{pgx.QueryExecModeExec}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func confirm(wanted []setting, live []string) error {
	for i, s := range wanted {
		if live[i] != s.value {
			return fmt.Errorf("%s is %q after it was set to %q", s.name, live[i], s.value)
		}
	}
	return nil
}
