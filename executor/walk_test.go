package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
)

const (
	fewWalks  = 1_200
	manyWalks = 100_000 // with PLEAT_TEST_LONG
)

// TestWalks has a service go from release to release by any strategy, again and
// again, while answers are late, lost or doubled, instances fail, crash or do not
// go, the gate is closed, nobody says a word, the journal fails, and the process is
// asked to stop or ends, at any time. Whatever comes: nothing is done where the gate
// is closed before the first step; never do fewer serve than the strategy promises,
// never gets an instance requests that is not up since it was started last, or did not
// pass its smoke test, and where nothing new may run beside something old nothing does; a
// task is done once at most for a run, and taken back only where it was begun;
// requests wait no longer than they may, and for nothing once a run has arrived; a
// cluster has a second copy of what is confirmed at all times, and one that takes
// writes, which goes only once whoever comes has caught up; the
// service that comes after waits for the first; each run comes to an end; and once
// nothing goes wrong any more, what is wanted is there.
func TestWalks(t *testing.T) {
	const shards, checks = 4, 100 // the latter is rapid's own number
	walks := fewWalks
	if os.Getenv("PLEAT_TEST_LONG") != "" {
		walks = manyWalks
	}
	ends := &tally{n: map[string]int{}}
	t.Run("shards", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for range walks / shards / checks {
					rapid.Check(t, func(r *rapid.T) { takeWalk(t, r, ends) })
				}
			})
		}
	})
	t.Logf("%v", ends.n)
	for _, end := range []string{"complete", "rolled_back", "failed", "interrupted", "deferred", "blocked", "killed", "unrecorded"} {
		if ends.n[end] == 0 && !t.Failed() {
			t.Errorf("no run was ever %s", end)
		}
	}
}

// tally counts how runs ended.
type tally struct {
	sync.Mutex
	n map[string]int
}

func (y *tally) count(end string) {
	y.Lock()
	defer y.Unlock()
	y.n[end]++
}

// stands is what there is to say of a run that cannot be taken back.
const stands = "is done and cannot be undone"

// turn is one command of a person's.
type turn struct {
	Shape  shape
	Back   bool
	Closed bool // the gate is, from before the first step
}

func takeWalk(t *testing.T, r *rapid.T, ends *tally) {
	in := drawSetting(r)
	turns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) turn {
		return turn{drawShape(t, in), rapid.IntRange(0, 4).Draw(t, "back") == 4, rapid.IntRange(0, 4).Draw(t, "closed") == 4}
	}), 2, 5).Draw(r, "turns")
	incidents := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) incident {
		return incident{rapid.SampledFrom(mishaps).Draw(t, "what"), rapid.IntRange(1, 50).Draw(t, "at"), rapid.IntRange(0, 9).Draw(t, "which")}
	}), 0, 8).Draw(r, "incidents")
	for _, turn := range turns {
		turn.Shape.spec(t)
	}
	var w *walker
	synctest.Test(t, func(*testing.T) {
		w = newWalker()
		defer w.left.Wait() // once this ends, no clock goes on for them
		defer func() {
			if v := recover(); v != nil {
				w.breaks("%v\n%s", v, debug.Stack())
			}
		}()
		w.cluster(in)
		w.walk(t, turns, incidents, ends)
	})
	if len(w.broken) > 0 {
		r.Fatalf("%s\n%s", strings.Join(w.broken, "\n"), w.text())
	}
}

// told is a walk that goes as it is written, in a world with or without a router. What
// breaks in it is an error.
func told(t *testing.T, in setting, story func(w *walker)) *walker {
	t.Helper()
	var w *walker
	synctest.Test(t, func(*testing.T) {
		w = newWalker()
		defer w.left.Wait() // once this ends, no clock goes on for them
		w.routed = in.Router
		w.cluster(in)
		story(w)
	})
	if len(w.broken) > 0 {
		t.Errorf("%s\n%s", strings.Join(w.broken, "\n"), w.text())
	}
	return w
}

// text is what happened, line by line.
func (w *walker) text() string { return strings.Join(w.story, "\n") }

// walk begins and ends where nothing goes wrong.
func (w *walker) walk(t *testing.T, turns []turn, incidents []incident, ends *tally) {
	w.routed = turns[0].Shape.Router
	w.arrive(t, turns[0].Shape)
	w.calls, w.incidents = 0, incidents
	for _, turn := range turns[1:] {
		ends.count(w.turn(t, turn))
		if len(w.broken) > 0 {
			return
		}
	}
	w.incidents = nil
	w.arrive(t, turns[len(turns)-1].Shape)
}

// arrive applies until nothing is left to do, which is then looked at.
func (w *walker) arrive(t *testing.T, s shape) {
	const most = 12
	for range most {
		end := w.turn(t, turn{Shape: s})
		if len(w.broken) > 0 {
			return
		}
		switch {
		case end == "nothing":
			w.arrived(s)
			return
		case end == string(executor.Failed), strings.HasSuffix(end, stands): // pleat unlock --abandon-run
			w.close()
		}
		if w.members != nil { // a person sees to a cluster without a primary
			w.members.takeOver()
		}
		time.Sleep(time.Hour)
	}
	w.breaks("it does not arrive")
}

// close gives up a run that failed where nothing goes wrong any more.
func (w *walker) close() {
	plan, err := planner.Decode(w.journal.open.Plan)
	if err != nil {
		panic(err)
	}
	w.ticket.Run = w.journal.open.ID
	if err := executor.Abandon(context.Background(), w.config(plan)); err != nil {
		w.breaks("a run that failed cannot be given up: %v", err)
	}
}

func (w *walker) arrived(s shape) {
	web, book := 0, 0
	for _, i := range w.instances() {
		if i.Release == s.version() && i.Process == "web" && i.State == planner.Up {
			web++
		}
		if i.Release == s.version() && i.Process == "book" && i.State == planner.Up {
			book++
		}
		if i.Release != s.version() && i.State != planner.Down && i.State != planner.Stopping {
			w.breaks("%s %s is still there", i.Release, i.Name)
		}
	}
	for _, b := range w.route().Backends {
		if b.Release != s.version() {
			w.breaks("%s %s is still in the router", b.Release, b.Instance)
		}
	}
	if web < s.Web {
		w.breaks("%d of %s web run, where %d are wanted", web, s.version(), s.Web)
	}
	if s.Ledger && book < 2 {
		w.breaks("%d of the ledger run, where 2 are wanted", book)
	}
	if serving := w.serving("web"); s.Router && (serving[s.version()] != s.Web || len(serving) != 1) {
		w.breaks("at the end there serve %v", serving)
	}
}

// turn is one command, and says how it ended.
func (w *walker) turn(t *testing.T, n turn) (end string) {
	w.fence++
	w.ticket = planner.Ticket{Run: fmt.Sprintf("run-%d", w.fence), Lease: "walk", Fence: w.fence}
	w.stop, w.stopped = make(chan struct{}), false
	w.down, w.closed, w.silent, w.decline, w.blind, w.diesWriting, w.diesWritten = false, n.Closed, false, false, false, false, false
	w.tell("turn %+v", n)
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(killed); !ok {
				panic(v)
			}
			end = "killed"
		}
		w.tell("%s", end)
	}()
	for _, announce := range []func(context.Context, planner.Ticket) error{w.system.Orchestrator().Announce, w.system.Router().Announce} {
		if err := announce(context.Background(), w.ticket); err != nil {
			return err.Error()
		}
	}
	const long = 24 * time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	w.cancel = cancel
	began := time.Now()
	w.before = w.calls
	end = w.command(ctx, t, n)
	if end == string(executor.Blocked) && w.calls > w.before {
		w.breaks("it is blocked, and has done something")
	}
	if time.Since(began) >= long {
		w.breaks("no end after %s", long)
	}
	return end
}

func (w *walker) state() *planner.State {
	seen, err := w.system.Orchestrator().Observe(context.Background())
	if err != nil {
		panic(err)
	}
	return &planner.State{
		Now: time.Now(), Journal: w.journal.read(),
		Orchestrators: map[string]*planner.Orchestrator{orchestratorAt: seen}, Routers: map[string]*planner.Router{routerAt: w.route()},
	}
}

// command is what pleat apply and pleat rollback do with a run that is open, or
// anew.
func (w *walker) command(ctx context.Context, t *testing.T, n turn) string {
	sp := n.Shape.spec(t)
	if open := w.journal.open; open != nil {
		plan, err := planner.Decode(open.Plan)
		if err != nil {
			return err.Error()
		}
		fresh := w.ticket.Run
		w.ticket.Run = open.ID
		switch {
		case open.Kind == "rollback":
			return w.run(ctx, plan, executor.Resume)
		case n.Back:
			return w.run(ctx, plan, executor.Back)
		case planner.Wish(sp, w.state(), n.Shape.goal("")) == open.Wish:
			return w.run(ctx, plan, executor.Resume)
		}
		if err := executor.Abandon(ctx, w.config(plan)); err != nil {
			return "unknown"
		}
		w.ticket.Run, w.before = fresh, w.calls
	}
	back := ""
	if n.Back {
		back = n.Shape.version()
	}
	plan, diags := planner.Make(sp, w.state(), n.Shape.goal(back))
	switch {
	case diags.HasErrors():
		return "refused: " + diags.Error()
	case plan.Empty():
		return "nothing"
	}
	w.promise(n)
	encoded, err := plan.Encode()
	if err != nil {
		return err.Error()
	}
	calls := w.calls
	end := w.run(ctx, plan, func(ctx context.Context, c executor.Config) (executor.Result, error) {
		return executor.Execute(ctx, c, journal.Run{ID: w.ticket.Run, Kind: plan.Kind, Fingerprint: plan.Fingerprint, Wish: plan.Wish, Plan: json.RawMessage(encoded)})
	})
	if n.Closed && guarded(plan) && w.calls > calls {
		w.breaks("the gate was closed before it began, and it has done something")
	}
	return end
}

// guarded tells whether a gate keeps a step of the plan that runs now.
func guarded(plan *planner.Plan) bool {
	all := func(planner.Step) bool { return true }
	return slices.ContainsFunc(plan.GateQuestions(all), func(q planner.GateQuestion) bool { return q.Deferred == "" })
}

// promise notes what the run keeps that begins now.
func (w *walker) promise(n turn) {
	s := n.Shape
	p := promise{shape: s, whole: s.Strategy == "primary_last" && w.live()["web"] > 1, were: w.live()["web"], back: n.Back, tries: s.Smoke && !n.Back, crashes: w.crashed(""), old: w.crashed(s.version())}
	p.floor = map[string]int{"web": s.floor(s.Web, sum(w.serving("web"))), "job": s.floor(s.Job, sum(w.serving("job")))}
	if w.alone(s) {
		live := w.live()
		p.most = map[string]int{"web": max(live["web"], s.Web), "job": max(live["job"], s.Job)}
	}
	w.promises[w.ticket.Run] = p
}

// alone tells whether nothing new may run before something old has gone. Within
// one release offline stops nothing first.
func (w *walker) alone(s shape) bool {
	switch s.Strategy {
	case "stop_first":
		return true
	case "offline":
		return !slices.ContainsFunc(w.instances(), func(i planner.Instance) bool { return i.Release == s.version() && i.State != planner.Down })
	}
	return false
}

func (w *walker) config(plan *planner.Plan) executor.Config {
	return executor.Config{
		Plan: plan, Journal: w.journal, Ticket: w.ticket, Providers: w.providers(), Stop: w.stop, Now: time.Now, Watch: w.watch,
	}
}

func (w *walker) run(ctx context.Context, plan *planner.Plan, how func(context.Context, executor.Config) (executor.Result, error)) string {
	result, err := how(ctx, w.config(plan))
	var unrecorded *executor.RecordError
	switch {
	case errors.As(err, &unrecorded):
		return "unrecorded"
	case err != nil:
		return err.Error()
	}
	w.tell("  %s: %v", result.Status, result.Err)
	w.ended(plan, result.Status)
	return string(result.Status)
}

// watch holds what is told against what is durable.
func (w *walker) watch(r executor.Record) {
	if e, ok := r.Event.(executor.Warned); ok && strings.Contains(e.Text, "may wait until their time is over") {
		w.waiting = time.Now().Add(longestHold)
	}
	e, ok := r.Event.(executor.StepChanged)
	if !ok || e.Status == executor.StepWaiting {
		return
	}
	entries := w.journal.entries[r.Run]
	if e.Status == executor.StepFailed && entries[len(entries)-1].Step == "rollback" {
		entries = entries[:len(entries)-1] // it is decided with the failure that it is for
	}
	if last := entries[len(entries)-1]; last.Step != e.Step || last.Status != string(e.Status) {
		w.breaks("it is told that %s is %s, and the journal's last word is that %s is %s", e.Step, e.Status, last.Step, last.Status)
	}
}
