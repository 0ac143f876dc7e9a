package postgres_test

import (
	"bytes"
	"errors"
	"testing"

	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// M7: the server commits and the answer is lost, or the server never sees the
// COMMIT. From here both look the same, and only a look at the mark tells.
func TestALostCommitIsUnknownUntilProbed(t *testing.T) {
	tests := []struct {
		name   string
		before bool
		want   planner.Outcome
	}{
		{"after the server got it", false, planner.Done},
		{"before the server got it", true, planner.NotDone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, usersTable)
			proxy, through := pgtest.NewProxy(t, w.url)
			w.db.URL = spec.Secret("test", through)
			cut := &pgtest.Cut{Before: test.before, At: func(_ byte, body []byte) bool {
				return bytes.Contains(body, []byte("commit\x00"))
			}}
			proxy.Arm(cut)
			step := w.step(addNote())
			// The first COMMIT belongs to nothing but the step: looks are not cut.
			if err := w.try(t.Context(), step); !errors.Is(err, planner.ErrOutcomeUnknown) {
				t.Fatalf("got %v, want ErrOutcomeUnknown", err)
			}
			<-cut.Happened
			if got := w.probe(step); got != test.want {
				t.Errorf("probe says %v, want %v", got, test.want)
			}
			if err := w.try(t.Context(), step); err != nil {
				t.Errorf("applying again: %v", err)
			}
			if got := w.probe(step); got != planner.Done {
				t.Errorf("at the end probe says %v, want Done", got)
			}
		})
	}
}

// A session of a killed process still does something: the probe ends it
// before it says anything.
func TestProbeEndsWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, usersTable)
	orphan := w.as("pleat/r1")
	step := w.step(addNote())
	begin(t, orphan, "insert into pleat.mark (run, step) values ('r1', '"+step.ID+"')")
	if got := w.probe(step); got != planner.NotDone {
		t.Errorf("probe says %v, want NotDone", got)
	}
	if err := orphan.Ping(t.Context()); err == nil {
		t.Error("the orphan lives on")
	}
}
