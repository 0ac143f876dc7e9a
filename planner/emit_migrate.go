package planner

import (
	"fmt"

	"pleat/migrations"
	"pleat/spec"
)

// migrate takes a directory to its next version.
func (e *emitter) migrate(m move) {
	d, from := m.directory, e.world.versions[m.directory.Name]
	does := e.fileDoes(m)
	s := Step{
		ID: fmt.Sprintf("%s/%d", d.Address(), m.file.Version), Address: d.Address(), Kind: KindMigrate,
		Title: fmt.Sprintf("%s to %d %s", d.Name, m.file.Version, m.file.Name) + e.goesOn(m, from),
		Cause: fmt.Sprintf("%s goes from %s to %d", d.Address(), orNone(from), d.Version),
		Action: &Migrate{
			Database: d.Database.Name, Migrations: d.Name, Table: d.Table, From: from, To: m.file.Version, SQL: m.file.Up,
			TakenOver: e.takenOver(d, from),
		},
		Undo: e.unmigrate(m, from), Safety: Probed, Limits: e.limits(d.Database), Source: m.file.File,
		Guards: e.only(d.Database, "", func(k releaseKey) bool { return e.livesWith(k, d, m.file.Version) }),
		Lock:   does.Lock, Table: does.Table, Does: does.Does, Hazards: does.Hazards,
	}
	if d.Hold > 0 {
		s.Limits.Hold = d.Hold
	}
	s.Needs = append(s.Needs, e.levelled(d)...)
	e.add("expand", s)
}

// takenOver are the versions up to the live one that nothing is recorded of.
// The first step of a directory records them.
func (e *emitter) takenOver(d *spec.Migrations, from uint64) []Applied {
	if from != e.liveVersion(d).Version {
		return nil
	}
	known := e.applied(d)
	var out []Applied
	for _, f := range d.Files {
		if f.Version <= from && known.at(f.Version) == nil {
			out = append(out, AppliedOf(f))
		}
	}
	return out
}

// goesOn says with which statement a file that is under way is gone on with.
func (e *emitter) goesOn(m move, from uint64) string {
	h := e.liveVersion(m.directory).Halfway
	if h == nil || h.From != from || h.To != m.file.Version {
		return ""
	}
	return fmt.Sprintf(", from statement %d", h.Statements+1)
}

// fileDoes is what the file of a move does. A directory is read once, with
// what each file finds made by those before it.
func (e *emitter) fileDoes(m move) migrations.AuthorSQL {
	if e.files[m.directory.Name] == nil {
		e.files[m.directory.Name] = migrations.Files(m.directory)
	}
	return e.files[m.directory.Name][m.file.Version]
}

// unmigrate is what becomes of a version when the steps after it fail. Where
// the releases that ran before live with it, it stays; where they do not, the
// down migration brings them back.
func (e *emitter) unmigrate(m move, from uint64) *Undo {
	d := m.directory
	if e.down == 0 || e.stays[d.Name] {
		return &Undo{Title: "stays", Bars: e.strands(m)}
	}
	if downOf(m.file) == "" {
		return nil
	}
	return &Undo{
		Title: fmt.Sprintf("down to %s", orNone(from)), Loses: fmt.Sprintf("what the down migration of %d takes away", m.file.Version),
		Action: &Migrate{Database: d.Database.Name, Migrations: d.Name, Table: d.Table, From: m.file.Version, To: from, SQL: m.file.Down},
	}
}

// downOf is the SQL that takes a migration back; "" where there is none that
// pleat can carry out.
func downOf(f *spec.Migration) string {
	if _, err := migrations.Pieces(f.Down); err != nil {
		return ""
	}
	return f.Down
}

// stopped tells whether a release that the moves stop cannot be started again
// behind one of their migrations.
func (e *emitter) stopped(moves []move, migration move) bool {
	d := migration.directory
	for _, m := range moves {
		if m.kind != moveDown || !e.uses(m.service.Name, d.Database.Name) {
			continue
		}
		for version := range e.world.mix[m.service.Name] {
			if e.outOfRange(releaseKey{m.service.Name, version}, d, migration.file.Version, false) != nil {
				return true
			}
		}
	}
	return false
}

// levelled are the last steps of the services that say which versions of the
// directory they live with.
func (e *emitter) levelled(d *spec.Migrations) []string {
	return e.lastOfServices(func(s *spec.Service) bool { return e.ranged(s.Name, d) })
}

// livesWith tells whether a release is known to live with a version.
func (e *emitter) livesWith(k releaseKey, d *spec.Migrations, version uint64) bool {
	return e.declared[k].release.livesAt(d.Name, version, false) && e.unknown(k, d) == ""
}
