package migrations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

type createIndex struct {
	plain
	*spec.CreateIndex
}

func (o createIndex) rank() int { return rankIndex }

func (o createIndex) form() any {
	c := *o.CreateIndex
	c.Range = hcl.Range{}
	return c
}

func (o createIndex) unexpand(l *lowering) { l.next.Table(o.Table).removeIndex(o.Name) }

// expand never says IF NOT EXISTS: Postgres would be content with the
// invalid index that an interrupted build leaves.
func (o createIndex) expand(l *lowering) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || !l.checkIndex(o.CreateIndex) || l.dotted(o.Range, o.Table, partitionNames(t.Partitions)) {
		return true
	}
	units := o.units(l, t, o.Name)
	if whole := &units[len(units)-1]; t.Partitioned != "" {
		whole.Statements = append(whole.Statements, namedParts(spec.Table{Schema: o.Table.Schema, Name: o.Name}, t, o.Name))
	}
	l.nameFree(units[len(units)-1], spec.Table{Schema: o.Table.Schema, Name: o.Name})
	units[len(units)-1].other = o.another(l, units[len(units)-1].ID)
	l.program.Expand = append(l.program.Expand, units...)
	l.askIndex(units[len(units)-1].ID, t, o.CreateIndex)
	if t.index(o.Name) == nil {
		t.Indexes = append(t.Indexes, indexOf(o.CreateIndex))
	}
	return true
}

// another says that an index of that name is there which is not this one. The text
// tells, or how the server writes both, so an index that this change is recorded to
// have made is not asked.
func (o createIndex) another(l *lowering, unit string) *hcl.Diagnostic {
	index := spec.Table{Schema: o.Table.Schema, Name: o.Name}
	live, wanted := l.live.Table(o.Table).index(o.Name), indexOf(o.CreateIndex)
	if live == nil || live.Definition == "" || l.live.remade(index) ||
		live.Unique == wanted.Unique && (sameIndex(live.rest(), wanted.rest()) || l.sameParts(unit, o.Table, live.rest(), wanted.rest())) {
		return nil
	}
	return refused(o.Range, "Index with another definition", fmt.Sprintf(
		"There is an index %s on %s already:\n  %s\nThis change would make:\n  %s\nGive it another name, write it as it is there, or have it replaced by replace_index in another change.",
		index, o.Table, live.Definition, wanted.Definition))
}

// units build the index; where the table has partitions, their indexes are named
// after them and part.
func (o createIndex) units(l *lowering, t *Table, part string) []Unit {
	if t.Partitioned != "" {
		return l.parted(t, parted{o.Table, o.Name, part, func(where string) string { return indexSQL(o.CreateIndex, where) }, o.Range})
	}
	return []Unit{o.build(l)}
}

// build is the unit of an index on a table that is not partitioned.
func (o createIndex) build(l *lowering) Unit {
	u := buildUnit(l, o.Table, spec.Table{Schema: o.Table.Schema, Name: o.Name}, createIndexSQL(o.CreateIndex), o.Range)
	if t := l.live.Table(o.Table); t.index(o.Name) == nil && t.went(usedColumns(indexOf(o.CreateIndex).rest())) {
		u.Applied, u.missing = true, nil
	}
	return u
}

// rest is the definition of an index from its method on.
func (i Index) rest() string {
	_, rest, _ := strings.Cut(i.Definition, " USING ")
	return rest
}

// buildUnit builds an index on a table that is not partitioned.
func buildUnit(l *lowering, table, index spec.Table, sql string, at hcl.Range) Unit {
	live := l.live.Table(table).index(index.Name)
	u := Unit{
		ID:         "index." + index.String(),
		Title:      "index " + index.String() + " on " + table.String(),
		Mode:       BuildIndex,
		Table:      table,
		Lock:       ShareUpdateExclusive,
		UndoLock:   ShareUpdateExclusive,
		Index:      index,
		Statements: []string{sql},
		Undo:       []string{dropIndexSQL(index)},
		UndoTitle:  "drop index",
		Applied:    live != nil && live.Valid || l.next.Former[index.String()],
		Visible:    true,
		Source:     at,
	}
	if !u.Applied {
		u.missing = []string{"index " + index.String()}
	}
	return u
}

// indexOf is the index as the catalog will have it, which does not say where it is
// stored.
func indexOf(o *spec.CreateIndex) Index {
	stored := *o
	stored.Tablespace = ""
	o = &stored
	definition := strings.Replace(createIndexSQL(o), "INDEX CONCURRENTLY", "INDEX", 1)
	return Index{Name: o.Name, Definition: definition, Unique: o.Unique, Valid: true}
}

func (l *lowering) checkIndex(o *spec.CreateIndex) bool {
	before := len(l.diags)
	for _, c := range o.Columns {
		if err := checkExpression(c); err != nil {
			l.problem(o.Range, "Invalid index column", fmt.Sprintf("%q cannot be used: %v.", c, err))
		}
	}
	if o.Where == "" {
		return len(l.diags) == before
	}
	if err := checkExpression(o.Where); err != nil {
		l.problem(o.Range, "Invalid index condition", fmt.Sprintf("%q cannot be used: %v.", o.Where, err))
	}
	return len(l.diags) == before
}

func createIndexSQL(o *spec.CreateIndex) string {
	return indexSQL(o, "CONCURRENTLY "+Ident(o.Name)+" ON "+tableIdent(o.Table))
}

// indexSQL puts what the index is called and is on between the words before it
// and its definition.
func indexSQL(o *spec.CreateIndex, where string) string {
	sql := "CREATE INDEX "
	if o.Unique {
		sql = "CREATE UNIQUE INDEX "
	}
	method := o.Method
	if method == "" {
		method = "btree"
	}
	columns := make([]string, len(o.Columns))
	for i, c := range o.Columns {
		columns[i] = indexColumn(c)
	}
	sql += fmt.Sprintf("%s USING %s (%s)", where, Ident(method), strings.Join(columns, ", "))
	if len(o.Include) > 0 {
		sql += " INCLUDE (" + identList(o.Include) + ")"
	}
	if o.NullsNotDistinct {
		sql += " NULLS NOT DISTINCT"
	}
	if len(o.With) > 0 {
		sql += " WITH (" + storage(o.With) + ")"
	}
	if o.Tablespace != "" {
		sql += " TABLESPACE " + Ident(o.Tablespace)
	}
	if o.Where != "" {
		sql += " WHERE " + parenthesized(o.Where)
	}
	return sql
}

func storage(parameters map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		all = append(all, Ident(name)+" = "+Literal(parameters[name]))
	}
	return strings.Join(all, ", ")
}

// indexColumn keeps an expression, which the author wrote in parentheses, and
// what follows a column's name.
func indexColumn(c string) string {
	if strings.HasPrefix(strings.TrimSpace(c), "(") {
		return c
	}
	name, order := spec.IndexColumn(c)
	if order == "" {
		return Ident(name)
	}
	return Ident(name) + " " + order
}

type dropIndex struct {
	plain
	*spec.DropIndex
}

func (o dropIndex) rank() int { return rankIndex }

func (o dropIndex) form() any { return []any{o.Schema, o.Name} }

func (o dropIndex) index() spec.Table { return spec.Table{Schema: o.Schema, Name: o.Name} }

func (o dropIndex) contract(l *lowering, _ int) bool {
	l.program.Drop = append(l.program.Drop, o.unit(l))
	return true
}

func (o dropIndex) uncontract(l *lowering) { l.next.restoreIndex(o.index()) }

func (o dropIndex) takeAway(l *lowering, to Phase) {
	if to != Contracted {
		return
	}
	_, t := l.next.tableOfIndex(o.index())
	t.removeIndex(o.Name)
	delete(l.next.Former, o.index().String())
}

func (o dropIndex) unit(l *lowering) Unit {
	table, on := l.live.tableOfIndex(o.index())
	live := on.index(o.Name)
	u := removal(table, on, o.index(), live)
	u.Source = o.Range
	if live != nil {
		l.checkRemovable(o.Range, table, on, *live)
		l.next.Table(table).removeIndex(o.Name)
		return u
	}
	l.askDropped(u, o.index(), "index")
	return u
}

// removal is the unit that drops an index of a table, live as it is there.
// It can be taken back for as long as the catalog tells how that was made.
func removal(table spec.Table, on *Table, index spec.Table, live *Index) Unit {
	u := Unit{
		ID: "drop.index." + index.String(), Title: "index " + index.String(), Mode: RemoveIndex,
		Table: table, Lock: ShareUpdateExclusive, UndoLock: ShareUpdateExclusive, Index: index,
		Statements: []string{dropIndexSQL(index)}, Applied: live == nil, Visible: true,
	}
	if live == nil {
		return u
	}
	u.missing = []string{u.Title}
	if on.Partitioned != "" {
		return partitionedRemoval(u, on)
	}
	u.Undo, u.UndoTitle = []string{strings.Replace(live.Definition, "INDEX ", "INDEX CONCURRENTLY ", 1)}, "build it again"
	return u
}

func dropIndexSQL(index spec.Table) string {
	return "DROP INDEX CONCURRENTLY " + tableIdent(index)
}

// checkRemovable says at plan time what the server would say of a drop (2BP01).
func (l *lowering) checkRemovable(at hcl.Range, table spec.Table, t *Table, i Index) bool {
	switch {
	case i.Constraint != "":
		l.problem(at, "Index of a constraint", fmt.Sprintf(
			"The index %s is that of the constraint %s, and goes with it: drop_constraint %q %q.", i.Name, i.Constraint, table, i.Constraint))
	case i.Parent != "":
		l.problem(at, "Index is part of another one", fmt.Sprintf("The index %s is the part of %s that is on %s, and goes with it.", i.Name, i.Parent, table))
	case i.Identity:
		l.identifies(at, table, i)
	default:
		columns, all := indexedColumns(i.Definition)
		return !i.Unique || !all || l.checkReferred(at, t, i.Name, columns)
	}
	return false
}

// identifies refuses to take away what subscribers tell the rows of a table apart
// by: from then on the server would refuse each UPDATE and DELETE of a table that is
// published.
func (l *lowering) identifies(at hcl.Range, table spec.Table, i Index) {
	l.problem(at, "Replica identity", fmt.Sprintf(
		"The rows of %[1]s are told apart by the index %[2]s in replication. Without it the server refuses each UPDATE and DELETE of a table that is published. In a change before:\n\n  sql \"identity\" {\n    up   = \"ALTER TABLE %[1]s REPLICA IDENTITY FULL\"\n    down = \"ALTER TABLE %[1]s REPLICA IDENTITY USING INDEX %[2]s\"\n  }", table, i.Name))
}

// checkReferred is about foreign keys that refer to columns which only this index
// keeps unique.
func (l *lowering) checkReferred(at hcl.Range, t *Table, gone string, columns []string) bool {
	alike := func(i Index) bool {
		others, all := indexedColumns(i.Definition)
		return i.Name != gone && i.Unique && i.Valid && all && sameSet(others, columns)
	}
	if sameSet(t.PrimaryKey, columns) || slices.ContainsFunc(t.Indexes, alike) {
		return true
	}
	for _, f := range t.References {
		if sameSet(f.Referenced, columns) {
			l.problem(at, "Something else needs it", fmt.Sprintf(
				"The foreign key %s of %s refers to (%s), so Postgres would refuse the drop. Drop it in a change before this one.", f.Name, f.Table, strings.Join(columns, ", ")))
			return false
		}
	}
	return true
}
