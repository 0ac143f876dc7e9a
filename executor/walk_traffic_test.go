package executor_test

import (
	"strings"
	"testing"

	"pleat/executor"
)

// A release that another one has taken over from gets nothing of what a third one has
// not got yet, although it is in the router still: the run that was to take it out was
// killed.
func TestWhoWasReplacedGetsNothingWhileAnotherIsRolledOut(t *testing.T) {
	old := shape{Release: 2, Strategy: "rolling", Web: 2, Router: true}
	taken, next := old, old
	taken.Release, taken.Strategy, taken.Keep = 1, "blue_green", "30m"
	next.Release, next.Strategy = 3, "canary"
	for _, s := range []shape{old, taken, next} {
		s.spec(t)
	}
	const all = 4 // the call that gives r1 all of the requests
	var ends []string
	w := told(t, setting{Router: true}, func(w *walker) {
		w.arrive(t, old)
		w.calls, w.incidents = 0, []incident{{What: "die after", At: all}}
		ends = append(ends, w.turn(t, turn{Shape: taken}), w.turn(t, turn{Shape: next}))
	})
	story := w.text()
	if ends[0] != "killed" || ends[1] != string(executor.Complete) || !strings.Contains(story, "weight users r1 100%: <nil>\nkilled") {
		t.Errorf("%s\n%s", ends, story)
	}
}

// An instance of a cluster that ended by itself before it was to get requests gets them
// once it is back and up, as the router sees for itself; one that is not up gets none.
func TestWhoWentByItselfGetsRequestsOnceItIsBack(t *testing.T) {
	old := shape{Release: 1, Strategy: "primary_last", Web: 3, Router: true}
	fresh := old
	fresh.Release = 2
	smoked, worked := fresh, fresh
	smoked.Smoke, worked.Task = true, "before_traffic"
	const firstOfNew = 3 // of those that are up, in the order of releases
	later := incident{What: "an instance crashes later", At: 1, Which: firstOfNew}
	for name, c := range map[string]struct {
		to        shape
		incidents []incident
		want      executor.Status
	}{
		"back before it was tried":  {smoked, []incident{later, {What: "too slow", At: 2}}, executor.Complete},
		"back while a program ran":  {worked, []incident{later, {What: "too slow", At: 2}}, executor.Complete},
		"gone when it was its turn": {fresh, []incident{{What: "an instance crashes", At: 2, Which: firstOfNew}}, executor.RolledBack},
		"gone, and its answer lost": {fresh, []incident{{What: "lost", At: 1}, {What: "an instance crashes", At: 3, Which: firstOfNew}}, executor.RolledBack},
		"gone after it was tried":   {smoked, []incident{{What: "an instance crashes", At: 3, Which: firstOfNew}}, executor.RolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			end := ""
			old.spec(t)
			c.to.spec(t)
			w := told(t, setting{Cluster: true, Router: true}, func(w *walker) {
				w.arrive(t, old)
				w.calls, w.incidents = 0, c.incidents
				end = w.turn(t, turn{Shape: c.to})
			})
			if story := w.text(); end != string(c.want) || !strings.Contains(story, "r2 web.1 crashes") {
				t.Errorf("%s\n%s", end, story)
			}
		})
	}
}

// Who was tried before a run was cut short, and has started again since, is tried again
// before it gets requests.
func TestWhoWasTriedByARunThatWasCutShortIsTriedAgain(t *testing.T) {
	old := shape{Release: 1, Strategy: "rolling", Web: 1, Router: true}
	fresh := old
	fresh.Release, fresh.Smoke = 2, true
	for _, s := range []shape{old, fresh} {
		s.spec(t)
	}
	const attach = 3 // the call
	for name, c := range map[string]struct {
		again []incident
		want  executor.Status
	}{
		"and passes":        {nil, executor.Complete},
		"and does not pass": {[]incident{{What: "fail", At: 1}}, executor.RolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			var ends []string
			w := told(t, setting{Router: true}, func(w *walker) {
				w.arrive(t, old)
				w.calls, w.incidents = 0, []incident{{What: "die before", At: attach}}
				ends = append(ends, w.turn(t, turn{Shape: fresh}))
				w.system.Crash("users", "r2", "web.1")
				w.system.ComeBack("users", "r2", "web.1")
				w.calls, w.incidents = 0, c.again
				ends = append(ends, w.turn(t, turn{Shape: fresh}))
			})
			if ends[0] != "killed" || ends[1] != string(c.want) {
				t.Errorf("%s\n%s", ends, w.text())
			}
		})
	}
}

// Shares that a rollout of another strategy left are not what a cluster comes by.
func TestAClusterGetsRequestsWhereSharesWereLeft(t *testing.T) {
	old := shape{Release: 1, Strategy: "rolling", Web: 3, Router: true}
	taken, next := old, old
	taken.Release, taken.Strategy = 2, "blue_green"
	next.Release, next.Strategy = 3, "primary_last"
	for _, s := range []shape{old, taken, next} {
		s.spec(t)
	}
	const all = 4 // the call that gives r2 all of the requests
	end := ""
	w := told(t, setting{Cluster: true, Router: true}, func(w *walker) {
		w.arrive(t, old)
		w.calls, w.incidents = 0, []incident{{What: "die after", At: all}}
		end = w.turn(t, turn{Shape: taken})
		w.arrive(t, next)
	})
	if end != "killed" {
		t.Errorf("%s\n%s", end, w.text())
	}
}

// A way back that was refused leaves a member of a cluster without requests, whoever
// that is. It is one all the same, and the next release takes the place of all.
func TestAMemberWithoutRequestsIsReplaced(t *testing.T) {
	old, fresh := inTurn(t, shape{Release: 1, Strategy: "primary_last", Web: 4, Router: true}, 2)
	const roles = 3 // the call after start and attach
	for which := range old.Web {
		end := ""
		w := told(t, setting{Cluster: true, Router: true}, func(w *walker) {
			w.arrive(t, old)
			w.crash(which)
			w.calls, w.incidents = 0, []incident{{What: "refuse", At: roles}}
			end = w.turn(t, turn{Shape: old})
			w.arrive(t, fresh)
		})
		if end != string(executor.RolledBack) {
			t.Errorf("member %d: %s\n%s", which, end, w.text())
		}
	}
}
