package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/spec"
)

// Read has the server read SQL as it reads a statement that is prepared, and gives
// what it can make no sense of. Nothing is executed.
func (p *Provider) Read(ctx context.Context, readings []migrations.Reading) (refused map[migrations.Reading]migrations.Refusal, err error) {
	if len(readings) == 0 {
		return nil, nil
	}
	s, err := p.take(ctx, conn.Options{Application: "pleat", ReadOnly: true})
	if err != nil {
		return nil, err
	}
	s.keep = true
	defer func() { err = errors.Join(err, p.give(ctx, s, err)) }()
	refused = map[migrations.Reading]migrations.Refusal{}
	err = conn.InTransaction(ctx, s.Conn, func(tx conn.Tx) error {
		for schema, some := range bySchema(readings) {
			if err := readIn(ctx, s.Conn, tx, schema, some, refused); err != nil {
				return fmt.Errorf("having expressions read: %w", err)
			}
		}
		return nearest(ctx, tx, refused)
	})
	return refused, err
}

func bySchema(readings []migrations.Reading) map[string][]migrations.Reading {
	groups := map[string][]migrations.Reading{}
	for _, r := range readings {
		groups[r.Schema] = append(groups[r.Schema], r)
	}
	return groups
}

// readIn has SQL read where the names of a schema are found. A role that may not
// use it would find none.
func readIn(ctx context.Context, c *pgx.Conn, tx conn.Tx, schema string, readings []migrations.Reading, refused map[migrations.Reading]migrations.Refusal) error {
	var hidden bool
	err := tx.QueryRow(ctx, `
		select exists (select from pg_catalog.pg_namespace where nspname in ($1, 'public') and not pg_catalog.has_schema_privilege(oid, 'usage'))`,
		cmp.Or(schema, "public")).Scan(&hidden)
	if err != nil || hidden {
		return err
	}
	settings := map[string]string{"search_path": searchPath(spec.Table{Schema: schema}), "lock_timeout": milliseconds(old), "transaction_read_only": "on"}
	if err := setLocal(ctx, tx, settings); err != nil {
		return err
	}
	return read(ctx, c, readings, refused)
}

// read sends all of it at once, each between the same savepoint and the way back
// to it.
func read(ctx context.Context, c *pgx.Conn, readings []migrations.Reading, refused map[migrations.Reading]migrations.Refusal) (err error) {
	p := c.PgConn().StartPipeline(ctx)
	defer func() { err = errors.Join(err, p.Close()) }()
	send := func(sql string) {
		p.SendQueryParams(sql, nil, nil, nil, nil)
		p.SendPipelineSync()
	}
	send("savepoint pleat_reading")
	for _, r := range readings {
		p.SendPrepare("", r.SQL, nil)
		p.SendPipelineSync()
		send("rollback to savepoint pleat_reading")
	}
	if err := p.Flush(); err != nil {
		return err
	}
	if err := upToSync(p); err != nil {
		return err
	}
	for _, r := range readings {
		err := upToSync(p)
		var said *pgconn.PgError
		switch {
		case errors.As(err, &said):
			refused[r] = migrations.Refusal{Code: said.Code, Message: said.Message, Hint: said.Hint, Name: nameAt(r.SQL, int(said.Position))}
		case err != nil:
			return err
		}
		if err := upToSync(p); err != nil {
			return err
		}
	}
	return nil
}

// upToSync reads what became of what was sent up to a sync.
func upToSync(p *pgconn.Pipeline) error {
	var failed error
	for {
		results, err := p.GetResults()
		if err != nil {
			if failed = err; !isServers(err) {
				return err
			}
			continue
		}
		switch r := results.(type) {
		case *pgconn.ResultReader:
			if _, err := r.Close(); err != nil {
				failed = err
			}
		case *pgconn.PipelineSync:
			return failed
		case nil:
			return errors.Join(failed, errors.New("the server's answers end early"))
		}
	}
}

func isServers(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said)
}

// nameAt is the name or the constant that begins at a character of SQL, counted
// from one; "" where neither does.
func nameAt(sql string, position int) string {
	text := []rune(sql)
	if position < 1 || position > len(text) {
		return ""
	}
	text = text[position-1:]
	end := 0
	for end < len(text) {
		switch c := text[end]; {
		case c == '"' || c == '\'' && end == 0:
			closing := slices.Index(text[end+1:], c)
			if closing < 0 {
				return ""
			}
			end += closing + 2
		case c == '_' || c == '$' || c == '.' && end > 0 || unicode.IsLetter(c) || unicode.IsDigit(c):
			end++
		default:
			return string(text[:end])
		}
	}
	return string(text)
}

// nearest adds the types and functions that may have been meant by names that the
// server does not know.
func nearest(ctx context.Context, tx conn.Tx, refused map[migrations.Reading]migrations.Refusal) error {
	names := map[string][]string{}
	for reading, r := range refused {
		sql := known[r.Code]
		if sql == "" || r.Name == "" {
			continue
		}
		if names[r.Code] == nil {
			rows, err := tx.Query(ctx, sql)
			if err != nil {
				return err
			}
			if names[r.Code], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
				return err
			}
		}
		last := strings.Trim(r.Name[strings.LastIndex(r.Name, ".")+1:], `"`)
		if r.Nearest = spec.Nearest(last, names[r.Code]); r.Nearest == last {
			r.Nearest = ""
		}
		refused[reading] = r
	}
	return nil
}

// known are the names that there are: of types, also as SQL has them beside the
// catalog and those first that are used most, and of functions.
var known = map[string]string{
	"42704": `
		with common (names) as (values ('{text,integer,bigint,boolean,numeric,varchar,timestamptz,uuid,jsonb,date,int,smallint,timestamp,decimal,real,float,double precision}'::text[]))
		select pg_catalog.unnest(names) from common
		union all (
		select typname::text collate "C" from common, pg_catalog.pg_type y left join pg_catalog.pg_class c on c.oid = y.typrelid
		where y.typtype in ('b', 'd', 'e', 'r', 'c') and y.typcategory <> 'A' and coalesce(c.relkind, 'c') = 'c' and typname not like '\_%'
		  and typname <> all (common.names)
		order by 1)`,
	"42883": `select distinct proname::text collate "C" from pg_catalog.pg_proc order by 1`,
}
