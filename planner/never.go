package planner

import (
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// neverWas tells whether what a change takes away has yet to be made, which looks
// to the catalog as if it was gone: nothing is recorded of the change, nor of an
// earlier one that makes it, and nothing that the change makes itself is there.
func (p *planning) neverWas(c *spec.Change, program *migrations.Program) bool {
	if c.Contract == nil || p.recordedDone(c) || slices.ContainsFunc(program.Expand, func(u migrations.Unit) bool { return u.Visible }) {
		return false
	}
	if p.unmade == nil {
		p.unmade = p.notMade()
	}
	for _, op := range c.Contract.Operations {
		for _, o := range objects(c.Database, op) {
			if first, ok := p.unmade[o]; ok && first < p.position[c.Name] {
				return true
			}
		}
	}
	return false
}

// notMade are the objects of changes of which no expand is recorded, with the
// place of the first that makes each.
func (p *planning) notMade() map[object]int {
	out := map[object]int{}
	for i := len(p.changes) - 1; i >= 0; i-- {
		if p.recordedDone(p.changes[i]) {
			continue
		}
		for _, op := range p.changes[i].Expand {
			for _, o := range objects(p.changes[i].Database, op) {
				if o.kind != "column" || p.makesColumns(p.changes[i], op) {
					out[o] = i
				}
			}
		}
	}
	return out
}

// makesColumns tells an operation that has yet to make the columns that it names:
// a table that is there came with all of its own.
func (p *planning) makesColumns(c *spec.Change, op spec.Operation) bool {
	switch o := op.(type) {
	case *spec.AddColumn:
		return true
	case *spec.CreateTable:
		db := p.state.Databases[c.Database.Name]
		return db == nil || db.Catalog.Table(o.Table) == nil
	}
	return false
}

func (p *planning) recordedDone(c *spec.Change) bool {
	return p.recorded(c).Phase.AtLeast(migrations.Expanded)
}

// object is a thing in a database; name is that of a part of a table.
type object struct {
	database *spec.Database
	kind     string
	at       spec.Table
	name     string
}

// objects are those that an operation names; a table only where it makes or
// takes all of it.
func objects(db *spec.Database, op spec.Operation) []object {
	var out []object
	names := op.Names()
	for _, i := range names.Indexes {
		out = append(out, object{db, "index", i, ""})
	}
	for _, t := range names.Types {
		out = append(out, object{db, "type", t, ""})
	}
	for _, t := range names.Tables {
		for _, c := range t.Columns {
			out = append(out, object{db, "column", t.Table, c})
		}
		for _, c := range t.Constraints {
			out = append(out, object{db, "constraint", t.Table, c})
		}
	}
	switch o := op.(type) {
	case *spec.CreateTable:
		out = append(out, object{db, "table", o.Table, ""})
	case *spec.DropTable:
		out = append(out, object{db, "table", o.Table, ""})
	}
	return out
}
