package postgres

import (
	"cmp"
	"context"
	"encoding/json"
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
// what it can make no sense of, and how it writes the rest where that is wanted.
// Nothing is executed.
func (p *Provider) Read(ctx context.Context, readings []migrations.Reading) (refused map[migrations.Reading]migrations.Refusal, wordings map[migrations.Reading]string, err error) {
	if len(readings) == 0 {
		return nil, nil, nil
	}
	s, err := p.take(ctx, conn.Options{Application: "pleat", ReadOnly: true})
	if err != nil {
		return nil, nil, err
	}
	s.keep = true
	defer func() { err = errors.Join(err, p.give(ctx, s, err)) }()
	r := sense{map[migrations.Reading]migrations.Refusal{}, map[migrations.Reading]string{}}
	err = conn.InTransaction(ctx, s.Conn, func(tx conn.Tx) error {
		for schema, some := range bySchema(readings) {
			if err := r.readIn(ctx, s.Conn, tx, schema, some); err != nil {
				return fmt.Errorf("having expressions read: %w", err)
			}
		}
		return nearest(ctx, tx, r.refused)
	})
	return r.refused, r.wordings, err
}

// sense is what a server makes of readings.
type sense struct {
	refused  map[migrations.Reading]migrations.Refusal
	wordings map[migrations.Reading]string
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
func (s sense) readIn(ctx context.Context, c *pgx.Conn, tx conn.Tx, schema string, readings []migrations.Reading) error {
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
	kinds, err := s.read(ctx, c, readings)
	if err != nil {
		return err
	}
	return s.classes(ctx, tx, kinds)
}

// read sends all of it at once, each between the same savepoint and the way back
// to it. Kinds are the types of what those select that are about one.
func (s sense) read(ctx context.Context, c *pgx.Conn, readings []migrations.Reading) (kinds map[migrations.Reading]uint32, err error) {
	p := c.PgConn().StartPipeline(ctx)
	defer func() { err = errors.Join(err, p.Close()) }()
	send := func(sql string) {
		p.SendQueryParams(sql, nil, nil, nil, nil)
		p.SendPipelineSync()
	}
	send("savepoint pleat_reading")
	for _, r := range readings {
		if r.Write {
			send(explain + r.SQL)
		} else {
			p.SendPrepare("", r.SQL, nil)
			p.SendPipelineSync()
		}
		send("rollback to savepoint pleat_reading")
	}
	if err := p.Flush(); err != nil {
		return nil, err
	}
	if _, err := upToSync(p); err != nil {
		return nil, err
	}
	kinds = map[migrations.Reading]uint32{}
	for _, r := range readings {
		said, err := upToSync(p)
		var against *pgconn.PgError
		switch {
		case errors.As(err, &against):
			position := int(against.Position)
			if r.Write {
				position -= len(explain)
			}
			s.refused[r] = migrations.Refusal{Code: against.Code, Message: against.Message, Hint: against.Hint, Name: nameAt(r.SQL, position)}
		case err != nil:
			return nil, err
		case r.Write:
			if s.wordings[r], err = output(said.value); err != nil {
				return nil, err
			}
		case r.Method != "":
			kinds[r] = said.kind
		}
		if _, err := upToSync(p); err != nil {
			return nil, err
		}
	}
	return kinds, nil
}

// classes looks for the operator classes that readings are about.
func (s sense) classes(ctx context.Context, tx conn.Tx, kinds map[migrations.Reading]uint32) error {
	for r, kind := range kinds {
		var code, message string
		err := tx.QueryRow(ctx, classless, r.Method, r.Class, kind).Scan(&code, &message)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return fmt.Errorf("looking for operator classes: %w", err)
		default:
			s.refused[r] = migrations.Refusal{Code: code, Message: message, Name: r.Class}
		}
	}
	return nil
}

// classless is why an access method has no operator class, by a name or by default, for a
// type; no row where it has.
const classless = `
	with asked as (
	  select m.oid as method, m.amname, y.oid as type, y.typtype, y.typcategory, pg_catalog.parse_ident(nullif($2, '')) as named
	  from pg_catalog.pg_type y join pg_catalog.pg_am m on m.amname = $1 where y.oid = $3
	), classes as (
	  select d.opcintype
	  from asked a join pg_catalog.pg_opclass d on d.opcmethod = a.method join pg_catalog.pg_namespace n on n.oid = d.opcnamespace
	  where case pg_catalog.cardinality(a.named) when 1 then d.opcname = a.named[1] and pg_catalog.pg_opclass_is_visible(d.oid)
	          when 2 then n.nspname = a.named[1] and d.opcname = a.named[2] else d.opcdefault end
	)
	select case when a.named is null or not exists (select from classes) then '42704' else '42804' end,
	  case when a.named is null then pg_catalog.format('data type %s has no default operator class for access method "%s"', pg_catalog.format_type(a.type, null), a.amname)
	       when not exists (select from classes) then pg_catalog.format('operator class "%s" does not exist for access method "%s"', $2, a.amname)
	       else pg_catalog.format('operator class "%s" does not accept data type %s', $2, pg_catalog.format_type(a.type, null)) end
	from asked a
	where not exists (
	  select from classes d join pg_catalog.pg_type o on o.oid = d.opcintype
	  where o.oid = a.type or o.typname in ('any', 'anyelement')
	     or o.typname = case a.typtype when 'e' then 'anyenum' when 'r' then 'anyrange' when 'm' then 'anymultirange' when 'c' then 'record' end
	     or o.typname = 'anyarray' and a.typcategory = 'A'
	     or exists (select from pg_catalog.pg_cast c where c.castsource = a.type and c.casttarget = o.oid and c.castmethod = 'b' and c.castcontext = 'i'))`

// explain asks for the plan of a statement, which does not run.
const explain = "EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) "

// output is what a statement gives by the plan of it that EXPLAIN shows.
func output(explained []byte) (string, error) {
	var plans []struct {
		Plan struct{ Output []string }
	}
	if err := json.Unmarshal(explained, &plans); err != nil || len(plans) != 1 {
		return "", fmt.Errorf("the server explains a statement by %q: %w", explained, err)
	}
	return strings.Join(plans[0].Plan.Output, ", "), nil
}

// answer is the first value of what a statement gives, and of one that was only
// prepared its type.
type answer struct {
	value []byte
	kind  uint32
}

// upToSync reads what became of what was sent up to a sync.
func upToSync(p *pgconn.Pipeline) (said answer, failed error) {
	for {
		results, err := p.GetResults()
		if err != nil {
			if failed = err; !isServers(err) {
				return answer{}, err
			}
			continue
		}
		switch r := results.(type) {
		case *pgconn.ResultReader:
			result := r.Read()
			if failed = cmp.Or(failed, result.Err); len(result.Rows) > 0 {
				said.value = result.Rows[0][0]
			}
		case *pgconn.StatementDescription:
			if len(r.Fields) > 0 {
				said.kind = r.Fields[0].DataTypeOID
			}
		case *pgconn.PipelineSync:
			return said, failed
		case nil:
			return answer{}, errors.Join(failed, errors.New("the server's answers end early"))
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

// nearest adds the types, functions and relations that may have been meant by names
// that the server does not know.
func nearest(ctx context.Context, tx conn.Tx, refused map[migrations.Reading]migrations.Refusal) error {
	type list struct {
		code, schema string
		index        bool
	}
	names := map[list][]string{}
	for reading, r := range refused {
		of, sql, args := list{code: r.Code}, known[r.Code], []any(nil)
		if r.Code == "42P01" {
			of.schema, of.index, sql = cmp.Or(reading.Schema, "public"), reading.Index, relations
			args = []any{of.schema, of.index}
		}
		if sql == "" || r.Name == "" {
			continue
		}
		if names[of] == nil {
			rows, err := tx.Query(ctx, sql, args...)
			if err != nil {
				return err
			}
			if names[of], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
				return err
			}
		}
		last := strings.Trim(r.Name[strings.LastIndex(r.Name, ".")+1:], `"`)
		if r.Nearest = spec.Nearest(last, names[of]); r.Nearest == last {
			r.Nearest = ""
		}
		refused[reading] = r
	}
	return nil
}

// relations are the names that there are in a schema: of indexes that may be dropped
// alone, or of what can be selected from.
const relations = `
	select c.relname::text collate "C" from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
	where n.nspname = $1 and case when $2 then c.relkind in ('i', 'I') and not c.relispartition else c.relkind in ('r', 'p', 'v', 'm', 'f') end
	order by 1`

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
