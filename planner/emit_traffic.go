package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/migrations"
	"pleat/planner/strategy"
	"pleat/spec"
)

// ofRouters is what the routers of the services say of themselves, by service.
func ofRouters[T any](p *planning, says func(*Router) T) map[string]T {
	out := map[string]T{}
	for _, s := range p.spec.Services {
		if s.Router == nil {
			continue
		}
		if router := p.state.Routers[string(s.Router.Address())]; router != nil {
			out[s.Name] = says(router)
		}
	}
	return out
}

// bound has the router take what the spec says. A way back leaves it as it is.
func (r *rollout) bound() {
	if r.service.Router == nil || r.goal.Rollback || r.requests[r.service.Name] == r.service.Router.Limits {
		return
	}
	before, after := r.requests[r.service.Name], r.service.Router.Limits
	action := func(l spec.RouterLimits) *Bound {
		return &Bound{Router: r.service.Router.Address(), Service: r.service.Name, Limits: l}
	}
	s := r.step(KindLimit, r.to.Version, []string{"requests"}, fmt.Sprintf("%s: %s", r.service.Name, after))
	s.Cause = fmt.Sprintf("%s has %s", r.service.Router.Address(), before)
	s.Undo, s.Action, s.Source = &Undo{Title: "as before", Action: action(before)}, action(after), r.source(r.service.Router.Range)
	r.requests[r.service.Name] = after
	r.add(r.group, s)
}

// gradual tells whether the rollout gives its release requests by shares. Where
// nobody else serves there is nothing to share; and nobody waits on a way back.
func (r *rollout) gradual() bool {
	return len(r.service.Strategy.Steps) > 0 && r.service.Router != nil && !r.goal.Rollback && len(r.others()) > 0
}

// others are how many instances of other releases get requests, by release.
func (r *rollout) others() map[string]int {
	out := map[string]int{}
	for _, i := range r.mine(func(i Instance) bool { return i.Release != r.to.Version }) {
		if r.routed(i.Release, i.Name) {
			out[i.Release]++
		}
	}
	return out
}

// byShares gives the release its share, step by step. A rollout that was cut
// short goes on with the step whose share it has, and asks its questions again.
func (r *rollout) byShares() {
	others := r.others()
	has, shared := r.splits[r.service.Name].Share(r.to.Version)
	if !shared {
		has = r.evenShare(others)
	}
	if !shared || !r.newcomer(has, others) {
		r.had = has
	}
	switch {
	case r.had > 0 && !shared:
		r.weigh(nil, r.had, others, "it gets that already")
	case has == 0 && r.service.Strategy.Kind == spec.Canary:
		r.weigh(nil, 0, others, "no requests before the first step")
	}
	last := "it gets all of them again"
	for _, s := range r.service.Strategy.Steps {
		if s.Weight < has && (shared || s.Weight > 0) {
			continue
		}
		r.bringUp(s, others)
		since := len(r.steps)
		r.keepShare(s)
		if s == r.service.Strategy.Steps[0] {
			r.moment(spec.AtCanary)
		}
		r.askOf(s)
		r.approve(s)
		if s.Weight == 0 && len(r.steps) > since {
			r.smokeAfter(s)
		}
		last = "every step was well"
	}
	r.attachLeftovers()
	r.bringUpAll()
	r.weigh(nil, 100, others, last)
	routed, rest := r.byRoute()
	r.moves(&spec.Strategy{Kind: spec.AllAtOnce}, routed)
	r.even()
	r.moves(&spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, rest)
}

// evenShare is the percentage of the requests that the release gets while all
// instances are alike: some of it may serve beside the others already.
func (r *rollout) evenShare(others map[string]int) int {
	mine := r.attached()
	return 100 * mine / (mine + total(others))
}

// attached is how many of the release's instances the router knows.
func (r *rollout) attached() int {
	return len(r.mine(func(i Instance) bool { return i.Release == r.to.Version && r.routed(i.Release, i.Name) }))
}

// newcomer tells whether the release that has that share is one whose own rollout
// was cut short: what fails takes it back to none. Otherwise it is the one that
// serves, beside a canary that is given up, and must not lose its requests to it.
func (r *rollout) newcomer(has int, others map[string]int) bool {
	steps := r.service.Strategy.Steps
	return has <= steps[len(steps)-1].Weight && total(others) > r.attached()
}

// bringUp starts what a step needs and gives it its share.
func (r *rollout) bringUp(s *spec.TrafficStep, others map[string]int) {
	canary := r.service.Strategy.Kind == spec.Canary
	if !canary { // what comes up must find that it gets nothing
		r.weigh(s, r.had, others, "no requests before it is approved of")
	}
	r.attachLeftovers()
	r.startUpTo(func(p ProcessDefinition) int { return r.stepSize(s, r.count(p)) })
	switch {
	case s.Weight > 0:
		r.weigh(s, s.Weight, others, "its share grows while all is well")
	case canary:
		r.weigh(s, r.had, others, "it gets those that match before any share")
	}
}

func (r *rollout) bringUpAll() { r.startUpTo(func(p ProcessDefinition) int { return r.count(p) }) }

// stepSize is how many of a process's instances a step needs: as many as its
// share of the requests; one for those that match, and all where it gets none yet.
func (r *rollout) stepSize(s *spec.TrafficStep, count int) int {
	if r.service.Strategy.Kind != spec.Canary {
		return count
	}
	size := s.Instances
	if size == (spec.Batch{}) {
		size.Percent = s.Weight
	}
	if size == (spec.Batch{}) {
		size.Count = 1
	}
	return min(strategy.Size(size, count, len(r.hosts)), count)
}

// startUpTo starts instances until as many are up as want says, of the
// processes that get requests.
func (r *rollout) startUpTo(want func(ProcessDefinition) int) {
	for _, p := range r.to.Processes {
		if !p.Routed {
			continue
		}
		work := r.work(p)
		if n := min(want(p)-work.Present, len(work.Missing)); n > 0 {
			r.move(strategy.Move{Process: p.Process, Up: true, Instances: work.Missing[:n]})
		}
	}
}

// byRoute are the processes that get requests, and the others.
func (r *rollout) byRoute() (routed, rest []strategy.Process) {
	for _, p := range r.processes() {
		if d := r.to.process(p.Name); d != nil && d.Routed {
			routed = append(routed, p)
		} else {
			rest = append(rest, p)
		}
	}
	return routed, rest
}

// weigh gives the release its share, and the rest to the others. What fails takes it
// back to no share at once, whatever came before, or to what it had where it was no
// newcomer.
func (r *rollout) weigh(step *spec.TrafficStep, percent int, others map[string]int, cause string) {
	before := r.splits[r.service.Name]
	weights := among(before, others)
	sticky := stickyOf(r.service.Strategy.Sticky)
	none := Split{Shares: split(r.to.Version, r.had, weights), Sticky: sticky}
	after := Split{Shares: split(r.to.Version, percent, weights), Sticky: sticky, Rules: r.rules(step, before)}
	if percent == 100 {
		after.Shares, after.Rules = []Share{{r.to.Version, 100}}, nil
	}
	back, undo := before, "as before"
	if percent > r.had {
		back, undo = none, fmt.Sprintf("%d%%", r.had)
	}
	backward := r.weighAction(back)
	backward.Floor = min(1, r.leastServing(back)) // the others may have gone meanwhile
	title := fmt.Sprintf("%s %s %d%%", r.service.Name, r.to.Version, percent)
	for _, rule := range after.Rules {
		title += " + " + rule.String()
	}
	r.give(after, cause, title, &Undo{Title: undo, Action: backward})
}

// among is how others have the requests among themselves: by what they get now or,
// where all are alike or none of them has a share, by their instances. Where another
// one has taken over from a release, and not yet out of the router, that stays out.
func among(now Split, others map[string]int) map[string]int {
	weights := map[string]int{}
	for _, s := range now.Shares {
		if _, serves := others[s.Release]; serves {
			weights[s.Release] = s.Percent
		}
	}
	if total(weights) == 0 {
		return others
	}
	return weights
}

func total(weights map[string]int) int {
	n := 0
	for _, w := range weights {
		n += w
	}
	return n
}

// rules are those of a step, or of the one before where it says nothing.
func (r *rollout) rules(step *spec.TrafficStep, before Split) []Rule {
	if step == nil || len(step.Matches) == 0 {
		return slices.DeleteFunc(slices.Clone(before.Rules), func(rule Rule) bool { return rule.Release != r.to.Version })
	}
	var rules []Rule
	for _, m := range step.Matches {
		rules = append(rules, Rule{Header: m.Header, Cookie: m.Cookie, Value: m.Value, Release: r.to.Version})
	}
	return rules
}

func stickyOf(s *spec.Sticky) *Sticky {
	if s == nil {
		return nil
	}
	return &Sticky{Header: s.Header, Cookie: s.Cookie}
}

// split are whole percents: one release's own, and the rest by weights, what is
// left of a percent to the last.
func split(version string, percent int, weights map[string]int) []Share {
	shares, left, all := []Share{{version, percent}}, 100-percent, total(weights)
	for _, other := range sortedKeys(weights) {
		part := left
		if all > weights[other] {
			part = left * weights[other] / all
		}
		shares = append(shares, Share{other, part})
		left, all = left-part, all-weights[other]
	}
	slices.SortFunc(shares, func(a, b Share) int { return strings.Compare(a.Release, b.Release) })
	return shares
}

// even gives every instance the same again. Those of another release that get nothing
// by now leave the router first, or they would get some for a moment; and so do those
// that run no more.
func (r *rollout) even() {
	before := r.splits[r.service.Name]
	if before.Even() {
		return
	}
	for _, version := range sortedKeys(r.others()) {
		if !before.Reaches(version) {
			r.withdraw(version)
		}
	}
	r.forget()
	r.give(Split{}, "every instance gets the same", r.service.Name+" evenly", &Undo{Title: "as before", Action: r.weighAction(before)})
}

// withdraw takes a release out of the router.
func (r *rollout) withdraw(version string) {
	known := map[string][]string{} // by process
	for _, i := range r.mine(func(i Instance) bool { return i.Release == version && r.routed(version, i.Name) }) {
		known[i.Process] = append(known[i.Process], i.Name)
	}
	for _, process := range sortedKeys(known) {
		r.drain(version, strategy.Move{Process: process}, known[process])
	}
}

// give spreads requests. They may be spread so already: what fails then is
// taken back all the same, by the undo.
func (r *rollout) give(to Split, cause, title string, undo *Undo) {
	if r.service.Router == nil {
		return
	}
	_, percents, _ := strings.Cut(title, r.service.Name+" ")
	s := r.step(KindWeight, r.to.Version, []string{strings.ReplaceAll(strings.TrimPrefix(percents, r.to.Version+" "), " ", "")}, title)
	s.Cause, s.Undo = cause, undo
	action := r.weighAction(to)
	action.Floor = r.leastServing(to)
	s.Action = action
	r.splits[r.service.Name] = to
	r.add(r.group, s)
}

func (r *rollout) weighAction(to Split) *Weigh {
	return &Weigh{Router: r.service.Router.Address(), Service: r.service.Name, Release: r.to.Version, Split: to, Back: r.goal.Rollback}
}

// leastServing is how many instances must get requests: as many as the release
// is to have, as far as those with a share are as many.
func (r *rollout) leastServing(to Split) int {
	reached := len(r.mine(func(i Instance) bool { return r.routed(i.Release, i.Name) && to.Reaches(i.Release) }))
	wanted := 0
	for _, p := range r.to.Processes {
		if p.Routed {
			wanted += r.count(p)
		}
	}
	return min(reached, wanted)
}

// keepShare waits while the release has its share.
func (r *rollout) keepShare(s *spec.TrafficStep) {
	if s.Hold <= 0 {
		return
	}
	why := fmt.Sprintf("%s %s has %s of the requests", r.service.Name, r.to.Version, r.shareOf(s))
	hold := r.stepAt(KindHold, s)
	hold.Cause, hold.Waits = why, []string{shortDuration(s.Hold)}
	hold.Action = &Pause{For: s.Hold, Why: why}
	r.add(r.group, hold)
}

// shareOf is what a step gives: "10%", or "those that match".
func (r *rollout) shareOf(s *spec.TrafficStep) string {
	if s.Weight == 0 && r.service.Strategy.Kind == spec.Canary {
		return "those that match"
	}
	return fmt.Sprintf("%d%%", s.Weight)
}

// stepAt is a step that leaves the share as it is.
func (r *rollout) stepAt(kind Kind, s *spec.TrafficStep) Step {
	at := r.shareOf(s)
	out := r.step(kind, r.to.Version, []string{strings.ReplaceAll(at, " ", "_")}, fmt.Sprintf("%s %s at %s", r.service.Name, r.to.Version, at))
	out.Undo, out.Source = &Undo{Title: "-"}, r.source(s.Range)
	return out
}

// askOf asks what a step says must hold, where both shapes of the change are
// there to be compared.
func (r *rollout) askOf(s *spec.TrafficStep) {
	for _, q := range s.Verifies {
		if q.Analysis != nil {
			r.analyze(s, q.Analysis)
			continue
		}
		phase := r.world.phases[q.Change.Name]
		least := migrations.Backfilled
		if len(q.Change.Backfills) == 0 {
			least = migrations.Expanded
		}
		if !phase.AtLeast(least) || phase.AtLeast(migrations.Hidden) {
			r.note(fmt.Sprintf("%s at %s: %s is not asked, because %s is %s", r.service.Address(), r.shareOf(s), q.Name, q.Change.Address(), phase))
			continue
		}
		v := r.verifyStep(q.Change, q.Verify, "")
		v.ID = fmt.Sprintf("%s/%s/verify/%s/%s.%s", r.service.Address(), r.to.Version, strings.ReplaceAll(r.shareOf(s), " ", "_"), q.Change.Name, q.Name)
		v.Address = r.service.Address()
		v.Cause = fmt.Sprintf("%s %s gets more only if it is right", r.service.Name, r.to.Version)
		v.Source = r.source(s.Range)
		r.add(r.group, v)
	}
}

// analyze asks what is to be measured while the release has its share.
func (r *rollout) analyze(s *spec.TrafficStep, a *spec.Analysis) {
	step := r.stepAt(KindAnalysis, s)
	step.ID += "/" + a.Name
	step.Title = a.Name
	step.Cause = fmt.Sprintf("%s %s gets more only if %s is well", r.service.Name, r.to.Version, a.Address())
	step.Waits = []string{countText(a.Count, a.Interval)}
	if a.MinSamples > 0 {
		step.Waits = append(step.Waits, fmt.Sprintf("%d samples", a.MinSamples))
	}
	step.Action = &Analyze{
		Analysis: a.Name, Inquiry: a.Inquiry, Pass: a.Pass, Fail: a.Fail, Count: a.Count, Interval: a.Interval,
		Failures: a.Failures, Inconclusive: a.Inconclusive, MinSamples: a.MinSamples, DryRun: a.DryRun,
		Service: r.service.Name, Release: r.to.Version, Old: strings.Join(sortedKeys(r.others()), "|"),
	}
	step.Limits.Run = 0
	step.Source = r.source(a.Range)
	r.add(r.group, step)
}

// countText is "10 × 30s".
func countText(count int, interval time.Duration) string {
	if count == 1 {
		return "1 measurement"
	}
	return fmt.Sprintf("%d × %s", count, shortDuration(interval))
}

// approve asks a person.
func (r *rollout) approve(s *spec.TrafficStep) {
	a := s.Approve
	if a == nil {
		return
	}
	step := r.stepAt(KindApprove, s)
	step.Cause = fmt.Sprintf("%s %s gets more only if somebody says so", r.service.Name, r.to.Version)
	whose := "a person"
	if len(a.From) > 0 {
		whose = strings.Join(a.From, " or ")
	}
	step.Waits = []string{whose + ", at most " + shortDuration(a.Timeout)}
	step.Action = &Approve{Timeout: a.Timeout, Defer: a.Defer, From: a.From, Why: step.Cause}
	step.Source = r.source(a.Range)
	r.add(r.group, step)
}

// smoke asks instances, each where it listens itself, before anybody else gets
// to them.
func (r *rollout) smoke(p ProcessDefinition, names []string) {
	if len(r.service.Strategy.Smokes) > 0 && p.Routed {
		r.add(r.group, r.smokeStep(p, names, "it is tried where the public cannot reach it"))
	}
}

// smokeAfter asks those once more that had to wait, after they were tried, for what a
// step says, and have no share of the requests yet.
func (r *rollout) smokeAfter(at *spec.TrafficStep) {
	for _, p := range r.visible() {
		names := r.shown(p)
		if len(r.service.Strategy.Smokes) == 0 || len(names) == 0 {
			continue
		}
		s := r.smokeStep(p, names, "what it answered before is as old as the wait")
		s.ID += "/after/" + strings.ReplaceAll(r.shareOf(at), " ", "_")
		r.add(r.group, s)
	}
}

func (r *rollout) smokeStep(p ProcessDefinition, names []string, cause string) Step {
	checks := r.service.Strategy.Smokes
	s := r.step(KindSmoke, r.to.Version, names, r.title(r.to.Version, p.Process, names, r.capacity(p)))
	s.Cause = cause
	s.Waits = []string{smokeText(checks)}
	s.Undo = &Undo{Title: "-"}
	s.Action = &Smoke{
		Orchestrator: r.service.Orchestrator.Address(), Service: r.service.Name, Release: r.to.Version, Process: p.Process,
		Instances: r.located(r.to.Version, names), Checks: checks,
	}
	return s
}

// smokeText is "/smoke", "bin/smoke".
func smokeText(checks []*spec.Check) string {
	var parts []string
	for _, c := range checks {
		switch c.Kind {
		case spec.CheckHTTP:
			parts = append(parts, c.Path)
		case spec.CheckExec:
			parts = append(parts, c.Command[0])
		default:
			parts = append(parts, string(c.Kind))
		}
	}
	return strings.Join(parts, ", ")
}
