package main

import (
	"testing"

	"pleat/executor"
)

// TestNoticeOfRollbackSaysWhatStays: what is behind a checkpoint does not go
// back, and nobody is told that it did.
func TestNoticeOfRollbackSaysWhatStays(t *testing.T) {
	for _, test := range []struct {
		summary *executor.Summary
		want    string
	}{
		{&executor.Summary{Failed: "1 expand users", NotStarted: []string{"2 start web"}}, "all of it is back: no"},
		{&executor.Summary{Failed: "2 start web", Undone: []string{"1 expand users"}}, "all of it is back: no"},
		{&executor.Summary{Failed: "2 start web", Done: []string{"1 expand users"}}, "1 step done and kept, 0 undone: no"},
		{&executor.Summary{Failed: "4 stop web", Done: []string{"1 expand users", "2 sync users"}, Undone: []string{"3 start web"}}, "2 steps done and kept, 1 undone: no"},
	} {
		occasion, text := new(notices).ofRun(executor.RunChanged{Status: executor.RolledBack, Error: "no", Summary: test.summary})
		if occasion != "rollback" || text != test.want {
			t.Errorf("%s: %q, want %q", occasion, text, test.want)
		}
	}
}
