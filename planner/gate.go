package planner

import (
	"pleat/spec"
)

// gate has a step wait for the gates of what it is about. While services are
// down none is asked: they come back all the same. A way back asks none.
func (e *emitter) gate(s *Step) {
	if e.goal.Rollback || s.Together {
		return
	}
	for _, g := range e.gatesOf(s.Address) {
		open := &Open{Gate: g.Name, Inquiry: g.Inquiry, Expect: g.Expect}
		if name, ok := cutPrefix(s.Address, "service."); ok {
			open.Service, open.Release = name, e.target(e.byName[name])
		}
		s.Guards = append(s.Guards, open)
		s.Waits = append(s.Waits, string(g.Address()))
	}
}

func (e *emitter) gatesOf(a spec.Address) []*spec.Gate {
	if name, ok := cutPrefix(a, "service."); ok && e.byName[name] != nil {
		return e.byName[name].Gates
	}
	if name, ok := cutPrefix(a, "change."); ok {
		if i, known := e.position[name]; known {
			return e.changes[i].Gates
		}
	}
	return nil
}
