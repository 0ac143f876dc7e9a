package planner

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations"
	"pleat/spec"
)

// emitter turns moves into steps.
type emitter struct {
	*planning
	*wayBack
	world      world                        // as the moves so far leave it
	down       int                          // services that are down in it
	windows    int                          // how often services went down
	window     []string                     // what the steps while services are down need
	stays      map[string]bool              // directories whose versions stay when those steps fail
	present    map[string][]Instance        // by service, as the steps so far leave them
	served     map[string]bool              // backends at the start
	backends   map[string]bool              // as the steps so far leave them
	splits     map[string]Split             // by service, as the steps so far leave them
	requests   map[string]spec.RouterLimits // what routers take of those of each service
	holding    map[string]bool              // services whose requests wait
	steps      []Step
	notes      []string
	releases   []Release
	reached    map[string]migrations.Phase // where the steps that run now take each change
	migrated   map[string]uint64           // and each directory
	last       map[spec.Address]string     // the last step of each address
	toCome     time.Duration               // what the rollout in hand has yet to stand still for
	group      string                      // of the step before; a new one gets a checkpoint
	checkpoint int                         // how many have a letter
	noReturns  int                         // how many are points of no return
	passed     bool                        // something that cannot be undone is behind
	current    move
	parting    []releaseKey                               // those that cannot come back once the current move is made
	parted     []releaseKey                               // those of which the next checkpoint has to say it
	ids        map[string]int                             // how often a step has been in the plan
	off        map[string]deferral                        // why steps are deferred
	shuts      map[string]bool                            // those that are of windows
	final      bool                                       // while services are down, something cannot be undone
	files      map[string]map[uint64]migrations.AuthorSQL // what the files of a directory do
	filled     map[string]string                          // the last steps of changes before their contracts
	named      map[*spec.Change]map[string]bool
	hid        map[*spec.Change]string   // the last steps that hide
	away       map[object][]*spec.Change // what contracts take that began, in turn
}

func newEmitter(p *planning) *emitter {
	return &emitter{
		planning: p, wayBack: newWayBack(p), world: p.start.clone(),
		present: maps.Clone(p.instances), served: liveBackends(p.state), backends: liveBackends(p.state),
		splits:   ofRouters(p, func(r *Router) Split { return r.Split }),
		requests: ofRouters(p, func(r *Router) spec.RouterLimits { return r.Limits }),
		holding:  map[string]bool{},
		reached:  map[string]migrations.Phase{}, migrated: map[string]uint64{}, last: map[spec.Address]string{},
		ids: map[string]int{}, off: map[string]deferral{}, shuts: map[string]bool{}, filled: map[string]string{}, files: map[string]map[uint64]migrations.AuthorSQL{},
		named: map[*spec.Change]map[string]bool{}, hid: map[*spec.Change]string{}, away: map[object][]*spec.Change{},
	}
}

func (e *emitter) emit(moves []move) {
	e.note(e.drift...)
	for i, m := range moves {
		e.current, e.parting = m, e.partsWith(m)
		if m.kind == moveDown && e.down == 0 {
			e.open(moves[i : i+window(moves[i:])])
		}
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
	if len(e.parted) > 0 {
		last := e.steps[len(e.steps)-1]
		e.addCheckpoint(true, Step{Deferred: last.Deferred, UntilSpec: last.UntilSpec})
	}
	e.noteWhatStays()
	e.noteWhatIsLeft()
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
		e.down++
	case moveRoll, moveRetire:
		e.rolled(m)
	case moveMigrate:
		e.world.versions[m.directory.Name] = m.file.Version
		e.parted = append(e.parted, e.parting...) // while services are down
	case moveHide:
		e.contracts(m.change)
		fallthrough
	default:
		e.world.phases[m.change.Name] = e.phaseOf(m)
	}
	if m.service != nil {
		e.moved(e.world, m.service.Name)
	}
}

func (e *emitter) rolled(m move) {
	if e.world.down[m.service.Name] {
		e.down--
	}
	if m.kind == moveRoll {
		e.wrote(releaseKey{m.service.Name, m.version})
	}
	if m.kind == moveRetire {
		e.world.retire(m.service.Name)
		return
	}
	if m.kind == moveRoll && e.keepsPrevious(m.service) && m.version == e.target(m.service) {
		e.world.rollKeeping(m.service.Name, m.version)
		return
	}
	e.world.roll(m.service.Name, m.version)
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
		e.toCome = stands(m.service.Strategy)
		e.roll(m.service, m.version)
	case moveRetire:
		e.retire(m)
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

// noteWhatIsLeft names the services that run and have left the spec, and the changes
// that have left it half way.
func (e *emitter) noteWhatIsLeft() {
	for _, name := range e.strangers {
		e.note(fmt.Sprintf("service.%s runs and is not in the spec, so nothing is done about it", name))
	}
	for _, d := range e.spec.Databases {
		if db := e.state.Databases[d.Name]; db != nil {
			for _, name := range db.Left {
				e.note(fmt.Sprintf("change.%s is half way in %s and not in the spec, so nothing goes on with it: put it back to end it, or to take it back", name, d.Address()))
			}
		}
	}
}

func (e *emitter) note(text ...string) { e.notes = append(e.notes, text...) }

// add appends a step, after a checkpoint when it begins a new group: a part of
// the plan that makes sense to stop at the end of. While services are down
// there is none: the run goes back to where all were up, or on.
func (e *emitter) add(group string, s Step) {
	if e.offline() {
		group = fmt.Sprint("offline ", e.windows)
		s.Together = e.group == group
		s.Needs = append(s.Needs, e.window...)
	}
	e.evict(&s)
	e.within(&s)
	e.gate(&s)
	s.Section = e.current.section
	shut := e.shut(s)
	e.shuts[shut] = shut != ""
	s.putOff(cmp.Or(e.current.deferred, s.deferral(), deferral{why: shut}))
	if e.ids[s.ID]++; e.ids[s.ID] > 1 {
		s.ID = fmt.Sprintf("%s/%d", s.ID, e.ids[s.ID])
	}
	if last := e.last[s.Address]; last != "" {
		s.Needs = append(s.Needs, last)
	}
	s.Needs = distinct(s.Needs)
	for _, need := range s.Needs {
		s.putOff(cmp.Or(s.deferral(), e.off[need]))
	}
	e.checkpointBefore(group, s)
	e.group = group
	e.off[s.ID] = s.deferral()
	if e.offline() && !s.Together {
		e.window = []string{s.ID}
	}
	e.last[s.Address] = s.ID
	e.ended = e.ended || s.Undo == nil && s.Deferred == "" && s.Kind != KindStop
	e.steps = append(e.steps, s)
}

// lastOf are the last steps so far of what has any.
func (e *emitter) lastOf(addresses ...spec.Address) []string {
	var out []string
	for _, a := range addresses {
		if last := e.last[a]; last != "" {
			out = append(out, last)
		}
	}
	return out
}

// lastOfServices are those of the services that match.
func (e *emitter) lastOfServices(match func(*spec.Service) bool) []string {
	var out []string
	for _, s := range e.spec.Services {
		if last := e.last[s.Address()]; last != "" && match(s) {
			out = append(out, last)
		}
	}
	return out
}

// names lists releases for a reader.
func names(list []releaseKey) string {
	var out []string
	for _, k := range list[:min(len(list), many)] {
		out = append(out, k.service+" "+k.version)
	}
	if more := len(list) - many; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
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
