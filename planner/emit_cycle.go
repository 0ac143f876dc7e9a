package planner

import (
	"pleat/planner/strategy"
	"pleat/spec"
)

// sets tells whether the service keeps a second set of instances, up and
// without requests, which the next release takes the place of first.
func (r *rollout) sets() bool {
	return r.service.Strategy.Kind == spec.Cycle && r.service.Router != nil
}

// capacity is how many instances of a process the release is to have up.
func (r *rollout) capacity(p ProcessDefinition) int {
	if r.sets() && p.Routed {
		return 2 * r.count(p)
	}
	return r.count(p)
}

// cycle has the release take the place of the hidden set, which is tried where
// the public cannot reach it, then changes the roles of both, and then has it
// take the place of the other one. Roles change with each rollout.
func (r *rollout) cycle() {
	for _, p := range r.visible() {
		r.renew(p)
	}
	for _, p := range r.visible() {
		if names := r.hidden(p); len(r.shown(p)) < r.count(p) {
			r.attach(p, names[:min(r.count(p)-len(r.shown(p)), len(names))])
		}
		if names := r.shown(p); len(names) > r.count(p) { // it was no cycle before
			r.drain(r.to.Version, strategy.Move{Process: p.Process, Serving: r.count(p)}, names[r.count(p):])
		}
	}
	for _, p := range r.visible() {
		r.hide(p)
	}
	_, rest := r.byRoute()
	r.moves(&spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, rest)
	if !r.goal.Rollback && (!r.keeps || len(r.mine(func(i Instance) bool { return i.Release != r.to.Version })) == 0) {
		r.fillUp()
	}
}

// visible are the processes that get requests.
func (r *rollout) visible() []ProcessDefinition {
	var out []ProcessDefinition
	for _, p := range r.to.Processes {
		if p.Routed {
			out = append(out, p)
		}
	}
	return out
}

// shown are the release's instances that get requests.
func (r *rollout) shown(p ProcessDefinition) []string {
	return r.chosen(p, func(i Instance) bool { return r.routed(i.Release, i.Name) })
}

// hidden are the release's instances that are up and get none.
func (r *rollout) hidden(p ProcessDefinition) []string {
	return r.chosen(p, func(i Instance) bool { return i.State == Up && !r.routed(i.Release, i.Name) })
}

func (r *rollout) chosen(p ProcessDefinition, which func(Instance) bool) []string {
	var out []string
	for _, i := range r.mine(func(i Instance) bool { return r.wanted(i) && i.Process == p.Process && which(i) }) {
		out = append(out, i.Name)
	}
	return out
}

// renew makes the hidden set one of the release, unless it is or the release
// gets the requests already. What is there of it is tried again.
func (r *rollout) renew(p ProcessDefinition) {
	there, lacks := r.hidden(p), r.count(p)-len(r.shown(p))
	if again := there[:max(min(lacks, len(there)), 0)]; len(again) > 0 {
		r.tryAgain(p, again)
	}
	missing := lacks - len(there)
	if missing <= 0 {
		return
	}
	m := r.doomed(p, func(i Instance) bool { return !r.routed(i.Release, i.Name) })
	for _, version := range versionsOf(m.Instances) { // also where others are kept: these never were
		r.stop(version, m, namesOf(m.Instances, version))
	}
	r.up(p, missing)
}

// up starts that many instances more, and tries them.
func (r *rollout) up(p ProcessDefinition, count int) {
	there := map[string]bool{}
	for _, i := range r.mine(r.wanted) {
		there[i.Name] = i.State == Up
	}
	var names []string
	for _, name := range r.named(p, r.capacity(p)) {
		if !there[name] && len(names) < count {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		r.start(p, names)
		r.ready(p, names)
		r.smoke(p, names)
	}
}

// hide takes the requests from the others, and stops them unless they are kept.
func (r *rollout) hide(p ProcessDefinition) {
	r.move(r.doomed(p, func(i Instance) bool { return r.routed(i.Release, i.Name) }))
}

// doomed are instances that are not the release's, to leave.
func (r *rollout) doomed(p ProcessDefinition, which func(Instance) bool) strategy.Move {
	m := strategy.Move{Process: p.Process, Wait: true, Serving: r.count(p)}
	for _, i := range r.mine(func(i Instance) bool {
		return i.Process == p.Process && !r.wanted(i) && i.State != Stopping && which(i)
	}) {
		m.Instances = append(m.Instances, i.Release+"/"+i.Name)
	}
	return m
}

// fillUp makes the other set one of the release as well.
func (r *rollout) fillUp() {
	for _, p := range r.visible() {
		r.move(r.doomed(p, func(Instance) bool { return true }))
		r.up(p, r.capacity(p)-len(r.shown(p))-len(r.hidden(p)))
	}
}
