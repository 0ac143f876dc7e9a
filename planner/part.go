package planner

import (
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// part is the part of a catalog that a change is judged by.
type part struct {
	catalog *migrations.Catalog
	renamed []renamed
}

// renamed is a change whose new names the part has, where the catalog has the
// former ones.
type renamed struct {
	program *migrations.Program
	phase   migrations.Phase
}

// leave puts what has become of the part into the catalog, by the names there.
func (own part) leave(cat *migrations.Catalog, c *spec.Change) {
	for _, r := range slices.Backward(own.renamed) {
		own.catalog = migrations.Project(own.catalog, r.program, r.phase)
	}
	cat.Replace(c, own.catalog)
}

// part has the new names where all of the change was done by them and what gave
// them has been un-hidden since: nothing of it is left to do, and it is not in
// the way of hiding that again.
func (p *planning) part(c *spec.Change, cat *migrations.Catalog) part {
	now := part{catalog: cat.Part(c)}
	own := now
	for _, before := range c.Serving {
		program, diags := migrations.Lower(before, own.catalog)
		phase, _ := program.Phase(p.recorded(before))
		if !diags.HasErrors() && phase.AtLeast(migrations.Expanded) && !phase.AtLeast(migrations.Hidden) {
			own.renamed = append(own.renamed, renamed{program, phase})
			own.catalog = migrations.Project(own.catalog, program, migrations.Hidden)
		}
	}
	if len(own.renamed) == 0 || !p.whole(c, own.catalog) {
		return now
	}
	return own
}

// whole tells whether nothing of a change is left to do.
func (p *planning) whole(c *spec.Change, cat *migrations.Catalog) bool {
	rec := p.recorded(c)
	program, diags := migrations.Lower(c, cat)
	if diags.HasErrors() || rec.Digest != program.Digest || !rec.Phase.AtLeast(migrations.Expanded) {
		return false
	}
	phase, _ := program.Phase(rec)
	if c.Contract != nil {
		return phase == migrations.Contracted
	}
	return (phase == migrations.Verified || len(program.Backfills) == 0 && len(c.Verifies) == 0) &&
		len(unapplied(slices.Concat(program.Expand, program.Validate), rec)) == 0
}
