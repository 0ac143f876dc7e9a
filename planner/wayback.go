package planner

import (
	"fmt"
	"slices"

	"pleat/migrations"
	"pleat/spec"
)

// wayBack follows a plan and knows, at every place in it, which of the releases
// that the plan leaves can come back from there, how, and what they would miss.
// Each move costs what it changes, not what there is.
type wayBack struct {
	*planning
	able   []releaseKey        // that can come back
	unable []releaseKey        // that cannot any more
	lost   map[releaseKey]bool // the same
	gone   map[releaseKey]bool // of the able ones: has to be started again
	kept   map[releaseKey]bool // is up, without requests
	barred bool                // a primary was promoted: the run cannot go back to before
	first  string              // what has to be done before anything comes back, "" for nothing
	unkept []*spec.Change      // with two shapes that no sync keeps in step
	went   []releaseKey        // what the plan rolled out
	missed string              // what the able ones would not find, "" for nothing
	ended  bool                // something was done to data that nothing undoes
}

func newWayBack(p *planning) *wayBack {
	unkept := slices.DeleteFunc(slices.Clone(p.changes), func(c *spec.Change) bool {
		return synced(c) || !slices.ContainsFunc(c.Backfills, func(b *spec.Backfill) bool { return !b.Fills })
	})
	return &wayBack{planning: p, able: p.leaving(), lost: map[releaseKey]bool{}, unkept: unkept, gone: map[releaseKey]bool{}, kept: map[releaseKey]bool{}}
}

// leaving are the releases that were live at the start and are not wanted.
func (p *planning) leaving() []releaseKey {
	var out []releaseKey
	for _, s := range p.spec.Services {
		out = append(out, p.leavingOf(s)...)
	}
	return out
}

// leavingOf are those of one service.
func (p *planning) leavingOf(s *spec.Service) []releaseKey {
	var out []releaseKey
	for _, version := range sortedKeys(p.start.mix[s.Name]) {
		if version != p.target(s) {
			out = append(out, releaseKey{s.Name, version})
		}
	}
	return out
}

// partsWith are the releases that cannot come back once a move is made, where
// they could before.
func (b *wayBack) partsWith(m move) []releaseKey {
	if m.kind != moveRevert && m.kind != moveDrop && m.kind != moveMigrate {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(b.able), func(k releaseKey) bool { return !b.cannotLive(k, m) })
}

// cannotLive tells whether a release needs what a move takes away.
func (b *wayBack) cannotLive(k releaseKey, m move) bool {
	switch m.kind {
	case moveRevert:
		return b.meet(k, m.change, migrations.Absent) != nil
	case moveDrop:
		return b.meet(k, m.change, migrations.Contracted) != nil
	default:
		return b.uses(k.service, m.directory.Database.Name) && b.outOfRange(k, m.directory, m.file.Version, false) != nil
	}
}

// lose takes releases off those that can come back.
func (b *wayBack) lose(list []releaseKey) {
	if len(list) == 0 {
		return
	}
	for _, k := range list {
		b.lost[k] = true
		delete(b.gone, k)
		delete(b.kept, k)
	}
	b.able = slices.DeleteFunc(b.able, func(k releaseKey) bool { return b.lost[k] })
	b.unable = append(b.unable, list...)
}

// moved tells that a service has come to where the world says.
func (b *wayBack) moved(w world, service string) {
	for version := range b.start.mix[service] {
		k := releaseKey{service, version}
		if b.lost[k] || b.byName[service] == nil || version == b.target(b.byName[service]) {
			continue
		}
		delete(b.gone, k)
		delete(b.kept, k)
		switch {
		case w.down[service] || !w.mix[service][version]:
			b.gone[k] = true
		case w.kept[service][version]:
			b.kept[k] = true
		}
	}
}

// strands tells whether taking the plan back from behind a migration would
// start a release that does not live with its version: one that the plan
// leaves, or one that it went by.
func (b *wayBack) strands(m move) bool {
	cannot := func(k releaseKey) bool { return b.cannotLive(k, m) }
	return slices.ContainsFunc(b.able, cannot) || slices.ContainsFunc(b.unable, cannot) || slices.ContainsFunc(b.went, cannot)
}

// contracts tells that the first part of a change's contract is done.
func (b *wayBack) contracts(c *spec.Change) {
	switch {
	case b.hides(c):
		b.first = "un-hiding"
	case b.first == "" && len(b.programs[c.Name].Hide) > 0:
		b.first = "taking back what is enforced"
	}
}

// wrote tells that a release has run, and so may have written.
func (b *wayBack) wrote(by releaseKey) {
	b.went = append(b.went, by)
	d := b.declared[by]
	if b.missed != "" || d == nil {
		return
	}
	for _, c := range b.unkept {
		if d.knows[c.Name] && slices.ContainsFunc(b.able, func(k releaseKey) bool { return b.ignores(k, c) }) {
			b.missed = fmt.Sprintf(", without what %s %s wrote in the new shape of %s", by.service, by.version, c.Name)
			return
		}
	}
}

// ignores tells whether a release uses the change's database and does not know
// the change.
func (b *wayBack) ignores(k releaseKey, c *spec.Change) bool {
	d := b.declared[k]
	return b.uses(k.service, c.Database.Name) && (d == nil || !d.knows[c.Name])
}

// back says what going back to a place means.
func (b *wayBack) back() string {
	switch {
	case len(b.able) == 0 && len(b.unable) == 0 && !b.ended:
		return "nothing lost"
	case len(b.able) == 0 || b.barred:
		return "what fails below goes back to here"
	}
	lost := ", nothing lost"
	if b.ended {
		lost = ", except for what cannot be undone"
	}
	text := "back to " + names(b.able) + b.manner() + firstOf(b.missed, lost)
	if len(b.unable) > 0 {
		text += "; " + names(b.unable) + " cannot come back"
	}
	return text
}

// manner is what it takes to bring releases back.
func (b *wayBack) manner() string {
	switch {
	case b.first != "":
		return " by " + b.first + " first"
	case len(b.gone) > 0:
		return " by starting it again"
	case len(b.kept) > 0:
		return " at once while it is kept"
	}
	return ""
}
