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

// batches writes the two statements of a batch: one finds its last key in the
// index, one fills what is in between.
type batches struct {
	action *planner.Backfill
	types  []string // of the key's columns
}

// end gives the last key of the next size rows, or nil when fewer are left.
// Ranges end at keys that are there, so gaps make no empty batches.
func (b *batches) end(ctx context.Context, tx conn.Tx, after []string, size int) ([]string, error) {
	condition, args := "true", values(after)
	if after != nil {
		condition = b.compare(">", 1)
	}
	keys := columnList(b.action.Key)
	sql := fmt.Sprintf("select array[%s] from %s where %s order by %s offset $%d - 1 limit 1",
		textList(b.action.Key), b.table(), condition, keys, len(args)+1)
	var last []string
	err := tx.QueryRow(ctx, sql, append(args, size)...).Scan(&last)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return last, err
}

// fill writes the rows behind one key, up to another if there is one, that are
// not right. Postgres judges a row again that it had to wait for.
func (b *batches) fill(ctx context.Context, tx conn.Tx, after, last []string) (updated int64, err error) {
	var conditions []string
	if after != nil {
		conditions = append(conditions, b.compare(">", 1))
	}
	if last != nil {
		conditions = append(conditions, b.compare("<=", len(after)+1))
	}
	if b.action.Where != "" {
		conditions = append(conditions, "("+b.action.Where+")")
	}
	if len(conditions) == 0 {
		conditions = []string{"true"}
	}
	sql := fmt.Sprintf("update %s set %s where %s", b.table(), b.assignments(), strings.Join(conditions, " and "))
	tag, err := tx.Exec(ctx, sql, append(values(after), values(last)...)...)
	return tag.RowsAffected(), err
}

// table has its own name as alias, by which the author's expressions may call
// its columns.
func (b *batches) table() string {
	t := b.action.Table
	return migrations.Ident(t.Schema, t.Name) + " as " + migrations.Ident(t.Name)
}

// compare sets the key against parameters, which are its text form.
func (b *batches) compare(operator string, first int) string {
	bounds := make([]string, len(b.types))
	for i, t := range b.types {
		bounds[i] = fmt.Sprintf("cast($%d::text as %s)", first+i, t)
	}
	return fmt.Sprintf("(%s) %s (%s)", columnList(b.action.Key), operator, strings.Join(bounds, ", "))
}

func (b *batches) assignments() string {
	sets := make([]string, len(b.action.Set))
	for i, s := range b.action.Set {
		sets[i] = migrations.Ident(s.Column) + " = " + s.Expression
	}
	return strings.Join(sets, ", ")
}

func values(key []string) []any {
	all := make([]any, len(key))
	for i, k := range key {
		all[i] = k
	}
	return all
}

func columnList(key []string) string {
	quoted := make([]string, len(key))
	for i, k := range key {
		quoted[i] = migrations.Ident(k)
	}
	return strings.Join(quoted, ", ")
}

func textList(key []string) string {
	texts := make([]string, len(key))
	for i, k := range key {
		texts[i] = migrations.Ident(k) + "::text"
	}
	return strings.Join(texts, ", ")
}
