package planner

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"pleat/migrations"
	"pleat/planner/strategy"
	"pleat/spec"
)

// roll emits the rollout of a service to a release: what is missing comes up,
// what is not wanted goes, in the order of the strategy.
func (e *emitter) roll(s *spec.Service, version string) {
	r := e.rollout(s, version)
	r.bound()
	before, had := len(e.steps), r.counts()
	switch {
	case r.gradual():
		r.byShares()
	case r.sets():
		r.even()
		r.cycle()
	case s.Clustered != nil:
		r.even()
		r.primaryLast()
	default:
		r.even()
		r.attachLeftovers()
		r.hearLeftovers()
		r.moves(r.order(), r.processes())
	}
	r.cleansUp(before)
	r.noteRoom(before, had)
	if len(e.steps) > before {
		r.moment(spec.AfterRollout)
		e.explainRoll(s, r)
	}
	r.forget()
}

// cleansUp marks the stops after the last start: the release is there then, and takes
// all requests. Where two releases may not run at once an old instance that stays is
// no matter of cleaning up.
func (r *rollout) cleansUp(since int) {
	if r.service.Strategy.Kind == spec.Handover || r.service.Clustered != nil {
		return
	}
	for i := len(r.steps) - 1; i >= since; i-- {
		s := &r.steps[i]
		if s.Kind == KindStart {
			return
		}
		if a, ok := s.Action.(*Stop); ok && a.Release != r.to.Version && !a.Exclusive && !s.Together {
			s.Cleanup = true
		}
	}
}

// counts are how many instances of each process there are.
func (r *rollout) counts() map[string]int {
	out := map[string]int{}
	for _, i := range r.mine(func(Instance) bool { return true }) {
		out[i.Process]++
	}
	return out
}

// noteRoom says of the processes of which more run at once than now how many they
// are: hosts need room for them. had is how many there were before those steps.
func (r *rollout) noteRoom(since int, had map[string]int) {
	now, most := maps.Clone(had), maps.Clone(had)
	for _, s := range r.steps[since:] {
		switch a := s.Action.(type) {
		case *Start:
			now[a.Definition.Process] += len(a.Instances)
			most[a.Definition.Process] = max(most[a.Definition.Process], now[a.Definition.Process])
		case *Stop:
			now[a.Process] -= len(a.Instances)
		}
	}
	for _, process := range sortedKeys(had) {
		if more := most[process] - had[process]; more > 0 {
			r.note(fmt.Sprintf("%s %s: up to %d run at once, %d more than now", r.service.Address(), process, most[process], more))
		}
	}
}

// order is the strategy of a rollout that has no shares to give and no set to
// take the place of.
func (r *rollout) order() *spec.Strategy {
	switch r.service.Strategy.Kind {
	case spec.Canary, spec.BlueGreen:
		return &spec.Strategy{Kind: spec.AllAtOnce}
	case spec.Cycle: // what comes next takes the places of those that go
		return &spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Percent: 100}}
	}
	return r.service.Strategy
}

func (r *rollout) moves(s *spec.Strategy, processes []strategy.Process) {
	moves := strategy.Order(s, len(r.hosts), processes)
	for n, m := range moves {
		r.last = r.replaces() && !slices.ContainsFunc(moves[n+1:], func(x strategy.Move) bool { return x.Process == m.Process })
		r.move(m)
	}
	r.last = false
}

// stay is for how long what comes up last is looked at: nothing goes after it that
// would ask whether it is still there.
const stay = time.Second

// replaces tells whether another release ran before the plan.
func (r *rollout) replaces() bool {
	for version := range r.emitter.start.mix[r.service.Name] {
		if version != r.to.Version {
			return true
		}
	}
	return false
}

func (e *emitter) rollout(s *spec.Service, version string) *rollout {
	r := &rollout{emitter: e, service: s, ran: map[string]bool{}, to: e.declared[releaseKey{s.Name, version}].release}
	r.hosts, r.began = e.hosts(s), e.splits[s.Name]
	r.size()
	r.assign()
	r.group = "roll " + s.Name + " " + version
	r.keeps = e.keepsPrevious(s) && version == e.target(s)
	return r
}

// noteUnfilled says which changes a release knows whose rows from before have no new
// shape yet when it starts: it may live with that, or its author forgot.
func (e *emitter) noteUnfilled(s *spec.Service, version string) {
	knows := e.declared[releaseKey{s.Name, version}].knows
	for _, c := range e.changes {
		if !knows[c.Name] || e.world.phases[c.Name].AtLeast(migrations.Backfilled) {
			continue
		}
		for _, b := range c.Backfills {
			db := e.state.Databases[c.Database.Name]
			if t := db.Catalog.Table(b.Table); b.Fills || t == nil || t.Rows == 0 {
				continue
			}
			e.note(fmt.Sprintf("%s %s starts before the rows of %s have the new shape of %s: where it cannot live with that, needs_backfill = [%[4]s] has it wait", s.Address(), version, b.Table, c.Address()))
		}
	}
}

// explainRoll notes what a person should know before saying yes.
func (e *emitter) explainRoll(s *spec.Service, r *rollout) {
	if r.started || r.shrinks {
		e.releases = append(e.releases, r.to)
	}
	e.note(r.sizes...)
	for _, p := range r.to.Processes {
		if len(p.Checks) == 0 && r.started {
			e.note(fmt.Sprintf("%s %s has no check: it counts as up once it runs", s.Address(), p.Process))
		}
		if s.Clustered != nil && s.Clustered.Name == p.Process && r.started && !asks(p.Checks) {
			e.note(fmt.Sprintf("%s %s: no check asks whether an instance has caught up, so an old one may go before it has: one of exec or http can ask", s.Address(), p.Process))
		}
	}
	if r.started {
		e.noteUnfilled(s, r.to.Version)
	}
	if s.Strategy.Kind != spec.Rolling || len(e.start.mix[s.Name]) == 0 {
		return
	}
	for _, p := range r.to.Processes {
		work := strategy.Process{Round: r.round(p), Wanted: r.count(p)}
		falls := work.Size(s.Strategy.Batch, len(r.hosts)) - work.Surge(s.Strategy, len(r.hosts))
		if falls == 0 {
			continue
		}
		low := max(r.count(p)-falls, 0)
		e.note(fmt.Sprintf("%s %s: availability falls to %d of %d while it rolls", s.Address(), p.Process, low, r.count(p)))
	}
}

// asks tells whether one of the checks may ask an instance what it has in it, more than
// that it listens.
func asks(checks []*spec.Check) bool {
	return slices.ContainsFunc(checks, func(c *spec.Check) bool { return c.Kind != spec.CheckTCP })
}

// rollout is one service on its way to one release.
type rollout struct {
	*emitter
	service *spec.Service
	to      Release
	hosts   []string
	group   string
	started bool
	shrinks bool                   // it has fewer instances than before
	last    bool                   // nothing of the process comes or goes after the move
	keeps   bool                   // the releases before stay up, without requests
	ran     map[string]bool        // tasks that the rollout runs once
	began   Split                  // how requests were spread before it
	asked   int                    // how often its instances are asked for their roles
	had     int                    // percent of the requests that what fails leaves it
	roster  map[string][]Placement // the instances that the release is to have, by process
	sizes   []string               // how many instances processes get, and why
}

func (e *emitter) hosts(s *spec.Service) []string {
	if o := e.state.Orchestrators[string(s.Orchestrator.Address())]; o != nil {
		return o.Hosts
	}
	return nil
}

// liveBackends are the instances that routers send requests to, as
// "SERVICE/RELEASE/INSTANCE".
func liveBackends(st *State) map[string]bool {
	out := map[string]bool{}
	for _, router := range st.Routers {
		for _, b := range router.Backends {
			if !b.Draining {
				out[b.Service+"/"+b.Release+"/"+b.Instance] = true
			}
		}
	}
	return out
}

// route records whether an instance gets requests once the steps so far ran.
func (r *rollout) route(version, instance string, on bool) {
	r.backends[r.service.Name+"/"+version+"/"+instance] = on
}

func (r *rollout) routed(version, instance string) bool {
	return r.backends[r.service.Name+"/"+version+"/"+instance]
}

// mine are the service's instances that match, by number.
func (r *rollout) mine(match func(Instance) bool) []Instance {
	var out []Instance
	for _, i := range r.present[r.service.Name] {
		if i.State != Down && match(i) {
			out = append(out, i)
		}
	}
	sort.SliceStable(out, func(a, b int) bool {
		if out[a].Release != out[b].Release {
			return out[a].Release < out[b].Release
		}
		return number(out[a].Name) < number(out[b].Name)
	})
	return out
}

// number is the N of "PROCESS.N".
func number(instance string) int {
	_, n, _ := strings.Cut(instance, ".")
	i, _ := strconv.Atoi(n) // a name that is no number sorts first
	return i
}

// own are the instances of a process that the new release should have and that
// are up, by name.
func (r *rollout) own(process string) []string {
	var names []string
	for _, i := range r.mine(r.wanted) {
		if i.Process == process && i.State == Up {
			names = append(names, i.Name)
		}
	}
	return names
}

// wanted tells whether the new release should have that instance.
func (r *rollout) wanted(i Instance) bool {
	return i.Release == r.to.Version && slices.ContainsFunc(r.roster[i.Process], func(at Placement) bool {
		return at.Instance == i.Name && (at.Host == "" || at.Host == i.Host)
	})
}

// count is how many instances of a process should serve.
func (r *rollout) count(p ProcessDefinition) int { return p.Count * r.round(p) }

// round is how many instances of a process count as one: one of each host.
func (r *rollout) round(p ProcessDefinition) int {
	if p.PerHost {
		return max(len(r.hosts), 1)
	}
	return 1
}

// processes is the work that the strategy orders.
func (r *rollout) processes() []strategy.Process {
	byName := map[string]*strategy.Process{}
	for _, p := range r.to.Processes {
		byName[p.Process] = r.work(p)
	}
	for _, i := range r.mine(func(i Instance) bool { return !r.wanted(i) && (i.State != Stopping || r.exclusive()) && !r.rests(i) }) {
		if byName[i.Process] == nil {
			byName[i.Process] = &strategy.Process{Name: i.Process}
		}
		w := byName[i.Process]
		w.Doomed = append(w.Doomed, i.Release+"/"+i.Name)
	}
	var out []strategy.Process
	for _, name := range sortedKeys(byName) {
		r.inRounds(byName[name])
		r.idleFirst(byName[name].Doomed)
		out = append(out, *byName[name])
	}
	return out
}

// idleFirst has those go first that are not up, and then those that get no requests:
// the strategy takes whatever is to go for something that serves until then.
func (r *rollout) idleFirst(doomed []string) {
	use := map[string]int{}
	for _, i := range r.mine(func(Instance) bool { return true }) {
		use[i.Release+"/"+i.Name] = r.use(i)
	}
	slices.SortStableFunc(doomed, func(a, b string) int { return use[a] - use[b] })
}

// use is more for what gets requests than for what does not, and none for what is not
// up.
func (r *rollout) use(i Instance) int {
	switch {
	case i.State != Up:
		return 0
	case !r.routed(i.Release, i.Name):
		return 1
	}
	return 2
}

// work is what a process of the release lacks. Where nothing may run beside the
// rest, what is on its way out comes first: until it is gone it takes a place.
func (r *rollout) work(p ProcessDefinition) *strategy.Process {
	is := map[string]InstanceState{}
	for _, i := range r.mine(r.wanted) {
		is[i.Name] = i.State
	}
	w := &strategy.Process{Name: p.Process, Round: r.round(p), Wanted: r.count(p)}
	if r.service.Strategy.Kind == spec.Handover { // one takes over at a time, wherever it is
		w.Round = 1
	}
	var leaving []string
	for _, name := range r.named(p, r.count(p)) {
		switch {
		case is[name] == Up:
			w.Present++
		case is[name] == Stopping && r.exclusive():
			leaving = append(leaving, name)
		default:
			w.Missing = append(w.Missing, name)
		}
	}
	w.Missing = append(leaving, w.Missing...)
	return w
}

// attachLeftovers lets instances that came up in a run that was cut short get
// their requests, once they were tried: nobody knows how far that run came.
func (r *rollout) attachLeftovers() {
	if r.service.Router == nil {
		return
	}
	for _, p := range r.to.Processes {
		var names []string
		for _, i := range r.mine(r.wanted) {
			if i.Process == p.Process && i.State == Up && !r.routed(i.Release, i.Name) {
				names = append(names, i.Name)
			}
		}
		if p.Routed && len(names) > 0 {
			r.tryAgain(p, names)
			r.attach(p, names)
		}
	}
}

// hearLeftovers waits for the words that a run which was given up did not wait
// for: those from which the instances take over are still there.
func (r *rollout) hearLeftovers() {
	for _, p := range r.to.Processes {
		for _, i := range r.mine(r.wanted) {
			n := slices.IndexFunc(r.state.Journal.Unheard, func(u Unheard) bool {
				return u.Service == i.Service && u.Version == i.Release && u.Instance == i.Name
			})
			if i.Process == p.Process && i.State == Up && n >= 0 {
				r.handover(p, []string{i.Name}, r.state.Journal.Unheard[n].Run)
			}
		}
	}
}

// tryAgain brings what instances that are up already need before they get
// requests. On a way back they are those that got them before.
func (r *rollout) tryAgain(p ProcessDefinition, names []string) {
	r.ready(p, names)
	if !r.goal.Rollback {
		r.smoke(p, names)
	}
}

// move emits the steps of one unit of the strategy.
func (r *rollout) move(m strategy.Move) {
	if m.Up {
		p := *r.to.process(m.Process)
		r.start(p, m.Instances)
		r.ready(p, m.Instances)
		r.smoke(p, m.Instances)
		if p.Routed && r.service.Router != nil {
			r.attach(p, m.Instances)
		}
		r.handover(p, m.Instances, "")
		return
	}
	for _, version := range versionsOf(m.Instances) {
		names := namesOf(m.Instances, version)
		r.drain(version, m, names)
		names = slices.DeleteFunc(names, func(name string) bool { return r.warm(version, m.Process, name) })
		names = r.awaitEnd(version, m, names)
		if len(names) > 0 {
			r.stop(version, m, names)
		}
	}
}

// handover waits until instances say that they took over, for a run that started
// them or, without one, for this one. Where nothing is to go there is nothing to
// take over.
func (r *rollout) handover(p ProcessDefinition, names []string, run string) {
	if r.service.Strategy.Kind != spec.Handover || len(r.mine(func(i Instance) bool { return i.Process == p.Process && !r.wanted(i) })) == 0 {
		return
	}
	s := r.step(KindHandover, r.to.Version, names, r.title(r.to.Version, p.Process, names, r.capacity(p)))
	s.Cause, s.Undo = "it takes over before the one before goes", &Undo{Title: "-"}
	s.Waits = []string{"its word, at most " + shortDuration(r.service.Strategy.StepTimeout)}
	s.Action = &Handover{
		Orchestrator: r.service.Orchestrator.Address(), Service: r.service.Name, Release: r.to.Version, Process: p.Process,
		Instances: r.located(r.to.Version, names), Run: run,
	}
	r.add(r.group, s)
}

func versionsOf(doomed []string) []string {
	versions := map[string]bool{}
	for _, d := range doomed {
		v, _, _ := strings.Cut(d, "/")
		versions[v] = true
	}
	return sortedKeys(versions)
}

func namesOf(doomed []string, version string) []string {
	var out []string
	for _, d := range doomed {
		if v, name, _ := strings.Cut(d, "/"); v == version {
			out = append(out, name)
		}
	}
	return out
}

func (r *rollout) start(p ProcessDefinition, names []string) {
	placed := r.place(p.Process, names)
	title := r.title(r.to.Version, p.Process, names, r.capacity(p))
	there := r.there()
	r.once(spec.BeforeStart)
	r.started = true
	r.remove(r.to.Version, names)
	for _, at := range placed {
		r.present[r.service.Name] = append(r.present[r.service.Name], Instance{
			Service: r.service.Name, Release: r.to.Version, Process: p.Process,
			Name: at.Instance, Host: at.Host, Digest: r.to.Artifact.SHA256, State: Up,
		})
	}
	s := r.step(KindStart, r.to.Version, names, title)
	s.Cause = r.startCause()
	s.Waits = []string{healthyWait(p)}
	if most := r.service.Strategy.ProgressDeadline; most > 0 && !r.goal.Rollback {
		s.Limits.Progress = most
		s.Waits = append(s.Waits, "one more each "+shortDuration(most))
	}
	if r.last {
		s.Limits.Stay = stay
	}
	s.Action = r.startAction(r.to, p, placed)
	s.Does = r.viewLines(r.to)
	s.Undo = r.undoStart(p, fresh(placed, there))
	s.Needs = append(s.Needs, r.before()...)
	r.add(r.group, s)
}

// undoStart stops what a start brings up. An instance that was there before,
// if not up, is not the start's to take away.
func (r *rollout) undoStart(p ProcessDefinition, placed []Placement) *Undo {
	if len(placed) == 0 {
		return &Undo{Title: "-"}
	}
	return &Undo{Title: "stop it", Action: &Stop{
		Orchestrator: r.service.Orchestrator.Address(), Service: r.service.Name, Release: r.to.Version,
		Process: p.Process, Drain: p.Drain, Instances: placed, Wait: true,
		Exclusive: r.exclusive() || r.service.Strategy.Kind == spec.Offline, Role: r.roleBack(p.Process),
	}}
}

// there are the release's instances that no failure takes away: those that run and,
// where no other release does, those that went by themselves. Whoever keeps them brings
// them back, whatever becomes of a start that wanted to be there first.
func (r *rollout) there() []Instance {
	if mix := r.emitter.start.mix[r.service.Name]; len(mix) != 1 || !mix[r.to.Version] {
		return r.mine(r.wanted)
	}
	return slices.DeleteFunc(slices.Clone(r.present[r.service.Name]), func(i Instance) bool { return !r.wanted(i) })
}

// fresh leaves out the instances that are there already.
func fresh(placed []Placement, there []Instance) []Placement {
	return slices.DeleteFunc(slices.Clone(placed), func(at Placement) bool {
		return slices.ContainsFunc(there, func(i Instance) bool { return i.Name == at.Instance })
	})
}

func (r *rollout) startAction(release Release, p ProcessDefinition, placed []Placement) *Start {
	a := &Start{
		Orchestrator: r.service.Orchestrator.Address(), Service: r.service.Name, Release: release.Version,
		Artifact: release.Artifact, Definition: p, Instances: placed,
		MaxStartFailures: r.service.Strategy.MaxStartFailures, Views: r.views(release),
	}
	if r.service.Database != nil {
		a.Database = r.service.Database.Name
	}
	for _, d := range r.service.AlsoUses {
		a.AlsoUses = append(a.AlsoUses, d.Name)
	}
	return a
}

func (r *rollout) startCause() string {
	from := r.mine(func(i Instance) bool { return i.Release != r.to.Version })
	if len(from) > 0 {
		return fmt.Sprintf("%s goes from %s to %s", r.service.Address(), from[0].Release, r.to.Version)
	}
	return fmt.Sprintf("%s should run %s", r.service.Address(), r.to.Version)
}

// before are the last steps of what a release comes after: the changes and
// directories that it is built for, and the services that come first. Where one
// of them is put off, so is the release.
func (r *rollout) before() []string {
	var comes []spec.Address
	for _, c := range r.to.Knows {
		comes = append(comes, spec.Address("change."+c))
	}
	for _, v := range r.to.Versions {
		comes = append(comes, spec.Address("migrations."+v.Migrations))
	}
	for _, s := range r.service.After {
		comes = append(comes, s.Address())
	}
	for version := range r.world.mix[r.service.Name] {
		if at := (releaseKey{r.service.Name, version}); r.isStop(at) {
			for c := range r.declared[at].knows {
				comes = append(comes, spec.Address("change."+c))
			}
		}
	}
	return sorted(r.lastOf(comes...))
}

func (r *rollout) attach(p ProcessDefinition, names []string) {
	others := len(r.mine(func(i Instance) bool { return r.routed(i.Release, i.Name) }))
	for _, n := range names {
		r.route(r.to.Version, n, true)
	}
	placed := r.located(r.to.Version, names)
	s := r.step(KindAttach, r.to.Version, names, r.title(r.to.Version, p.Process, names, r.capacity(p)))
	s.Cause = "healthy instances get requests"
	s.Action = r.attachAction(r.to.Version, p.Process, placed)
	s.Undo = &Undo{Title: "drain it", Action: r.drainAction(r.to.Version, p.Process, p.Drain.Timeout, placed, min(1, others))}
	r.add(r.group, s)
	r.releaseTraffic()
}

// holdTraffic keeps requests waiting from before the last instance that gets any
// goes.
func (r *rollout) holdTraffic(version string) {
	most := r.service.Strategy.HoldTraffic
	if most == 0 || r.holding[r.service.Name] || len(r.mine(func(i Instance) bool { return r.routed(i.Release, i.Name) })) > 0 {
		return
	}
	r.holding[r.service.Name] = true
	s := r.step(KindHold, version, []string{"traffic"}, fmt.Sprintf("the requests of %s", r.service.Name))
	s.Cause, s.Waits = "they wait while nothing of it is up", []string{"at most " + shortDuration(most)}
	s.Action, s.Undo = r.holdAction(most), &Undo{Title: "let them go", Action: r.holdAction(0)}
	r.add(r.group, s)
}

// releaseTraffic lets go of them once somebody answers. On the way back they are
// held again.
func (r *rollout) releaseTraffic() {
	if !r.holding[r.service.Name] {
		return
	}
	delete(r.holding, r.service.Name)
	s := r.step(KindRelease, r.to.Version, []string{"traffic"}, fmt.Sprintf("the requests of %s", r.service.Name))
	s.Cause, s.Action = "somebody answers again", r.holdAction(0)
	s.Undo = &Undo{Title: "hold them", Action: r.holdAction(r.service.Strategy.HoldTraffic)}
	r.add(r.group, s)
}

func (r *rollout) holdAction(most time.Duration) *HoldTraffic {
	return &HoldTraffic{Router: r.service.Router.Address(), Service: r.service.Name, For: most}
}

func (r *rollout) attachAction(version, process string, placed []Placement) *Attach {
	a := &Attach{
		Router: r.service.Router.Address(), Orchestrator: r.service.Orchestrator.Address(),
		Service: r.service.Name, Release: version, Process: process, Instances: placed,
	}
	if d := r.declared[releaseKey{r.service.Name, version}]; d != nil {
		p := d.release.process(process)
		a.HTTP2 = p != nil && p.Protocol == spec.HTTP2
	}
	return a
}

func (r *rollout) drainAction(version, process string, timeout time.Duration, placed []Placement, floor int) *Drain {
	return &Drain{
		Router: r.service.Router.Address(), Service: r.service.Name, Release: version, Process: process,
		Instances: placed, Timeout: timeout, Floor: floor,
	}
}

func (r *rollout) drain(version string, m strategy.Move, names []string) {
	if r.service.Router == nil {
		return
	}
	var routed []string
	for _, n := range names {
		if r.routed(version, n) {
			routed = append(routed, n)
			r.route(version, n, false)
		}
	}
	if len(routed) == 0 {
		return
	}
	r.holdTraffic(version)
	placed := r.located(version, routed)
	drain := r.drainOf(version, m.Process)
	s := r.step(KindDrain, version, routed, r.title(version, m.Process, routed, 0))
	s.Cause = "requests in flight are finished first"
	s.Waits = []string{"at most " + shortDuration(drain.Timeout)}
	s.Action = r.drainAction(version, m.Process, drain.Timeout, placed, r.floor(m, true))
	again := r.attachAction(version, m.Process, placed)
	again.Again = true
	s.Undo = &Undo{Title: "attach it", Action: again}
	r.add(r.group, s)
}

// forget takes out of the router what runs no more and is not to come back: who
// gets its address next must not get its requests.
func (r *rollout) forget() {
	if r.service.Router == nil {
		return
	}
	router := r.state.Routers[string(r.service.Router.Address())]
	if router == nil {
		return
	}
	gone := map[string][]Placement{} // by release and process
	for _, b := range router.Backends {
		if b.Service != r.service.Name || !r.routed(b.Release, b.Instance) || r.comes(b) {
			continue
		}
		of := b.Release + "/" + b.process()
		gone[of] = append(gone[of], Placement{Instance: b.Instance, Host: r.hostOf(b)})
	}
	for _, of := range sortedKeys(gone) {
		version, process, _ := strings.Cut(of, "/")
		var names []string
		for _, p := range gone[of] {
			names = append(names, p.Instance)
			r.route(version, p.Instance, false)
		}
		s := r.step(KindDrain, version, names, r.title(version, process, names, 0))
		s.Cause, s.Undo = "it runs no more", &Undo{Title: "-"}
		s.Action = r.drainAction(version, process, 0, gone[of], 0)
		r.add(r.group, s)
	}
}

// comes tells whether a backend's instance runs, or is about to.
func (r *rollout) comes(b Backend) bool {
	i := Instance{Service: b.Service, Release: b.Release, Process: b.process(), Name: b.Instance}
	return r.wanted(i) || len(r.mine(b.of)) > 0
}

// hostOf is where a backend's instance was seen, "" for nowhere.
func (r *rollout) hostOf(b Backend) string {
	if o := r.state.Orchestrators[string(r.service.Orchestrator.Address())]; o != nil {
		if n := slices.IndexFunc(o.Instances, b.of); n >= 0 {
			return o.Instances[n].Host
		}
	}
	return ""
}

// floor is how many others of the process must stay after a move: what the strategy
// promises, never more than the move leaves. A router keeps it for those that get
// requests, and whoever stops instances for the rest, and those of a cluster.
func (r *rollout) floor(m strategy.Move, routed bool) int {
	p := r.to.process(m.Process)
	if p == nil || routed != (p.Routed && r.service.Router != nil) {
		return 0
	}
	if c := r.service.Clustered; routed && c != nil && c.Name == m.Process {
		// A member that a way back left without requests is one of the cluster all the same.
		return min(r.promised(m), len(r.mine(func(i Instance) bool { return i.Process == m.Process && r.routed(i.Release, i.Name) })))
	}
	return r.promised(m)
}

// promised is how many others of a process that the new release has must stay after a
// move.
func (r *rollout) promised(m strategy.Move) int {
	return min(m.Serving, r.count(*r.to.process(m.Process)))
}

// leaving is how a process of an old release was started, as recorded, or as
// the spec has it; nil when nobody knows.
func (r *rollout) leaving(version, process string) (*Release, *ProcessDefinition) {
	k := releaseKey{r.service.Name, version}
	for i := range r.state.Journal.Releases {
		recorded := &r.state.Journal.Releases[i]
		if recorded.Service == k.service && recorded.Version == version && recorded.process(process) != nil {
			return recorded, recorded.process(process)
		}
	}
	if d := r.declared[k]; d != nil && d.release.process(process) != nil {
		return &d.release, d.release.process(process)
	}
	return nil, nil
}

// drainOf is how instances of an old release leave.
func (r *rollout) drainOf(version, process string) spec.Drain {
	if _, p := r.leaving(version, process); p != nil {
		return p.Drain
	}
	return spec.DefaultDrain()
}

// awaitEnd waits for those that are on their way out already, and gives the
// others. They do not come back.
func (r *rollout) awaitEnd(version string, m strategy.Move, names []string) (others []string) {
	var leaving []string
	going := r.mine(func(i Instance) bool { return i.Release == version && i.State == Stopping })
	for _, name := range names {
		if slices.ContainsFunc(going, func(i Instance) bool { return i.Name == name }) {
			leaving = append(leaving, name)
		} else {
			others = append(others, name)
		}
	}
	if len(leaving) == 0 {
		return others
	}
	s := r.step(KindStop, version, leaving, r.title(version, m.Process, leaving, 0))
	s.Cause, s.Undo = "it is on its way out, and nothing may run beside it", &Undo{Title: "-"}
	s.Action = r.stopAction(version, m, r.located(version, leaving))
	r.remove(version, leaving)
	r.add(r.group, s)
	return others
}

func (r *rollout) stopAction(version string, m strategy.Move, placed []Placement) *Stop {
	s := &Stop{
		Orchestrator: r.service.Orchestrator.Address(), Service: r.service.Name, Release: version,
		Process: m.Process, Drain: r.drainOf(version, m.Process), Instances: placed, Wait: m.Wait, Exclusive: m.Alone || r.exclusive() || r.current.kind == moveDown,
	}
	if r.current.kind != moveDown && r.to.process(m.Process) != nil {
		s.By, s.Floor, s.Role = r.to.Version, r.floor(m, false), r.roleOf(version, m.Process, placed)
		s.Back = r.goal.Rollback
		if s.Role != "" { // a copy that goes between the drain and the stop is missed by more than requests
			s.Floor = r.promised(m)
		}
	}
	return s
}

func (r *rollout) stop(version string, m strategy.Move, names []string) {
	placed := r.located(version, names)
	s := r.step(KindStop, version, names, r.title(version, m.Process, names, 0))
	s.Cause = fmt.Sprintf("%s replaces it", r.to.Version)
	switch {
	case r.current.kind == moveDown:
		s.Cause = fmt.Sprintf("nothing of %s may run while the schema changes", r.service.Address())
	case version == r.to.Version:
		s.Cause, r.shrinks = "more instances than wanted", true
	}
	s.Action = r.stopAction(version, m, placed)
	if release, p := r.leaving(version, m.Process); p != nil {
		s.Undo = &Undo{Title: "start it", Action: r.startAction(*release, *p, placed)}
	} else {
		r.note(fmt.Sprintf("%s %s: nobody recorded how it was started, so it cannot come back", r.service.Address(), version))
		if k := (releaseKey{r.service.Name, version}); !r.lost[k] {
			r.parting = append(r.parting, k)
		}
	}
	r.remove(version, names)
	r.add(r.group, s)
}

// exclusive: stopping first is for what two releases may not use at once.
func (r *rollout) exclusive() bool {
	return r.service.Strategy.Kind == spec.Rolling && r.service.Strategy.Order == spec.StopFirst
}

// step is a step with what all steps of a rollout share.
func (r *rollout) step(kind Kind, version string, names []string, title string) Step {
	return Step{
		ID:      fmt.Sprintf("%s/%s/%s/%s", r.service.Address(), version, kind, span(names)),
		Address: r.service.Address(), Kind: kind, Title: title, Safety: Idempotent,
		Limits: Limits{Run: r.service.Strategy.StepTimeout, Evidence: r.goal.MaxWait},
		Source: r.source(r.service.ReleaseRange),
	}
}

// span names several instances of one process in short: web.1, web.1-4.
func span(names []string) string {
	first, last := names[0], names[len(names)-1]
	if len(names) == 1 {
		return first
	}
	if number(last)-number(first) == len(names)-1 {
		return fmt.Sprintf("%s-%d", first, number(last))
	}
	return strings.Join(names, ",")
}

// title is "users 2.0.0 web 1 of 3"; without a count, and where numbers have gaps
// and go beyond it, "users 2.0.0 web 1".
func (r *rollout) title(version, process string, names []string, of int) string {
	_, numbers, _ := strings.Cut(span(names), ".")
	text := fmt.Sprintf("%s %s %s %s", r.service.Name, version, process, strings.ReplaceAll(numbers, process+".", ""))
	beyond := slices.ContainsFunc(names, func(name string) bool { return number(name) > of })
	if of > 0 && !beyond {
		text += fmt.Sprintf(" of %d", of)
	}
	return text
}

func healthyWait(p ProcessDefinition) string {
	if len(p.Checks) == 0 {
		return "running"
	}
	var longest time.Duration
	for _, c := range p.Checks {
		longest = max(longest, c.HealthyAfter)
	}
	if longest == 0 {
		return "healthy"
	}
	return "healthy " + shortDuration(longest)
}

// place leaves an instance that is coming up, or back, on its host, where it may
// be up before the step is, and puts one that belongs to a host there. Another one
// gets the host that has the fewest of the new release, among equals the fewest of
// any release, so that it comes where one has just gone, and then the first by name.
func (r *rollout) place(process string, names []string) []Placement {
	load, coming := map[string]int{}, r.homes(process)
	for _, i := range r.mine(func(i Instance) bool { return i.Release == r.to.Version && i.Process == process }) {
		load[i.Host]++
		if i.State == Pending || i.State == Starting {
			coming[i.Name] = i.Host
		}
	}
	all := map[string]int{}
	for _, i := range r.mine(func(i Instance) bool { return i.Process == process }) {
		all[i.Host]++
	}
	var out []Placement
	for _, name := range names {
		if host, ok := coming[name]; ok {
			out = append(out, Placement{Instance: name, Host: host})
			continue
		}
		best := ""
		for _, h := range r.hosts {
			if best == "" || load[h] < load[best] || load[h] == load[best] && all[h] < all[best] {
				best = h
			}
		}
		load[best]++
		all[best]++
		out = append(out, Placement{Instance: name, Host: best})
	}
	return out
}

// located says where instances are that run already.
func (r *rollout) located(version string, names []string) []Placement {
	wanted := set(names)
	var out []Placement
	for _, i := range r.mine(func(i Instance) bool { return i.Release == version && wanted[i.Name] }) {
		out = append(out, Placement{Instance: i.Name, Host: i.Host})
	}
	return out
}

func (r *rollout) remove(version string, names []string) {
	gone := set(names)
	r.present[r.service.Name] = slices.DeleteFunc(slices.Clone(r.present[r.service.Name]), func(i Instance) bool {
		return i.Release == version && gone[i.Name]
	})
}
