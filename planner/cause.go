package planner

import (
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// enforceVerb is what the units of a contract do that has no old shape to hide.
const enforceVerb = "enforce"

// hides tells whether the contract of a change takes an old shape out of sight
// before it takes it away. One that only enforces something has none, and
// neither has one that has nothing to do before its last steps.
func (p *planning) hides(c *spec.Change) bool {
	return slices.ContainsFunc(p.programs[c.Name].Hide, func(u migrations.Unit) bool { return u.Verb != enforceVerb })
}

// whyHide is why the first part of a contract may come.
func (p *planning) whyHide(c *spec.Change) string {
	if p.hides(c) {
		return "the old shape of " + string(c.Address()) + " is not needed any more"
	}
	return nothingLeft(c)
}

// whyDrop is why the last part of a contract may come.
func (p *planning) whyDrop(c *spec.Change) string {
	switch {
	case p.hides(c):
		return "the old shape of " + string(c.Address()) + " is hidden, and nobody missed it"
	case len(p.programs[c.Name].Hide) > 0:
		return "what is written keeps to " + string(c.Address()) + ", and nobody missed anything"
	}
	return nothingLeft(c)
}

func nothingLeft(c *spec.Change) string {
	return "nothing is left that the contract of " + string(c.Address()) + " has to wait for"
}

// whyFill is why rows of a table are written.
func whyFill(c *spec.Change, table spec.Table) string {
	shaped := func(b *spec.Backfill) bool { return b.Table == table && !b.Fills }
	if slices.ContainsFunc(c.Backfills, shaped) {
		return "rows from before " + string(c.Address()) + " have no new shape yet"
	}
	return "rows from before " + string(c.Address()) + " are not filled yet"
}

// whyValidate is why a constraint may come to hold for all rows of a table.
func (p *planning) whyValidate(c *spec.Change, table spec.Table) string {
	if p.fills(c) {
		return "every row of " + tableName(table) + " is filled, so that it can hold for all of them"
	}
	return string(c.Address()) + " is to hold for every row of " + tableName(table)
}
