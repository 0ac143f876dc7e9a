package postgres_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"pleat/spec"
)

// strides are the kinds of change that a walk may take. Each draws one that
// fits the sketch and changes the sketch as the change will have changed the
// schema; it is false where nothing fits. A name is never given twice, so that
// changes which wait for their contract are in nobody's way. A new operation
// is one more function here.
var strides = []func(*rapid.T, *sketch) (stride, bool){
	drawCreateTable, drawDropTable, drawRenameTable, drawAddColumn, drawDropColumn, drawSplit, drawChangeType, drawRenameByCopy,
	drawFilledColumn, drawSetNotNull, drawDropNotNull, drawSetDefault, drawDropDefault, drawComment,
	drawAddCheck, drawAddForeignKey, drawReference, drawAddUnique, drawAddPrimaryKey, drawAddExclusion, drawDropConstraint, drawRenameConstraint,
	drawCreateIndex, drawDropIndex, drawRenameIndex, drawAuthorsSQL, drawServe,
	drawCreateEnum, drawAddEnumValue, drawRenameEnumValue,
	drawCreateParted, drawCreatePartition, drawLoose, drawAttachPartition, drawDetachPartition,
}

// sketch is the schema as the changes so far will have left it.
type sketch struct {
	tables []*sketchTable
	enums  []*sketchEnum
	parted []*sketchParted
	loose  string // a table that can become a partition; "" = none
	names  int
}

// sketchTable has a column id besides its columns, with numbers from 1 on.
type sketchTable struct {
	name        string
	columns     []sketchColumn
	indexes     []string
	constraints []*sketchConstraint
	keyless     bool         // id is no key, or not yet
	filled      bool         // it has rows
	referred    bool         // by a foreign key
	renamed     bool         // until the contract a view has its former name; nothing else becomes of it
	synced      bool         // a change keeps two shapes of it in step
	served      *spec.Change // that has a view of it; nil for none
}

// sketchConstraint is one that is there once its change is expanded.
type sketchConstraint struct {
	name   string
	key    bool // the primary key
	checks bool // that id is positive, from the beginning
}

// behind has a change of the table come after the one that has a view of it.
func (table *sketchTable) behind(s stride) stride {
	if table.served != nil && !slices.Contains(s.change.After, table.served) {
		s.change.After, s.change.Serving = append(s.change.After, table.served), append(s.change.Serving, table.served)
	}
	return s
}

type sketchColumn struct {
	name, kind, fallback string
	notNull              bool
	empty                bool // it may have nulls; one of numbers has nothing else
	numbers              bool // what is not null is a number from 1 to 40
	used                 bool // an index or a constraint has it
	fixed                bool // a deferrable key has it, which no other column takes over
	renamed              bool // until its contract the table has another name for it
	waits                bool // for a contract that changes its NOT NULL or default
}

// values are an expression that fills a column of a type from i, defaults, and
// a check.
var values = map[string]struct{ fill, fallback, other, check string }{
	"text":        {"'User Number' || i", "'none'", "'some'", "%s <> 'never'"},
	"integer":     {"i", "7", "9", "%s > -1"},
	"bigint":      {"i * 1000", "0", "1", "%s >= 0"},
	"boolean":     {"i % 2 = 0", "false", "true", "%[1]s or not %[1]s"},
	"timestamptz": {"now()", "now()", "'2024-01-01'", "%s > '1999-01-01'"},
	"jsonb":       {"jsonb_build_object('i', i)", "'{}'", "'[]'", "jsonb_typeof(%s) <> 'never'"},
}

var kinds = []string{"text", "integer", "bigint", "boolean", "timestamptz", "jsonb"}

func (s *sketch) fresh(prefix string) string {
	s.names++
	// Names that need quotes are names too.
	if s.names%4 == 0 {
		prefix = strings.ToUpper(prefix) + " "
	}
	return fmt.Sprintf("%s%d", prefix, s.names)
}

func quoted(name string) string { return `"` + name + `"` }

func (s *sketch) column(t *rapid.T) sketchColumn {
	c := sketchColumn{name: s.fresh("c"), kind: rapid.SampledFrom(kinds).Draw(t, "type")}
	c.numbers = c.kind == "integer"
	if rapid.Bool().Draw(t, "default") {
		c.fallback = values[c.kind].fallback
		c.notNull = rapid.Bool().Draw(t, "not null")
	}
	return c
}

func (c sketchColumn) ddl() string {
	text := quoted(c.name) + " " + c.kind
	if c.notNull {
		text += " not null"
	}
	if c.fallback != "" {
		text += " default " + c.fallback
	}
	return text
}

func (c sketchColumn) spec() spec.Column {
	return spec.Column{Name: c.name, Type: c.kind, NotNull: c.notNull, Default: c.fallback}
}

func (s *sketch) addTable(t *rapid.T) *sketchTable {
	table := &sketchTable{name: s.fresh("t")}
	for range rapid.IntRange(1, 4).Draw(t, "columns") {
		c := s.column(t)
		// Only a table that is made has such columns without a default.
		c.notNull = c.notNull || rapid.Bool().Draw(t, "strict")
		table.columns = append(table.columns, c)
	}
	s.tables = append(s.tables, table)
	return table
}

// settle gives a table with rows what changes take away or name otherwise.
func (s *sketch) settle(t *rapid.T, table *sketchTable) {
	table.filled = true
	if table.keyless = rapid.IntRange(0, 3).Draw(t, "keyless") == 0; !table.keyless {
		table.constraints = append(table.constraints, &sketchConstraint{name: table.name + "_pkey", key: true})
	}
	if rapid.Bool().Draw(t, "checked") {
		table.constraints = append(table.constraints, &sketchConstraint{name: s.fresh("k"), checks: true})
	}
}

func (table *sketchTable) ddl() string {
	text := "create table " + quoted(table.name) + " (id bigint generated by default as identity"
	if !table.keyless {
		text += " primary key"
	}
	for _, c := range table.columns {
		text += ", " + c.ddl()
	}
	for _, c := range table.constraints {
		if c.checks {
			text += ", constraint " + quoted(c.name) + " check (id > 0)"
		}
	}
	return text + ")"
}

func (table *sketchTable) spec() spec.Table { return spec.Table{Schema: "public", Name: table.name} }

// ddl makes the tables with some rows.
func (s *sketch) ddl() string {
	var all []string
	for _, table := range s.tables {
		var names, fills []string
		for _, c := range table.columns {
			names, fills = append(names, quoted(c.name)), append(fills, values[c.kind].fill)
		}
		all = append(all, table.ddl(), fmt.Sprintf("insert into %s (%s) select %s from generate_series(1, 40) i",
			quoted(table.name), strings.Join(names, ", "), strings.Join(fills, ", ")))
	}
	return strings.Join(all, ";\n")
}

func (s *sketch) table(t *rapid.T) (*sketchTable, bool) {
	fitting := slices.DeleteFunc(slices.Clone(s.tables), func(table *sketchTable) bool { return table.renamed })
	if len(fitting) == 0 {
		return nil, false
	}
	return rapid.SampledFrom(fitting).Draw(t, "table"), true
}

// pick draws a column that is fit.
func (s *sketch) pick(t *rapid.T, fit func(sketchColumn) bool) (*sketchTable, int, bool) {
	table, ok := s.table(t)
	if !ok {
		return nil, 0, false
	}
	var fitting []int
	for i, c := range table.columns {
		if !c.renamed && fit(c) {
			fitting = append(fitting, i)
		}
	}
	if len(fitting) == 0 {
		return nil, 0, false
	}
	return table, rapid.SampledFrom(fitting).Draw(t, "column"), true
}

func expanding(direct string, ops ...spec.Operation) stride {
	return stride{change: spec.Change{Expand: ops}, direct: direct}
}

func contracting(direct string, ops ...spec.Operation) stride {
	return stride{change: spec.Change{Contract: &spec.Contract{Operations: ops}}, direct: direct}
}

func drawCreateTable(t *rapid.T, s *sketch) (stride, bool) {
	table := s.addTable(t)
	op := &spec.CreateTable{Table: table.spec(), PrimaryKey: []string{"id"}, Columns: []spec.Column{{Name: "id", Type: "bigint", Identity: true}}}
	for _, c := range table.columns {
		op.Columns = append(op.Columns, c.spec())
	}
	return expanding(table.ddl(), op), true
}

func drawDropTable(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok || len(s.tables) == 1 || table.served != nil || table.referred {
		return stride{}, false
	}
	s.tables = slices.DeleteFunc(s.tables, func(other *sketchTable) bool { return other == table })
	return contracting("drop table "+quoted(table.name), &spec.DropTable{Table: table.spec()}), true
}

func drawAddColumn(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok {
		return stride{}, false
	}
	c := s.column(t)
	c.empty = table.filled && c.fallback == ""
	table.columns = append(table.columns, c)
	direct := fmt.Sprintf("alter table %s add %s", quoted(table.name), c.ddl())
	return table.behind(expanding(direct, &spec.AddColumn{Table: table.spec(), Column: c.spec()})), true
}

func drawDropColumn(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return !c.used })
	if !ok {
		return stride{}, false
	}
	name := table.columns[i].name
	table.columns = slices.Delete(table.columns, i, i+1)
	return table.behind(contracting(fmt.Sprintf("alter table %s drop %s", quoted(table.name), quoted(name)),
		&spec.DropColumn{Table: table.spec(), Column: name})), true
}

func drawSplit(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return c.kind == "text" && !c.used })
	if !ok || table.served != nil {
		return stride{}, false
	}
	table.synced = true
	old := table.columns[i].name
	first, last := s.fresh("c"), s.fresh("c")
	table.columns = append(slices.Delete(table.columns, i, i+1), sketchColumn{name: first, kind: "text", empty: true}, sketchColumn{name: last, kind: "text", empty: true})
	at := table.spec()
	return stride{
		direct: fmt.Sprintf("alter table %s add %s text, add %s text, drop %s", quoted(table.name), quoted(first), quoted(last), quoted(old)),
		change: spec.Change{
			Expand: []spec.Operation{
				&spec.AddColumn{Table: at, Column: spec.Column{Name: first, Type: "text"}},
				&spec.AddColumn{Table: at, Column: spec.Column{Name: last, Type: "text"}},
				&spec.Sync{Table: at,
					Forward: map[string]string{
						first: fmt.Sprintf("split_part(%s, ' ', 1)", quoted(old)),
						last:  fmt.Sprintf("nullif(split_part(%s, ' ', 2), '')", quoted(old)),
					},
					Backward: map[string]string{old: fmt.Sprintf("concat_ws(' ', %s, %s)", quoted(first), quoted(last))},
				},
			},
			Backfills: []*spec.Backfill{{Table: at, Batch: 15}},
			Contract:  &spec.Contract{Operations: []spec.Operation{&spec.DropColumn{Table: at, Column: old}}},
		},
	}, true
}

func drawChangeType(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return c.kind == "integer" && !c.fixed })
	if !ok || table.served != nil {
		return stride{}, false
	}
	table.synced = true
	c := &table.columns[i]
	c.kind = "bigint"
	change := changeType(table.name, c.name, "bigint", quoted(c.name)+"::bigint", quoted("pleat_new_"+c.name)+"::int")
	return stride{
		direct: fmt.Sprintf("alter table %s alter %s type bigint", quoted(table.name), quoted(c.name)),
		change: *change,
	}, true
}

func drawCreateIndex(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return c.kind != "jsonb" })
	if !ok {
		return stride{}, false
	}
	c := &table.columns[i]
	c.used = true
	op := &spec.CreateIndex{Name: s.fresh("i"), Table: table.spec(), Columns: []string{c.name}}
	columns, unique, where := quoted(c.name), "", ""
	if rapid.Bool().Draw(t, "unique") {
		op.Unique, op.Columns, unique = true, []string{"id", c.name}, "unique "
		columns = "id, " + columns
	}
	if rapid.Bool().Draw(t, "partial") {
		op.Where, where = "id > 3", " where id > 3"
	}
	table.indexes = append(table.indexes, op.Name)
	return expanding(fmt.Sprintf("create %sindex %s on %s (%s)%s", unique, quoted(op.Name), quoted(table.name), columns, where), op), true
}

func drawDropIndex(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok || len(table.indexes) == 0 {
		return stride{}, false
	}
	name := table.indexes[0]
	table.indexes = table.indexes[1:]
	return contracting("drop index "+quoted(name), &spec.DropIndex{Schema: "public", Name: name}), true
}

func drawAuthorsSQL(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok {
		return stride{}, false
	}
	sequence := quoted(s.fresh("s"))
	up := fmt.Sprintf("create sequence %[1]s; comment on sequence %[1]s is 'beside %[2]s'", sequence, table.name)
	return expanding(up, &spec.SQL{Label: "1", Up: up, Down: "drop sequence " + sequence}), true
}

func drawServe(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return true })
	if !ok || table.synced || table.served != nil {
		return stride{}, false
	}
	c := &table.columns[i]
	from, to := c.name, s.fresh("c")
	view := &spec.ServeView{Table: table.spec(), Columns: map[string]string{from: to}, Schema: "pleat_" + s.fresh("v")}
	c.name, c.renamed = to, true
	change := spec.Change{Expand: []spec.Operation{view}, Contract: &spec.Contract{Operations: []spec.Operation{&spec.EndView{View: view}}}}
	table.served = &spec.Change{Expand: change.Expand, Contract: change.Contract}
	return stride{change: change, direct: fmt.Sprintf("alter table %s rename %s to %s", quoted(table.name), quoted(from), quoted(to))}, true
}
