package postgres_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"pleat/spec"
)

func addConstraint(table *sketchTable, name, definition string) string {
	return fmt.Sprintf("alter table %s add constraint %s %s", quoted(table.name), quoted(name), definition)
}

// constraint adds one that is there for other changes once this one is expanded.
func (table *sketchTable) constraint(expand bool, name, definition string, op spec.Operation) stride {
	if expand {
		table.constraints = append(table.constraints, &sketchConstraint{name: name})
	}
	return table.behind(anywhere(expand, addConstraint(table, name, definition), op))
}

func drawAddCheck(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return true })
	if !ok {
		return stride{}, false
	}
	c := &table.columns[i]
	c.used = true
	op := &spec.AddCheck{Table: table.spec(), Name: s.fresh("k"), Expression: fmt.Sprintf(values[c.kind].check, quoted(c.name))}
	return table.constraint(rapid.Bool().Draw(t, "expand"), op.Name, "check ("+op.Expression+")", op), true
}

// drawAddForeignKey refers to a table with rows or, where there is nothing that
// refers, to any other.
func drawAddForeignKey(t *rapid.T, s *sketch) (stride, bool) {
	to, ok := s.table(t)
	if !ok || to.keyless {
		return stride{}, false
	}
	table, ok := s.table(t)
	if !ok {
		return stride{}, false
	}
	i := slices.IndexFunc(table.columns, func(c sketchColumn) bool {
		number := c.numbers || c.kind == "bigint" && (c.empty || !table.filled)
		return number && !c.renamed && (to.filled || !table.filled || c.empty)
	})
	if i < 0 {
		return stride{}, false
	}
	c := &table.columns[i]
	c.used, to.referred = true, true
	op := &spec.AddForeignKey{Table: table.spec(), Name: s.fresh("f"), Columns: []string{c.name}, References: to.spec(),
		OnDelete: rapid.SampledFrom([]string{"", "cascade", "set null"}).Draw(t, "on delete"),
		Deferral: spec.Deferral{Deferrable: rapid.Bool().Draw(t, "deferrable")}}
	definition := fmt.Sprintf("foreign key (%s) references %s", quoted(c.name), quoted(to.name))
	if op.OnDelete != "" {
		definition += " on delete " + op.OnDelete
	}
	if op.Deferral.Deferrable {
		definition += " deferrable"
	}
	return to.behind(table.constraint(rapid.Bool().Draw(t, "expand"), op.Name, definition, op)), true
}

// drawReference makes a table and has another one refer to it, all in one change.
func drawReference(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok {
		return stride{}, false
	}
	created, _ := drawCreateTable(t, s)
	to := s.tables[len(s.tables)-1]
	to.referred = true
	column, name := s.fresh("c"), s.fresh("f")
	table.columns = append(table.columns, sketchColumn{name: column, kind: "bigint", empty: table.filled, used: true})
	next := table.constraint(true, name, fmt.Sprintf("foreign key (%s) references %s", quoted(column), quoted(to.name)),
		&spec.AddForeignKey{Table: table.spec(), Name: name, Columns: []string{column}, References: to.spec()})
	next.direct = fmt.Sprintf("%s; alter table %s add %s bigint; %s", created.direct, quoted(table.name), quoted(column), next.direct)
	next.change.Expand = slices.Concat(created.change.Expand, []spec.Operation{
		&spec.AddColumn{Table: table.spec(), Column: spec.Column{Name: column, Type: "bigint"}},
	}, next.change.Expand)
	return next, true
}

func drawAddUnique(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return true })
	if !ok {
		return stride{}, false
	}
	c := &table.columns[i]
	c.used = true
	op := &spec.AddUnique{Table: table.spec(), Name: s.fresh("u"), Columns: []string{c.name, "id"},
		Deferral: spec.Deferral{Deferrable: rapid.Bool().Draw(t, "deferrable")}}
	definition := fmt.Sprintf("unique (%s, id)", quoted(c.name))
	if rapid.Bool().Draw(t, "include") {
		op.Columns, op.Include = []string{"id"}, []string{c.name}
		definition = fmt.Sprintf("unique (id) include (%s)", quoted(c.name))
	}
	if op.Deferral.Deferrable {
		definition += " deferrable"
		c.fixed, table.fixed = true, true
	}
	return table.constraint(rapid.Bool().Draw(t, "expand"), op.Name, definition, op), true
}

// drawAddPrimaryKey leaves the table without one for other changes: they may be
// looked at before its rows were.
func drawAddPrimaryKey(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok || !table.keyless || slices.ContainsFunc(table.constraints, func(c *sketchConstraint) bool { return c.key }) {
		return stride{}, false
	}
	name := s.fresh("p")
	next := expanding(addConstraint(table, name, "primary key (id)"), &spec.AddPrimaryKey{Table: table.spec(), Name: name, Columns: []string{"id"}})
	table.constraints = append(table.constraints, &sketchConstraint{name: name, key: true})
	return table.behind(next), true
}

func drawAddExclusion(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok {
		return stride{}, false
	}
	table.fixed = true
	op := &spec.AddExclusion{Table: table.spec(), Name: s.fresh("e"), Method: "gist", Elements: []string{"int8range(id, id, '[]') WITH &&"}}
	return table.constraint(rapid.Bool().Draw(t, "expand"), op.Name, "exclude using gist ("+op.Elements[0]+")", op), true
}

func drawDropConstraint(t *rapid.T, s *sketch) (stride, bool) {
	table, c, ok := s.pickConstraint(t)
	if !ok || c.key {
		return stride{}, false
	}
	table.constraints = slices.DeleteFunc(table.constraints, func(other *sketchConstraint) bool { return other == c })
	op := &spec.DropConstraint{Table: table.spec(), Name: c.name}
	expand := c.checks && rapid.Bool().Draw(t, "expand")
	if expand {
		op.Definition = "CHECK (id > 0)"
	}
	return table.behind(anywhere(expand, fmt.Sprintf("alter table %s drop constraint %s", quoted(table.name), quoted(c.name)), op)), true
}

func drawRenameConstraint(t *rapid.T, s *sketch) (stride, bool) {
	table, c, ok := s.pickConstraint(t)
	if !ok || table.keyless && c.key {
		return stride{}, false
	}
	from := c.name
	c.name = s.fresh("k")
	return table.behind(expanding(fmt.Sprintf("alter table %s rename constraint %s to %s", quoted(table.name), quoted(from), quoted(c.name)),
		&spec.RenameConstraint{Table: table.spec(), Name: from, To: c.name})), true
}

func (s *sketch) pickConstraint(t *rapid.T) (*sketchTable, *sketchConstraint, bool) {
	table, ok := s.table(t)
	if !ok || len(table.constraints) == 0 {
		return nil, nil, false
	}
	return table, rapid.SampledFrom(table.constraints).Draw(t, "constraint"), true
}

func drawRenameIndex(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok || len(table.indexes) == 0 {
		return stride{}, false
	}
	from := table.indexes[0]
	table.indexes[0] = s.fresh("i")
	return table.behind(expanding(fmt.Sprintf("alter index %s rename to %s", quoted(from), quoted(table.indexes[0])),
		&spec.RenameIndex{Schema: "public", Name: from, To: table.indexes[0]})), true
}
