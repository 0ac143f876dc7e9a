package planner

import (
	"fmt"

	"pleat/spec"
)

// evict says in a step, and to the reader of the plan, which sessions it may
// end: one that waits for a strong lock of a database that allows it.
func (e *emitter) evict(s *Step) {
	switch s.Action.(type) {
	case *Transaction, *Migrate:
	default:
		return
	}
	for _, d := range e.spec.Databases {
		if d.Address() != s.Action.Provider() || d.Lock.Evict == nil {
			continue
		}
		s.Limits.Evict = evictionOf(d.Lock.Evict)
		var from []releaseKey
		for _, r := range d.Lock.Evict.Releases {
			from = append(from, releaseKey{r.Service.Name, r.Version})
		}
		e.note(fmt.Sprintf("a step that waits for a lock in %s may end sessions of %s that are idle in a transaction for %s",
			d.Address(), names(from), shortDuration(d.Lock.Evict.Idle)))
	}
}

func evictionOf(allowed *spec.Eviction) *Eviction {
	out := &Eviction{Idle: allowed.Idle}
	for _, r := range allowed.Releases {
		out.Releases = append(out.Releases, r.Service.Name+"@"+r.Version)
	}
	out.Releases = sorted(out.Releases)
	return out
}
