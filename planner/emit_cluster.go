package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pleat/planner/strategy"
	"pleat/spec"
)

// rank is the order in which instances of a cluster leave it.
var rank = map[Role]int{Async: 0, Sync: 1, Primary: 2}

// primaryLast replaces the instances of a cluster one at a time, so that there is
// never one fewer than before: first those that lag behind, then the synchronous
// one, once a new one has its place, and then the primary. It works from what
// is up, and so goes on where a rollout was cut short.
func (r *rollout) primaryLast() {
	rest := r.processes()
	if p := r.to.process(r.service.Clustered.Name); p != nil { // otherwise it goes as any process that a release has no more
		rest = slices.DeleteFunc(rest, func(p strategy.Process) bool { return p.Name == r.service.Clustered.Name })
		r.cluster(*p)
	}
	r.moves(&spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, rest)
}

func (r *rollout) cluster(p ProcessDefinition) {
	leaving := r.mine(func(i Instance) bool { return i.Process == p.Process && !r.wanted(i) })
	slices.SortStableFunc(leaving, func(a, b Instance) int {
		return cmp.Or(rank[a.Role]-rank[b.Role], r.use(a)-r.use(b))
	})
	missing := r.work(p).Missing
	up := func() {
		if len(missing) > 0 {
			r.move(strategy.Move{Up: true, Process: p.Process, Instances: missing[:1]})
			missing = missing[1:]
		}
	}
	r.attachLeftovers()
	whole := []Role{Primary, Sync}[:min(r.count(p), 2)]
	if len(leaving) == 0 && r.work(p).Present == 0 {
		up()
		r.roles(p, Primary)
	}
	group := r.group
	for _, old := range leaving {
		up()
		m := strategy.Move{Process: p.Process, Instances: []string{old.Release + "/" + old.Name}, Wait: true, Serving: len(r.mine(func(i Instance) bool { return i.Process == p.Process })) - 1}
		if old.Role == Primary {
			r.roles(p, Sync)
			m.Alone, r.group = true, group+" primary" // what fails from here on goes back to here
		}
		r.move(m)
		switch old.Role {
		case Sync:
			if len(whole) > 1 { // one alone has no copy
				r.roles(p, Sync)
			}
		case Primary:
			r.promote(p)
			r.roles(p, whole...)
			r.group = group + " rest"
			whole = nil
		}
	}
	for len(missing) > 0 {
		up()
		whole = []Role{Primary, Sync}
	}
	if r.started && len(whole) > 1 {
		r.roles(p, whole...)
	}
}

// roleOf is what the one instance that is to go is in its cluster, "" where it is in
// none.
func (r *rollout) roleOf(version, process string, placed []Placement) Role {
	if c := r.service.Clustered; c == nil || c.Name != process || len(placed) != 1 {
		return ""
	}
	for _, i := range r.mine(func(i Instance) bool { return i.Release == version && i.Name == placed[0].Instance }) {
		return i.Role
	}
	return ""
}

// roleBack is as what an instance that came into a cluster may be taken away again, ""
// where there was none. Meanwhile it may have become the primary: it goes then only
// where the others see to another one themselves.
func (r *rollout) roleBack(process string) Role {
	c := r.service.Clustered
	said := func(i Instance) bool { return i.Process == process && i.Role != "" }
	switch {
	case c == nil || c.Name != process || !slices.ContainsFunc(r.instances[r.service.Name], said):
		return ""
	case r.service.Strategy.Cluster.Promote != nil:
		return Async
	}
	return AnyRole
}

// roles waits for what the release's instances say of themselves.
func (r *rollout) roles(p ProcessDefinition, want ...Role) {
	var words []string
	for _, w := range want {
		words = append(words, "one is "+string(w))
	}
	r.asked++
	s := r.step(KindRoles, r.to.Version, []string{fmt.Sprintf("%s/%d", p.Process, r.asked)},
		fmt.Sprintf("%s %s %s: %s", r.service.Name, r.to.Version, p.Process, strings.Join(words, ", ")))
	s.Cause, s.Undo = "never without a synchronous copy", &Undo{Title: "-"}
	if want[0] == Primary {
		s.Cause = "somebody takes the writes"
	}
	s.Waits = []string{"at most " + shortDuration(r.service.Strategy.StepTimeout)}
	s.Action = &Roles{
		Orchestrator: r.service.Orchestrator.Address(), Service: r.service.Name, Release: r.to.Version, Process: p.Process,
		Instances: r.located(r.to.Version, r.own(p.Process)), Want: want,
	}
	r.add(r.group, s)
}

// promote makes a primary of the synchronous instance. What is done after it
// cannot go back to before: the old primary is not one any more.
func (r *rollout) promote(p ProcessDefinition) {
	c := r.service.Strategy.Cluster
	if c.Promote == nil {
		return
	}
	t := &spec.Task{Name: "promote", Each: true, Process: p.Process, Timeout: c.Timeout}
	s := r.step(KindPromote, r.to.Version, []string{p.Process}, fmt.Sprintf("%s %s %s: the sync one", r.service.Name, r.to.Version, p.Process))
	s.Cause, s.Safety, s.Limits.Run = "somebody takes the writes", Probed, 0
	s.Waits = []string{"at most " + shortDuration(c.Timeout)}
	s.Does = []string{"runs " + commandText(c.Promote)}
	s.Source = r.source(c.Range)
	s.Undo = &Undo{Title: "stays", Bars: true}
	action := r.taskAction(t, c.Promote, r.located(r.to.Version, r.own(p.Process)))
	action.Of = Sync
	s.Action = action
	r.add(r.group, s)
	r.barred = true
}

// checkCluster refuses to touch a cluster that is not whole.
func (p *planning) checkCluster(s *spec.Service, to *declaration) {
	if s.Clustered == nil || to.release.process(s.Clustered.Name) == nil {
		return
	}
	var live, old []Instance
	roles := map[Role]int{}
	for _, i := range p.instances[s.Name] {
		if i.Process != s.Clustered.Name || i.State == Down {
			continue
		}
		live = append(live, i)
		roles[i.Role]++
		if i.Release != to.release.Version {
			old = append(old, i)
		}
	}
	if len(old) == 0 {
		return
	}
	if reason := unfit(live, roles, len(live) > len(old), min(p.countOf(s, old[0]), to.release.process(s.Clustered.Name).Count)); reason != "" {
		p.diags = append(p.diags, problem("Cluster is not whole",
			fmt.Sprintf("%s %s: %s. A rollout primary_last touches a cluster only where it has a primary, a synchronous copy and one more, all of them up.%s", s.Address(), s.Clustered.Name, reason, p.wholeBy(s, live)), s.ReleaseRange))
	}
}

// wholeBy says how a cluster of one release gets what it lacks, "" where no command
// of pleat brings that.
func (p *planning) wholeBy(s *spec.Service, live []Instance) string {
	version := live[0].Release
	d := p.declared[releaseKey{s.Name, version}]
	if d == nil || slices.ContainsFunc(live, func(i Instance) bool { return i.Release != version }) {
		return ""
	}
	process := d.release.process(s.Clustered.Name)
	back := fmt.Sprintf("pleat rollback %s=%s", s.Name, version)
	switch {
	case process == nil:
		return ""
	case process.Count > len(live):
		return fmt.Sprintf(" %s starts what %s lacks.", back, version)
	case process.Count < 3:
		return fmt.Sprintf(" %s is to have %d; with a count of 3, %s starts what it lacks.", version, process.Count, back)
	}
	return ""
}

// countOf is how many instances a release was to have of an instance's process;
// 0 where nobody knows.
func (p *planning) countOf(s *spec.Service, i Instance) int {
	for _, r := range p.state.Journal.Releases {
		if r.Service == s.Name && r.Version == i.Release {
			if d := r.process(i.Process); d != nil {
				return d.Count
			}
		}
	}
	return 0
}

// unfit says why a cluster must not be touched, "" for no reason. One that is on
// its way already may lack what left it.
func unfit(live []Instance, roles map[Role]int, begun bool, count int) string {
	for _, i := range live {
		if i.State != Up {
			return fmt.Sprintf("cluster in unexpected state (%s %s is %s)", i.Release, i.Name, i.State)
		}
	}
	switch {
	case roles[Primary]+roles[Sync]+roles[Async] == 0:
		return "missing cluster state (no instance has said in $PLEAT_ROLE what it is)"
	case len(live) == 1:
		return "cluster in singleton mode"
	case roles[Primary] != 1 || roles[Sync] != 1 || roles[Primary]+roles[Sync]+roles[Async] != len(live):
		return fmt.Sprintf("cluster in unexpected state (of %d, %d say primary, %d sync and %d async)", len(live), roles[Primary], roles[Sync], roles[Async])
	case !begun && roles[Async] == 0:
		return "cluster in unhealthy state (has no asyncs)"
	case !begun && count > len(live):
		return fmt.Sprintf("cluster in unhealthy state (too few asyncs: %d of %d instances are there)", len(live), count)
	}
	return ""
}
