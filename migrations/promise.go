package migrations

import (
	"slices"
	"strings"

	"pleat/spec"
)

// Promise is a name that a change gives to something that it makes, or SQL of an
// author, which may make anything that it speaks of.
type Promise struct{ Name, SQL string }

// Promises are what a change says that it makes, and no catalog shows before.
func Promises(c *spec.Change) []Promise {
	var all []Promise
	name := func(names ...string) {
		for _, n := range names {
			all = append(all, Promise{Name: n})
		}
	}
	for _, op := range c.Operations() {
		switch o := op.(type) {
		case *spec.SQL:
			all = append(all, Promise{SQL: o.Up})
		case *spec.CreateEnum:
			name(o.Enum.Name)
		case *spec.AddEnumValue:
			name(o.Value)
		case *spec.RenameEnumValue:
			name(o.To)
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

// promises tells whether what has not run yet may make something of that name.
func (c *Catalog) promises(name string) bool {
	return c.spokenOf(name) || c != nil && slices.ContainsFunc(c.Promised, func(p Promise) bool { return p.Name != "" && strings.EqualFold(p.Name, last(name)) })
}

// spokenOf tells whether SQL that has not run yet has the name in it.
func (c *Catalog) spokenOf(name string) bool { return c != nil && spoken(c.Promised, name) }

// spoken tells whether SQL has a name in it.
func spoken(all []Promise, name string) bool {
	name = last(name)
	if name == "" {
		return false
	}
	return slices.ContainsFunc(all, func(p Promise) bool {
		return strings.Contains(strings.ToLower(p.SQL), name) && slices.ContainsFunc(lex(p.SQL), func(t token) bool { return bare(t.text) == name })
	})
}

// last is the last part of a name, as bare gives it.
func last(name string) string { return bare(name[strings.LastIndex(name, ".")+1:]) }

// bare is a name or constant without its quotes, in lower case.
func bare(text string) string { return strings.ToLower(strings.Trim(text, `'"`)) }
