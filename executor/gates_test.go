package executor_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/providers/inquiry"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// gated is a world whose last step a gate keeps, which is open once the file is
// there, and whose run was cut short after its first step.
func gated(t *testing.T, steps ...planner.Step) (w *world, file string) {
	dir := t.TempDir()
	steps[len(steps)-1].Guards = calm()
	w = newWorld(t, steps...)
	w.more = map[spec.Address]executor.Applier{"gate.calm": inquiry.New(inquiry.Options{Dir: dir})}
	w.exec("create table made ()")
	w.exec("create table schema_migrations (version bigint not null, dirty boolean not null)")
	w.exec("insert into schema_migrations values (1, false)")
	if err := w.journal.Begin(t.Context(), ticket, journal.Run{ID: "r1", Kind: "apply", Plan: json.RawMessage("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := w.journal.Write(t.Context(), ticket, journal.Entry{Step: steps[0].ID, Status: string(executor.StepDone)}); err != nil {
		t.Fatal(err)
	}
	return w, filepath.Join(dir, "calm")
}

// calm is the gate.
func calm() []planner.Guard {
	return []planner.Guard{&planner.Open{Gate: "calm", Inquiry: &spec.Inquiry{Kind: spec.InquiryFile, Path: "calm"}}}
}

func guardedStep() planner.Step {
	s := hold(&planner.Pause{For: time.Millisecond})
	s.ID = "service.users/2.0.0/later"
	return s
}

// A run that was cut short is not gone on with while a gate of what is left is
// closed. It stays open, and goes on once the gate is.
func TestAClosedGateLeavesARunOpen(t *testing.T) {
	t.Parallel()
	free := hold(&planner.Pause{For: time.Millisecond})
	w, file := gated(t, down(), free, guardedStep())
	result := w.resume(nil)
	if result.Status != executor.Blocked || len(result.Done) != 1 || result.Err.Error() != "gate.calm is closed" {
		t.Fatalf("%s: %v; done %q", result.Status, result.Err, result.Done)
	}
	want := []executor.GateAnswer{{Gate: "gate.calm", For: []string{"service.users"}, Status: executor.GateMissing, Reason: "calm is not there"}}
	if diff := cmp.Diff(want, result.Gates); diff != "" {
		t.Errorf("the gates (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if result := w.resume(nil); result.Status != executor.Complete {
		t.Errorf("once the gate is open it is %s: %v", result.Status, result.Err)
	}
}

func TestNoGateKeepsARunFromGoingBack(t *testing.T) {
	t.Parallel()
	w, _ := gated(t, down(), guardedStep())
	result, err := executor.Back(t.Context(), w.config(nil))
	if err != nil {
		t.Fatal(err)
	}
	w.goesBack(result)
}

// The first step was cut short, and may have taken services down: it is not kept
// waiting either.
func TestNoGateLeavesServicesHalfDown(t *testing.T) {
	t.Parallel()
	up := hold(&planner.Pause{For: time.Millisecond})
	up.Together = true
	first := down()
	first.Guards = calm()
	w, _ := gated(t, first, up, guardedStep())
	w.exec("drop table made")
	w.exec("update schema_migrations set version = 0")
	w.exec("update pleat.entry set status = 'started'")
	result := w.resume(nil)
	if result.Status != executor.Deferred || len(result.Done) != 2 || len(result.Deferred) != 1 {
		t.Errorf("%s: %v; done %q, deferred %q", result.Status, result.Err, result.Done, result.Deferred)
	}
}

// Services are down after the first step: what brings them up again is not kept
// waiting by the gate of something else.
func TestNoGateLeavesServicesDown(t *testing.T) {
	t.Parallel()
	up := hold(&planner.Pause{For: time.Millisecond})
	up.Together = true
	w, _ := gated(t, down(), up, guardedStep())
	result := w.resume(nil)
	if result.Status != executor.Deferred || len(result.Done) != 2 || len(result.Deferred) != 1 {
		t.Errorf("%s: %v; done %q, deferred %q", result.Status, result.Err, result.Done, result.Deferred)
	}
	if !pgtest.Value[bool](t, w.admin, "select to_regclass('made') is not null") {
		t.Error("what the first of them made is gone")
	}
}
