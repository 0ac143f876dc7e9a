// Package strategy turns a strategy into the order in which instances of one
// service come up and go down. It knows counts and names only, no provider and
// no schema; the orders are those of the design's table, and the tests quote
// them line by line.
package strategy

import (
	"sort"

	"pleat/spec"
)

// Process is the work left for one process: which of the wanted instances are
// up already, which still have to come up, and which have to go.
type Process struct {
	Name    string
	Round   int      // instances that count as one: one of each host; 0 is 1
	Wanted  int      // instances that the new release should have
	Present int      // of them, how many are up
	Missing []string // of them, the names still to start, in order
	Doomed  []string // instances that must go, in order
}

// Move is one unit of a rollout: instances of one process that come up or go
// down together.
type Move struct {
	Process   string
	Up        bool
	Instances []string
	// Wait says that the next move comes only once these are gone. It means
	// nothing for instances that come up: those are always waited for.
	Wait bool
	// Alone says that nobody may take their place before these are gone, however
	// long that takes.
	Alone bool
	// Serving is how many instances of the process may serve after the move.
	Serving int
}

// Order gives the moves of a strategy over the processes of one service, in
// alphabetical order of processes. hosts is the default batch.
func Order(s *spec.Strategy, hosts int, processes []Process) []Move {
	sorted := append([]Process(nil), processes...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	switch s.Kind {
	case spec.AllAtOnce:
		return allAtOnce(sorted)
	case spec.Offline:
		first := probe(sorted)
		return append(first, allAtOnce(sorted)...)
	}
	var moves []Move
	for _, p := range sorted {
		moves = append(moves, rolling(s, p.Size(s.Batch, hosts), p.Surge(s, hosts), p)...)
	}
	return moves
}

// Size is the batch for a process of that many instances: at least 1. A
// percentage is rounded up; without either it is the number of hosts.
func Size(b spec.Batch, wanted, hosts int) int {
	n := hosts
	if b.Count > 0 {
		n = b.Count
	}
	if b.Percent > 0 {
		n = (wanted*b.Percent + 99) / 100
	}
	return max(n, 1)
}

// Size is the batch for the process, in whole rounds.
func (p Process) Size(b spec.Batch, hosts int) int {
	round := max(p.Round, 1)
	if round == 1 {
		return Size(b, p.Wanted, hosts)
	}
	return round * Size(b, (p.Wanted+round-1)/round, 1)
}

// Surge is how many more than it wants the process may have at once, in whole
// rounds; at most a batch, and a batch where the strategy does not say.
func (p Process) Surge(s *spec.Strategy, hosts int) int {
	batch := p.Size(s.Batch, hosts)
	switch {
	case s.Order == spec.StopFirst:
		return 0
	case s.Surge == nil:
		return batch
	case *s.Surge == spec.Batch{}:
		return 0
	}
	return min(p.Size(*s.Surge, hosts), batch)
}

// allAtOnce brings everything new up before anything old goes, and does not
// wait for what is slow to stop.
func allAtOnce(processes []Process) []Move {
	var moves []Move
	for _, p := range processes {
		if len(p.Missing) > 0 {
			serving := p.Present + len(p.Missing) + len(p.Doomed)
			moves = append(moves, Move{Process: p.Name, Up: true, Instances: p.Missing, Serving: serving})
		}
	}
	for _, p := range processes {
		if len(p.Doomed) > 0 {
			moves = append(moves, Move{Process: p.Name, Instances: p.Doomed, Serving: p.Wanted})
		}
	}
	return moves
}

// probe starts one instance of the first process that has any to start, and
// leaves it out of what is left: what is wrong with the release shows before
// the rest comes.
func probe(processes []Process) []Move {
	for i := range processes {
		p := &processes[i]
		if len(p.Missing) < 2 || p.Present > 0 {
			continue
		}
		first := p.Missing[:1]
		p.Missing, p.Present = p.Missing[1:], 1
		return []Move{{Process: p.Name, Up: true, Instances: first, Serving: 1}}
	}
	return nil
}

// rolling alternates batches. It works from what is up, not from a count of
// rounds, so a rollout that was cut short goes on where it stands and never
// has more than the surge too many, or what a batch has beyond that too few.
func rolling(s *spec.Strategy, batch, surge int, p Process) []Move {
	r := roll{process: p, batch: batch, up: p.Present, missing: p.Missing, doomed: p.Doomed}
	for len(r.missing) > 0 || len(r.doomed) > 0 {
		if s.Order == spec.StopFirst {
			r.stop(r.total() - (p.Wanted - batch))
			r.start(p.Wanted - r.total())
			continue
		}
		r.start(p.Wanted + surge - r.total())
		r.stop(r.total() - (p.Wanted - (batch - surge)))
	}
	return r.moves
}

type roll struct {
	process Process
	batch   int
	up      int
	missing []string
	doomed  []string
	moves   []Move
}

func (r *roll) total() int { return r.up + len(r.doomed) }

func (r *roll) start(room int) {
	n := min(r.batch, room, len(r.missing))
	if n <= 0 {
		return
	}
	names := r.missing[:n]
	r.missing, r.up = r.missing[n:], r.up+n
	r.moves = append(r.moves, Move{Process: r.process.Name, Up: true, Instances: names, Serving: r.total()})
}

func (r *roll) stop(surplus int) {
	n := min(r.batch, surplus, len(r.doomed))
	if n <= 0 {
		return
	}
	names := r.doomed[:n]
	r.doomed = r.doomed[n:]
	r.moves = append(r.moves, Move{Process: r.process.Name, Instances: names, Wait: true, Serving: r.total()})
}
