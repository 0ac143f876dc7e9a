package migrations

import (
	"maps"

	"pleat/spec"
)

// Part is the tables of a catalog that a change names, hidden ones included.
// Lowering and projecting against it gives what the whole catalog would give,
// at a cost that does not grow with the catalog. The tables are shared.
func (c *Catalog) Part(change *spec.Change) *Catalog {
	names := touched(change)
	if c == nil {
		return nil
	}
	out := *c
	if names == nil {
		out.Tables = maps.Clone(c.Tables)
		return &out
	}
	out.Tables = make(map[string]*Table, len(names))
	for name := range names {
		if t := c.Tables[name]; t != nil {
			out.Tables[name] = t
		}
	}
	return &out
}

// Replace puts what a change has made of its part into the catalog.
func (c *Catalog) Replace(change *spec.Change, part *Catalog) {
	names := touched(change)
	if names == nil {
		clear(c.Tables)
	}
	for name := range names {
		delete(c.Tables, name)
	}
	maps.Copy(c.Tables, part.Tables)
	c.Former, c.Enums = part.Former, part.Enums
}

// touched names the tables of a change, by both names where one before it renames
// them, and those of which its SQL may be; nil when it cannot be told, because an index is
// named without its table.
func touched(change *spec.Change) map[string]bool {
	names, sql := map[string]bool{}, false
	for _, op := range change.Operations() {
		n := op.Names()
		if len(n.Indexes) > 0 && len(n.Tables) == 0 {
			return nil
		}
		for _, t := range n.Tables {
			names[t.Table.String()] = true
			names[hiddenTable(t.Table).String()] = true
		}
		sql = sql || n.Anything
	}
	for _, b := range change.Backfills {
		names[b.Table.String()] = true
	}
	for _, v := range viewsBefore(change) {
		former, later := v.Table.String(), v.Renamed().String()
		if sql || names[former] || names[later] {
			names[former], names[later] = true, true
		}
	}
	return names
}
