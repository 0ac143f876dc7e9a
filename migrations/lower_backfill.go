package migrations

import (
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
	if len(t.PrimaryKey) == 0 && !t.whole() {
		l.problem(o.Range, "Table without a primary key", fmt.Sprintf(
			"Table %s has no primary key to go along. Back-filling tables without one is not supported yet.", o.Table))
		return
	}
	l.checkExpressions(set, o.Range)
	l.program.Backfills = append(l.program.Backfills, l.backfillOf(o, t, set, sync))
}

func (l *lowering) backfillOf(o *spec.Backfill, t *Table, set map[string]string, sync *spec.Sync) Backfill {
	b := Backfill{
		ID:         "backfill." + o.Table.String(),
		Table:      o.Table,
		Key:        slices.Clone(t.PrimaryKey),
		Where:      needed(t, set, sync),
		Batch:      o.Batch,
		ReplicaLag: o.ReplicaLag,
		Rows:       t.Rows,
		Source:     o.Range,
	}
	if b.Batch == 0 {
		b.Batch = defaultBatch
	}
	for _, c := range slices.Sorted(maps.Keys(set)) {
		b.Set = append(b.Set, Assignment{Column: c, Expression: parenthesized(set[c])})
	}
	b.Digest = digestOf([]any{b.Table, b.Key, b.Set, b.Where})
	return b
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
		all = append(all, fmt.Sprintf("%s IS DISTINCT FROM %s", Ident(c), t.cast(c, expressions[c])))
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
