package migrations

import (
	"cmp"
	"maps"
	"slices"

	"pleat/spec"
)

// presence is where a column or table is on its way out.
type presence int

const (
	gone presence = iota
	hidden
	original
)

// whole is a table of which nothing is known but that it was there: one that
// Project put back.
func (t *Table) whole() bool { return t != nil && t.Columns == nil }

func (t *Table) has(column string) bool { return t.whole() || t.state(column) != gone }

func (t *Table) state(column string) presence {
	if t.Column(column) != nil {
		return original
	}
	if t.Column(HiddenName(column)) != nil {
		return hidden
	}
	return gone
}

// went tells whether a later change has taken one of the columns away, and with it
// what was made of them.
func (t *Table) went(columns []string) bool {
	return slices.ContainsFunc(columns, func(name string) bool {
		c := t.Column(name)
		return c != nil && c.Former != nil
	})
}

func (c *Catalog) state(t spec.Table) presence {
	if c.Table(t) != nil {
		return original
	}
	if c.Table(hiddenTable(t)) != nil {
		return hidden
	}
	return gone
}

func hiddenTable(t spec.Table) spec.Table {
	return spec.Table{Schema: t.Schema, Name: HiddenName(t.Name)}
}

func (t *Table) trigger(name string) *Trigger {
	if t == nil {
		return nil
	}
	for i := range t.Triggers {
		if t.Triggers[i].Name == name {
			return &t.Triggers[i]
		}
	}
	return nil
}

func (t *Table) hasOtherBefore() bool {
	return t != nil && slices.ContainsFunc(t.Triggers, Trigger.isOtherBefore)
}

// isOtherBefore tells a BEFORE ROW trigger that is not pleat's.
func (t Trigger) isOtherBefore() bool {
	return t.BeforeRow && t.isAuthors()
}

// index gives the table's index of that name, or nil; also on a nil table.
func (t *Table) index(name string) *Index {
	if t == nil {
		return nil
	}
	for i := range t.Indexes {
		if t.Indexes[i].Name == name {
			return &t.Indexes[i]
		}
	}
	return nil
}

func (t *Table) removeIndex(name string) {
	if t == nil {
		return
	}
	t.Indexes = slices.DeleteFunc(t.Indexes, func(i Index) bool { return i.Name == name })
}

func (t *Table) removeConstraint(name string) {
	if t == nil {
		return
	}
	t.Constraints = slices.DeleteFunc(t.Constraints, func(c Constraint) bool { return c.Name == name })
}

// tableOfIndex finds the table that has an index: an index is named within
// its schema, whatever table it is on.
func (c *Catalog) tableOfIndex(index spec.Table) (spec.Table, *Table) {
	if c == nil {
		return spec.Table{}, nil
	}
	for key, t := range c.Tables {
		if t.index(index.Name) == nil {
			continue
		}
		if name := spec.ParseTable(key); name.Schema == index.Schema {
			return name, t
		}
	}
	return spec.Table{}, nil
}

func (c *Catalog) clone() *Catalog {
	if c == nil {
		return &Catalog{Tables: map[string]*Table{}, Former: map[string]bool{}}
	}
	shared := *c
	copied := &shared
	copied.Tables, copied.Former, copied.Enums = map[string]*Table{}, map[string]bool{}, maps.Clone(c.Enums)
	maps.Copy(copied.Former, c.Former)
	copied.Others = maps.Clone(c.Others)
	for name, t := range c.Tables {
		table := *t
		table.Columns = slices.Clone(t.Columns)
		table.PrimaryKey = slices.Clone(t.PrimaryKey)
		table.Indexes = slices.Clone(t.Indexes)
		table.Triggers = slices.Clone(t.Triggers)
		table.Constraints = slices.Clone(t.Constraints)
		table.Dependents = slices.Clone(t.Dependents)
		table.Statistics = slices.Clone(t.Statistics)
		table.Views = slices.Clone(t.Views)
		table.References = slices.Clone(t.References)
		copied.Tables[name] = &table
	}
	return copied
}

func tableOf(o *spec.CreateTable) *Table {
	t := &Table{PrimaryKey: slices.Clone(o.PrimaryKey)}
	for _, c := range o.Columns {
		column := columnOf(c, "")
		column.NotNull = column.NotNull || slices.Contains(o.PrimaryKey, c.Name)
		t.Columns = append(t.Columns, column)
	}
	return t
}

// columnOf is a column as the catalog will have it. later is a default that is
// set apart from its declaration; "" = none.
func columnOf(c spec.Column, later string) Column {
	column := Column{
		Name: c.Name, Type: cmp.Or(serialTypes[canonicalType(c.Type)], canonicalType(c.Type)), NotNull: c.NotNull || c.Identity || isSerial(c.Type),
		Default: cmp.Or(later, c.Default, c.Generated), Comment: c.Comment,
	}
	if c.Identity {
		column.Identity = "BY DEFAULT"
	}
	switch {
	case c.Virtual:
		column.Generated = "VIRTUAL"
	case c.Generated != "":
		column.Generated = "STORED"
	}
	return column
}
