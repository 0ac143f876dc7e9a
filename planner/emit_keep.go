package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/planner/strategy"
	"pleat/spec"
)

// retire stops the releases that were kept, once they were for as long as the
// strategy says.
func (e *emitter) retire(m move) {
	r := e.rollout(m.service, m.version)
	r.group, r.keeps = "retire "+m.service.Name, false
	kept := set(m.kept)
	var doomed []strategy.Process
	for _, p := range r.processes() {
		names := slices.DeleteFunc(p.Doomed, func(name string) bool { v, _, _ := strings.Cut(name, "/"); return !kept[v] })
		if len(names) > 0 {
			doomed = append(doomed, strategy.Process{Name: p.Name, Wanted: p.Wanted, Present: p.Wanted, Doomed: names})
		}
	}
	if len(doomed) == 0 {
		return
	}
	if served := r.withRequests(r.service, m.kept); len(served) > 0 {
		r.hold(served)
	}
	before := len(e.steps)
	r.moves(r.order(), doomed)
	r.cleansUp(before)
	if r.sets() {
		r.fillUp()
	}
}

// hold waits for as long as releases are kept, from when they were taken out
// of the router.
func (r *rollout) hold(kept []string) {
	keep, who := r.service.Strategy.KeepPrevious, names(versionsNamed(r.service, kept))+" kept"
	s := Step{
		ID: fmt.Sprintf("%s/%s/hold", r.service.Address(), strings.Join(kept, ",")), Address: r.service.Address(), Kind: KindHold,
		Title: who + " " + shortDuration(keep), Cause: "going back is a matter of the router until then",
		Waits: []string{shortDuration(keep)}, Safety: Idempotent, Undo: &Undo{Title: "-"},
		Source: r.source(r.service.Strategy.Range), Deferred: r.stillKept(r.service, kept),
		Action: &Pause{For: keep, Since: r.keptSince(r.service, kept), Why: who},
	}
	r.add(r.group, s)
}

// versionsNamed are releases of a service.
func versionsNamed(s *spec.Service, versions []string) []releaseKey {
	var out []releaseKey
	for _, v := range versions {
		out = append(out, releaseKey{s.Name, v})
	}
	return out
}

// keptSince is since when releases of a service get no requests, as recorded:
// nil where one of them still does.
func (p *planning) keptSince(s *spec.Service, versions []string) *time.Time {
	var since *time.Time
	for _, version := range versions {
		at := p.restsSince(s, version)
		if at == nil {
			return nil
		}
		if since == nil || at.After(*since) {
			since = at
		}
	}
	return since
}

// restsSince is since when a release gets no requests; nil where it does, or
// nobody recorded it.
func (p *planning) restsSince(s *spec.Service, version string) *time.Time {
	i := slices.IndexFunc(p.state.Journal.Kept, func(k Kept) bool { return k.Service == s.Name && k.Version == version })
	if i < 0 || p.getsRequests(s.Name, version) {
		return nil
	}
	return &p.state.Journal.Kept[i].Since
}

// keptAtStart are the releases of a service that earlier rollouts keep, as long
// as something else serves. Beside the target they are what its rollout leaves,
// whether it is through or not.
func (p *planning) keptAtStart(s *spec.Service) map[string]bool {
	if !p.keepsPrevious(s) || p.start.mix[s.Name][p.target(s)] {
		return nil
	}
	out := map[string]bool{}
	for version := range p.start.mix[s.Name] {
		if version != p.target(s) && p.restsSince(s, version) != nil {
			out[version] = true
		}
	}
	if len(out) == 0 || len(out) == len(p.start.mix[s.Name]) {
		return nil
	}
	return out
}

// getsRequests tells whether a router sends requests to a release.
func (p *planning) getsRequests(service, version string) bool {
	for _, router := range p.state.Routers {
		for _, b := range router.Backends {
			if b.Service == service && b.Release == version && !b.Draining && !router.Withholds(version) {
				return true
			}
		}
	}
	return false
}

// stillKept says for how long releases are kept, where that is longer than a
// run waits.
func (p *planning) stillKept(s *spec.Service, versions []string) string {
	if versions = p.withRequests(s, versions); len(versions) == 0 {
		return ""
	}
	left := s.Strategy.KeepPrevious
	if since := p.keptSince(s, versions); since != nil {
		left -= p.state.Now.Sub(*since)
	}
	if left <= p.goal.MaxWait {
		return ""
	}
	return fmt.Sprintf("%s kept for %s", names(versionsNamed(s, versions)), shortDuration(left))
}

// rests tells whether an instance is kept already, from an earlier rollout, and
// so neither serves nor has to go now.
func (r *rollout) rests(i Instance) bool {
	return !r.routed(i.Release, i.Name) && r.warm(i.Release, i.Process, i.Name)
}

// warm tells whether an instance stays up without requests. One that never got
// any is no help in going back, and would do its work beside the new ones.
func (r *rollout) warm(version, process, name string) bool {
	if !r.keeps && !(r.sets() && r.goal.Rollback) || version == r.to.Version {
		return false
	}
	_, p := r.leaving(version, process)
	return p != nil && p.Routed && (r.wasRouted(version, name) || r.restsSince(r.service, version) != nil)
}

// wasRouted tells whether an instance got requests when the run began, or gets
// some in it. The router may know it and hold all of them back.
func (r *rollout) wasRouted(version, name string) bool {
	_, known := r.backends[r.service.Name+"/"+version+"/"+name]
	return known && !r.began.Withholds(version)
}

// withRequests leaves out the releases that were found up without requests and of
// which nobody recorded that they ever got any: they are not kept.
func (p *planning) withRequests(s *spec.Service, versions []string) []string {
	return slices.DeleteFunc(slices.Clone(versions), func(version string) bool {
		return p.start.mix[s.Name][version] && p.restsSince(s, version) == nil && !p.getsRequests(s.Name, version)
	})
}
