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

// emitter turns moves into steps.
type emitter struct {
	*planning
	world      world                 // as the moves so far leave it
	present    map[string][]Instance // by service, as the steps so far leave them
	backends   map[string]bool       // as the steps so far leave them
	leaving    []releaseKey          // the releases that the plan replaces
	lost       map[releaseKey]bool   // of them, those that cannot come back
	steps      []Step
	notes      []string
	releases   []Release
	reached    map[string]migrations.Phase // where the steps that run now take each change
	migrated   map[string]uint64           // and each directory
	last       map[spec.Address]string     // the last step of each address
	group      string                      // of the step before; a new one gets a checkpoint
	checkpoint int
	hidden     bool // a hide is behind
	passed     bool // something that cannot be undone is behind
	unkept     []*spec.Change
	started    []releaseKey // that the moves so far rolled out
	current    move
	parting    []releaseKey // those that cannot come back once the current move is made
}

func newEmitter(p *planning) *emitter {
	return &emitter{
		planning: p, unkept: p.unkept(), world: p.start.clone(), leaving: p.leaving(), lost: map[releaseKey]bool{},
		present: maps.Clone(p.instances), backends: liveBackends(p.state),
		reached: map[string]migrations.Phase{}, migrated: map[string]uint64{}, last: map[spec.Address]string{},
	}
}

func (e *emitter) emit(moves []move) {
	e.note(e.drift...)
	for i, m := range moves {
		e.current, e.parting = m, e.partsWith(m)
		before := len(e.steps)
		e.move(m)
		e.follow(m)
		if len(e.steps) > before && e.steps[len(e.steps)-1].Deferred == "" {
			e.reach(m)
		}
		if m.kind == moveDown && (i == 0 || moves[i-1].kind != moveDown) {
			e.explainDown(moves[i:])
		}
	}
	e.noteWhatStays()
	e.notes = distinct(e.notes)
}

// reach records how far the steps that run now come.
func (e *emitter) reach(m move) {
	if m.change != nil {
		e.reached[m.change.Name] = e.phaseOf(m)
	}
	if m.directory != nil {
		e.migrated[m.directory.Name] = m.file.Version
	}
}

// follow makes the world what it is after a move.
func (e *emitter) follow(m move) {
	switch m.kind {
	case moveDown:
		e.world.down[m.service.Name] = true
	case moveRoll:
		e.started = append(e.started, releaseKey{m.service.Name, m.version})
		if e.keepsPrevious(m.service) && m.version == e.target(m.service) {
			e.world.rollKeeping(m.service.Name, m.version)
			return
		}
		e.world.roll(m.service.Name, m.version)
	case moveRetire:
		e.world.roll(m.service.Name, m.version)
	case moveMigrate:
		e.world.versions[m.directory.Name] = m.file.Version
	default:
		e.world.phases[m.change.Name] = e.phaseOf(m)
	}
}

// partsWith are the releases that the plan leaves and that cannot come back
// once a move is made, where they could before.
func (e *emitter) partsWith(m move) []releaseKey {
	var out []releaseKey
	for _, k := range e.leaving {
		if !e.lost[k] && e.cannotLive(k, m) {
			out = append(out, k)
		}
	}
	return out
}

// cannotLive tells whether what a move takes away for good is needed by a
// release.
func (e *emitter) cannotLive(k releaseKey, m move) bool {
	switch m.kind {
	case moveRevert:
		return e.meet(k, m.change, migrations.Absent) != nil
	case moveDrop:
		return e.meet(k, m.change, migrations.Contracted) != nil
	case moveMigrate:
		return e.uses(k.service, m.directory.Database.Name) && e.outOfRange(k, m.directory, m.file.Version, false) != nil
	}
	return false
}

// noteWhatStays says that a rollback leaves the schema as it is where the
// release that it goes to was built for an older one.
func (e *emitter) noteWhatStays() {
	if !e.goal.Rollback {
		return
	}
	for _, c := range e.changes {
		phase := firstOf(string(e.reached[c.Name]), string(e.start.phases[c.Name]))
		if phase == string(migrations.Absent) {
			continue
		}
		for _, s := range e.spec.Services {
			d := e.declared[releaseKey{s.Name, e.target(s)}]
			if d != nil && !d.knows[c.Name] && e.uses(s.Name, c.Database.Name) {
				e.note(fmt.Sprintf("the schema stays as it is: %s %s lives with %s (%s); --revert %s takes it back", s.Name, e.target(s), c.Address(), phase, c.Name))
			}
		}
	}
}

// phaseOf is where a move takes its change.
func (e *emitter) phaseOf(m move) migrations.Phase {
	switch m.kind {
	case moveExpand:
		return e.through(m.change, migrations.Expanded)
	case moveBackfill:
		return e.through(m.change, migrations.Backfilled)
	case moveHide:
		return migrations.Hidden
	case moveDrop:
		return migrations.Contracted
	case moveRevert:
		return migrations.Absent
	default:
		return migrations.Verified
	}
}

func (e *emitter) move(m move) {
	switch m.kind {
	case moveExpand:
		e.expand(m.change)
	case moveRevert:
		e.revert(m.change)
	case moveUnhide:
		e.unhide(m.change)
	case moveMigrate:
		e.migrate(m)
	case moveDown:
		e.takeDown(m.service)
	case moveRoll:
		e.roll(m.service, m.version)
	case moveRetire:
		e.retire(m.service, m.version)
	case moveBackfill:
		e.backfill(m.change)
	case moveVerify:
		e.verify(m.change)
	case moveHide:
		e.hide(m)
	case moveDrop:
		e.drop(m)
	}
}

func (e *emitter) note(text ...string) { e.notes = append(e.notes, text...) }

// add appends a step, after a checkpoint when it begins a new group: a part of
// the plan that makes sense to stop at the end of. While services are down
// there is none: the run goes back to where all were up, or on.
func (e *emitter) add(group string, s Step) {
	if e.offline() {
		group = "offline"
	}
	s.Section, s.Deferred = e.current.section, firstOf(e.current.deferred, s.Deferred)
	irreversible := s.Undo == nil && (len(e.parting) > 0 || !e.passed)
	if group != e.group && len(e.steps) > 0 || irreversible {
		e.addCheckpoint(irreversible, s)
	}
	e.group = group
	if last := e.last[s.Address]; last != "" {
		s.Needs = append(s.Needs, last)
	}
	s.Needs = distinct(s.Needs)
	e.last[s.Address] = s.ID
	e.steps = append(e.steps, s)
}

// offline tells whether services are down, or go down or come up with the
// current move.
func (e *emitter) offline() bool {
	if e.current.kind == moveDown {
		return true
	}
	for _, down := range e.world.down {
		if down {
			return true
		}
	}
	return false
}

// addCheckpoint puts a checkpoint before a step.
func (e *emitter) addCheckpoint(noReturn bool, before Step) {
	section := before.Section
	if n := len(e.steps); n > 0 {
		section = e.steps[n-1].Section
	}
	name := letters(e.checkpoint)
	e.checkpoint++
	back := e.back()
	if noReturn {
		back = firstOf(names(e.parting), "what is dropped") + " cannot come back below this line"
		for _, k := range e.parting {
			e.lost[k] = true
		}
		e.parting, e.passed = nil, true
	}
	e.steps = append(e.steps, Step{
		ID: "checkpoint/" + name, Address: "checkpoint", Kind: KindCheckpoint, Title: name, Section: section,
		Cause: "a place to go back to", Safety: Idempotent, Deferred: before.Deferred, Undo: &Undo{},
		Action: &Checkpoint{Name: name, Back: back, NoReturn: noReturn},
	})
}

// back says what going back to a checkpoint means, from what will have run by
// then: releases that are still there, those that are kept, those that have to
// be started again, and those that cannot come back.
func (e *emitter) back() string {
	if len(e.leaving) == 0 {
		return "nothing lost"
	}
	var able, unable []releaseKey
	for _, k := range e.leaving {
		if e.lost[k] {
			unable = append(unable, k)
			continue
		}
		able = append(able, k)
	}
	if len(able) == 0 {
		return "past the point of no return"
	}
	text := "back to " + names(able) + e.manner(able)
	if len(unable) > 0 {
		text += "; " + names(unable) + " cannot come back"
	}
	return text
}

// manner is what it takes to bring releases back.
func (e *emitter) manner(able []releaseKey) string {
	if e.hidden {
		return " by un-hiding first" + e.loss(able)
	}
	gone, kept := false, false
	for _, k := range able {
		gone = gone || e.world.down[k.service] || !e.world.mix[k.service][k.version]
		kept = kept || e.world.kept[k.service]
	}
	switch {
	case gone:
		return " by starting it again" + e.loss(able)
	case kept:
		return " at once while it is kept" + e.loss(able)
	}
	return e.loss(able)
}

// loss is what releases that come back would not find: what newer ones wrote
// in a new shape that nothing keeps in step with the old.
func (e *emitter) loss(able []releaseKey) string {
	for _, c := range e.unkept {
		for _, by := range e.started {
			if d := e.declared[by]; d == nil || !d.knows[c.Name] {
				continue
			}
			for _, k := range able {
				if d := e.declared[k]; e.uses(k.service, c.Database.Name) && (d == nil || !d.knows[c.Name]) {
					return fmt.Sprintf(", without what %s %s wrote in the new shape of %s", by.service, by.version, c.Name)
				}
			}
		}
	}
	return ", nothing lost"
}

// unkept are the changes with two shapes that no sync keeps in step.
func (p *planning) unkept() []*spec.Change {
	return slices.DeleteFunc(slices.Clone(p.changes), func(c *spec.Change) bool { return len(c.Backfills) == 0 || synced(c) })
}

// leaving are the releases that were live at the start and are not wanted.
func (p *planning) leaving() []releaseKey {
	var out []releaseKey
	for _, s := range p.spec.Services {
		for _, version := range sortedKeys(p.start.mix[s.Name]) {
			if version != p.target(s) {
				out = append(out, releaseKey{s.Name, version})
			}
		}
	}
	return out
}

// names lists releases for a reader.
func names(list []releaseKey) string {
	var out []string
	for _, k := range list {
		out = append(out, k.service+" "+k.version)
	}
	return some(out, ", ")
}

// many is from how many on a list is cut for a reader.
const many = 8

// some joins a list, the rest of a long one as a number.
func some(list []string, separator string) string {
	if len(list) <= many {
		return strings.Join(list, separator)
	}
	return fmt.Sprintf("%s%sand %d more", strings.Join(list[:many], separator), separator, len(list)-many)
}

// letters counts a, b, … z, aa, ab, …
func letters(n int) string {
	name := string(rune('a' + n%26))
	if n >= 26 {
		return letters(n/26-1) + name
	}
	return name
}

func (e *emitter) source(r hcl.Range) string {
	if r.Filename == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line)
}

func distinct(names []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

func cutPrefix(a spec.Address, prefix string) (string, bool) {
	return strings.CutPrefix(string(a), prefix)
}

// limits are those of a database's step.
func (e *emitter) limits(db *spec.Database) Limits {
	return Limits{LockWait: db.Lock.Timeout, Hold: db.Lock.Hold, Patience: db.Lock.Patience, Evidence: e.goal.MaxWait}
}

// phaseAfter is the phase to record with the last unit of a group.
func phaseAfter(i, n int, phase migrations.Phase) migrations.Phase {
	if i == n-1 {
		return phase
	}
	return ""
}
