package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

type addForeignKey struct {
	plain
	*spec.AddForeignKey
}

func (o addForeignKey) rank() int { return rankConstraint }

func (o addForeignKey) form() any {
	c := *o.AddForeignKey
	c.Range = hcl.Range{}
	return c
}

// late has the referenced table locked first: that is the order in which a
// delete of a referenced row meets both.
func (o addForeignKey) late(l *lowering) late {
	c := late{
		table: o.Table, lock: ShareRowExclusive, at: o.Range,
		constraint: Constraint{
			Name: o.Name, Kind: Foreign, Columns: o.Columns, References: o.References.String(),
			Definition: foreignKeySQL(o.AddForeignKey, o.to(l)),
		},
	}
	if o.References != o.Table {
		c.also = []TableLock{{Table: o.References, Lock: ShareRowExclusive}}
	}
	c.also = append(c.also, l.next.Table(o.References).family(o.References, ShareRowExclusive)...)
	return c
}

// to are the columns that are referenced.
func (o addForeignKey) to(l *lowering) []string {
	if o.To != nil {
		return o.To
	}
	if t := l.next.Table(o.References); t != nil {
		return t.PrimaryKey
	}
	return nil
}

// foreignKeySQL is the definition as pg_get_constraintdef() writes it.
func foreignKeySQL(o *spec.AddForeignKey, to []string) string {
	sql := fmt.Sprintf("FOREIGN KEY (%s) REFERENCES %s (%s)", identList(o.Columns), tableIdent(o.References), identList(to))
	if o.MatchFull {
		sql += " MATCH FULL"
	}
	if o.OnUpdate != "" {
		sql += " ON UPDATE " + strings.ToUpper(o.OnUpdate)
	}
	if o.OnDelete != "" {
		sql += " ON DELETE " + strings.ToUpper(o.OnDelete)
	}
	return sql + deferralSQL(o.Deferral)
}

func deferralSQL(d spec.Deferral) string {
	switch {
	case d.Deferred:
		return " DEFERRABLE INITIALLY DEFERRED"
	case d.Deferrable:
		return " DEFERRABLE"
	}
	return ""
}

func (o addForeignKey) expand(l *lowering) bool {
	if o.check(l) {
		o.late(l).expand(l)
	}
	return true
}

func (o addForeignKey) contract(l *lowering, _ int) bool {
	if o.check(l) {
		o.late(l).contract(l)
	}
	return true
}

func (o addForeignKey) unexpand(l *lowering)           { o.late(l).disappear(l) }
func (o addForeignKey) settle(l *lowering)             { o.late(l).settle(l) }
func (o addForeignKey) uncontract(l *lowering)         { o.late(l).disappear(l) }
func (o addForeignKey) takeAway(l *lowering, to Phase) { o.late(l).takeAway(l, to) }

func (o addForeignKey) check(l *lowering) bool {
	t, referenced := l.table(o.Table, o.Range), l.table(o.References, o.Range)
	if t == nil || referenced == nil {
		return false
	}
	before := len(l.diags)
	if t.whole() || referenced.whole() {
		return true
	}
	to := o.to(l)
	if len(to) == 0 {
		l.problem(o.Range, "Nothing to refer to", fmt.Sprintf(
			"Table %s has no primary key. Name the columns of a unique constraint in `to`.", o.References))
		return false
	}
	l.columnsThere(o.Range, o.At, "columns", o.Table, t, o.Columns)
	l.columnsThere(o.Range, o.At, "to", o.References, referenced, to)
	if len(to) != len(o.Columns) {
		l.problem(o.Range, "Columns do not match", fmt.Sprintf(
			"The key has %d columns, and %s is referenced by %d.", len(o.Columns), o.References, len(to)))
	}
	if len(l.diags) > before {
		return false
	}
	o.checkPartitioned(l, t)
	o.checkUnique(l, referenced, to)
	ok := len(l.diags) == before
	o.askTypes(l, t, referenced, to)
	o.checkTypes(l, t, referenced, to)
	o.checkSupport(l, t)
	return ok
}

// checkPartitioned knows that a server before 18 refuses NOT VALID on a
// partitioned table (0A000), and would else look at all rows under locks that
// keep writers of both tables away.
func (o addForeignKey) checkPartitioned(l *lowering, t *Table) {
	if t.Partitioned == "" || t.Constraint(o.Name) != nil {
		return
	}
	var recipe strings.Builder
	for _, p := range t.Partitions {
		fmt.Fprintf(&recipe, "\n  add_foreign_key %q %q { … }", p.Table, o.Name)
	}
	l.problem(o.Range, "Foreign key of a partitioned table", fmt.Sprintf(
		"Postgres adds a foreign key to a partitioned table only with a look at all rows of %s, while nobody can write it or %s. "+
			"Add it to each partition, which keeps nobody waiting:%s\nand then to %s by sql in a later change: Postgres takes over those that are there and valid.",
		o.Table, o.References, recipe.String(), o.Table))
}

// checkUnique says at plan time what the server would say (42830).
func (o addForeignKey) checkUnique(l *lowering, referenced *Table, to []string) {
	if sameSet(referenced.PrimaryKey, to) {
		return
	}
	for _, i := range referenced.Indexes {
		if columns, all := indexedColumns(i.Definition); i.Unique && i.Valid && all && sameSet(columns, to) {
			return
		}
	}
	l.problem(o.Range, "Columns are not unique", fmt.Sprintf(
		"A foreign key refers to columns that are unique together, and of %s no valid unique index is on (%s) alone.",
		o.References, strings.Join(to, ", ")))
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// askTypes asks whether the ends compare at all.
func (o addForeignKey) askTypes(l *lowering, t, referenced *Table, to []string) {
	for i, name := range o.Columns {
		a, b := t.Column(name), referenced.Column(to[i])
		if a == nil || b == nil || a.Type == "" || b.Type == "" || a.Type == b.Type {
			continue
		}
		l.ask(asked{
			unit: o.late(l).id("constraint"), at: o.At.Of(spec.Element("columns", i), o.Range), table: o.Table, codes: []string{noFunction},
			say: func(Refusal) (string, string) {
				return "Types that do not compare", fmt.Sprintf("Column %s.%s is %s, and %s.%s, which it refers to, is %s: no operator tells whether the two are equal.",
					o.Table, name, a.Type, o.References, to[i], b.Type)
			},
		}, fmt.Sprintf("SELECT FROM (SELECT CAST(NULL AS %s) AS a, CAST(NULL AS %s) AS b) AS ends WHERE a = b", a.Type, b.Type))
	}
}

// checkTypes only warns: Postgres compares some types with others, at the cost
// of an index that it cannot use, or of values that fit on one side only.
func (o addForeignKey) checkTypes(l *lowering, t, referenced *Table, to []string) {
	for i, name := range o.Columns {
		a, b := t.Column(name), referenced.Column(to[i])
		if a == nil || b == nil || a.Type == "" || b.Type == "" || canonicalType(a.Type) == canonicalType(b.Type) {
			continue
		}
		l.warn(o.Range, "Types differ", fmt.Sprintf(
			"Column %s.%s is %s, and %s.%s, which it refers to, is %s.", o.Table, name, a.Type, o.References, to[i], b.Type))
	}
}

// checkSupport warns of deletes that would read the whole table for each row.
func (o addForeignKey) checkSupport(l *lowering, t *Table) {
	if len(t.PrimaryKey) >= len(o.Columns) && sameSet(t.PrimaryKey[:len(o.Columns)], o.Columns) {
		return
	}
	for _, i := range t.Indexes {
		columns, all := indexedColumns(i.Definition)
		if i.Valid && all && len(columns) >= len(o.Columns) && sameSet(columns[:len(o.Columns)], o.Columns) {
			return
		}
	}
	l.warn(o.Range, "Foreign key without an index", fmt.Sprintf(
		"No index of %s begins with (%s), so each delete or change of a key in %s reads all of %s. Add create_index before it.",
		o.Table, strings.Join(o.Columns, ", "), o.References, o.Table))
}
