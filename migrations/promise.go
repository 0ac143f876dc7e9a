package migrations

import (
	"slices"
	"strings"

	"pleat/spec"
)

// Promises are what a change says that it makes, names or SQL, and no catalog
// shows before.
func Promises(c *spec.Change) []string {
	var all []string
	name := func(names ...string) {
		for _, n := range names {
			all = append(all, Ident(n))
		}
	}
	for _, op := range c.Operations() {
		switch o := op.(type) {
		case *spec.SQL:
			all = append(all, o.Up)
		case *spec.CreateEnum:
			name(o.Enum.Name)
		case *spec.AddEnumValue:
			all = append(all, Literal(o.Value))
		case *spec.RenameEnumValue:
			all = append(all, Literal(o.To))
		case *spec.CreateTable:
			for _, t := range o.Names().Tables {
				name(t.Table.Name)
				name(t.Columns...)
			}
		case *spec.AddColumn:
			name(o.Column.Name)
		case *spec.ReplaceColumn:
			name(o.Final())
		case *spec.RenameTable:
			name(o.To)
		case *spec.ServeView:
			name(o.Renamed().Name)
			for _, to := range o.Columns {
				name(to)
			}
		case *spec.CreatePartition:
			name(o.Partition.Table.Name)
		}
	}
	return all
}

// promises tells whether what has not run yet may make something of that name,
// or speaks of it.
func (c *Catalog) promises(name string) bool {
	if c == nil || name == "" {
		return false
	}
	last := bare(name[strings.LastIndex(name, ".")+1:])
	for _, text := range c.Promised {
		if strings.Contains(strings.ToLower(text), last) && slices.ContainsFunc(lex(text), func(t token) bool { return bare(t.text) == last }) {
			return true
		}
	}
	return false
}

// bare is a name or constant without its quotes, in lower case.
func bare(text string) string { return strings.ToLower(strings.Trim(text, `'"`)) }
