package planner

import (
	"fmt"
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// next is the release that a service has to go to: the first required stop on
// the way, or its target.
func (p *planning) next(w world, s *spec.Service) releaseKey {
	to := releaseKey{s.Name, p.target(s)}
	if stop := p.stop(w, to); stop != "" {
		to.version = stop
	}
	return to
}

// stop is the first release that must not be passed on the way to another one;
// "" where there is none.
func (p *planning) stop(w world, to releaseKey) string {
	if p.goal.Rollback {
		return ""
	}
	first := ""
	for _, version := range p.stops[to.service] {
		x := releaseKey{to.service, version}
		if version == to.version || !p.lineage(to)[version] || !p.ahead(w, x) {
			continue
		}
		if first == "" || p.lineage(releaseKey{to.service, first})[version] {
			first = version
		}
	}
	return first
}

func (p *planning) isStop(k releaseKey) bool {
	d := p.declared[k]
	return d != nil && d.release.RequiredStop
}

// ahead tells whether something of the service has not come to a release that
// contains it.
func (p *planning) ahead(w world, x releaseKey) bool {
	line := p.lineage(x)
	for version := range w.mix[x.service] {
		if version != x.version && line[version] {
			return true
		}
	}
	return false
}

// hindrance says why a release cannot be rolled out yet, whatever the schema
// is; "" where nothing speaks against it.
func (k *knot) hindrance(w world, to releaseKey) string {
	s := k.byName[to.service]
	if k.offline(s) && !w.down[s.Name] && len(w.mix[s.Name]) > 0 {
		return fmt.Sprintf("%s is not stopped yet", s.Address())
	}
	if stop := k.stop(w, to); stop != "" {
		return fmt.Sprintf("%s %s is a required stop on the way to %s", s.Name, stop, to.version)
	}
	if why := k.unsettled(w, to); why != "" {
		return why
	}
	if to.version != k.target(s) {
		return ""
	}
	for _, before := range s.After {
		if !k.rolledOut(w, before) {
			return fmt.Sprintf("%s comes after %s, which is not at %s yet", s.Address(), before.Address(), k.target(before))
		}
	}
	return ""
}

// unsettled says which change keeps a service at a required stop.
func (k *knot) unsettled(w world, to releaseKey) string {
	if k.goal.Rollback {
		return ""
	}
	for _, version := range sortedKeys(w.mix[to.service]) {
		at := releaseKey{to.service, version}
		if version == to.version || !k.isStop(at) {
			continue
		}
		for _, c := range k.changes {
			if k.declared[at].knows[c.Name] && !w.phases[c.Name].AtLeast(migrations.Verified) {
				return fmt.Sprintf("%s stays at %s, a required stop, until %s is verified", to.service, version, c.Address())
			}
		}
	}
	return ""
}

// liesBetween tells whether a release is on the way from what is live to the
// target, by the code that each declares to contain. Where nothing is
// declared, nothing speaks against it.
func (p *planning) liesBetween(w world, r releaseKey) bool {
	d := p.declared[r]
	target := p.declared[releaseKey{r.service, p.target(p.byName[r.service])}]
	if d.release.Held != "" {
		return false
	}
	if len(target.release.Ancestors) > 0 && !p.lineage(releaseKey{r.service, target.release.Version})[r.version] {
		return false
	}
	if len(d.release.Ancestors) == 0 || len(w.mix[r.service]) == 0 {
		return true
	}
	line := p.lineage(r)
	return slices.ContainsFunc(sortedKeys(w.mix[r.service]), func(version string) bool { return line[version] })
}

// between is the version of a release that is only assumed.
const between = "?"

// lineage is what the release's code contains, by its declared ancestors.
func (p *planning) lineage(of releaseKey) map[string]bool {
	if line := p.lines[of]; line != nil {
		return line
	}
	line := map[string]bool{}
	var visit func(v string)
	visit = func(v string) {
		if line[v] {
			return
		}
		line[v] = true
		if d := p.declared[releaseKey{of.service, v}]; d != nil {
			for _, a := range d.release.Ancestors {
				visit(a)
			}
		}
	}
	visit(of.version)
	p.lines[of] = line
	return line
}
