package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pleat/executor/crash"

	"pleat/providers/postgres/pgtest"
)

// TestMatrix kills pleat at the named crash points of each world, applies again
// or rolls back, and asks whether what is live is what it should be; it freezes,
// interrupts and cuts off applies as well. With PLEAT_TEST_LONG it does so each
// time that a point is reached; else for the sample alone. What failed is run
// alone by
//
//	PLEAT_TEST_LONG=1 go test ./cmd/pleat -run 'TestMatrix/^W2$/^step.applied:5$/^apply$'
func TestMatrix(t *testing.T) {
	m := newMatrix(t)
	m.kills(t)
	t.Run("frozen", m.freezes)
	t.Run("interrupted", m.interrupts)
	t.Run("terminated", m.terminates)
	t.Run("deferred", m.defers)
	t.Run("plan file", m.savesWhole)
}

// kills is every world. All points must be reached by one or another.
func (m *matrix) kills(t *testing.T) {
	ran, reached := 0, map[string]bool{}
	for _, w := range matrixWorlds {
		t.Run(w.name, func(t *testing.T) {
			if w.slow && !pgtest.Long() {
				t.Skip("only with PLEAT_TEST_LONG")
			}
			ran++
			reach := m.learn(t, w).reach
			for point := range reach {
				reached[point] = true
			}
			for _, p := range w.places(reach) {
				t.Run(p.String(), func(t *testing.T) { t.Parallel(); m.killAt(t, w, p) })
			}
		})
	}
	if ran < len(matrixWorlds) {
		return // some were left out
	}
	for _, p := range crash.Points() {
		if !reached[p.Name] && !slices.Contains(elsewhere, p.Name) {
			t.Errorf("no world reaches %s", p.Name)
		}
	}
}

// elsewhere are the points that no apply reaches: the last test is of them.
var elsewhere = []string{"file.created", "file.written", "file.synced", "file.renamed", "file.directory_synced"}

// place is the Nth time that a point is reached.
type place struct {
	point string
	nth   int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.point, p.nth) }

// timed tells whether how often the point is reached depends on the machine:
// the size of batches is steered by time, and so are events of instances.
func (p place) timed() bool {
	return strings.HasPrefix(p.point, "backfill.") || p.point == "event.told"
}

// places are those of a world that are of interest, in the order of the points:
// all, less most of the many events.
func (w *matrixWorld) places(reach map[string]int) []place {
	var all []place
	for _, p := range crash.Points() {
		if w.point != "" && p.Name != w.point {
			continue
		}
		if w.clustered() && p.Name == "lease.before_heartbeat" {
			continue // it takes so long that how many there are depends on the machine
		}
		for n := range reach[p.Name] {
			if p.Name != "event.told" || n%5 == 0 {
				all = append(all, place{p.Name, n + 1})
			}
		}
	}
	return all
}

// killAt is both cases of a place.
func (m *matrix) killAt(t *testing.T, w *matrixWorld, p place) {
	for _, action := range w.actions() {
		if pgtest.Long() || sampled(w, p, action) {
			t.Run(action, func(t *testing.T) { t.Parallel(); m.crashed(t, w, p, action) })
		}
	}
}

// matrixSample is what every run of the suite asks: where most has gone wrong or
// could.
var matrixSample = []string{
	"W1/step.commit_sent:1/rollback", "W1/lease.taken:1/apply",
	"W2/run.recorded:1/apply", "W2/step.applied:2/apply", "W2/step.applied:6/rollback", "W2/step.started:14/rollback",
	"W2/rollout.called:6/rollback", "W2/rollout.answered:3/apply", "W2/rollout.draining:1/rollback",
	"W2/backfill.updated:2/apply", "W2/backfill.commit_sent:2/apply", "W2/backfill.before_mark:1/rollback", "W2/run.ended:1/rollback",
	"W2-fails/rollback.decided:1/apply", "W2-fails/rollback.undone:1/rollback",
	"W2-back/rollback.in_undo:3/apply", "W2-back/run.before_end:1/apply",
	"W2-cycle/rollout.answered:1/rollback", "W2-cycle/rollout.answered:3/apply", "W2-cycle/rollout.called:4/rollback",
	"W2-tasks/rollout.called:2/rollback", "W2-tasks/rollout.answered:2/apply",
	"W2-held/rollout.answered:1/rollback", "W2-held/rollout.called:3/apply", "W2-held/rollout.answered:4/rollback",
	"W3-cut/index.dropped:1/apply", "W3-cut-back/rollback.in_undo:1/rollback",
	"W5/step.applied:8/apply", "W5/rollout.answered:7/rollback",
}

func sampled(w *matrixWorld, p place, action string) bool {
	return slices.Contains(matrixSample, w.name+"/"+p.String()+"/"+action)
}
