package proxy_test

import (
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/agenttest"
)

// TestAHoldWhoseAnswerWasLostIsAskedForAgain: that it is not known to be done is
// an answer, and nobody has to look.
func TestAHoldWhoseAnswerWasLostIsAskedForAgain(t *testing.T) {
	w := newWorld(t, agenttest.Options{})
	w.up("1.0.0", 1)
	w.mustApply(w.attach("1.0.0", 1))
	for _, most := range []time.Duration{time.Minute, time.Minute, 0, 0} {
		hold := &planner.HoldTraffic{Router: w.attach("1.0.0", 1).Router, Service: "users", For: most}
		w.mustApply(hold)
		if got := w.probe(hold); got != planner.NotDone {
			t.Errorf("held for %s: %v", most, got)
		}
	}
}
