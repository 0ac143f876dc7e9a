package planner

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations"
	"pleat/spec"
)

// emitter turns moves into steps.
type emitter struct {
	*planning
	present    map[string][]Instance // by service, as the steps so far leave them
	backends   map[string]bool       // as the steps so far leave them
	leaving    string                // the releases that the plan replaces
	steps      []Step
	notes      []string
	releases   []Release
	reached    map[string]migrations.Phase // where the steps that run now take each change
	last       map[spec.Address]string     // the last step of each address
	group      string                      // of the step before; a new one gets a checkpoint
	checkpoint int
	hidden     bool // a hide is behind
	passed     bool // the point of no return is behind
}

func (e *emitter) emit(moves []move) {
	e.note(e.drift...)
	e.reached = map[string]migrations.Phase{}
	for _, m := range moves {
		before := len(e.steps)
		e.move(m)
		if len(e.steps) > before && e.steps[len(e.steps)-1].Deferred == "" && m.change != nil {
			e.reached[m.change.Name] = e.phaseOf(m)
		}
	}
	e.noteWhatStays()
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
	case moveRoll:
		e.roll(m.service, m.version)
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
// the plan that makes sense to stop at the end of.
func (e *emitter) add(group string, s Step) {
	irreversible := s.Undo == nil && !e.passed
	if group != e.group && len(e.steps) > 0 || irreversible {
		e.addCheckpoint(irreversible, s.Deferred)
	}
	e.group = group
	if last := e.last[s.Address]; last != "" {
		s.Needs = append(s.Needs, last)
	}
	s.Needs = distinct(s.Needs)
	e.last[s.Address] = s.ID
	e.steps = append(e.steps, s)
}

func (e *emitter) addCheckpoint(noReturn bool, deferred string) {
	name := letters(e.checkpoint)
	e.checkpoint++
	e.passed = e.passed || noReturn
	e.steps = append(e.steps, Step{
		ID: "checkpoint/" + name, Address: "checkpoint", Kind: KindCheckpoint, Title: name,
		Cause: "a place to go back to", Safety: Idempotent, Deferred: deferred, Undo: &Undo{},
		Action: &Checkpoint{Name: name, Back: e.back(noReturn), NoReturn: noReturn},
	})
}

// back says what going back to a checkpoint means.
func (e *emitter) back(noReturn bool) string {
	if noReturn {
		return firstOf(e.leaving, "what is dropped") + " cannot come back below this line"
	}
	if e.leaving == "" {
		return "nothing lost"
	}
	if e.passed {
		return "past the point of no return"
	}
	text := "back to " + e.leaving
	if e.hidden {
		return text + " by un-hiding first"
	}
	return text + ", nothing lost"
}

// leaving names the releases that were live at the start and are not wanted.
func (p *planning) leaving() string {
	var out []string
	for _, s := range p.spec.Services {
		for _, version := range sortedKeys(p.start.mix[s.Name]) {
			if version != p.target(s) {
				out = append(out, s.Name+" "+version)
			}
		}
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
