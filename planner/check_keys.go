package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations"
	"pleat/spec"
)

// checkKeys refuses to replace one end of a foreign key while a change that is not
// contracted replaces the other one: each would make a copy of the key with one end
// on a column that goes. One change makes one copy. So it is with an index, a
// constraint or statistics of several columns.
func (p *planning) checkKeys() {
	var replacing []*spec.Change
	for _, c := range p.changes {
		db := p.state.Databases[c.Database.Name]
		if db == nil || db.Catalog == nil || !replaces(c) || p.start.phases[c.Name].AtLeast(migrations.Contracted) {
			continue
		}
		for _, before := range replacing {
			if before.Database != c.Database {
				continue
			}
			d := bothEnds(db.Catalog, c, before)
			if d == nil {
				d = shared(db.Catalog, c, before)
			}
			if d != nil {
				p.diags = append(p.diags, d)
				break
			}
		}
		replacing = append(replacing, c)
	}
}

// replaces tells whether a change has a column take over the name of another.
func replaces(c *spec.Change) bool {
	return c.Contract != nil && slices.ContainsFunc(c.Contract.Operations, func(op spec.Operation) bool {
		_, ok := op.(*spec.ReplaceColumn)
		return ok
	})
}

// bothEnds finds a key of which one change replaces one end and the other the other.
func bothEnds(cat *migrations.Catalog, c, before *spec.Change) *hcl.Diagnostic {
	for _, name := range sortedKeys(cat.Tables) {
		child := spec.ParseTable(name)
		for _, key := range cat.Tables[name].Constraints {
			if key.Kind != migrations.Foreign {
				continue
			}
			parent, referenced := spec.ParseTable(key.References), key.Referenced()
			own, other := replacement(c, child, key.Columns), replacement(before, parent, referenced)
			if own == nil || other == nil {
				own, other = replacement(c, parent, referenced), replacement(before, child, key.Columns)
			}
			if own == nil || other == nil {
				continue
			}
			return &hcl.Diagnostic{
				Severity: hcl.DiagError, Summary: "Both ends of a foreign key at once", Subject: own.Range.Ptr(),
				Detail: fmt.Sprintf("The foreign key %s of %s refers to %s (%s), and %s replaces %s.%s. Put both into one change, or leave this out until the other is contracted, its drop included.",
					key.Name, child, parent, strings.Join(referenced, ", "), before.Address(), other.Table, other.Column),
			}
		}
	}
	return nil
}

// shared finds an index, a constraint or statistics of which one change replaces
// one column and the other another.
func shared(cat *migrations.Catalog, c, before *spec.Change) *hcl.Diagnostic {
	for _, name := range sortedKeys(cat.Tables) {
		t := spec.ParseTable(name)
		columns := map[string][]string{}
		for _, i := range cat.Tables[name].Indexes {
			_, rest, _ := strings.Cut(i.Definition, " USING ")
			columns["index "+i.Name] = sortedKeys(spec.UsedColumns(rest))
		}
		for _, k := range cat.Tables[name].Constraints {
			columns["constraint "+k.Name] = k.Columns
		}
		for _, s := range cat.Tables[name].Statistics {
			_, rest, _ := strings.Cut(s.Definition, " ON ")
			columns["statistics "+s.Name] = sortedKeys(spec.UsedColumns(rest))
		}
		for _, what := range sortedKeys(columns) {
			own, other := replacement(c, t, columns[what]), replacement(before, t, columns[what])
			if own == nil || other == nil || own.Column == other.Column {
				continue
			}
			return &hcl.Diagnostic{
				Severity: hcl.DiagError, Summary: "Two columns of one " + strings.Fields(what)[0] + " at once", Subject: own.Range.Ptr(),
				Detail: fmt.Sprintf("The %s of %s has %s and also %s, which %s replaces. Put both into one change, or leave this out until the other is contracted, its drop included.",
					what, t, own.Column, other.Column, before.Address()),
			}
		}
	}
	return nil
}

// replacement is what a change replaces of those columns; nil for nothing.
func replacement(c *spec.Change, t spec.Table, columns []string) *spec.ReplaceColumn {
	for _, op := range c.Contract.Operations {
		r, ok := op.(*spec.ReplaceColumn)
		if ok && r.Table == t && (slices.Contains(columns, r.Column) || slices.Contains(columns, migrations.HiddenName(r.Column))) {
			return r
		}
	}
	return nil
}
