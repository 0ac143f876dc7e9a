package planner

import (
	"fmt"
	"maps"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// scale plans nothing but other numbers of instances of what is live.
func scale(sp *spec.Spec, st *State, goal Goal) (*Plan, hcl.Diagnostics) {
	goal.Releases = maps.Clone(goal.Releases)
	if goal.Releases == nil {
		goal.Releases = map[string]string{}
	}
	first := newPlanning(sp, st, goal)
	for _, name := range sortedKeys(goal.Scale) {
		if s := first.byName[name]; s != nil {
			first.scalable(s, goal.Releases)
		}
	}
	if first.diags.HasErrors() {
		return nil, first.diags
	}
	p := newPlanning(sp, st, goal)
	p.lower()
	if p.diags.HasErrors() {
		return nil, p.diags
	}
	var moves []move
	for _, name := range sortedKeys(goal.Scale) {
		if s := p.byName[name]; s != nil {
			moves = append(moves, move{kind: moveRoll, service: s, version: p.target(s)})
		}
	}
	return p.carry(moves)
}

// scalable finds the release of a service that is live, and refuses numbers that
// the spec does not leave to anybody.
func (p *planning) scalable(s *spec.Service, releases map[string]string) {
	refuse := func(summary, detail string, args ...any) {
		p.diags = append(p.diags, problem(summary, fmt.Sprintf(detail, args...), s.Range))
	}
	live := p.live(s, "")
	if len(live) != 1 {
		what := "nothing of it runs. pleat apply starts it"
		if len(live) > 1 {
			what = strings.Join(sortedKeys(live), " and ") + " run. The rollout that is on its way has to end first, with pleat apply or pleat rollback"
		}
		refuse("Nothing to scale", "%s cannot be scaled: %s.", s.Address(), what)
		return
	}
	version := sortedKeys(live)[0]
	releases[s.Name] = version
	d := p.declared[releaseKey{s.Name, version}]
	if d == nil {
		refuse("Unknown release", "%s runs %s, which nobody declared.", s.Address(), version)
		return
	}
	if len(p.state.Orchestrators[string(s.Orchestrator.Address())].hosts()) == 0 {
		refuse("No host", "%s has no host.", s.Orchestrator.Address())
	}
	for _, process := range sortedKeys(p.goal.Scale[s.Name]) {
		n, declared := p.goal.Scale[s.Name][process], d.release.process(process)
		switch {
		case declared == nil:
			refuse("Unknown process", "%s %s runs no process %q.", s.Address(), version, process)
		case declared.Scaling == nil:
			refuse("Not scaled", "%s %s has the count of the spec, %d. A process with scaling { min, max } has any number between them.", s.Address(), process, declared.Count)
		case declared.Scaling.Clamp(n) != n:
			refuse("Out of range", "%s %s has %d to %d instances, and %d are asked for.", s.Address(), process, declared.Scaling.Min, declared.Scaling.Max, n)
		}
	}
}

// size settles how many instances of each process there are to be.
func (r *rollout) size() {
	processes := make([]ProcessDefinition, len(r.to.Processes))
	copy(processes, r.to.Processes)
	for i := range processes {
		p := &processes[i]
		if p.Scaling == nil {
			continue
		}
		n, why := r.number(r.service, *p)
		p.Count = p.Scaling.Clamp(n)
		if p.Count != n {
			why = fmt.Sprintf("not %d, %s", n, why)
		}
		r.sizes = append(r.sizes, fmt.Sprintf("%s %s: %s wanted, %s (scaling: %d to %d)", r.service.Address(), p.Process, plural(p.Count, "instance"), why, p.Scaling.Min, p.Scaling.Max))
	}
	r.to.Processes = processes
}

// number is how many instances of a process somebody wants, and how that is known.
//
// It is the number of those that are to be up. Where two releases are, one takes
// the place of the other, and each of them may have fewer than are wanted: then it
// is what the rollout began with, as recorded, as far as there are as many.
func (p *planning) number(s *spec.Service, d ProcessDefinition) (n int, why string) {
	if n, asked := p.goal.Scale[s.Name][d.Process]; asked {
		return n, "as asked for"
	}
	live := p.live(s, d.Process)
	if len(live) == 0 {
		return d.Scaling.Min, "because nothing of it runs"
	}
	for _, of := range live {
		n = max(n, of)
	}
	if len(live) == 1 {
		return n, "as many as run now"
	}
	recorded := 0
	for _, r := range p.state.Journal.Releases {
		if was := r.process(d.Process); r.Service == s.Name && live[r.Version] > 0 && was != nil {
			recorded = max(recorded, was.Count)
		}
	}
	if s.Strategy.Order != spec.StopFirst {
		recorded = min(recorded, total(live))
	}
	return max(n, recorded), "as many as when the rollout began"
}

// live is how many instances of a process are to be up, by release; of all
// processes where none is named. Those that are kept without requests, or hidden,
// are not what somebody wants who counts instances, unless there are no others.
func (p *planning) live(s *spec.Service, process string) map[string]int {
	backends, all, serving := liveBackends(p.state), map[string]int{}, map[string]int{}
	for _, i := range p.instances[s.Name] {
		if process != "" && i.Process != process || i.State == Down || i.State == Stopping {
			continue
		}
		all[i.Release]++
		hidden := s.Strategy.Kind == spec.Cycle && p.routes(s, i) && !backends[i.Service+"/"+i.Release+"/"+i.Name]
		if !hidden && p.restsSince(s, i.Release) == nil {
			serving[i.Release]++
		}
	}
	if len(serving) == 0 {
		return all
	}
	return serving
}

// routes tells whether an instance is of a process that gets requests.
func (p *planning) routes(s *spec.Service, i Instance) bool {
	d := p.declared[releaseKey{s.Name, i.Release}]
	if s.Router == nil || d == nil {
		return false
	}
	of := d.release.process(i.Process)
	return of != nil && of.Routed
}
