package planner

import (
	"fmt"

	"pleat/migrations"
	"pleat/spec"
)

// migrate takes a directory to its next version.
func (e *emitter) migrate(m move) {
	d, from := m.directory, e.world.versions[m.directory.Name]
	s := Step{
		ID: fmt.Sprintf("%s/%d", d.Address(), m.file.Version), Address: d.Address(), Kind: KindMigrate,
		Title: fmt.Sprintf("%s to %d %s", d.Name, m.file.Version, m.file.Name),
		Cause: fmt.Sprintf("%s goes from %s to %d", d.Address(), orNone(from), d.Version),
		Action: &Migrate{
			Database: d.Database.Name, Migrations: d.Name, Table: d.Table, From: from, To: m.file.Version, SQL: m.file.Up,
		},
		Undo: e.unmigrate(m, from), Safety: Probed, Limits: e.limits(d.Database), Source: m.file.File,
		Guards:  e.gone(d, m.file.Version),
		Hazards: []migrations.Hazard{migrations.Unclassified(m.file.File)},
	}
	s.Needs = append(s.Needs, e.rollouts(d.Database)...)
	e.add("expand", s)
}

// unmigrate is what becomes of a version when the steps after it fail. Where
// the releases that ran before live with it, it stays; where they do not, the
// down migration brings them back.
func (e *emitter) unmigrate(m move, from uint64) *Undo {
	d := m.directory
	if !e.stopped(d, m.file.Version) {
		return &Undo{Title: "stays", Bars: e.wayBack.strands(m)}
	}
	if m.file.Down == "" {
		return nil
	}
	return &Undo{
		Title: fmt.Sprintf("down to %s", orNone(from)), Loses: fmt.Sprintf("what the down migration of %d takes away", m.file.Version),
		Action: &Migrate{Database: d.Database.Name, Migrations: d.Name, Table: d.Table, From: m.file.Version, To: from, SQL: m.file.Down},
	}
}

// stopped tells whether a release that ran before its service was taken down
// cannot be started again with a directory at that version.
func (e *emitter) stopped(d *spec.Migrations, version uint64) bool {
	for service, down := range e.world.down {
		for v := range e.world.mix[service] {
			if down && e.uses(service, d.Database.Name) && e.outOfRange(releaseKey{service, v}, d, version, false) != nil {
				return true
			}
		}
	}
	return false
}

// gone asks that no release is left which cannot live with a version: no
// instance, and no session.
func (e *emitter) gone(d *spec.Migrations, version uint64) []Guard {
	var out []Guard
	for _, s := range e.spec.Services {
		if !e.uses(s.Name, d.Database.Name) {
			continue
		}
		var fit []string
		for k, declared := range e.declared {
			if k.service == s.Name && declared.release.livesAt(d.Name, version, false) && e.unknown(k, d) == "" {
				fit = append(fit, k.version)
			}
		}
		fit = sorted(fit)
		out = append(out,
			&NoSessions{Database: d.Database.Name, Service: s.Name, Except: fit},
			&NoInstances{Orchestrator: s.Orchestrator.Address(), Service: s.Name, Except: fit})
	}
	return out
}
