package planner

import (
	"strings"

	"pleat/migrations"
	"pleat/spec"
)

// contract takes the old shapes away once every service has arrived. What a
// live release still needs is deferred, with who it is.
func (p *planning) contract(w world) []move {
	if p.goal.Rollback {
		return nil
	}
	var moves []move
	for _, c := range p.changes {
		if p.waiting[c.Name] != "" || c.Contract == nil || w.phases[c.Name] == migrations.Contracted {
			continue
		}
		why := p.needed(w, c)
		if w.phases[c.Name] == migrations.Verified {
			moves = append(moves, move{kind: moveHide, change: c, deferred: why})
		}
		if why == "" {
			w.phases[c.Name] = migrations.Contracted
		}
		moves = append(moves, move{kind: moveDrop, change: c, deferred: why})
	}
	return append(moves, p.later()...)
}

// later are the changes that cannot begin before others are contracted.
func (p *planning) later() []move {
	var moves []move
	reverted := set(p.goal.Revert)
	for _, c := range p.changes {
		if why := p.waiting[c.Name]; why != "" && !reverted[c.Name] {
			moves = append(moves, move{kind: moveExpand, change: c, deferred: why})
		}
	}
	return moves
}

// needed says who still needs what a contract would take away, or "".
func (p *planning) needed(w world, c *spec.Change) string {
	blocked := p.blocked(w, c, migrations.Hidden)
	if len(blocked) == 0 {
		return ""
	}
	if first := blocked[0]; w.kept[first.service][first.version] {
		return firstOf(p.stillKept(p.byName[first.service], sortedKeys(w.kept[first.service])), first.why)
	}
	why := blocked[0].why
	if s := p.byName[blocked[0].service]; s != nil && p.target(s) == blocked[0].version {
		why += isWanted
	}
	return why
}

// isWanted ends the reason of what is deferred for as long as the spec stays as
// it is.
const isWanted = ", and is wanted"

// WaitsForSpec tells whether that is why a step is deferred: no time and no
// evidence lets it run, only a spec that wants another release.
func WaitsForSpec(reason string) bool { return strings.HasSuffix(reason, isWanted) }
