package migrations

import (
	"slices"
	"strings"

	"pleat/spec"
)

// Uses are what goes with a column or would stop its drop, each as a person reads
// it: views, indexes, constraints, keys of other tables, triggers. Column "" is
// the table as a whole, with whatever depends on any of it. None of a nil table.
func (t *Table) Uses(column string) []string {
	if t == nil {
		return nil
	}
	var all []string
	for _, d := range t.Dependents {
		if column == "" || d.Column == column {
			all = append(all, d.Object)
		}
	}
	if column == "" {
		return all
	}
	for _, v := range t.ShownBy([]string{column}) {
		if !slices.Contains(all, v.Object) {
			all = append(all, v.Object) // through others
		}
	}
	for _, i := range t.Indexes {
		_, of, _ := strings.Cut(i.Definition, " USING ")
		if spec.RenameColumns(of, map[string]string{column: column + "_"}) != of {
			all = append(all, i.Definition)
		}
	}
	for _, c := range t.Constraints {
		if slices.Contains(c.Columns, column) {
			all = append(all, c.Name+" "+c.Definition)
		}
	}
	for _, f := range t.References {
		if slices.Contains(f.Referenced, column) {
			all = append(all, f.Name+" of "+f.Table)
		}
	}
	for _, g := range t.Triggers {
		if slices.Contains(g.Columns, column) || slices.Contains(g.Names, column) {
			all = append(all, g.Definition)
		}
	}
	return all
}

// UsesOfType are what would stop the drop of a type, as a person reads it; none of
// a nil catalog. The type is spec.Table's text.
func (c *Catalog) UsesOfType(name string) []string {
	if c == nil {
		return nil
	}
	var all []string
	for _, use := range c.TypeUses[name] {
		all = append(all, use.Object)
	}
	return all
}
