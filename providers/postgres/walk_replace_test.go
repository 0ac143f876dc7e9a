package postgres_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"pleat/spec"
)

func drawMerge(t *rapid.T, s *sketch) (stride, bool) {
	fit := func(c sketchColumn) bool { return c.kind == "text" && !c.used && !c.generated && !c.renamed }
	table, i, ok := s.pick(t, fit)
	if !ok || table.served != nil {
		return stride{}, false
	}
	first := table.columns[i].name
	j := slices.IndexFunc(table.columns, func(c sketchColumn) bool { return c.name != first && fit(c) })
	if j < 0 {
		return stride{}, false
	}
	table.synced = true
	second, into, at := table.columns[j].name, s.fresh("c"), table.spec()
	table.columns = slices.DeleteFunc(table.columns, func(c sketchColumn) bool { return c.name == first || c.name == second })
	column := spec.Column{Name: into, Type: "text", NotNull: rapid.Bool().Draw(t, "not null")}
	table.columns = append(table.columns, sketchColumn{name: into, kind: "text", notNull: column.NotNull, waits: true})
	direct := fmt.Sprintf("alter table %s add %s text, drop %s, drop %s", quoted(table.name), quoted(into), quoted(first), quoted(second))
	if column.NotNull {
		direct = fmt.Sprintf("alter table %[1]s add %[2]s text not null default ''; alter table %[1]s alter %[2]s drop default, drop %[3]s, drop %[4]s",
			quoted(table.name), quoted(into), quoted(first), quoted(second))
	}
	return stride{
		direct: direct,
		change: spec.Change{
			Expand: []spec.Operation{
				&spec.AddColumn{Table: at, Column: column},
				&spec.Sync{Table: at,
					Forward: map[string]string{into: fmt.Sprintf("coalesce(%s, '') || '@' || coalesce(%s, '')", quoted(first), quoted(second))},
					Backward: map[string]string{
						first:  fmt.Sprintf("nullif(split_part(%s, '@', 1), '')", quoted(into)),
						second: fmt.Sprintf("nullif(split_part(%s, '@', 2), '')", quoted(into)),
					},
				},
			},
			Backfills: []*spec.Backfill{{Table: at, Batch: 15}},
			Contract: &spec.Contract{Operations: []spec.Operation{
				&spec.DropColumn{Table: at, Column: first}, &spec.DropColumn{Table: at, Column: second},
			}},
		},
	}, true
}

func drawReplaceIndex(t *rapid.T, s *sketch) (stride, bool) {
	table, i, ok := s.pick(t, func(c sketchColumn) bool { return c.kind != "jsonb" })
	if !ok || len(table.indexes) == 0 {
		return stride{}, false
	}
	c := &table.columns[i]
	c.used = true
	name := table.indexes[0]
	table.indexes = table.indexes[1:]
	index := &spec.CreateIndex{Name: name, Table: table.spec(), Columns: []string{c.name, "id"}, Where: "id > 5"}
	next := table.behind(expanding(fmt.Sprintf("drop index %[1]s; create index %[1]s on %[2]s (%[3]s, id) where id > 5", quoted(name), quoted(table.name), quoted(c.name)),
		&spec.ReplaceIndex{Index: index}))
	next.change.Contract = &spec.Contract{Operations: next.change.Expand}
	return next, true
}

// drawWidenKey makes a key of numbers larger, by an author's own SQL or by a copy.
func drawWidenKey(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok || !table.narrow || table.fixed || table.served != nil {
		return stride{}, false
	}
	table.narrow = false
	direct := fmt.Sprintf("alter table %s alter id type bigint", quoted(table.name))
	if rapid.Bool().Draw(t, "by SQL") {
		table.fixed = true
		return expanding(direct, &spec.SQL{Label: "1", Up: direct, Down: fmt.Sprintf("alter table %s alter id type integer", quoted(table.name))}), true
	}
	table.synced = true
	change := changeType(table.name, "id", "bigint", "id::bigint", "pleat_new_id::int")
	return stride{direct: direct, change: *change}, true
}

// uses tells whether the column of an enum is still there, on a table of which
// more can become.
func (s *sketch) uses(enum *sketchEnum) bool { return slices.Contains(s.tables, enum.table) }

func (s *sketch) takeEnum(t *rapid.T) (*sketchEnum, bool) {
	if len(s.enums) == 0 {
		return nil, false
	}
	enum := rapid.SampledFrom(s.enums).Draw(t, "enum")
	if s.uses(enum) && enum.table.renamed {
		return nil, false
	}
	return enum, true
}

func drawDropEnum(t *rapid.T, s *sketch) (stride, bool) {
	enum, ok := s.takeEnum(t)
	if !ok {
		return stride{}, false
	}
	s.enums = slices.DeleteFunc(s.enums, func(other *sketchEnum) bool { return other == enum })
	next := contracting("drop type "+quoted(enum.name), &spec.DropEnum{Enum: inPublic(enum.name)})
	if !s.uses(enum) {
		return next, true
	}
	next.direct = fmt.Sprintf("alter table %s drop %s; ", quoted(enum.table.name), quoted(enum.column)) + next.direct
	next.change.Contract.Operations = append(next.change.Contract.Operations, &spec.DropColumn{Table: enum.table.spec(), Column: enum.column})
	return enum.table.behind(next), true
}

// drawReplaceEnum gives the column of an enum another one, and drops the enum.
// Nothing else becomes of the other one, whose column may wait for its contract.
func drawReplaceEnum(t *rapid.T, s *sketch) (stride, bool) {
	enum, ok := s.takeEnum(t)
	if !ok || !s.uses(enum) || enum.table.served != nil || enum.first != "low" {
		return stride{}, false
	}
	enum.table.synced = true
	s.enums = slices.DeleteFunc(s.enums, func(other *sketchEnum) bool { return other == enum })
	old, at, column := enum.name, quoted(enum.table.name), quoted(enum.column)
	enum = &sketchEnum{name: s.fresh("enum"), table: enum.table, column: enum.column}
	forward := fmt.Sprintf("(case %%s::text when 'low' then 'calm' else 'high' end)::%s", quoted(enum.name))
	back := fmt.Sprintf("(case %%s::text when 'calm' then 'low' else 'high' end)::%s", quoted(old))
	change := changeType(enum.table.name, enum.column, quoted(enum.name),
		fmt.Sprintf(forward, column), fmt.Sprintf(back, quoted("pleat_new_"+enum.column)))
	change.Expand = append(change.Expand, &spec.CreateEnum{Enum: inPublic(enum.name), Values: []string{"calm", "high"}})
	change.Contract.Operations[0].(*spec.ReplaceColumn).Default = "'calm'"
	change.Contract.Operations = append(change.Contract.Operations, &spec.DropEnum{Enum: inPublic(old)})
	return stride{
		direct: fmt.Sprintf("create type %s as enum ('calm', 'high'); alter table %s alter %[3]s drop default; alter table %[2]s alter %[3]s type %[1]s using %[4]s, alter %[3]s set default 'calm'; drop type %[5]s",
			quoted(enum.name), at, column, fmt.Sprintf(forward, column), quoted(old)),
		change: *change,
	}, true
}
