package spec

import (
	"cmp"
	"os"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// declare makes every thing that references may name, so that blocks can
// stand in any order. Migrations are read from root.
func (l *loader) declare(root *os.Root) {
	for _, n := range l.top("database") {
		d := &Database{Name: n.labels[0], Range: n.rng()}
		if l.referable(n, d.Name) && l.databases.add(l.problems, d, d.Range, named("database", d.Name)...) {
			l.database(n, d)
		}
	}
	for _, n := range l.top("orchestrator") {
		o := &Orchestrator{Kind: n.labels[0], Name: n.labels[1], Range: n.rng()}
		if l.referable(n, o.Name) && l.orchestrators.add(l.problems, o, o.Range, named("orchestrator."+o.Kind, o.Name)...) {
			l.orchestrator(n, o)
		}
	}
	for _, n := range l.top("router") {
		r := &Router{Kind: n.labels[0], Name: n.labels[1], Range: n.rng()}
		if l.referable(n, r.Name) && l.routers.add(l.problems, r, r.Range, named("router."+r.Kind, r.Name)...) {
			l.router(n, r)
		}
	}
	for _, n := range l.top("strategy") {
		s := &Strategy{Name: n.labels[0], Range: n.rng()}
		if l.referable(n, s.Name) && l.strategies.add(l.problems, s, s.Range, named("strategy", s.Name)...) {
			l.declaredStrategies = append(l.declaredStrategies, declared[*Strategy]{s, n})
		}
	}
	for _, n := range l.top("window") {
		w := &Window{Name: n.labels[0], Range: n.rng()}
		if l.referable(n, w.Name) && l.windows.add(l.problems, w, w.Range, named("window", w.Name)...) {
			l.window(n, w)
		}
	}
	for _, n := range l.top("gate") {
		g := &Gate{Name: n.labels[0], Range: n.rng()}
		if l.referable(n, g.Name) && l.gates.add(l.problems, g, g.Range, named("gate", g.Name)...) {
			l.gate(n, g)
		}
	}
	for _, n := range l.top("analysis") {
		a := &Analysis{Name: n.labels[0], Range: n.rng()}
		if l.referable(n, a.Name) && l.questions.add(l.problems, &Question{Analysis: a}, a.Range, named("analysis", a.Name)...) {
			l.spec.Analyses = append(l.spec.Analyses, a)
			l.analysis(n, a)
		}
	}
	for _, n := range l.top("notify") {
		t := &Notify{Name: n.labels[0], Range: n.rng()}
		if l.referable(n, t.Name) && l.notifies.add(l.problems, t, t.Range, named("notify", t.Name)...) {
			l.notify(n, t)
		}
	}
	l.declareMigrations(root)
	l.declareChanges()
	l.declareServices()
}

func (l *loader) declareMigrations(root *os.Root) {
	for _, n := range l.top("migrations") {
		m := &Migrations{Name: n.labels[0], Range: n.rng()}
		if l.referable(n, m.Name) && l.directories.add(l.problems, m, m.Range, named("migrations", m.Name)...) {
			l.migrations(root, n, m)
		}
	}
}

func (l *loader) declareChanges() {
	for _, n := range l.top("change") {
		if !l.referable(n, n.labels[0]) {
			continue
		}
		for _, i := range instances(n, labelled) {
			c := &Change{Name: i.name, Range: n.rng()}
			if l.changeName(i) && l.changes.add(l.problems, c, n.rng(), i.references("change")...) {
				l.declaredChanges = append(l.declaredChanges, declared[*Change]{c, i.node})
				l.declareVerifies(c, i)
			}
		}
	}
}

func (l *loader) declareVerifies(c *Change, of instance) {
	for _, n := range of.node.blocks("verify") {
		v := verify(n)
		c.Verifies = append(c.Verifies, v)
		var refs []string
		for _, ref := range of.references("change") {
			refs = append(refs, ref+"."+v.Name)
		}
		if _, twice := l.questions.items[refs[0]]; !twice { // which unique tells
			l.questions.add(l.problems, &Question{Change: c, Verify: v}, v.Range, refs...)
		}
	}
}

func (l *loader) declareServices() {
	for _, n := range l.top("service") {
		for _, i := range instances(n, labelled) {
			s := &Service{Name: i.name, Range: n.rng()}
			if l.nameFits(n, i.name) && l.services.add(l.problems, s, n.rng(), i.references("service")...) {
				l.declaredServices = append(l.declaredServices, declared[*Service]{s, i.node})
				l.declareReleases(s, i)
			}
		}
	}
}

func (l *loader) declareReleases(s *Service, of instance) {
	for _, n := range of.node.blocks("release") {
		if n.has(forEachName) && n.labels[0] != eachLabel {
			l.add(n.labelRange(0), "Label of releases with for_each", "The versions are the keys of for_each. Write: release %q { … }", eachLabel)
			continue
		}
		for _, i := range instances(n, keyed) {
			r := &Release{Service: s, Version: i.name, Range: n.rng()}
			var refs []string
			for _, ref := range of.references("service") {
				refs = append(refs, ref+".release["+quote(r.Version)+"]")
			}
			if l.nameFits(n, r.Version) && l.releases.add(l.problems, r, r.Range, refs...) {
				s.Releases = append(s.Releases, r)
				l.declaredReleases = append(l.declaredReleases, declared[*Release]{r, i.node})
			}
		}
	}
}

// decode fills what was declared.
func (l *loader) decode() {
	l.state()
	for _, d := range l.declaredDatabases {
		l.evict(d.node, d.item)
	}
	for _, d := range l.declaredChanges {
		l.change(d.node, d.item)
	}
	for _, d := range l.declaredStrategies {
		l.strategy(d.node, d.item)
	}
	for _, d := range l.declaredServices {
		l.service(d.node, d.item)
	}
	for _, d := range l.declaredReleases {
		l.release(d.node, d.item)
	}
}

// arrange fills the Spec from the registries, sorted.
func (l *loader) arrange() {
	s := l.spec
	s.Databases = sorted(l.databases, func(d *Database) string { return d.Name })
	s.Orchestrators = sorted(l.orchestrators, func(o *Orchestrator) string { return o.Kind + "." + o.Name })
	s.Routers = sorted(l.routers, func(r *Router) string { return r.Kind + "." + r.Name })
	s.Services = sorted(l.services, func(s *Service) string { return s.Name })
	s.Changes = sorted(l.changes, func(c *Change) string { return c.Name })
	s.Migrations = sorted(l.directories, func(m *Migrations) string { return m.Name })
	s.Notifies = sorted(l.notifies, func(n *Notify) string { return n.Name })
	s.Windows = sorted(l.windows, func(w *Window) string { return w.Name })
	s.Gates = sorted(l.gates, func(g *Gate) string { return g.Name })
	slices.SortFunc(s.Analyses, func(a, b *Analysis) int { return cmp.Compare(a.Name, b.Name) })
	s.Strategies = sorted(l.strategies, func(s *Strategy) string { return s.Name })
}

func sorted[T any](r *registry[T], name func(T) string) []T {
	var list []T
	for _, ref := range r.names {
		list = append(list, r.items[ref])
	}
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
	return list
}

// maxChangeName leaves room in identifiers for what pleat derives from the
// name of a change: triggers, functions, hidden columns.
const maxChangeName = 40

func (l *loader) changeName(i instance) bool {
	if !l.nameFits(i.node, i.name) {
		return false
	}
	if len(i.name) > maxChangeName {
		l.add(i.node.labelRange(0), "Name too long", "The name of a change has at most %d bytes, because it is part of the names of triggers and functions; %s has %d.", maxChangeName, quote(i.name), len(i.name))
		l.refused["change."+i.name] = true
		return false
	}
	return true
}

// nameFits refuses names that would not be safe in application_name, in
// paths and in messages.
func (l *loader) nameFits(n *node, name string) bool {
	for i, r := range name {
		if r < 0x80 && (hclsyntax.ValidIdentifier("x"+string(r)) || r == '.' && i > 0) {
			continue
		}
		l.add(n.labelRange(0), "Invalid name", "%s cannot be the name of a %s: a name has ASCII letters, digits, _, - and, after the first character, dots.", quote(name), n.syntax.Type)
		return false
	}
	if name == "" {
		l.add(n.labelRange(0), "Invalid name", "The name of a %s cannot be empty.", n.syntax.Type)
		return false
	}
	return true
}
