package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations"
	"pleat/spec"
)

// explain says why a knot has no way: who would meet what, and which changes
// of the spec would give it one. Each of those has been tried.
func (d dead) explain() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, s := range d.services {
		if d.finished(d.world, s) {
			continue
		}
		var lines []string
		for _, m := range d.unfit(d.world, releaseKey{s.Name, d.target(s)}) {
			lines = append(lines, m.why+m.gone()+prefixed(": ", d.stuck(m.change))+".")
		}
		if len(lines) == 0 {
			continue
		}
		diags = append(diags, problem("No way to this release", strings.Join(append(lines, d.ways()...), "\n"), s.ReleaseRange))
	}
	for _, c := range d.changes {
		if why := d.stuck(c.Name); why != "" && len(diags) == 0 {
			diags = append(diags, problem("No way to this change", strings.Join(append([]string{why + "."}, d.ways()...), "\n"), c.Range))
		}
	}
	return diags
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// stuck says why a change cannot go on where the search stuck; "" when it can.
func (d dead) stuck(name string) string {
	i := slices.IndexFunc(d.changes, func(c *spec.Change) bool { return c.Name == name })
	if i < 0 {
		return ""
	}
	c := d.changes[i]
	if slices.Contains(d.goal.Revert, name) {
		if m := d.blocked(d.world, c, migrations.Absent); len(m) > 0 {
			return "it cannot be taken back: " + m[0].why
		}
		return ""
	}
	for _, r := range c.RequiresAbsent {
		if d.world.mix[r.Service.Name][r.Version] && d.world.phases[name] == migrations.Absent {
			return fmt.Sprintf("the expand of %s waits until %s %s is gone", name, r.Service.Name, r.Version)
		}
	}
	if k := d.careless(d.world, c); len(k) > 0 && d.world.phases[name] == migrations.Expanded {
		return fmt.Sprintf("%s cannot be back-filled: writers of %s %s do not maintain the new shape, and no sync does", name, k[0].service, k[0].version)
	}
	return ""
}

// ways are the changes of the spec that would give the knot a way.
func (d dead) ways() []string {
	if d.goal.Rollback {
		return []string{"A rollback takes no change forward. Roll forward to a release that lives with the schema as it is."}
	}
	var out []string
	for _, c := range d.changes {
		if !synced(c) && d.would(assumption{synced: c.Name}) {
			out = append(out, fmt.Sprintf("- a `sync` in %s that keeps both shapes in step", c.Address()))
		}
	}
	for _, s := range d.services {
		for _, version := range sortedKeys(d.start.mix[s.Name]) {
			if like := (releaseKey{s.Name, version}); d.declared[like] != nil && d.would(assumption{between: like}) {
				out = append(out, fmt.Sprintf("- a release of %s in between, which lives with the schema as %s does", s.Name, version))
				break
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return append([]string{"Any of these would give it a way:"}, out...)
}

// assumption is a spec that is a little different.
type assumption struct {
	synced  string     // this change has a sync
	between releaseKey // there is one more release, which declares what this one does
}

// would tells whether the knot has a way under an assumption.
func (d dead) would(a assumption) bool {
	p, k := *d.planning, *d.knot
	if like := p.declared[a.between]; like != nil {
		p.declared = maps.Clone(p.declared)
		p.declared[releaseKey{a.between.service, between}] = like
	}
	k.planning, k.assumed = &p, a
	_, ok := k.solve(k.world())
	return ok
}
