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
	ways, where := d.ways(), d.where()
	var diags hcl.Diagnostics
	left := 0
	for _, s := range d.smallest().services {
		if d.rolledOut(d.world, s) {
			continue
		}
		lines := d.conflict(releaseKey{s.Name, d.target(s)}, where)
		if len(lines) == 0 {
			continue
		}
		if len(diags) == many {
			left++
			continue
		}
		diags = append(diags, problem("No way to this release", strings.Join(append(lines, ways...), "\n"), s.ReleaseRange))
	}
	if left > 0 {
		diags = append(diags, problem("No way to further releases", fmt.Sprintf("%d more services cannot go to their releases either.", left), hcl.Range{}))
	}
	withWays := func(why string) string { return strings.Join(append([]string{why + where + "."}, ways...), "\n") }
	if len(diags) > 0 {
		return diags
	}
	for _, c := range d.changes {
		if why := d.stuck(c); why != "" {
			return append(diags, problem("No way to this change", withWays(why), c.Range))
		}
	}
	for _, m := range d.directories {
		if why := d.stuckVersion(m); why != "" {
			return append(diags, problem("No way to this version", withWays(why), m.VersionRange))
		}
	}
	return append(diags, problem("No way", withWays("no order of steps leads to what the spec says"), hcl.Range{}))
}

// smallest is the part of a knot that has no way by itself: services are left
// out, one by one, as long as the rest still has none.
func (d dead) smallest() *knot {
	k := *d.knot
	if len(k.services) > mostTries || d.goal.Rollback { // every reason counts
		return &k
	}
	for _, s := range d.services {
		less := k
		less.services = slices.DeleteFunc(slices.Clone(k.services), func(x *spec.Service) bool { return x == s || slices.Contains(x.After, s) })
		if _, ok := less.solve(d.knot.world()); !ok && len(less.services) > 0 {
			k = less
		}
	}
	return &k
}

// conflict says, line by line, what keeps a release from being rolled out.
func (d dead) conflict(to releaseKey, where string) []string {
	var lines []string
	if why := d.hindrance(d.world, to); why != "" {
		lines = append(lines, why+".")
	}
	for _, m := range d.unfit(d.world, to) {
		lines = append(lines, m.why+d.gone(m)+prefixed(": ", d.stuckAt(m))+where+".")
	}
	return lines
}

// where is at which step of the direct way the search stuck.
func (d dead) where() string {
	if len(d.moves) == 0 {
		return ""
	}
	e := newEmitter(d.planning)
	e.emit(d.moves)
	n := 1
	for _, s := range e.steps {
		if s.Kind != KindCheckpoint {
			n++
		}
	}
	return fmt.Sprintf("; they would meet at step %d", n)
}

// gone adds to a sentence what was taken away of a change, and when.
func (p *planning) gone(m meeting) string {
	if !m.phase.AtLeast(migrations.Hidden) {
		return ""
	}
	c := p.changes[p.position[m.change]]
	text := ", which is " + string(m.phase)
	if what := p.dropped(c); len(what) > 0 {
		text += ": drop " + some(what, ", ")
	}
	if at := p.recorded(c).Updated; at != nil {
		text += " at " + at.UTC().Format("2006-01-02 15:04:05 MST")
	}
	return text
}

// dropped are the objects of a change that are gone for good.
func (p *planning) dropped(c *spec.Change) []string {
	var out []string
	program := p.programs[c.Name]
	left := unapplied(program.Drop, p.recorded(c))
	for _, u := range program.Drop {
		if p.start.phases[c.Name] == migrations.Contracted || !slices.ContainsFunc(left, func(l migrations.Unit) bool { return l.ID == u.ID }) {
			out = append(out, u.Title)
		}
	}
	return out
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// stuckAt says why what a release meets cannot go on; "" when it can.
func (d dead) stuckAt(m meeting) string {
	for _, c := range d.changes {
		if c.Name == m.change {
			return d.stuck(c)
		}
	}
	for _, directory := range d.directories {
		if directory.Name == m.directory {
			return d.stuckVersion(directory)
		}
	}
	return ""
}

// stuckVersion says who keeps a directory from its next version.
func (d dead) stuckVersion(m *spec.Migrations) string {
	f := following(m, d.world.versions[m.Name])
	if f == nil {
		return ""
	}
	if who := d.inTheWay(d.world, m, f.Version); len(who) > 0 {
		return who[0].why
	}
	return ""
}

// stuck says why a change cannot go on where the search stuck; "" when it can.
func (d dead) stuck(c *spec.Change) string {
	if slices.Contains(d.goal.Revert, c.Name) {
		if m := d.blocked(d.world, c, migrations.Absent); len(m) > 0 {
			return "it cannot be taken back: " + m[0].why
		}
		return ""
	}
	if d.waits(c) {
		return d.waiting[c.Name].Why + prefixed(", and ", d.bars[c.Name])
	}
	for _, r := range c.RequiresAbsent {
		if d.world.mix[r.Service.Name][r.Version] && d.world.phases[c.Name] == migrations.Absent {
			return fmt.Sprintf("the expand of %s waits until %s %s is gone", c.Name, r.Service.Name, r.Version)
		}
	}
	if k := d.careless(d.world, c); len(k) > 0 && d.world.phases[c.Name] == migrations.Expanded {
		return fmt.Sprintf("%s cannot be back-filled: writers of %s %s do not maintain %s, and no sync does", c.Name, k[0].service, k[0].version, filled(c))
	}
	return ""
}

// filled names the columns that a change's back-fills set.
func filled(c *spec.Change) string {
	columns := map[string]bool{}
	for _, b := range c.Backfills {
		for column := range b.Set {
			columns[column] = true
		}
	}
	if len(columns) == 0 {
		return "the new shape"
	}
	return strings.Join(slices.Sorted(maps.Keys(columns)), "/")
}
