package executor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/providers/fake"
	"pleat/spec"
)

const (
	orchestratorAt = "orchestrator.host.local"
	routerAt       = "router.proxy.edge"
)

var hosts = []string{"a", "b"}

// killed is thrown where a walk has the process end.
type killed struct{}

// mishaps are all that may go wrong on a walk.
var mishaps = []string{
	"refuse", "lost", "slow", "too slow", "fail", "spoil", "crash", "missing", "double", "reverse", "linger", "linger for long", "twice",
	"blind", "bad", "closed", "silent", "decline", "an instance crashes", "an instance crashes later", "stop", "cancel",
	"die before", "die while", "die after", "die before a write", "die after a write", "the journal fails", "comes slowly", "comes too slowly", "lags", "fails over",
}

// incident is a mishap, at a call of a provider.
type incident struct {
	What  string
	At    int
	Which int // of the instances
}

// promise is what a run keeps, whatever goes wrong.
type promise struct {
	shape   shape
	whole   bool           // web is a cluster, and was one
	were    int            // so many of web ran when it began
	back    bool           // it goes back by a plan of its own
	tries   bool           // instances before they get requests; on a way back they are those that got them
	floor   map[string]int // instances of a process that serve
	most    map[string]int // instances of a process that run at a time; none: any number
	crashes int            // there had been when it began
	old     int            // of them, of releases that were to go
}

// walker is a world in which things go wrong, and what is wrong with it.
type walker struct {
	system    *fake.System
	members   *ensemble // nil: web is not a cluster
	routed    bool      // web is
	journal   *memory
	incidents []incident
	calls     int
	tried     map[string]bool // and found good, by a smoke test or by having served; by instance and incarnation
	promises  map[string]promise
	fence     int64
	waiting   time.Time // until when requests may that could not be let go of, which was told
	broken    []string

	// Of a turn.
	ticket  planner.Ticket
	before  int // calls, but those with which an earlier run was given up
	stop    chan struct{}
	cancel  context.CancelFunc
	stopped bool
	down    bool // the journal
	closed  bool // the gate
	silent  bool // whoever should say something
	decline bool

	// Of a call.
	step         planner.Step
	fault        fake.Fault
	twice, blind bool
	bad, diesNow bool
	diesWhile    bool
	left         sync.WaitGroup // of calls whose process is gone
	diesWriting  bool
	diesWritten  bool

	// What the clock does comes from beside.
	mutex   sync.Mutex
	story   []string
	crashes []string          // releases
	coming  map[string]coming // by instance
}

func newWalker() *walker {
	w := &walker{tried: map[string]bool{}, promises: map[string]promise{}, coming: map[string]coming{}}
	w.system = fake.New(fake.Options{
		Orchestrator: orchestratorAt, Router: routerAt, Hosts: hosts,
		Artifacts: map[string]string{"r1": digest(1), "r2": digest(2), "r3": digest(3)},
		Script:    func(planner.Step) fake.Fault { return w.fault },
		Changed: func(i planner.Instance) {
			w.comes(i)
			if w.members != nil {
				w.members.changed(i)
			}
		},
		Ran: func(r fake.TaskRun) {
			if w.members != nil {
				w.members.ran(r)
			}
		},
	})
	w.journal = &memory{entries: map[string][]journal.Entry{}, writing: w.writing, written: w.written, word: w.word}
	return w
}

func (w *walker) tell(format string, args ...any) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

func (w *walker) breaks(format string, args ...any) {
	w.tell("BROKEN: "+format, args...)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

func (w *walker) writing() error {
	if w.diesWriting {
		w.diesWriting = false
		panic(killed{})
	}
	if w.down {
		return errors.New("the state database is down")
	}
	return nil
}

func (w *walker) written() {
	if w.diesWritten {
		w.diesWritten = false
		panic(killed{})
	}
}

func (w *walker) word() string {
	switch {
	case w.silent:
		return ""
	case w.decline:
		return journal.Decline
	}
	return journal.Approve
}

// call has happen what goes wrong at the next call of a provider.
func (w *walker) call() {
	w.calls++
	w.fault, w.twice, w.bad, w.diesNow, w.diesWhile = fake.Fault{}, false, false, false, false
	for _, i := range w.incidents {
		if i.At == w.calls {
			w.tell("  %s", i.What)
			w.happen(i)
		}
	}
}

func (w *walker) happen(i incident) {
	switch i.What {
	case "refuse":
		w.fault.Refuse = true
	case "lost":
		w.fault.Lost = true
	case "slow":
		w.fault.Delay = 10 * time.Second
	case "too slow":
		w.fault.Delay = time.Hour
	case "fail":
		w.fault.Fail = true
	case "spoil":
		w.fault.Spoil = true
	case "crash":
		w.fault.Crash = true
	case "missing":
		w.fault.Missing = true
	case "double":
		w.fault.Double = true
	case "reverse":
		w.fault.Reverse = true
	case "comes slowly":
		w.fault.Slow = 20 * time.Second
	case "comes too slowly":
		w.fault.Slow = 40 * time.Second
	case "lags":
		if w.members != nil {
			w.members.lag()
		}
	case "fails over":
		if w.members != nil {
			w.members.failOver()
			time.Sleep(2 * telling) // who was stopped before anybody could know was bad luck
		}
	case "linger":
		w.fault.Linger = 20 * time.Second
	case "linger for long":
		w.fault.Linger = time.Hour
	case "twice":
		w.twice = true
	case "blind":
		w.blind = true
	case "bad":
		w.bad = true
	case "closed":
		w.closed = true
	case "silent":
		w.silent = true
	case "decline":
		w.decline = true
	case "an instance crashes":
		w.crash(i.Which)
	case "an instance crashes later":
		time.AfterFunc(40*time.Second, func() { w.crash(i.Which) })
	case "stop":
		w.askToStop()
	case "cancel":
		w.cancel()
	case "die before":
		panic(killed{})
	case "die while":
		w.fault.Linger, w.diesWhile = 20*time.Second, true
	case "die after":
		w.diesNow = true
	case "die before a write":
		w.diesWriting = true
	case "die after a write":
		w.diesWritten = true
	case "the journal fails":
		w.down = true
	}
}

func (w *walker) askToStop() {
	if !w.stopped {
		w.stopped = true
		close(w.stop)
	}
}

func (w *walker) instances() []planner.Instance {
	seen, err := w.system.Orchestrator().Observe(context.Background())
	if err != nil {
		panic(err)
	}
	return seen.Instances
}

func (w *walker) route() *planner.Router {
	seen, err := w.system.Router().Observe(context.Background())
	if err != nil {
		panic(err)
	}
	return seen
}

func (w *walker) crash(which int) {
	live := slices.DeleteFunc(w.instances(), func(i planner.Instance) bool { return i.State != planner.Up })
	if len(live) > 0 {
		i := live[which%len(live)]
		w.went(i.Release)
		w.tell("  %s %s crashes", i.Release, i.Name)
		w.system.Crash(i.Service, i.Release, i.Name)
	}
}

// went counts a crash of a release.
func (w *walker) went(release string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.crashes = append(w.crashes, release)
}

// crashed is how many instances have crashed, but of a release.
func (w *walker) crashed(but string) (n int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, release := range w.crashes {
		if release != but {
			n++
		}
	}
	return n
}

// serving are the instances of a process that serve, by release: those that requests
// reach, and where no router gives any, those that are up.
func (w *walker) serving(process string) map[string]int {
	r := w.route()
	serving := map[string]int{}
	for _, i := range w.instances() {
		reached := slices.Contains(r.Backends, planner.Backend{Service: i.Service, Release: i.Release, Instance: i.Name}) &&
			(len(r.Shares) == 0 || share(r.Split, i.Release) > 0)
		if i.Process == process && i.State == planner.Up && (reached || !w.gives(process)) {
			serving[i.Release]++
		}
	}
	return serving
}

// gives tells whether a router gives the instances of a process their requests.
func (w *walker) gives(process string) bool { return w.routed && process == "web" }

func share(s planner.Split, release string) int {
	percent, _ := s.Share(release)
	return percent
}

func sum(of map[string]int) (n int) {
	for _, m := range of {
		n += m
	}
	return n
}

// live counts the instances of each process that are not down.
func (w *walker) live() map[string]int {
	live := map[string]int{}
	for _, i := range w.instances() {
		if i.State != planner.Down {
			live[i.Process]++
		}
	}
	return live
}

// provider is one of the fake's, to which things happen.
type provider struct {
	*walker
	inner executor.Applier
}

func (p provider) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	p.call()
	p.step = s
	p.asked(s)
	began := time.Now()
	before, crashes := map[string]int{"web": sum(p.serving("web")), "job": sum(p.serving("job"))}, p.crashed("")
	err := p.applies(ctx, t, s, report)
	if a, ok := s.Action.(*planner.Start); ok && p.fault.Crash {
		for range a.Instances {
			p.went(a.Release)
		}
	}
	if p.twice && err == nil {
		err = p.inner.Apply(ctx, t, s, report)
	}
	p.tell("  %s %s: %v", s.Kind, s.Title, err)
	if a, ok := s.Action.(*planner.Start); ok && err == nil && s.Limits.Progress > 0 {
		if idle := p.idle(a, began); idle > s.Limits.Progress {
			p.breaks("%s %s: for %s none more came up, where %s were given", s.Kind, s.Title, idle, s.Limits.Progress)
		}
	}
	p.did(s, before, p.crashed("")-crashes, err)
	if p.diesNow {
		panic(killed{})
	}
	return err
}

// applies may have the process end while a program runs, which that does not end.
func (p provider) applies(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	if _, ok := s.Action.(*planner.Task); !ok || !p.diesWhile {
		return p.inner.Apply(ctx, t, s, report)
	}
	ended := make(chan error, 1)
	p.left.Go(func() { ended <- p.inner.Apply(context.WithoutCancel(ctx), t, s, func(planner.Report) {}) })
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Second):
		p.tell("  dies while it runs: %s %s", s.Kind, s.Title)
		panic(killed{})
	}
}

// asked looks at what is asked for, whatever comes of it.
func (w *walker) asked(s planner.Step) {
	switch a := s.Action.(type) {
	case *planner.Handover:
		for _, i := range a.Instances {
			if !w.silent {
				w.system.TakeOver(a.Service, a.Release, i.Instance, a.Of(w.ticket.Run))
			}
		}
	case *planner.Attach:
		for _, i := range a.Instances {
			is := w.incarnation(a.Service, a.Release, i.Instance)
			if !a.Again && w.promises[w.ticket.Run].tries && !back(s) && !w.tried[is] {
				w.breaks("%s %s is to get requests, and has not passed its smoke test", a.Release, i.Instance)
			}
		}
	case *planner.Start:
		p := w.promises[w.ticket.Run]
		if has := s.Limits.Progress > 0; a.Service == "users" && has != (p.shape.Progress && !p.back && !back(s)) {
			w.breaks("%s has a progress deadline: %t", s.Title, has)
		}
		if wanted := p.shape; a.Service == "ledger" && !back(s) && w.there("users", a.Release) < wanted.Web {
			w.breaks("%s of the ledger is to start, and of the service before it %d are there, of %d", a.Release, w.there("users", a.Release), wanted.Web)
		}
	case *planner.Weigh:
		if !back(s) {
			w.gains(a)
		}
	case *planner.HoldTraffic:
		if a.For > longestHold {
			w.breaks("requests are to wait for %s, where %s were said", a.For, longestHold)
		}
	case *planner.Task:
		if task := strings.TrimSuffix(s.ID, "/undo"); !w.journal.has(w.ticket.Run, task, string(executor.StepStarted)) {
			w.breaks("%s was never begun, and %s %s is asked for", task, s.Kind, s.Title)
		}
	}
}

// gains wants that no release gets requests that is not rolled out and got none so far,
// while another does.
func (w *walker) gains(to *planner.Weigh) {
	r := w.route()
	served := slices.ContainsFunc(r.Backends, func(b planner.Backend) bool { return r.Reaches(b.Release) })
	for _, b := range r.Backends {
		if served && b.Release != to.Release && !r.Reaches(b.Release) && to.Reaches(b.Release) {
			w.breaks("%s %s gets requests, while %s is rolled out", b.Release, b.Instance, to.Release)
		}
	}
}

// back tells whether a step takes back what another did.
func back(s planner.Step) bool { return strings.HasSuffix(s.ID, "/undo") }

// there counts the web instances of a release that were started and not stopped.
func (w *walker) there(service, release string) (n int) {
	for _, i := range w.instances() {
		if i.Service == service && i.Release == release && i.Process == "web" && i.State != planner.Stopping {
			n++
		}
	}
	return n
}

// ended looks at what a run leaves that has arrived, or has gone back.
func (w *walker) ended(plan *planner.Plan, status executor.Status) {
	w.ranOnce()
	if status != executor.Complete && status != executor.RolledBack {
		return
	}
	if left := w.system.Held("users"); left > 0 && time.Now().After(w.waiting) {
		w.breaks("the run is %s, and requests wait for %s", status, left)
	}
	if status != executor.RolledBack {
		return
	}
	done := map[string]bool{}
	for _, r := range w.system.Tasks() {
		done[r.Step] = done[r.Step] || r.Run == w.ticket.Run && r.State == fake.TaskDone
	}
	for _, s := range plan.Steps {
		if _, ok := s.Action.(*planner.Task); !ok || s.Undo.Action == nil || !done[s.ID] {
			continue
		}
		if w.journal.last(w.ticket.Run, s.ID) == string(executor.StepUndone) && !done[s.ID+"/undo"] {
			w.breaks("%s is undone, and its undo was not run", s.Title)
		}
	}
}

// ranOnce wants that no run of pleat has a program run to its end twice.
func (w *walker) ranOnce() {
	done := map[fake.TaskRun]bool{}
	for _, r := range w.system.Tasks() {
		if r.State != fake.TaskDone {
			continue
		}
		if !strings.HasSuffix(r.Step, "/undo") {
			r.Step = "" // whichever asked for it
		}
		if done[r] {
			w.breaks("%s of %s %s was done twice for %s", r.Task, r.Release, r.Instance, r.Run)
		}
		done[r] = true
	}
}

func (w *walker) incarnation(service, release, name string) string {
	return strings.Join([]string{service, release, name, w.system.Incarnation(service, release, name)}, " ")
}

// did looks at what a call has done.
func (w *walker) did(s planner.Step, before map[string]int, crashed int, err error) {
	w.saw(s, err == nil)
	if a, ok := s.Action.(*planner.Attach); ok && err == nil && !a.Again {
		w.joined(a)
	}
	promised := w.promises[w.ticket.Run]
	for process, was := range before {
		floor := w.floor(promised, process, s)
		if after := sum(w.serving(process)); after < min(was, floor)-crashed {
			w.breaks("%s %s: %d of %s serve after it and %d before, where %d were promised", s.Kind, s.Title, after, process, was, floor)
		}
	}
	live := w.live()
	for process, most := range promised.most {
		if live[process] > most {
			w.breaks("%s %s: %d of %s run, where %d may", s.Kind, s.Title, live[process], process, most)
		}
	}
}

// joined wants that what gets requests is up since it was started last, whoever
// started it: the step that did may be long done.
func (w *walker) joined(a *planner.Attach) {
	live := w.instances()
	for _, at := range a.Instances {
		if !slices.ContainsFunc(live, func(i planner.Instance) bool {
			return i.Service == a.Service && i.Release == a.Release && i.Name == at.Instance && i.State == planner.Up
		}) {
			w.breaks("%s %s gets requests, and is not up", a.Release, at.Instance)
		}
	}
}

// floor is how many of a process a run keeps: on the way back it goes to what is left
// there, and what of the old went by itself holds nothing up where nobody gives it
// requests. A canary that fails loses its share at once, however many the others are.
func (w *walker) floor(p promise, process string, s planner.Step) int {
	floor, least := p.floor[process], 0
	if w.gives(process) {
		least = min(floor, 1)
	}
	weigh, ok := s.Action.(*planner.Weigh)
	switch {
	case back(s) && ok && len(weigh.Shares) > 0 && share(weigh.Split, weigh.Release) == 0:
		return least
	case back(s):
		return max(floor-(w.crashed("")-p.crashes), least)
	case !w.gives(process):
		return floor - (w.crashed(p.shape.version()) - p.old)
	}
	return floor
}

// saw notes that the executor was told that instances pass, or get requests.
func (w *walker) saw(s planner.Step, done bool) {
	if !done {
		return
	}
	switch a := s.Action.(type) {
	case *planner.Smoke:
		for _, i := range a.Instances {
			w.tried[w.incarnation(a.Service, a.Release, i.Instance)] = true
		}
	case *planner.Attach:
		for _, i := range a.Instances {
			w.tried[w.incarnation(a.Service, a.Release, i.Instance)] = true
		}
	}
}

func (p provider) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error) {
	if p.blind {
		p.blind = false
		return planner.Unknown, errors.New("it cannot be seen")
	}
	outcome, err := p.inner.Probe(ctx, t, s)
	p.saw(s, outcome == planner.Done)
	return outcome, err
}

func (p provider) Ask(ctx context.Context, t planner.Ticket, g planner.Guard) (planner.Answer, error) {
	return p.inner.(executor.Asker).Ask(ctx, t, g)
}

// question is a gate, or an analysis.
type question struct{ *walker }

func (q question) Apply(_ context.Context, _ planner.Ticket, s planner.Step, _ func(planner.Report)) error {
	q.call()
	q.tell("  %s %s", s.Kind, s.Title)
	if q.bad {
		return errors.New("too many errors")
	}
	return nil
}

func (q question) Probe(context.Context, planner.Ticket, planner.Step) (planner.Outcome, error) {
	return planner.NotDone, nil
}

func (q question) Ask(context.Context, planner.Ticket, planner.Guard) (planner.Answer, error) {
	if q.closed {
		return planner.Answer{Reason: "an incident", Closed: true}, nil
	}
	return planner.Answer{Met: true}, nil
}

func (w *walker) providers() map[spec.Address]executor.Applier {
	return map[spec.Address]executor.Applier{
		orchestratorAt: provider{w, w.system.Orchestrator()}, routerAt: provider{w, w.system.Router()},
		"gate.calm": question{w}, "analysis.errors": question{w},
	}
}
