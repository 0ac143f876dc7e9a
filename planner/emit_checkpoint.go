package planner

import "strings"

// checkpointBefore puts a checkpoint before a step that begins a new group, and
// before one after which something cannot come back. A migration or a revert may
// have a way back all the same: what ran before may not live with what it leaves.
func (e *emitter) checkpointBefore(group string, s Step) {
	if e.offline() && e.group == group {
		return
	}
	last := s.Undo == nil && (len(e.parting) > 0 || !e.passed) || (s.Kind == KindMigrate || s.Kind == KindRevert) && len(e.parting) > 0
	if last && !e.offline() || len(e.parted) > 0 || e.final {
		e.addCheckpoint(true, s)
		return
	}
	if group != e.group && len(e.steps) > 0 {
		e.addCheckpoint(false, s)
	}
}

// addCheckpoint puts a checkpoint before a step.
func (e *emitter) addCheckpoint(noReturn bool, before Step) {
	section := before.Section
	if n := len(e.steps); n > 0 {
		section = e.steps[n-1].Section
	}
	name := e.checkpointName(noReturn)
	back := e.back()
	if noReturn {
		gone := append(e.parted, e.parting...)
		back = e.noReturn(gone, before)
		e.lose(gone)
		e.parting, e.parted, e.final, e.passed = nil, nil, false, e.passed || before.Undo == nil || before.Kind == KindRevert
	}
	e.steps = append(e.steps, Step{
		ID: "checkpoint/" + name, Address: "checkpoint", Kind: KindCheckpoint, Title: name, Section: section,
		Cause: "a place to go back to", Safety: Idempotent, Deferred: before.Deferred, UntilSpec: before.UntilSpec, Undo: &Undo{},
		Action: &Checkpoint{Name: name, Back: back, NoReturn: noReturn},
	})
}

// noReturn says what a point of no return is: of releases that are gone, or of
// the step that it is before.
func (e *emitter) noReturn(gone []releaseKey, before Step) string {
	const below = " cannot come back below this line"
	switch {
	case len(gone) > 0:
		return names(gone) + below
	case e.final:
		return "what is done while services are down cannot be undone"
	case before.Kind == KindRevert:
		return "what is taken back" + below
	case before.Kind == KindContract && strings.HasPrefix(before.Title, dropVerb):
		return "what is dropped" + below
	}
	return before.Title + " cannot be undone"
}

// checkpointName is the next letter; what has a line of its own in a plan, without
// a letter, takes none of them.
func (e *emitter) checkpointName(noReturn bool) string {
	if noReturn {
		e.noReturns++
		return "no_return_" + letters(e.noReturns-1)
	}
	e.checkpoint++
	return letters(e.checkpoint - 1)
}
