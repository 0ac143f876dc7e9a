package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

// batches writes the statements of a part's batches: one finds the last key of
// a batch, one fills what is in between.
type batches struct {
	action *planner.Backfill
	part   part
}

// stretch is one batch: the keys behind the position of its lane, up to last.
type stretch struct {
	last []string // nil: to the end of the part
	rows int64
	end  bool // the lane ends with it
}

// endSQL gives the last of the next rows behind a key, or no row where fewer
// are left. Its last argument is how many. Batches end at keys that are there,
// so gaps make no empty ones.
func (b *batches) endSQL(after, high bool) string {
	condition, next := b.between(after, high)
	return fmt.Sprintf("select array[%s] from only %s where %s order by %s offset $%d - 1 limit 1",
		b.textList(), b.table(), condition, b.columns(), next)
}

// countSQL counts what is left of a lane.
func (b *batches) countSQL(after, high bool) string {
	condition, _ := b.between(after, high)
	return fmt.Sprintf("select count(*) from only %s where %s", b.table(), condition)
}

// fillSQL writes the rows behind one key, up to another if there is one, that
// are not right. Postgres judges a row again that it had to wait for.
func (b *batches) fillSQL(after, last bool) string {
	condition, _ := b.between(after, last)
	return fmt.Sprintf("update "+ours+" only %s set %s where %s", b.table(), b.assignments(), b.needed(condition))
}

// rowSQL fills one row by its key.
func (b *batches) rowSQL() string {
	return fmt.Sprintf("update "+ours+" only %s set %s where %s", b.table(), b.assignments(), b.needed(b.compare("=", 1)))
}

// placesSQL fills rows by where they are.
func (b *batches) placesSQL() string {
	return fmt.Sprintf("update only %s set %s where %s", b.table(), b.assignments(), b.needed("ctid = any ($1::text[]::tid[])"))
}

func (b *batches) needed(condition string) string {
	if b.action.Where == "" {
		return condition
	}
	return condition + " and (" + b.action.Where + ")"
}

// between is the condition for keys behind one and up to another, and the
// number of the next parameter.
func (b *batches) between(after, last bool) (condition string, next int) {
	var all []string
	next = 1
	if after {
		all = append(all, b.compare(">", next))
		next += len(b.part.types)
	}
	if last {
		all = append(all, b.compare("<=", next))
		next += len(b.part.types)
	}
	if b.part.byPage && !b.part.ranges && after && last {
		all = append(all, singleTIDs)
	}
	if len(all) == 0 {
		return "true", next
	}
	return strings.Join(all, " and "), next
}

// singleTIDs names each row that could be on the pages from $1 to $2: before
// PostgreSQL 14 a range of ctids makes a scan of all of the table.
const singleTIDs = `ctid = any (array(
	select pg_catalog.format('(%s,%s)', page, line)::tid
	from pg_catalog.generate_series((($1::text)::point)[0]::bigint, (($2::text)::point)[0]::bigint) as page,
	     pg_catalog.generate_series(1, pg_catalog.current_setting('block_size')::int / 28) as line))`

// table has the name of the back-fill's table as alias, by which the author's
// expressions may call its columns.
func (b *batches) table() string {
	return migrations.Ident(b.part.schema, b.part.name) + " as " + migrations.Ident(b.action.Table.Name)
}

// compare sets the key against parameters, which are its text form.
func (b *batches) compare(operator string, first int) string {
	bounds := make([]string, len(b.part.types))
	for i, t := range b.part.types {
		bounds[i] = fmt.Sprintf("cast($%d::text as %s)", first+i, t)
	}
	if len(bounds) == 1 {
		return fmt.Sprintf("%s %s %s", b.columns(), operator, bounds[0])
	}
	return fmt.Sprintf("(%s) %s (%s)", b.columns(), operator, strings.Join(bounds, ", "))
}

func (b *batches) assignments() string {
	sets := make([]string, len(b.action.Set))
	for i, s := range b.action.Set {
		sets[i] = migrations.Ident(s.Column) + " = " + s.Expression
	}
	return strings.Join(sets, ", ")
}

// pageEnd is the end of a batch of so many rows, as far as the pages tell: whole
// pages or, where that is too much, lines of one.
func (b *batches) pageEnd(position, high []string, size int) stretch {
	page, line := tid(position)
	if line >= b.part.lines {
		page, line = page+1, 0
	}
	per := b.part.perPage()
	whole := int64(size) / per
	s := stretch{last: formatTID(page+whole-1, b.part.lines), rows: whole * per}
	if whole == 0 {
		s = stretch{last: formatTID(page, min(line+int64(size), b.part.lines)), rows: int64(size)}
	}
	limit := formatTID(max(b.part.pages, 1)-1, b.part.lines)
	if high != nil {
		limit = high
	}
	if before(s.last, limit) {
		return s
	}
	end, _ := tid(limit)
	return stretch{last: limit, rows: min(s.rows, max(end-page+1, 1)*per), end: true}
}

// tid reads a key that is a ctid; before the first row there is (0,0).
func tid(key []string) (page, line int64) {
	if key == nil {
		return 0, 0
	}
	if _, err := fmt.Sscanf(key[0], "(%d,%d)", &page, &line); err != nil {
		panic(fmt.Sprintf("postgres: %q is no ctid", key[0]))
	}
	return page, line
}

func formatTID(page, line int64) []string { return []string{fmt.Sprintf("(%d,%d)", page, line)} }

func before(a, b []string) bool {
	pageA, lineA := tid(a)
	pageB, lineB := tid(b)
	return pageA < pageB || pageA == pageB && lineA < lineB
}

func (b *batches) pageBounds(position, high []string, pieces int64) (bounds [][]string) {
	from, _ := tid(position)
	to := b.part.pages
	if high != nil {
		to, _ = tid(high)
	}
	each := (to - from) / pieces
	if each < 1 {
		return nil
	}
	for i := int64(1); i < pieces; i++ {
		bounds = append(bounds, formatTID(from+i*each, b.part.lines))
	}
	return bounds
}

// bounds divides by a sample, as it is: pieces need not be of one size.
func (b *batches) bounds(ctx context.Context, tx conn.Tx, position, high []string, pieces int64) ([][]string, error) {
	condition, _ := b.between(position != nil, high != nil)
	percent := min(100, 100*float64(sampled)/float64(max(b.part.rows, 1)))
	keys := b.columns()
	sql := fmt.Sprintf(`
		select key from (
		  select distinct on (%[1]s) array[%[2]s] as key, %[1]s,
		         pg_catalog.row_number() over (order by %[1]s) as place, count(*) over () as total
		  from only %[3]s tablesample system (%[4]f) where %[5]s) as s
		where place %% greatest(total / %[6]d, 1) = 0 and place < total
		order by place limit %[6]d - 1`,
		keys, b.textList(), b.table(), percent, condition, pieces)
	rows, err := tx.Query(ctx, sql, append(values(position), values(high)...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]string])
}

// lookUp asks for the end of a batch; one that reaches the lane's end is
// counted.
func (b *batches) lookUp(ctx context.Context, tx conn.Tx, position, high []string, size int) (stretch, error) {
	args := append(values(position), values(high)...)
	var last []string
	err := tx.QueryRow(ctx, b.endSQL(position != nil, high != nil), append(args[:len(args):len(args)], size)...).Scan(&last)
	if err == nil {
		return stretch{last: last, rows: int64(size)}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return stretch{}, err
	}
	s := stretch{last: high, end: true}
	err = tx.QueryRow(ctx, b.countSQL(position != nil, high != nil), args...).Scan(&s.rows)
	return s, err
}

func values(key []string) []any {
	all := make([]any, len(key))
	for i, k := range key {
		all[i] = k
	}
	return all
}

func (b *batches) columns() string {
	key := b.part.keyOf(b.action)
	quoted := make([]string, len(key))
	for i, k := range key {
		quoted[i] = migrations.Ident(k)
	}
	return strings.Join(quoted, ", ")
}

func (b *batches) textList() string {
	key := b.part.keyOf(b.action)
	texts := make([]string, len(key))
	for i, k := range key {
		texts[i] = migrations.Ident(k) + "::text"
	}
	return strings.Join(texts, ", ")
}
