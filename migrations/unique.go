package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// keyed is a constraint with an index, which is built concurrently under the
// constraint's name and becomes the constraint's in a moment.
type keyed struct {
	table    spec.Table
	name     string
	kind     string // as SQL says it: "UNIQUE" or "PRIMARY KEY"
	index    *spec.CreateIndex
	deferral spec.Deferral
	there    bool // the table has the constraint
	at       hcl.Range
}

func (k keyed) indexName() spec.Table { return spec.Table{Schema: k.table.Schema, Name: k.name} }

func (k keyed) build(l *lowering) Unit {
	u := createIndex{CreateIndex: k.index}.build(l)
	if k.there {
		u.Applied, u.missing = true, nil
	}
	l.nameFree(u, k.indexName())
	l.askClasses(u.ID, l.next.Table(k.table), k.index)
	return u
}

// adopt is the unit that makes the index the constraint's.
func (k keyed) adopt() Unit {
	u := Unit{
		ID: "constraint." + k.table.String() + "." + k.name, Title: constraintTitle(k.table, k.name), Mode: InTransaction,
		Table: k.table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{addConstraintSQL(k.table, k.name, k.kind+" USING INDEX "+Ident(k.name)+deferralSQL(k.deferral))},
		Undo:       []string{dropConstraintSQL(k.table, k.name)},
		UndoTitle:  "drop constraint",
		Applied:    k.there, Visible: true, Source: k.at,
	}
	return missingUnless(u, u.Title)
}

// check looks at an index of that name which is not the constraint's.
func (k keyed) check(l *lowering) bool {
	live := l.live.Table(k.table).index(k.name)
	if k.there || live == nil || !live.Valid {
		return true
	}
	columns, all := indexedColumns(live.Definition)
	if live.Unique && all && slices.Equal(columns, k.index.Columns) {
		return true
	}
	l.problem(k.at, "Index with another definition", fmt.Sprintf(
		"There is an index %s already:\n  %s\nThe constraint takes an index of its own name: give it another name.", k.indexName(), live.Definition))
	return false
}

// keyThere is columnsThere for the columns of a key and those beside it.
func (l *lowering) keyThere(at hcl.Range, p spec.Places, name spec.Table, t *Table, columns, include []string) bool {
	key := l.columnsThere(at, p, "columns", name, t, columns)
	return l.columnsThere(at, p, "include", name, t, include) && key
}

type addUnique struct {
	plain
	*spec.AddUnique
}

func (o addUnique) rank() int { return rankConstraint }

func (o addUnique) form() any {
	c := *o.AddUnique
	c.Range = hcl.Range{}
	return c
}

func (o addUnique) keyed(l *lowering) keyed {
	return keyed{
		table: o.Table, name: o.Name, kind: "UNIQUE", deferral: o.Deferral, at: o.Range,
		there: l.live.Table(o.Table).Constraint(o.Name) != nil || l.live.Table(o.Table).went(o.Columns),
		index: o.index(),
	}
}

func (o addUnique) index() *spec.CreateIndex {
	return &spec.CreateIndex{
		Name: o.Name, Table: o.Table, Columns: o.Columns, Unique: true,
		Include: o.Include, NullsNotDistinct: o.NullsNotDistinct, Range: o.Range,
	}
}

// ownIndex is the constraint's index as the catalog will have it.
func (o addUnique) ownIndex() Index {
	i := indexOf(o.index())
	i.Constraint = o.Name
	return i
}

// definition is as pg_get_constraintdef() writes it.
func (o addUnique) definition() string {
	sql := "UNIQUE "
	if o.NullsNotDistinct {
		sql += "NULLS NOT DISTINCT "
	}
	sql += "(" + identList(o.Columns) + ")"
	if len(o.Include) > 0 {
		sql += " INCLUDE (" + identList(o.Include) + ")"
	}
	return sql + deferralSQL(o.Deferral)
}

func (o addUnique) check(l *lowering) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || !t.whole() && !l.keyThere(o.Range, o.At, o.Table, t, o.Columns, o.Include) {
		return false
	}
	if t.Partitioned != "" {
		l.problem(o.Range, "Unique constraint of a partitioned table", fmt.Sprintf(
			"Postgres cannot make an index of %s a constraint. A unique index does the same: create_index with unique = true.", o.Table))
		return false
	}
	live := l.live.Table(o.Table).Constraint(o.Name)
	if live == nil || live.Definition == "" || sameDefinition(live.Definition, o.definition()) {
		return o.keyed(l).check(l)
	}
	u := o.keyed(l).adopt()
	u.unlike, u.like = live.Definition, o.definition()
	l.diags = append(l.diags, anotherDefinition(u))
	return false
}

func (o addUnique) expand(l *lowering) bool {
	if o.check(l) {
		k := o.keyed(l)
		l.program.Expand = append(l.program.Expand, k.build(l), k.adopt())
		o.appear(l)
	}
	return true
}

// contract enforces it by the index, which can be taken back, and has it the
// constraint's in the end.
func (o addUnique) contract(l *lowering, _ int) bool {
	if o.check(l) {
		k := o.keyed(l)
		build, adopt := k.build(l), k.adopt()
		build.Verb, adopt.Verb = "enforce", "enforce"
		l.program.Hide = append(l.program.Hide, build)
		l.program.Drop = append(l.program.Drop, adopt)
	}
	return true
}

func (o addUnique) appear(l *lowering) {
	t := l.next.Table(o.Table)
	if t == nil || t.Constraint(o.Name) != nil {
		return
	}
	t.removeIndex(o.Name)
	t.Indexes = append(t.Indexes, o.ownIndex())
	t.Constraints = append(t.Constraints, Constraint{Name: o.Name, Kind: Unique, Definition: o.definition(), Columns: o.Columns, Valid: true})
}

func (o addUnique) unexpand(l *lowering) {
	l.next.Table(o.Table).removeConstraint(o.Name)
	l.next.Table(o.Table).removeIndex(o.Name)
}

func (o addUnique) uncontract(l *lowering) { o.unexpand(l) }

func (o addUnique) takeAway(l *lowering, to Phase) {
	if to == Contracted {
		o.appear(l)
		return
	}
	if t := l.next.Table(o.Table); t != nil && t.index(o.Name) == nil {
		t.Indexes = append(t.Indexes, indexOf(o.keyed(l).index))
	}
}

type addPrimaryKey struct {
	plain
	*spec.AddPrimaryKey
}

func (o addPrimaryKey) rank() int { return rankConstraint }

func (o addPrimaryKey) form() any {
	c := *o.AddPrimaryKey
	c.Range = hcl.Range{}
	return c
}

func (o addPrimaryKey) keyed(l *lowering) keyed {
	return keyed{
		table: o.Table, name: o.Name, kind: "PRIMARY KEY", deferral: o.Deferral, at: o.Range,
		there: slices.Equal(l.live.Table(o.Table).primaryKey(), o.Columns),
		index: &spec.CreateIndex{Name: o.Name, Table: o.Table, Columns: o.Columns, Unique: true, Include: o.Include, Range: o.Range},
	}
}

func (t *Table) primaryKey() []string {
	if t == nil {
		return nil
	}
	return t.PrimaryKey
}

// units make the columns NOT NULL by the way of a check, then the index, then
// the key: each of them without a scan under a strong lock.
func (o addPrimaryKey) units(l *lowering) []Unit {
	var units []Unit
	if l.live.Table(o.Table) != nil {
		for _, c := range o.Columns {
			units = append(units, l.notNull(o.Table, c, o.Range).kept()...)
		}
	}
	k := o.keyed(l)
	if k.there { // also where a later change has replaced the column
		for i := range units {
			units[i].Applied, units[i].missing = true, nil
		}
	}
	return append(units, k.build(l), k.adopt())
}

func (o addPrimaryKey) check(l *lowering) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || !t.whole() && !l.keyThere(o.Range, o.At, o.Table, t, o.Columns, o.Include) {
		return false
	}
	if t.Partitioned != "" {
		l.problem(o.Range, "Primary key of a partitioned table", fmt.Sprintf("Postgres cannot make an index of %s its primary key.", o.Table))
		return false
	}
	if live := l.live.Table(o.Table).primaryKey(); len(live) > 0 && !slices.Equal(live, o.Columns) {
		l.problem(o.Range, "Table has a primary key", fmt.Sprintf(
			"The primary key of %s is (%s), and a table has one. Use add_unique for another.", o.Table, strings.Join(live, ", ")))
		return false
	}
	return o.keyed(l).check(l)
}

// expand comes when all rows are filled: until then there may be rows without a
// key.
func (o addPrimaryKey) expand(l *lowering) bool {
	if o.check(l) {
		l.program.Validate = append(l.program.Validate, o.units(l)...)
	}
	if t := l.next.Table(o.Table); t != nil && len(t.PrimaryKey) == 0 {
		t.KeyToCome = &KeyToCome{Change: l.change.Name, Columns: o.Columns}
	}
	return true
}

// KeyToCome is a primary key that is not there yet.
type KeyToCome struct {
	Change  string
	Columns []string
}

// keyFirst says which change has yet to make a primary key of a column that this one
// replaces. What goes along with a column is what is there by then.
func (l *lowering) keyFirst(t spec.Table) Wait {
	table := l.live.Table(t)
	if table == nil || table.KeyToCome == nil || table.KeyToCome.Change == l.change.Name {
		return Wait{}
	}
	for _, r := range l.replaced(t) {
		if slices.Contains(table.KeyToCome.Columns, r.Column) {
			return Wait{table.KeyToCome.Change, fmt.Sprintf("change.%s makes the primary key of %s first", table.KeyToCome.Change, t)}
		}
	}
	return Wait{}
}

func (o addPrimaryKey) settle(l *lowering) {
	t := l.next.Table(o.Table)
	if t == nil || len(t.PrimaryKey) > 0 {
		return
	}
	t.PrimaryKey, t.PrimaryKeyName, t.KeyToCome = o.Columns, o.Name, nil
	for _, c := range o.Columns {
		if column := t.Column(c); column != nil {
			column.NotNull = true
		}
	}
}

func (o addPrimaryKey) unexpand(l *lowering) {
	if t := l.next.Table(o.Table); t != nil {
		t.PrimaryKey, t.PrimaryKeyName, t.KeyToCome = nil, "", nil
		t.removeIndex(o.Name)
	}
}
