package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"pleat/migrations"
	"pleat/migrations/conn"
	"pleat/planner"
)

const (
	sampleRows  = 1000
	sampleScan  = 10_000 // rows among which they are looked for
	sampleShown = 5
	sampleTime  = "60000" // milliseconds
)

// SampleError is a back-fill that would not do what it is for. Nothing was
// written.
type SampleError struct {
	Table string
	Looks int      // rows that were looked at
	Twice int      // of them, rows that a second pass would write again
	Lost  int      // rows that do not come back as they were
	Shown []string // at most 5 of the worse kind, with letters and digits masked
}

func (e *SampleError) Error() string {
	text := fmt.Sprintf("the back-fill of %s is not idempotent: %d of %d sampled rows would be written again by a second pass", e.Table, e.Twice, e.Looks)
	if e.Twice == 0 {
		text = fmt.Sprintf("the back-fill of %s loses data: %d of %d sampled rows do not come back from their new shape as they were", e.Table, e.Lost, e.Looks)
	}
	for _, s := range e.Shown {
		text += "\n  " + s
	}
	return text
}

// Hint is what to do about it.
func (e *SampleError) Hint() string {
	if e.Twice > 0 {
		return "let the expression leave a row alone that is filled, such as coalesce(COLUMN, …), or read other columns than it sets"
	}
	return "correct forward or backward; or say `lossy = true` in the backfill block, which must be allowed as lossy_backfill"
}

// checkSample fills some rows on paper: once, twice, and back.
func (f *fill) checkSample(ctx context.Context) error {
	columns, err := f.sampleColumns(ctx)
	if err != nil {
		return err
	}
	found := &SampleError{Table: f.action.Table.String()}
	err = conn.InTransaction(ctx, f.conn, func(tx conn.Tx) error {
		err := setLocal(ctx, tx, map[string]string{
			"transaction_read_only": "on", "statement_timeout": sampleTime, "search_path": searchPath(f.action.Table),
		})
		if err != nil {
			return err
		}
		return f.asRole(ctx, tx, func() error { return f.judge(ctx, tx, columns, found) })
	})
	if unfillable(err) {
		// A row that cannot be filled is found by the back-fill itself, which
		// can say which one it is.
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at a sample of %s: %w", f.action.Table, err)
	}
	if found.Twice > 0 || found.Lost > 0 && !f.action.Lossy {
		return found
	}
	return nil
}

// column is one of the table's, with its type.
type column struct{ name, kind string }

func (f *fill) sampleColumns(ctx context.Context) ([]column, error) {
	t := f.action.Table
	rows, err := f.conn.Query(ctx, `
		select attname, pg_catalog.format_type(atttypid, atttypmod) from pg_catalog.pg_attribute
		where attrelid = pg_catalog.to_regclass($1) and attnum > 0 and not attisdropped order by attnum`,
		migrations.Ident(t.Schema, t.Name))
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", t, err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		err = row.Scan(&c.name, &c.kind)
		return c, err
	})
}

// judge gives each sampled row that the back-fill would write: its key, whether
// a second pass would write it again, and the old columns before and after.
func (f *fill) judge(ctx context.Context, tx conn.Tx, columns []column, found *SampleError) error {
	percent := min(100, 100*float64(sampleScan)/float64(max(f.total, 1)))
	rows, err := tx.Query(ctx, sampleSQL(f.action, columns, percent))
	if err != nil {
		return err
	}
	var key, was, becomes []*string
	var again bool
	_, err = pgx.ForEachRow(rows, []any{&key, &again, &was, &becomes}, func() error {
		found.Looks++
		lost := differ(was, becomes)
		if again {
			if found.Twice == 0 {
				found.Shown = nil
			}
			found.Twice++
		}
		if lost {
			found.Lost++
		}
		if (again || lost && found.Twice == 0) && len(found.Shown) < sampleShown {
			found.Shown = append(found.Shown, f.sampleLine(key, was, becomes, again))
		}
		return nil
	})
	return err
}

func differ(a, b []*string) bool {
	return !slices.EqualFunc(a, b, func(x, y *string) bool {
		return (x == nil) == (y == nil) && (x == nil || *x == *y)
	})
}

func (f *fill) sampleLine(key, was, becomes []*string, again bool) string {
	var parts []string
	for i, k := range key {
		parts = append(parts, f.action.Key[i]+"="+text(k))
	}
	if again {
		return strings.Join(append(parts, "is written again"), ", ")
	}
	for i, a := range f.action.Backward {
		if differ(was[i:i+1], becomes[i:i+1]) {
			parts = append(parts, fmt.Sprintf("%s %s becomes %s", a.Column, masked(was[i]), masked(becomes[i])))
		}
	}
	return strings.Join(parts, ", ")
}

func text(s *string) string {
	if s == nil {
		return "NULL"
	}
	return *s
}

// masked keeps the form of a value and none of its letters and digits: what is
// lost is mostly a word, a space or a sign.
func masked(s *string) string {
	if s == nil {
		return "NULL"
	}
	hidden := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsUpper(r):
			return 'X'
		case unicode.IsLetter(r):
			return 'x'
		case unicode.IsDigit(r):
			return '9'
		}
		return r
	}, *s)
	return fmt.Sprintf("%q", cut(hidden, cellWidth))
}

// sampleSQL stacks the row as it is, as it would be, and as it would be seen
// from its new shape. Each level has the table's name and columns, as the
// author's expressions want them.
func sampleSQL(a *planner.Backfill, columns []column, percent float64) string {
	alias := migrations.Ident(a.Table.Name)
	where := a.Where
	if where == "" {
		where = "true"
	}
	old := make([]string, len(a.Backward))
	back := make([]string, len(a.Backward))
	kinds := map[string]string{}
	for _, c := range columns {
		kinds[c.name] = c.kind
	}
	for i, b := range a.Backward {
		old[i] = migrations.Ident(b.Column) + "::text"
		back[i] = fmt.Sprintf("cast(%s as %s)::text", b.Expression, kinds[b.Column])
	}
	keys := make([]string, len(a.Key))
	for i, k := range a.Key {
		keys[i] = migrations.Ident(k) + "::text"
	}
	once := make([]string, len(columns))
	for i, c := range columns {
		once[i] = migrations.Ident(c.name)
		for _, s := range a.Set {
			if s.Column == c.name {
				once[i] = fmt.Sprintf("cast(%s as %s) as %s", s.Expression, c.kind, migrations.Ident(c.name))
			}
		}
	}
	table := migrations.Ident(a.Table.Schema, a.Table.Name)
	return fmt.Sprintf(`
		select pleat_key, coalesce(%[1]s, false), pleat_was, array[%[2]s]::text[] as pleat_becomes
		from (
		  select %[3]s, array[%[4]s]::text[] as pleat_key, array[%[5]s]::text[] as pleat_was
		  from (
		    select * from %[6]s as %[7]s tablesample system (%[8]f) where %[1]s limit %[9]d
		  ) as %[7]s offset 0
		) as %[7]s`,
		where, strings.Join(back, ", "), strings.Join(once, ", "), strings.Join(keys, ", "), strings.Join(old, ", "),
		table, alias, percent, sampleRows)
}
