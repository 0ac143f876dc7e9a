package executor_test

import (
	"strings"
	"testing"
	"time"

	"pleat/executor"
)

// What a release crashes with right after it came up, where no router looks, takes
// nothing else down, in whichever order instances come and go: walks come by few of
// these.
func TestACrashTakesNothingElseDown(t *testing.T) {
	one := shape{Release: 1, Strategy: "rolling", Batch: 1, Web: 3}
	with := func(release int, strategy string, web int) shape {
		s := one
		s.Release, s.Strategy, s.Web = release, strategy, web
		return s
	}
	for name, c := range map[string]struct {
		to   shape
		what incident // at that call of the rollout
	}{
		"new up first":   {with(2, "rolling", 3), incident{What: "crash", At: 1}},
		"old down first": {with(2, "stop_first", 3), incident{What: "crash", At: 2}},
		"all at once":    {with(2, "all_at_once", 3), incident{What: "crash", At: 1}},
		"handover":       {with(2, "handover", 3), incident{What: "crash", At: 1}},
		"fewer":          {with(1, "rolling", 1), incident{What: "an instance crashes", At: 1, Which: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			end := ""
			one.spec(t)
			c.to.spec(t)
			w := told(t, setting{}, func(w *walker) {
				w.arrive(t, one)
				w.calls, w.incidents = 0, []incident{c.what}
				end = w.turn(t, turn{Shape: c.to})
			})
			if end != string(executor.RolledBack) {
				t.Errorf("%s\n%s", end, w.text())
			}
		})
	}
}

// What is on its way out for long counts for nothing where instances stop first.
func TestWhatIsOnItsWayOutServesNobody(t *testing.T) {
	old := shape{Release: 3, Strategy: "rolling", Batch: 1, Web: 2}
	fresh, last := old, old
	fresh.Release, last.Release, last.Strategy = 2, 1, "stop_first"
	for _, s := range []shape{old, fresh, last} {
		s.spec(t)
	}
	w := told(t, setting{}, func(w *walker) {
		w.arrive(t, old)
		w.calls, w.incidents = 0, []incident{{What: "linger for long", At: 2}}
		w.turn(t, turn{Shape: fresh})
		w.turn(t, turn{Shape: last})
	})
	if story := w.text(); !strings.Contains(story, "stop users r3 web 1") {
		t.Error(story)
	}
}

// An instance has to stay up for a moment, also where the answer was lost that it is up.
func TestAStartWhoseAnswerWasLostHasToStay(t *testing.T) {
	old := shape{Release: 1, Strategy: "rolling", Web: 1}
	fresh := old
	fresh.Release, fresh.Strategy = 2, "stop_first"
	for _, s := range []shape{old, fresh} {
		s.spec(t)
	}
	const start = 2 // the call
	end := ""
	w := told(t, setting{}, func(w *walker) {
		w.arrive(t, old)
		w.calls, w.incidents = 0, []incident{{What: "lost", At: start}}
		time.AfterFunc(500*time.Millisecond, func() { w.crash(0) })
		end = w.turn(t, turn{Shape: fresh})
	})
	story := w.text()
	if end != string(executor.RolledBack) || !strings.Contains(story, "r2 web.1 crashes") {
		t.Errorf("%s\n%s", end, story)
	}
}
