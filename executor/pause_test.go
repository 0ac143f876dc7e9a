package executor_test

import (
	"testing"
	"time"

	"pleat/executor"
	"pleat/planner"
)

func hold(a *planner.Pause) planner.Step {
	a.Why = "users 1.0.1 kept"
	return planner.Step{
		ID: "service.users/2.0.0/hold", Address: "service.users", Kind: planner.KindHold, Title: "users 1.0.1 kept",
		Cause: "going back is a matter of the router until then", Action: a, Undo: &planner.Undo{Title: "-"}, Safety: planner.Idempotent,
	}
}

func TestAPauseLastsAsLongAsItSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hold(&planner.Pause{For: 300 * time.Millisecond}))
	began := time.Now()
	if result := w.execute(nil); result.Status != executor.Complete {
		t.Fatalf("%s: %v", result.Status, result.Err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it was over after %s", took)
	}
	if !w.waits("users 1.0.1 kept until 20") {
		t.Errorf("nobody was told what it waits for: %v", w.told)
	}
}

func TestAPauseCountsFromWhereThePlanSays(t *testing.T) {
	t.Parallel()
	hourAgo := time.Now().Add(-time.Hour)
	w := newWorld(t, hold(&planner.Pause{For: time.Hour, Since: &hourAgo}))
	if result := w.execute(nil); result.Status != executor.Complete {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
}

// A pause that is cut short stays open, and what is left of it is waited for.
func TestAPauseIsGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hold(&planner.Pause{For: time.Hour}))
	waiting := func() bool { return w.waits("users 1.0.1 kept") }
	if result := w.execute(w.stopWhile("it waits", waiting)); result.Status != executor.Interrupted {
		t.Fatalf("asked to stop it is %s: %v", result.Status, result.Err)
	}
	w.told = nil
	w.exec("update pleat.entry set at = at - interval '30 minutes'")
	if result := w.resume(w.stopWhile("it waits again", waiting)); result.Status != executor.Interrupted {
		t.Fatalf("with half of it left it is %s: %v", result.Status, result.Err)
	}
	w.exec("update pleat.entry set at = at - interval '30 minutes' where seq = (select min(seq) from pleat.entry)")
	if result := w.resume(nil); result.Status != executor.Complete {
		t.Errorf("when its time is over it is %s: %v", result.Status, result.Err)
	}
}

func TestAPauseOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hold(&planner.Pause{For: time.Hour}))
	w.dies("event.told:4")
	w.exec("update pleat.entry set at = at - interval '1 hour'")
	if result := w.resume(nil); result.Status != executor.Complete {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
}

func TestNothingOfAPauseIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hold(&planner.Pause{For: time.Hour}))
	w.execute(w.stopWhile("it waits", func() bool { return w.waits("users 1.0.1 kept") }))
	result, err := executor.Back(t.Context(), w.config(nil))
	if err != nil || result.Status != executor.RolledBack || len(result.Undone) != 0 {
		t.Errorf("%s, undone %q: %v", result.Status, result.Undone, err)
	}
}
