package planner_test

import (
	"fmt"
	"time"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

const hosts = "orchestrator.host.local"

// routerOf is the address of a service's own router.
func routerOf(service string) string { return "router.proxy." + service }

// scene is a world that is lived in: a spec, and a state that steps change.
type scene struct {
	*draft
	spec   *spec.Spec
	state  *planner.State
	bare   map[string]*migrations.Catalog // before any change
	was    [mostServices]uint8            // what ran before the rollout at hand stopped the first of it
	single [mostServices]uint8            // what ran alone last
	last   [mostServices]string           // the release that was rolled out last
	rolls  int                            // rollouts so far
}

func newScene(d *draft, sp *spec.Spec) *scene {
	s := &scene{draft: d, spec: sp, bare: map[string]*migrations.Catalog{}}
	s.state = &planner.State{
		Now:           time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
		Databases:     map[string]*planner.Database{},
		Orchestrators: map[string]*planner.Orchestrator{hosts: {Identity: "o", Hosts: []string{"one", "two"}}},
		Routers:       map[string]*planner.Router{},
	}
	for n := range d.services {
		s.state.Routers[routerOf(d.serviceName(n))] = &planner.Router{Identity: "router of " + d.serviceName(n)}
	}
	for n := range d.databases {
		name := d.databaseName(n)
		s.bare[name] = d.catalog(n)
		s.state.Databases[name] = &planner.Database{
			Identity: "database " + name, Changes: map[string]migrations.Recorded{}, Versions: map[string]planner.Version{},
		}
	}
	for i, m := range d.directories {
		s.state.Databases[d.databaseName(m.database)].Versions[d.directoryName(i)] = planner.Version{Version: d.version(d.start, i), Dirty: m.dirty}
	}
	for n := range d.services {
		s.liveService(n)
	}
	s.recordPhases()
	s.settle()
	return s
}

// catalog is the bare table with every old column of a database.
func (d *draft) catalog(database int) *migrations.Catalog {
	t := &migrations.Table{PrimaryKey: []string{"id"}, Columns: []migrations.Column{{Name: "id", Type: "bigint", NotNull: true}}}
	for c := range d.changes {
		if d.changes[c].database == database {
			_, old := columnNames(c)
			t.Columns = append(t.Columns, migrations.Column{Name: old, Type: "text"})
		}
	}
	return &migrations.Catalog{Tables: map[string]*migrations.Table{"users": t}}
}

// liveService starts what runs at the start: of several releases the last one
// in full.
func (s *scene) liveService(n int) {
	draft, name := &s.services[n], s.serviceName(n)
	for _, bit := range bitsOf(s.start.mix[n]) {
		version := draft.version(bit)
		for i := range draft.count {
			instance := fmt.Sprintf("web.%d", i+1)
			s.startInstance(planner.Instance{
				Service: name, Release: version, Process: "web", Name: instance, Host: "one", Digest: artifactDigest(version), State: planner.Up,
			})
			if draft.resting&(1<<bit) == 0 {
				s.attach(name, version, instance)
			}
		}
		if draft.resting&(1<<bit) != 0 {
			s.keep(name, version)
		}
	}
	if draft.gone {
		s.state.Journal.Releases = append(s.state.Journal.Releases, s.record(n))
	}
}

// record is the release that only the journal has.
func (s *scene) record(n int) planner.Release {
	service := &spec.Service{Name: s.serviceName(n)}
	return planner.Describe(s.specRelease(s.spec, service, &s.services[n], recorded))
}

func (s *scene) recordPhases() {
	for c, change := range s.spec.Changes {
		phase := phaseNames[s.start.phases[c]]
		if phase == migrations.Absent {
			continue
		}
		units := map[string]bool{}
		for _, u := range s.lowered(change).Expand {
			units[u.ID] = true
		}
		s.state.Databases[change.Database.Name].Changes[change.Name] = migrations.Recorded{Phase: phase, Digest: migrations.Digest(change), Units: units}
	}
}

func (s *scene) lowered(c *spec.Change) *migrations.Program {
	program, _ := migrations.Lower(c, s.bare[c.Database.Name])
	return program
}

// settle makes the catalogs show what the phases say. A change that was cut
// short within a phase stands where the phase began.
func (s *scene) settle() {
	for name, bare := range s.bare {
		s.state.Databases[name].Catalog = bare
	}
	for _, c := range s.spec.Changes {
		db := s.state.Databases[c.Database.Name]
		if phase := s.phase(c); phase != migrations.Absent {
			program, _ := migrations.Lower(c, db.Catalog)
			db.Catalog = migrations.Project(db.Catalog, program, phase)
		}
	}
}

func (s *scene) phase(c *spec.Change) migrations.Phase {
	if p := s.state.Databases[c.Database.Name].Changes[c.Name].Phase; p != "" {
		return p
	}
	return migrations.Absent
}
