package planner

import (
	"fmt"
	"maps"

	"pleat/spec"
)

// ways are the changes of the spec that would give the knot a way, the
// cheapest first.
func (d dead) ways() []string {
	if d.goal.Rollback {
		return []string{"A rollback takes no change forward. Roll forward to a release that lives with the schema as it is."}
	}
	if d.gaveUp {
		return []string{fmt.Sprintf("The search was given up after %d states, so there may be a way. Name a release in between as the release of a service, and plan again from there.", d.limit())}
	}
	for _, c := range d.changes {
		if d.bars[c.Name] != "" {
			return []string{fmt.Sprintf("A release in between, which knows change.%s and does not need %s, gives it a way: roll that out first.", d.waiting[c.Name].Change, c.Address())}
		}
	}
	var out []string
	all := d.suggestions()
	for _, w := range all[:min(len(all), mostTries)] {
		if len(out) < mostWays && d.would(w.assumed) {
			out = append(out, "- "+w.text)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return append([]string{"Any of these would give it a way:"}, out...)
}

// mostWays bounds what a person is asked to choose from, mostTries how much is
// tried for it in a large knot.
const mostWays, mostTries = 5, 32

// suggestion is a change of the spec that may give a way.
type suggestion struct {
	text    string
	assumed assumption
}

// suggestions are what could be changed, the cheapest first: a sync or a word
// about a release, then a release in between, then being offline.
func (d dead) suggestions() []suggestion {
	var out []suggestion
	for _, c := range d.changes {
		if !synced(c) {
			out = append(out, suggestion{fmt.Sprintf("a `sync` in %s that keeps both shapes in step", c.Address()), assumption{synced: c.Name}})
		}
	}
	out = append(out, d.tolerances()...)
	for _, s := range d.services {
		out = append(out, d.inBetween(s)...)
	}
	for _, s := range d.services {
		if !d.offline(s) && !d.rolledOut(d.world, s) {
			out = append(out, suggestion{fmt.Sprintf("`offline` as the strategy of %s, if it may be down", s.Address()), assumption{offline: s.Name}})
		}
	}
	return out
}

// tolerances are words of releases that would let them live with what they do
// not know.
func (d dead) tolerances() []suggestion {
	var out []suggestion
	for _, s := range d.services {
		target := releaseKey{s.Name, d.target(s)}
		for _, m := range d.unfit(d.world, target) {
			if m.change == "" || d.declared[target].knows[m.change] {
				continue
			}
			out = append(out, suggestion{
				fmt.Sprintf("`tolerates = [change.%s]` in %s %s, if it survives that", m.change, s.Name, target.version),
				assumption{tolerant: target, tolerates: m.change},
			})
		}
	}
	return out
}

// inBetween is a release that a service could go by, like one that is live.
func (d dead) inBetween(s *spec.Service) []suggestion {
	var out []suggestion
	for _, version := range sortedKeys(d.start.mix[s.Name]) {
		like := releaseKey{s.Name, version}
		if d.declared[like] == nil {
			continue
		}
		out = append(out, suggestion{
			fmt.Sprintf("a release of %s in between, which lives with the schema as %s does", s.Name, version),
			assumption{between: like},
		})
		for _, m := range d.directories {
			out = append(out, suggestion{
				fmt.Sprintf("a release of %s in between, which lives with schema %d to %d of %s", s.Name, d.start.versions[m.Name], m.Version, m.Address()),
				assumption{between: like, everywhere: m.Name},
			})
		}
	}
	return out
}

// assumption is a spec that is a little different.
type assumption struct {
	synced     string     // this change has a sync
	between    releaseKey // there is one more release, which declares what this one does
	everywhere string     // and lives with every version of this directory
	tolerant   releaseKey // this release tolerates a change
	tolerates  string
	offline    string // this service goes offline
}

// would tells whether the knot has a way under an assumption.
func (d dead) would(a assumption) bool {
	p, k := *d.planning, *d.knot
	p.declared, p.lines, p.bearings = maps.Clone(p.declared), map[releaseKey]map[string]bool{}, map[releaseKey][]*spec.Change{}
	if like := p.declared[a.between]; like != nil {
		p.declared[releaseKey{a.between.service, between}] = like.within(a.everywhere)
	}
	if like := p.declared[a.tolerant]; like != nil {
		p.declared[a.tolerant] = like.tolerating(a.tolerates)
	}
	k.planning, k.assumed = &p, a
	_, ok := k.solve(k.world())
	return ok
}

// within is a declaration that lives with every version of a directory.
func (d *declaration) within(directory string) *declaration {
	if directory == "" {
		return d
	}
	c := *d
	c.release.Versions, c.release.MigrateOnStart = []VersionRange{{Migrations: directory}}, false
	return &c
}

// tolerating is a declaration that tolerates one change more.
func (d *declaration) tolerating(change string) *declaration {
	c := *d
	c.tolerates = maps.Clone(d.tolerates)
	c.tolerates[change] = true
	return &c
}
