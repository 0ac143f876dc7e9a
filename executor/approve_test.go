package executor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
)

// deaf is a journal in which nobody can read what was said, until then.
type deaf struct {
	*memory
	until time.Time
}

func (d deaf) Words(ctx context.Context, run string, after int64) ([]journal.Word, error) {
	if time.Now().Before(d.until) {
		return nil, errDown
	}
	return d.memory.Words(ctx, run, after)
}

// What cannot be read is no no: it is asked for again for as long as a word is waited
// for, and where it cannot be read by then the run stands.
func TestWordsThatCannotBeReadAreAskedForAgain(t *testing.T) {
	const most = time.Hour
	for _, test := range []struct {
		word   string
		outage time.Duration
		want   string
	}{
		{journal.Approve, most / 2, "complete"}, {journal.Decline, most / 2, "rolled_back"}, {journal.Approve, 2 * most, "unrecorded"},
	} {
		synctest.Test(t, func(t *testing.T) {
			nothing := func() {}
			j := &memory{entries: map[string][]journal.Entry{}, writing: func() error { return nil }, written: nothing, word: func() string { return test.word }}
			asks := planner.Step{ID: "ask", Kind: planner.KindApprove, Safety: planner.Idempotent, Undo: &planner.Undo{Title: "-"}, Action: &planner.Approve{Timeout: most}}
			warned := 0
			result, err := executor.Execute(t.Context(), executor.Config{
				Plan: &planner.Plan{Kind: "apply", Steps: []planner.Step{asks}}, Journal: deaf{j, time.Now().Add(test.outage)},
				Ticket: planner.Ticket{Run: "run", Lease: "test", Fence: 1}, Now: time.Now,
				Watch: func(r executor.Record) {
					if _, ok := r.Event.(executor.Warned); ok {
						warned++
					}
				},
			}, journal.Run{ID: "run", Kind: "apply"})
			if got := ended(result, err); got != test.want || warned != 1 {
				t.Errorf("%s after %s: %s, %v %v, with %d warnings, want %s with one", test.word, test.outage, got, err, result.Err, warned, test.want)
			}
			if open := j.open != nil; open != (test.want == "unrecorded") {
				t.Errorf("%s after %s: the run is open: %t", test.word, test.outage, open)
			}
		})
	}
}
