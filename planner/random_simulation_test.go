package planner_test

import (
	"fmt"
	"slices"
	"strings"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

func (s *scene) startInstance(i planner.Instance) {
	o := s.state.Orchestrators[hosts]
	o.Instances = append(slices.DeleteFunc(o.Instances, func(x planner.Instance) bool {
		return x.Service == i.Service && x.Release == i.Release && x.Name == i.Name
	}), i)
}

func (s *scene) attach(service, release, instance string) {
	s.detach(service, release, instance)
	r := s.state.Routers[routerOf(service)]
	r.Backends = append(r.Backends, planner.Backend{Service: service, Release: release, Instance: instance})
	s.state.Journal.Kept = slices.DeleteFunc(s.state.Journal.Kept, func(k planner.Kept) bool { return k.Service == service && k.Version == release })
}

func (s *scene) detach(service, release, instance string) {
	r := s.state.Routers[routerOf(service)]
	r.Backends = slices.DeleteFunc(r.Backends, func(b planner.Backend) bool {
		return b.Service == service && b.Release == release && b.Instance == instance
	})
}

func (s *scene) keep(service, version string) {
	s.state.Journal.Kept = append(s.state.Journal.Kept, planner.Kept{Service: service, Version: version, Since: s.state.Now})
}

// take is the effect of a step on what is live.
func (s *scene) take(a planner.Action) {
	switch a := a.(type) {
	case *planner.Start:
		s.begin(a)
		for _, at := range a.Instances {
			s.startInstance(planner.Instance{
				Service: a.Service, Release: a.Release, Process: a.Definition.Process, Name: at.Instance, Host: at.Host,
				Digest: a.Artifact.SHA256, State: planner.Up,
			})
		}
	case *planner.Stop:
		s.stop(a)
	case *planner.Attach:
		for _, at := range a.Instances {
			s.attach(a.Service, a.Release, at.Instance)
		}
	case *planner.Drain:
		for _, at := range a.Instances {
			s.detach(a.Service, a.Release, at.Instance)
		}
		if !s.routed(a.Service, a.Release) {
			s.keep(a.Service, a.Release)
		}
	case *planner.Weigh:
		s.state.Routers[string(a.Router)].Split = a.Split
	case *planner.Transaction:
		s.mark(a.Database, a.Change, a.Unit, !a.Reverse, a.Phase, a.Digest)
	case *planner.Backfill:
		s.mark(a.Database, a.Change, a.Unit, true, a.Phase, a.Digest)
	case *planner.Verify:
		s.mark(a.Database, a.Change, "", true, a.Phase, a.Digest)
	case *planner.Migrate:
		s.state.Databases[a.Database].Versions[a.Migrations] = planner.Version{Version: a.To}
	}
}

// begin counts a rollout with the first start of its release.
func (s *scene) begin(a *planner.Start) {
	n := s.number(a.Service)
	s.was[n] = 0
	if s.running(n)&(1<<s.services[n].bit(a.Release)) == 0 {
		s.rolls++
		s.last[n] = a.Release
	}
}

// stop remembers what a rollout found. What is stopped behind the starts of
// one is that one's own end.
func (s *scene) stop(a *planner.Stop) {
	n := s.number(a.Service)
	if s.last[n] == "" || s.last[n] == a.Release {
		s.was[n] |= s.running(n)
	}
	o := s.state.Orchestrators[hosts]
	for _, at := range a.Instances {
		o.Instances = slices.DeleteFunc(o.Instances, func(x planner.Instance) bool {
			return x.Service == a.Service && x.Release == a.Release && x.Name == at.Instance
		})
	}
	if mix := s.running(n); mix&(mix-1) == 0 && mix != 0 {
		s.single[n] = mix
	}
}

func (s *scene) routed(service, release string) bool {
	return slices.ContainsFunc(s.state.Routers[routerOf(service)].Backends, func(b planner.Backend) bool { return b.Service == service && b.Release == release })
}

func (s *scene) mark(database, change, unit string, done bool, phase migrations.Phase, digest string) {
	changes := s.state.Databases[database].Changes
	r := changes[change]
	if r.Units == nil {
		r.Units = map[string]bool{}
	}
	if phase != "" {
		r.Phase = phase
	}
	r.Digest = digest
	r.Units[unit] = done
	changes[change] = r
}

// run carries a plan out.
func (s *scene) run(steps []planner.Step) {
	for _, step := range steps {
		if step.Deferred == "" {
			s.take(step.Action)
		}
	}
	s.settle()
}

func (s *scene) number(service string) int {
	return slices.IndexFunc(s.spec.Services, func(x *spec.Service) bool { return x.Name == service })
}

// running is the mix of a service's instances.
func (s *scene) running(n int) uint8 {
	var mix uint8
	for _, i := range s.state.Orchestrators[hosts].Instances {
		if i.Service == s.serviceName(n) {
			mix |= 1 << s.services[n].bit(i.Release)
		}
	}
	return mix
}

// node is what is live as a state of the search.
func (s *scene) node() node {
	var n node
	for i := range s.services {
		n.mix[i] = s.running(i)
		n.down[i] = n.mix[i] == 0
		if n.down[i] {
			n.mix[i] = s.was[i]
		}
		n.kept[i] = s.services[i].strategy.keep > 0 && s.complete(i)
	}
	for c, change := range s.spec.Changes {
		n.phases[c] = s.through(c, uint8(slices.Index(phaseNames, s.phase(change))))
	}
	for i, m := range s.directories {
		live := s.state.Databases[s.databaseName(m.database)].Versions[s.directoryName(i)].Version
		n.versions[i] = uint8(slices.Index(m.files, live) + 1)
	}
	return n
}

// complete tells whether a service has all instances of its target.
func (s *scene) complete(n int) bool {
	up := 0
	for _, i := range s.state.Orchestrators[hosts].Instances {
		if i.Service == s.serviceName(n) && i.Release == s.services[n].version(s.services[n].target) {
			up++
		}
	}
	return up >= s.services[n].count
}

// misstep carries a step out and says what about it is against the rules.
func (s *scene) misstep(action planner.Action) string {
	why := s.unready(s.node(), action)
	s.take(action)
	if why != "" {
		return why
	}
	return s.illegal(s.node())
}

// unready says why a step must not begin in a world.
func (s *scene) unready(n node, action planner.Action) string {
	switch a := action.(type) {
	case *planner.Start:
		service := s.number(a.Service)
		bit := s.services[service].bit(a.Release)
		if n.runs(service, bit) {
			return ""
		}
		if !s.mayBegin(n, service, bit) {
			return fmt.Sprintf("%s %s may not be rolled out", a.Service, a.Release)
		}
	case *planner.Transaction:
		return s.unreadyChange(n, a.Change, a.Unit)
	case *planner.Backfill:
		return s.unreadyChange(n, a.Change, a.Unit)
	case *planner.Migrate:
		i := slices.IndexFunc(s.spec.Migrations, func(m *spec.Migrations) bool { return m.Name == a.Migrations })
		if !s.mayMigrate(n, i) {
			return fmt.Sprintf("%s may not go on", a.Migrations)
		}
	}
	return ""
}

// notArrived is what unreadyChange says of a contract that comes too early.
const notArrived = " is taken away before all have arrived"

// mayBegin tells whether a rollout may have begun where it did: at what runs, at
// what ran before it stopped the first, or at what was left alone by a rollout
// that had nothing to start.
func (s *scene) mayBegin(n node, service, bit int) bool {
	for _, mix := range []uint8{n.mix[service], n.mix[service] | s.was[service], s.single[service]} {
		n.mix[service] = mix
		if s.mayRoll(n, service, bit) {
			return true
		}
	}
	return false
}

// unreadyChange judges a unit of a change. One towards hidden counts as hidden
// from its start.
func (s *scene) unreadyChange(n node, change, unit string) string {
	c := slices.IndexFunc(s.spec.Changes, func(c *spec.Change) bool { return c.Name == change })
	phase := n.phases[c]
	switch {
	case strings.HasPrefix(unit, "hide."), strings.HasPrefix(unit, "drop."):
		if !s.reached(n) {
			return change + notArrived
		}
		n.phases[c] = max(phase, hidden)
		return s.illegal(n)
	case !s.mayAdvance(n, c):
		return fmt.Sprintf("%s may not go on from %s", change, phaseNames[phase])
	}
	return ""
}
