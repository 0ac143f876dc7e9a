package planner

import "pleat/spec"

// knot is services and changes that have to do with each other: planning
// knots apart gives what planning everything at once would give, at a cost
// that grows with the largest one.
type knot struct {
	*planning
	services    []*spec.Service
	changes     []*spec.Change
	directories []*spec.Migrations
	assumed     assumption // nothing, but when a way out is looked for
	gaveUp      bool       // the search has not looked at everything
}

// knots partitions the spec, in the order of their first change or service.
func (p *planning) knots() []*knot {
	u := union{}
	for _, c := range p.changes {
		p.tie(u, c)
	}
	for k, d := range p.declared {
		for c := range d.knows {
			u.join("service."+k.service, "change."+c)
		}
		for _, v := range d.release.Versions {
			u.join("service."+k.service, "migrations."+v.Migrations)
		}
	}
	for _, s := range p.spec.Services {
		for _, before := range s.After {
			u.join("service."+s.Name, "service."+before.Name)
		}
		p.tieUnknown(u, s)
	}
	return p.gather(u)
}

// tieUnknown joins a service that runs a release which nobody declares with the
// directories that cannot pass it.
func (p *planning) tieUnknown(u union, s *spec.Service) {
	for version := range p.start.mix[s.Name] {
		if p.declared[releaseKey{s.Name, version}] != nil {
			continue
		}
		for _, d := range p.spec.Migrations {
			if p.uses(s.Name, d.Database.Name) {
				u.join("service."+s.Name, "migrations."+d.Name)
			}
		}
	}
}

// tie joins a change with what bears on it beside the releases that know it.
func (p *planning) tie(u union, c *spec.Change) {
	self := "change." + c.Name
	for _, before := range c.After {
		u.join(self, "change."+before.Name)
	}
	for _, r := range c.RequiresAbsent {
		u.join(self, "service."+r.Service.Name)
	}
	if !p.goal.Rollback && (len(c.Backfills) == 0 || synced(c)) {
		return
	}
	for _, s := range p.spec.Services {
		if p.uses(s.Name, c.Database.Name) {
			u.join(self, "service."+s.Name)
		}
	}
}

func (p *planning) gather(u union) []*knot {
	var out []*knot
	byRoot := map[string]*knot{}
	of := func(name string) *knot {
		root := u.find(name)
		if byRoot[root] == nil {
			byRoot[root] = &knot{planning: p}
			out = append(out, byRoot[root])
		}
		return byRoot[root]
	}
	for _, c := range p.changes {
		k := of("change." + c.Name)
		k.changes = append(k.changes, c)
	}
	for _, d := range p.spec.Migrations {
		k := of("migrations." + d.Name)
		k.directories = append(k.directories, d)
	}
	for _, s := range p.spec.Services {
		k := of("service." + s.Name)
		k.services = append(k.services, s)
	}
	return out
}

// world is the part of the start that bears on the knot: its own services,
// changes and directories, and services that no spec has.
func (k *knot) world() world {
	w := newWorld()
	for _, name := range k.strangers {
		w.mix[name] = k.start.mix[name]
	}
	for _, s := range k.services {
		w.mix[s.Name] = k.start.mix[s.Name]
		if kept := k.start.kept[s.Name]; kept != nil {
			w.kept[s.Name] = kept
		}
	}
	for _, c := range k.changes {
		w.phases[c.Name] = k.start.phases[c.Name]
	}
	for _, d := range k.directories {
		w.versions[d.Name] = k.start.versions[d.Name]
	}
	return w
}

// union is a disjoint-set forest over names.
type union map[string]string

func (u union) find(name string) string {
	for u[name] != "" && u[name] != name {
		if up := u[u[name]]; up != "" {
			u[name] = up
		}
		name = u[name]
	}
	return name
}

func (u union) join(a, b string) {
	if a, b = u.find(a), u.find(b); a != b {
		u[b] = a
	}
}
