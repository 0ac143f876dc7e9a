package migrations

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pleat/spec"
)

const defaultBatch = 1000

func (l *lowering) backfill(o *spec.Backfill) {
	t := l.table(o.Table, o.Range)
	if t == nil {
		return
	}
	sync := l.syncOf(o.Table)
	set := o.Set
	if len(set) == 0 && sync != nil {
		set = sync.Forward
	}
	if len(set) == 0 {
		l.problem(o.Range, "Nothing to fill", fmt.Sprintf(
			"Table %s has no sync in this change, so the backfill needs `set`.", o.Table))
		return
	}
	l.checkExpressions(set, o.Range)
	if sync == nil || !maps.Equal(set, sync.Forward) {
		for c := range set {
			l.needColumn(asked{until: Backfilled, at: o.At.Of("set."+c, o.Range), table: o.Table}, t, c)
		}
		l.askAssigned(expression{until: Backfilled, at: o.Range, table: o.Table, of: t}, o.At, "set", set)
	}
	l.beside(updateSQL(o.Table, assignments(set)), o.Range, Backfilled)
	l.program.Backfills = append(l.program.Backfills, l.backfillOf(o, t, set, sync))
}

func (l *lowering) backfillOf(o *spec.Backfill, t *Table, set map[string]string, sync *spec.Sync) Backfill {
	b := Backfill{
		ID:       "backfill." + o.Table.String(),
		Table:    o.Table,
		Key:      t.orderingKey(),
		Set:      assignments(set),
		Where:    needed(t, set, sync),
		Lossy:    o.Lossy,
		Batch:    cmp.Or(o.Batch, defaultBatch),
		Workers:  cmp.Or(o.Workers, 1),
		Throttle: o.Throttle,
		Rows:     t.Rows,
		Source:   o.Range,
	}
	if sync != nil && maps.Equal(set, sync.Forward) {
		b.Backward = assignments(sync.Backward)
	}
	b.Digest = digestOf([]any{b.Table, b.Key, b.Set, b.Where})
	return b
}

// updateSQL is what a back-fill does, for all rows at once.
func updateSQL(t spec.Table, set []Assignment) string {
	all := make([]string, len(set))
	for i, a := range set {
		all[i] = Ident(a.Column) + " = " + a.Expression
	}
	return "UPDATE " + tableIdent(t) + " SET " + strings.Join(all, ", ")
}

func assignments(expressions map[string]string) []Assignment {
	var all []Assignment
	for _, c := range slices.Sorted(maps.Keys(expressions)) {
		all = append(all, Assignment{Column: c, Expression: parenthesized(expressions[c])})
	}
	return all
}

// orderingKey is what a back-fill goes along: the primary key or, without one,
// the unique key of the fewest columns; nil: there is none.
func (t *Table) orderingKey() []string {
	if len(t.PrimaryKey) > 0 {
		return slices.Clone(t.PrimaryKey)
	}
	var best []string
	for _, i := range t.Indexes {
		if len(i.Key) > 0 && (best == nil || len(i.Key) < len(best)) {
			best = i.Key
		}
	}
	return slices.Clone(best)
}

// syncOf is the change's own sync on a table, or nil.
func (l *lowering) syncOf(t spec.Table) *spec.Sync {
	for _, op := range l.change.Expand {
		if s, ok := op.(*spec.Sync); ok && s.Table == t {
			return s
		}
	}
	return nil
}

// needed tells the rows that are not right: the new columns differ from their
// image. Under a sync a row is right too when the old columns are the image of
// the new ones: a release of the new shape wrote it, and the way forward may
// lose what only the new shape can say.
func needed(t *Table, set map[string]string, sync *spec.Sync) string {
	where := "(" + strings.Join(differences(t, set), " OR ") + ")"
	if sync == nil {
		return where
	}
	columns := slices.Sorted(maps.Keys(sync.Forward))
	empty := make([]string, len(columns))
	for i, c := range columns {
		empty[i] = Ident(c) + " IS NULL"
	}
	return fmt.Sprintf("%s AND (%s OR %s)", where,
		strings.Join(empty, " AND "), strings.Join(differences(t, sync.Backward), " OR "))
}

func differences(t *Table, expressions map[string]string) []string {
	var all []string
	for _, c := range slices.Sorted(maps.Keys(expressions)) {
		value := t.cast(c, expressions[c])
		if column := t.Column(c); column != nil && column.Type != "" && !column.equalIsSame() {
			all = append(all, differentImages(Ident(c), value))
			continue
		}
		all = append(all, fmt.Sprintf("%s IS DISTINCT FROM %s", Ident(c), value))
	}
	return all
}

// cast gives an expression the column's type, as an assignment would.
func (t *Table) cast(column, expression string) string {
	c := t.Column(column)
	if c == nil || c.Type == "" {
		return parenthesized(expression)
	}
	return fmt.Sprintf("CAST(%s AS %s)", parenthesized(expression), c.Type)
}
