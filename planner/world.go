package planner

import (
	"fmt"
	"maps"
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// world is one node of the search: which releases of each service may be
// running, how far each change has come, and which version golang-migrate
// directories are at.
type world struct {
	mix      map[string]map[string]bool // service → versions
	phases   map[string]migrations.Phase
	versions map[string]uint64 // by directory
	// reverted are the changes that were taken back on the way here.
	reverted map[string]bool
	// down are the services that were stopped to be started again: mix has what
	// ran before.
	down map[string]bool
	// kept are the releases, by service, that run on without serving.
	kept map[string]map[string]bool
}

func newWorld() world {
	return world{
		mix: map[string]map[string]bool{}, phases: map[string]migrations.Phase{}, versions: map[string]uint64{},
		reverted: map[string]bool{}, down: map[string]bool{}, kept: map[string]map[string]bool{},
	}
}

// clone is a copy that can be gone on from without touching w.
func (w world) clone() world {
	return world{
		mix: maps.Clone(w.mix), phases: maps.Clone(w.phases), versions: maps.Clone(w.versions),
		reverted: maps.Clone(w.reverted), down: maps.Clone(w.down), kept: maps.Clone(w.kept),
	}
}

// become makes w what the other is, where the other says something.
func (w world) become(other world) {
	maps.Copy(w.mix, other.mix)
	maps.Copy(w.phases, other.phases)
	maps.Copy(w.versions, other.versions)
	maps.Copy(w.reverted, other.reverted)
	maps.Copy(w.down, other.down)
	maps.Copy(w.kept, other.kept)
}

// roll leaves only one release of the service running.
func (w world) roll(service, version string) {
	w.mix[service] = map[string]bool{version: true}
	w.down[service] = false
	w.kept[service] = nil
}

// rollKeeping rolls out one release beside those that run.
func (w world) rollKeeping(service, version string) {
	mix := maps.Clone(w.mix[service])
	delete(mix, version)
	w.kept[service] = maps.Clone(mix)
	mix[version] = true
	w.mix[service] = mix
}

// serving are the releases of a service that run and are not only kept.
func (w world) serving(service string) map[string]bool {
	out := maps.Clone(w.mix[service])
	maps.DeleteFunc(out, func(version string, _ bool) bool { return w.kept[service][version] })
	return out
}

// retire stops what a service keeps.
func (w world) retire(service string) {
	w.mix[service] = w.serving(service)
	w.kept[service] = nil
}

// at tells whether exactly this release runs.
func (w world) at(service, version string) bool {
	return len(w.mix[service]) == 1 && w.mix[service][version] && !w.down[service]
}

// running lists the releases that run, in order.
func (w world) running() []releaseKey {
	var out []releaseKey
	for _, service := range sortedKeys(w.mix) {
		if w.down[service] {
			continue
		}
		for _, version := range sortedKeys(w.mix[service]) {
			out = append(out, releaseKey{service, version})
		}
	}
	return out
}

// liveMix reads the mix from the instances that are not down, and from the
// database sessions that name a release of the spec's services.
func liveMix(sp *spec.Spec, st *State) map[string]map[string]bool {
	mix := map[string]map[string]bool{}
	add := func(service, version string) {
		if mix[service] == nil {
			mix[service] = map[string]bool{}
		}
		mix[service][version] = true
	}
	for _, s := range sp.Services {
		mix[s.Name] = map[string]bool{}
	}
	for _, i := range liveInstances(st) {
		if i.State != Down {
			add(i.Service, i.Release)
		}
	}
	for _, name := range sortedKeys(st.Databases) {
		for _, s := range st.Databases[name].Sessions {
			add(s.Service, s.Release)
		}
	}
	return mix
}

// liveInstances are the instances of all orchestrators, in order.
func liveInstances(st *State) []Instance {
	var out []Instance
	for _, address := range sortedKeys(st.Orchestrators) {
		out = append(out, st.Orchestrators[address].Instances...)
	}
	return out
}

// meeting is a release that cannot live with a change in a phase, or with a
// directory at a version: design.md §3.
type meeting struct {
	releaseKey
	change    string // "" where it is about a directory
	phase     migrations.Phase
	directory string // "" where it is about a change
	why       string
}

// meetings lists the releases of a mix that cannot live with a change in that
// phase, in order.
func (p *planning) meetings(w world, c *spec.Change, phase migrations.Phase) []meeting {
	var out []meeting
	for _, k := range w.running() {
		if m := p.meet(k, c, phase); m != nil {
			out = append(out, *m)
		}
	}
	return out
}

// blocked lists what would become illegal if the change came to that phase. A
// release that is in trouble already is no reason against a step that does not
// add to it.
func (p *planning) blocked(w world, c *spec.Change, phase migrations.Phase) []meeting {
	var out []meeting
	for _, m := range p.meetings(w, c, phase) {
		if p.meet(m.releaseKey, c, w.phases[c.Name]) == nil {
			out = append(out, m)
		}
	}
	return out
}

// unfit lists what keeps a release from being started as things are: changes,
// in order, then directories. Changes can only be those that the release knows,
// and those that were taken away.
func (p *planning) unfit(w world, k releaseKey) []meeting {
	var out []meeting
	for _, c := range p.bearing(k) {
		phase, ours := w.phases[c.Name]
		if !ours { // taken away, and of another knot
			phase = p.start.phases[c.Name]
		}
		if m := p.meet(k, c, phase); m != nil {
			out = append(out, *m)
		}
	}
	for _, d := range p.spec.Migrations {
		v, ours := w.versions[d.Name]
		if !ours || !p.uses(k.service, d.Database.Name) {
			continue
		}
		if m := p.outOfRange(k, d, v, true); m != nil {
			out = append(out, *m)
		}
	}
	return out
}

// bearing are the changes that may keep a release from being started, in order.
func (p *planning) bearing(k releaseKey) []*spec.Change {
	if out, known := p.bearings[k]; known {
		return out
	}
	out := slices.Clone(p.taken)
	if d := p.declared[k]; d != nil {
		for name := range d.knows {
			if i, ok := p.position[name]; ok && !slices.Contains(p.taken, p.changes[i]) {
				out = append(out, p.changes[i])
			}
		}
	}
	slices.SortFunc(out, func(a, b *spec.Change) int { return p.position[a.Name] - p.position[b.Name] })
	p.bearings[k] = out
	return out
}

// meet tells why a release cannot live with a change in that phase, or nil.
func (p *planning) meet(k releaseKey, c *spec.Change, phase migrations.Phase) *meeting {
	taken := phase.AtLeast(migrations.Hidden)
	illegal := func(format string, args ...any) *meeting {
		return &meeting{releaseKey: k, change: c.Name, phase: phase, why: fmt.Sprintf(format, args...)}
	}
	if !p.uses(k.service, c.Database.Name) {
		return nil
	}
	d := p.declared[k]
	if d == nil {
		if taken {
			return illegal("%s %s is live, and nothing declares it: no contract passes it", k.service, k.version)
		}
		if phase == migrations.Absent {
			return illegal("%s %s is live, and nothing declares it: nothing is taken back under it", k.service, k.version)
		}
		return nil
	}
	if !d.knows[c.Name] {
		if taken && !d.tolerates[c.Name] {
			return illegal("%s %s does not know %s", k.service, k.version, c.Name)
		}
		return nil
	}
	if d.needsBackfill[c.Name] && !phase.AtLeast(migrations.Backfilled) {
		return illegal("%s %s needs %s back-filled, and it is %s", k.service, k.version, c.Name, phase)
	}
	if !phase.AtLeast(migrations.Expanded) {
		return illegal("%s %s needs %s, and it is %s", k.service, k.version, c.Name, phase)
	}
	return nil
}

// uses tells whether a service uses a database: the spec says so, or its
// sessions were seen there.
func (p *planning) uses(service, database string) bool {
	if s := p.byName[service]; s != nil && (s.Database != nil && s.Database.Name == database || slices.ContainsFunc(s.AlsoUses, func(d *spec.Database) bool { return d.Name == database })) {
		return true
	}
	for _, seen := range p.state.Databases[database].Sessions {
		if seen.Service == service {
			return true
		}
	}
	return false
}
