package planner

import (
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
		if p.waits(c) || c.Contract == nil || w.phases[c.Name] == migrations.Contracted {
			continue
		}
		why := p.needed(w, c)
		if w.phases[c.Name] == migrations.Verified {
			moves = append(moves, move{kind: moveHide, change: c, deferred: why})
		}
		if why == (deferral{}) {
			w.phases[c.Name] = migrations.Contracted
		}
		moves = append(moves, move{kind: moveDrop, change: c, deferred: why})
	}
	return moves
}

// needed says who still needs what a contract would take away, if anybody.
func (p *planning) needed(w world, c *spec.Change) deferral {
	blocked := p.blocked(w, c, migrations.Hidden)
	if len(blocked) == 0 {
		return deferral{}
	}
	if first := blocked[0]; w.kept[first.service][first.version] {
		return deferral{why: firstOf(p.stillKept(p.byName[first.service], sortedKeys(w.kept[first.service])), first.why)}
	}
	if s := p.byName[blocked[0].service]; s != nil && p.wanted(s) == blocked[0].version {
		return deferral{why: blocked[0].why + ", and is wanted", untilSpec: true}
	}
	return deferral{why: blocked[0].why}
}
