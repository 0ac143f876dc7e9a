package executor_test

import (
	"slices"
	"testing"
	"time"

	"pleat/planner"
)

// coming is when an instance was started last, and when it came up after that.
type coming struct{ started, up time.Time }

// comes notes when an instance is started, and when it is up.
func (w *walker) comes(i planner.Instance) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	id := i.Service + " " + i.Release + " " + i.Name
	c := w.coming[id]
	switch i.State {
	case planner.Starting:
		c = coming{started: time.Now()}
	case planner.Up:
		c.up = time.Now()
	}
	w.coming[id] = c
}

// idle is for how long no more came up of those that a step was to start, from when
// the first of them was: the call itself may have been late. 0 where it started none.
func (w *walker) idle(a *planner.Start, called time.Time) (longest time.Duration) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var last time.Time
	var ups []time.Time
	for _, i := range a.Instances {
		c := w.coming[a.Service+" "+a.Release+" "+i.Instance]
		ups = append(ups, c.up)
		if !c.started.Before(called) {
			last = later(last, c.started) // all at once, unless one went and came again
		}
	}
	if last.IsZero() {
		return 0
	}
	slices.SortFunc(ups, time.Time.Compare)
	for _, up := range ups {
		longest, last = max(longest, up.Sub(last)), later(last, up)
	}
	return longest
}

// A start that is asked for late has the whole time for its progress: what joins a
// cluster at once is not taken for late because the call was.
func TestALateCallIsNoLackOfProgress(t *testing.T) {
	old, fresh := inTurn(t, shape{Release: 1, Strategy: "primary_last", Web: 3, Progress: true}, 2)
	end := ""
	w := told(t, setting{Cluster: true}, func(w *walker) {
		w.arrive(t, old)
		w.calls, w.incidents = 0, []incident{{What: "too slow", At: 1}, {What: "comes too slowly", At: 1}}
		end = w.turn(t, turn{Shape: fresh})
	})
	if end != "complete" {
		t.Errorf("%s\n%s", end, w.text())
	}
}
