package planner

import (
	"fmt"
	"slices"
	"strings"

	"pleat/migrations"
	"pleat/planner/strategy"
	"pleat/spec"
)

// liveShares are the shares of the services' requests.
func liveShares(p *planning) map[string][]Share {
	out := map[string][]Share{}
	for _, s := range p.spec.Services {
		if s.Router == nil {
			continue
		}
		if router := p.state.Routers[string(s.Router.Address())]; router != nil && len(router.Shares) > 0 {
			out[s.Name] = router.Shares
		}
	}
	return out
}

// gradual tells whether the rollout gives its release a share that grows. Where
// nobody else serves there is nothing to share; and nobody waits on a way back.
func (r *rollout) gradual() bool {
	return r.service.Strategy.Kind == spec.Canary && r.service.Router != nil && !r.goal.Rollback && len(r.others()) > 0
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

// canary gives the release its shares, step by step. A rollout that was cut
// short goes on with the step whose share it has, and asks its questions again.
func (r *rollout) canary() {
	others, has := r.others(), r.has()
	r.noteRoom()
	if has == 0 {
		r.weigh(0, others, "no requests before the first step")
	}
	r.attachLeftovers()
	last := "it gets all of them again"
	for _, s := range r.service.Strategy.Steps {
		if s.Weight < has {
			continue
		}
		r.bringUp(func(p ProcessDefinition) int { return stepSize(s, p.Count, len(r.hosts)) })
		r.weigh(s.Weight, others, "its share grows while all is well")
		r.keepShare(s)
		r.askOf(s)
		r.approve(s)
		last = "every step was well"
	}
	r.bringUp(func(p ProcessDefinition) int { return p.Count })
	r.weigh(100, others, last)
	routed, rest := r.byRoute()
	r.moves(&spec.Strategy{Kind: spec.AllAtOnce}, routed)
	r.even()
	r.moves(&spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, rest)
}

// has is the share that the release has already.
func (r *rollout) has() int {
	for _, s := range r.shares[r.service.Name] {
		if s.Release == r.to.Version {
			return s.Percent
		}
	}
	return 0
}

// stepSize is how many of a process's instances a step needs.
func stepSize(s *spec.CanaryStep, count, hosts int) int {
	size := s.Instances
	if size == (spec.Batch{}) {
		size.Percent = s.Weight
	}
	return min(strategy.Size(size, count, hosts), count)
}

// bringUp starts instances until as many are up as want says, of the processes
// that get requests.
func (r *rollout) bringUp(want func(ProcessDefinition) int) {
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

// weigh gives the release its share, and the rest to the others as they had it
// among themselves: by what they get now or, where all are alike, by their
// instances. What fails takes it back to no share at once, whatever came before.
func (r *rollout) weigh(percent int, others map[string]int, cause string) {
	weights := map[string]int{}
	for version, n := range others {
		weights[version] = n
	}
	for _, s := range r.shares[r.service.Name] {
		if _, serves := others[s.Release]; serves {
			weights[s.Release] = s.Percent
		}
	}
	if percent == 100 {
		clear(weights)
	}
	before := r.shares[r.service.Name]
	back, undo := before, "as before"
	if percent > 0 {
		back, undo = split(r.to.Version, 0, weightsOr(weights, others)), "0%"
	}
	r.give(split(r.to.Version, percent, weights), cause, fmt.Sprintf("%s %s %d%%", r.service.Name, r.to.Version, percent),
		&Undo{Title: undo, Action: r.weighAction(back)})
}

// weightsOr are the weights or, where all are gone, the others' counts.
func weightsOr(weights, others map[string]int) map[string]int {
	if len(weights) > 0 {
		return weights
	}
	return others
}

// split are whole percents: one release's own, and the rest by weights, what is
// left of a percent to the last.
func split(version string, percent int, weights map[string]int) []Share {
	shares, left, total := []Share{{version, percent}}, 100-percent, 0
	for _, w := range weights {
		total += w
	}
	for _, other := range sortedKeys(weights) {
		part := left
		if total > weights[other] {
			part = left * weights[other] / total
		}
		shares = append(shares, Share{other, part})
		left, total = left-part, total-weights[other]
	}
	slices.SortFunc(shares, func(a, b Share) int { return strings.Compare(a.Release, b.Release) })
	return shares
}

// even gives every instance the same again.
func (r *rollout) even() {
	before := r.shares[r.service.Name]
	if len(before) == 0 {
		return
	}
	r.give(nil, "every instance gets the same", r.service.Name+" evenly", &Undo{Title: "as before", Action: r.weighAction(before)})
}

// give sets shares. They may be so already: what fails then is taken back all
// the same, by the undo.
func (r *rollout) give(shares []Share, cause, title string, undo *Undo) {
	if r.service.Router == nil {
		return
	}
	s := r.step(KindWeight, r.to.Version, []string{shareText(shares, r.to.Version)}, title)
	s.Cause, s.Undo = cause, undo
	action := r.weighAction(shares)
	action.Floor = r.leastServing(shares)
	s.Action = action
	r.shares[r.service.Name] = shares
	r.add(r.group, s)
}

func shareText(shares []Share, version string) string {
	for _, s := range shares {
		if s.Release == version {
			return fmt.Sprint(s.Percent)
		}
	}
	return "same"
}

func (r *rollout) weighAction(shares []Share) *Weigh {
	return &Weigh{Router: r.service.Router.Address(), Service: r.service.Name, Release: r.to.Version, Shares: shares}
}

// leastServing is how many instances must get requests: as many as the release
// is to have, as far as those with a share are as many.
func (r *rollout) leastServing(shares []Share) int {
	reached, wanted := 0, 0
	for _, i := range r.mine(func(i Instance) bool { return r.routed(i.Release, i.Name) }) {
		if len(shares) == 0 || slices.ContainsFunc(shares, func(s Share) bool { return s.Release == i.Release && s.Percent > 0 }) {
			reached++
		}
	}
	for _, p := range r.to.Processes {
		if p.Routed {
			wanted += p.Count
		}
	}
	return min(reached, wanted)
}

// keepShare waits while the release has its share.
func (r *rollout) keepShare(s *spec.CanaryStep) {
	if s.Hold <= 0 {
		return
	}
	why := fmt.Sprintf("%s %s has %d%% of the requests", r.service.Name, r.to.Version, s.Weight)
	hold := r.step(KindHold, r.to.Version, []string{fmt.Sprint(s.Weight)}, fmt.Sprintf("%s %s at %d%%", r.service.Name, r.to.Version, s.Weight))
	hold.Cause, hold.Waits = why, []string{shortDuration(s.Hold)}
	hold.Undo, hold.Action = &Undo{Title: "-"}, &Pause{For: s.Hold, Why: why}
	hold.Source = r.source(s.Range)
	r.add(r.group, hold)
}

// askOf asks what a step says must hold, where both shapes of the change are
// there to be compared.
func (r *rollout) askOf(s *spec.CanaryStep) {
	for _, q := range s.Verifies {
		phase := r.world.phases[q.Change.Name]
		least := migrations.Backfilled
		if len(q.Change.Backfills) == 0 {
			least = migrations.Expanded
		}
		if !phase.AtLeast(least) || phase.AtLeast(migrations.Hidden) {
			r.note(fmt.Sprintf("%s at %d%%: %s is not asked, because %s is %s", r.service.Address(), s.Weight, q.Name, q.Change.Address(), phase))
			continue
		}
		v := r.verifyStep(q.Change, q.Verify, "")
		v.ID = fmt.Sprintf("%s/%s/verify/%d/%s.%s", r.service.Address(), r.to.Version, s.Weight, q.Change.Name, q.Name)
		v.Address = r.service.Address()
		v.Cause = fmt.Sprintf("%s %s gets more only if it is right", r.service.Name, r.to.Version)
		v.Source = r.source(s.Range)
		r.add(r.group, v)
	}
}

// approve asks a person.
func (r *rollout) approve(s *spec.CanaryStep) {
	a := s.Approve
	if a == nil {
		return
	}
	step := r.step(KindApprove, r.to.Version, []string{fmt.Sprint(s.Weight)}, fmt.Sprintf("%s %s at %d%%", r.service.Name, r.to.Version, s.Weight))
	step.Cause = fmt.Sprintf("%s %s gets more only if somebody says so", r.service.Name, r.to.Version)
	step.Waits = []string{"a person, at most " + shortDuration(a.Timeout)}
	if len(a.From) > 0 {
		step.Waits = []string{strings.Join(a.From, " or ") + ", at most " + shortDuration(a.Timeout)}
	}
	step.Undo = &Undo{Title: "-"}
	step.Action = &Approve{Timeout: a.Timeout, Defer: a.Defer, From: a.From, Why: step.Cause}
	step.Source = r.source(a.Range)
	r.add(r.group, step)
}

// noteRoom says how many instances run at most at the same time.
func (r *rollout) noteRoom() {
	for _, p := range r.to.Processes {
		if !p.Routed {
			continue
		}
		now := len(r.mine(func(i Instance) bool { return i.Process == p.Process }))
		if missing := len(r.work(p).Missing); missing > 0 {
			r.note(fmt.Sprintf("%s %s: up to %d run at once, %d more than now", r.service.Address(), p.Process, now+missing, missing))
		}
	}
}
