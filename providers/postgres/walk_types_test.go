package postgres_test

import (
	"fmt"
	"strconv"

	"pgregory.net/rapid"

	"pleat/spec"
)

// sketchEnum is an enum type, of whose values the first is the default of a column.
type sketchEnum struct {
	name, first string
	table       *sketchTable
	column      string
}

// sketchParted is a table in partitions of a hundred numbers each.
type sketchParted struct {
	name  string
	parts []sketchPart
	next  int // the partition to come begins there
}

type sketchPart struct {
	name string
	from int
}

func inPublic(name string) spec.Table { return spec.Table{Schema: "public", Name: name} }

func (p sketchPart) spec() spec.Partition {
	return spec.Partition{Table: inPublic(p.name), From: []string{strconv.Itoa(p.from)}, To: []string{strconv.Itoa(p.from + 100)}}
}

func (p sketchPart) bound() string {
	return fmt.Sprintf("for values from (%d) to (%d)", p.from, p.from+100)
}

func (s *sketch) addPart(table *sketchParted) sketchPart {
	part := sketchPart{name: s.fresh("part"), from: table.next}
	table.next += 100
	table.parts = append(table.parts, part)
	return part
}

func drawCreateEnum(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.table(t)
	if !ok {
		return stride{}, false
	}
	enum, column := &sketchEnum{name: s.fresh("enum"), first: "low", table: table}, s.fresh("c")
	enum.column = column
	s.enums = append(s.enums, enum)
	return table.behind(expanding(
		fmt.Sprintf("create type %[1]s as enum ('low', 'high'); alter table %[2]s add %[3]s %[1]s default 'low'", quoted(enum.name), quoted(table.name), quoted(column)),
		&spec.CreateEnum{Enum: inPublic(enum.name), Values: []string{"low", "high"}},
		&spec.AddColumn{Table: table.spec(), Column: spec.Column{Name: column, Type: quoted(enum.name), Default: "'low'"}})), true
}

func drawAddEnumValue(t *rapid.T, s *sketch) (stride, bool) {
	if len(s.enums) == 0 {
		return stride{}, false
	}
	enum, value := rapid.SampledFrom(s.enums).Draw(t, "enum"), s.fresh("value")
	next := expanding(fmt.Sprintf("alter type %s add value '%s' before 'high'", quoted(enum.name), value),
		&spec.AddEnumValue{Enum: inPublic(enum.name), Value: value, Before: "high"})
	next.stays = true
	return next, true
}

func drawRenameEnumValue(t *rapid.T, s *sketch) (stride, bool) {
	if len(s.enums) == 0 {
		return stride{}, false
	}
	enum := rapid.SampledFrom(s.enums).Draw(t, "enum")
	if enum.first != "low" {
		return stride{}, false
	}
	enum.first = s.fresh("value")
	return contracting(fmt.Sprintf("alter type %s rename value 'low' to '%s'", quoted(enum.name), enum.first),
		&spec.RenameEnumValue{Enum: inPublic(enum.name), Value: "low", To: enum.first}), true
}

func drawCreateParted(t *rapid.T, s *sketch) (stride, bool) {
	table := &sketchParted{name: s.fresh("parted")}
	s.parted = append(s.parted, table)
	part, rest := s.addPart(table), spec.Partition{Table: inPublic(s.fresh("rest"))}
	partitions := []spec.Partition{part.spec()}
	direct := fmt.Sprintf("create table %[1]s (id bigint not null primary key, note text) partition by range (id); create table %[2]s partition of %[1]s %[3]s",
		quoted(table.name), quoted(part.name), part.bound())
	if rapid.Bool().Draw(t, "rest") {
		partitions = append(partitions, rest)
		direct += fmt.Sprintf("; create table %s partition of %s default", quoted(rest.Table.Name), quoted(table.name))
	}
	return expanding(direct, &spec.CreateTable{
		Table: inPublic(table.name), PrimaryKey: []string{"id"},
		Columns:      []spec.Column{{Name: "id", Type: "bigint", NotNull: true}, {Name: "note", Type: "text"}},
		Partitioning: &spec.Partitioning{By: "range", Columns: []string{"id"}, Partitions: partitions},
	}), true
}

func (s *sketch) pickParted(t *rapid.T) (*sketchParted, bool) {
	if len(s.parted) == 0 {
		return nil, false
	}
	return rapid.SampledFrom(s.parted).Draw(t, "parted"), true
}

func drawCreatePartition(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.pickParted(t)
	if !ok {
		return stride{}, false
	}
	part := s.addPart(table)
	return expanding(fmt.Sprintf("create table %s partition of %s %s", quoted(part.name), quoted(table.name), part.bound()),
		&spec.CreatePartition{Table: inPublic(table.name), Partition: part.spec()}), true
}

// drawDetachPartition takes the oldest one.
func drawDetachPartition(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.pickParted(t)
	if !ok || len(table.parts) == 0 {
		return stride{}, false
	}
	part := table.parts[0]
	table.parts = table.parts[1:]
	return contracting(fmt.Sprintf("alter table %s detach partition %s", quoted(table.name), quoted(part.name)),
		&spec.DetachPartition{Table: inPublic(table.name), Partition: part.spec()}), true
}

func drawAttachPartition(t *rapid.T, s *sketch) (stride, bool) {
	table, ok := s.pickParted(t)
	if !ok || s.loose == "" {
		return stride{}, false
	}
	part := sketchPart{name: s.loose, from: table.next}
	s.loose, table.next = "", table.next+100
	table.parts = append(table.parts, part)
	return expanding(fmt.Sprintf("alter table %s attach partition %s %s", quoted(table.name), quoted(part.name), part.bound()),
		&spec.AttachPartition{Table: inPublic(table.name), Partition: part.spec()}), true
}

// drawLoose makes a table that can become a partition.
func drawLoose(t *rapid.T, s *sketch) (stride, bool) {
	if s.loose != "" || len(s.parted) == 0 {
		return stride{}, false
	}
	s.loose = s.fresh("loose")
	return expanding(fmt.Sprintf("create table %s (id bigint not null primary key, note text)", quoted(s.loose)), &spec.CreateTable{
		Table: inPublic(s.loose), PrimaryKey: []string{"id"},
		Columns: []spec.Column{{Name: "id", Type: "bigint", NotNull: true}, {Name: "note", Type: "text"}},
	}), true
}
