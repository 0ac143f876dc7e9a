package planner

import (
	"fmt"
	"slices"
	"time"

	"pleat/migrations"
	"pleat/planner/strategy"
	"pleat/spec"
)

// takeDown stops everything of a service, so that the schema can change while
// nothing of it runs.
func (e *emitter) takeDown(s *spec.Service) {
	r := e.rollout(s, e.target(s))
	for _, m := range r.everything() {
		r.move(m)
	}
}

// everything are the moves that stop all instances of a service.
func (r *rollout) everything() []strategy.Move {
	byProcess := map[string][]string{}
	for _, i := range r.mine(func(Instance) bool { return true }) {
		byProcess[i.Process] = append(byProcess[i.Process], i.Release+"/"+i.Name)
	}
	var out []strategy.Move
	for _, process := range sortedKeys(byProcess) {
		out = append(out, strategy.Move{Process: process, Instances: byProcess[process], Wait: true})
	}
	return out
}

// explainDown says which services are down from where to where, and how long
// that takes at least and at most, without the schema's own time.
func (e *emitter) explainDown(moves []move) {
	var who []string
	var least, most time.Duration
	for _, m := range moves {
		if m.kind != moveDown {
			break
		}
		who = append(who, string(m.service.Address()))
		short, long := e.downtime(m.service)
		least, most = max(least, short), max(most, long)
	}
	e.note(fmt.Sprintf("%s: down from the first stop until the new release is up, from %s to %s and the time of the schema steps between", some(who, ", "), shortDuration(least), shortDuration(most)))
}

// downtime is how long stopping and starting a service takes: at least what
// checks wait for, at most what drain, stop and start may take.
func (e *emitter) downtime(s *spec.Service) (least, most time.Duration) {
	r := rollout{emitter: e, service: s}
	for version := range e.world.mix[s.Name] {
		for _, p := range r.processesOf(version) {
			d := r.drainOf(version, p)
			most = max(most, d.Timeout+d.KillAfter)
		}
	}
	var up, starting time.Duration
	for _, p := range e.declared[releaseKey{s.Name, e.target(s)}].release.Processes {
		for _, c := range p.Checks {
			up, starting = max(up, c.HealthyAfter), max(starting, c.StartTimeout)
		}
	}
	// The first instances, and then the rest.
	return 2 * up, most + 2*max(starting, up)
}

// processesOf are the processes of a release that runs: as it was declared, or
// as its instances show.
func (r *rollout) processesOf(version string) []string {
	names := map[string]bool{}
	if d := r.declared[releaseKey{r.service.Name, version}]; d != nil {
		for _, p := range d.release.Processes {
			names[p.Process] = true
		}
	}
	for _, i := range r.instances[r.service.Name] {
		if i.Release == version {
			names[i.Process] = true
		}
	}
	return sortedKeys(names)
}

// window is how many moves it takes until everything that goes down is up.
func window(moves []move) int {
	down := map[*spec.Service]bool{}
	for i, m := range moves {
		switch m.kind {
		case moveDown:
			down[m.service] = true
		case moveRoll:
			delete(down, m.service)
		}
		if len(down) == 0 {
			return i + 1
		}
	}
	return len(moves)
}

// open begins a time in which services are down. What its steps need, the first
// stop needs, and all of them need that. What cannot be taken back while they
// are down is said before: between them there is no checkpoint that could.
func (e *emitter) open(moves []move) {
	e.windows++
	e.window, e.stays = e.needsOf(moves), map[string]bool{}
	for _, d := range e.spec.Migrations {
		e.stays[d.Name] = !slices.ContainsFunc(moves, func(m move) bool { return m.directory == d && e.stopped(moves, m) })
	}
	e.final = slices.ContainsFunc(moves, func(m move) bool {
		return m.kind == moveExpand && slices.ContainsFunc(unapplied(e.programs[m.change.Name].Expand, e.recorded(m.change)), func(u migrations.Unit) bool { return u.Undo == nil })
	})
	for _, m := range moves {
		if m.kind != moveMigrate || e.stays[m.directory.Name] || downOf(m.file) != "" {
			continue
		}
		for _, k := range e.partsWith(m) {
			if !slices.Contains(e.parted, k) {
				e.parted = append(e.parted, k)
			}
		}
	}
}

// needsOf are the last steps of all that moves have to do with.
func (e *emitter) needsOf(moves []move) []string {
	var out []string
	for _, m := range moves {
		switch {
		case m.change != nil:
			out = append(out, e.lastOf(m.change.Address())...)
			for _, before := range m.change.After {
				out = append(out, e.lastOf(before.Address())...)
			}
			if m.kind == moveBackfill && !synced(m.change) {
				out = append(out, e.rollouts(m.change.Database)...)
			}
		case m.directory != nil:
			out = append(out, e.lastOf(m.directory.Address())...)
			out = append(out, e.levelled(m.directory)...)
		case m.kind == moveDown:
			out = append(out, e.lastOf(m.service.Address())...)
		case m.kind == moveRoll:
			out = append(out, e.rollout(m.service, m.version).before()...)
		}
	}
	return distinct(out)
}

// offline tells whether services are down, or go down with the current move.
func (e *emitter) offline() bool { return e.current.kind == moveDown || e.down > 0 }
