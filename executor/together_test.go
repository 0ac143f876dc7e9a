package executor_test

import (
	"testing"
	"time"

	"pleat/executor"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
)

// down is the first of steps that run together: it is taken back when one of
// the others does not come.
func down() planner.Step {
	return migrateTo(1, "create table made ()", &planner.Undo{Title: "down", Action: migration(1, 0, "drop table made")})
}

// together is a pause behind it that belongs to it.
func together(needs ...string) planner.Step {
	s := hold(&planner.Pause{For: time.Hour})
	s.Together, s.Needs = true, needs
	return s
}

// What runs together with steps that have run is no more put off: nobody leaves
// services down.
func TestWhatRunsTogetherIsNotPutOff(t *testing.T) {
	t.Parallel()
	later := hold(&planner.Pause{For: time.Hour})
	later.ID, later.Deferred = "service.users/1.0.0/hold", "not yet"
	w := newWorld(t, later, down(), together(later.ID, down().ID))
	w.goesBack(w.execute(nil))
}

// A run that is asked to stop while services are down goes back; it is not left
// open there.
func TestAStopTakesBackWhatRunsTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, down(), together(down().ID))
	w.goesBack(w.execute(w.stopWhile("it waits", func() bool { return w.waits("users 1.0.1 kept") })))
}

// Where the first of them is put off, so are the others.
func TestWhatRunsTogetherIsPutOffWhole(t *testing.T) {
	t.Parallel()
	first := down()
	first.Deferred = "not yet"
	w := newWorld(t, first, together(first.ID))
	if result := w.execute(nil); result.Status != executor.Deferred {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
}

func (w *world) goesBack(result executor.Result) {
	w.Helper()
	if result.Status != executor.RolledBack {
		w.Fatalf("%s: %v", result.Status, result.Err)
	}
	if pgtest.Value[bool](w, w.admin, "select to_regclass('made') is not null") {
		w.Error("what the first of them made is still there")
	}
}
