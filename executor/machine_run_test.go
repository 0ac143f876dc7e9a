package executor_test

import (
	"context"
	"testing"
	"testing/synctest"

	"pleat/executor"
	"pleat/executor/journal"
	"pleat/planner"
)

// TestMachineOfARun asks each command of a run of each status: one that is closed
// stays so and is in nobody's way, and one that is open is gone on with, taken back
// or given up before another begins.
func TestMachineOfARun(t *testing.T) {
	commands := []func(context.Context, executor.Config) (executor.Result, error){another, executor.Resume, executor.Back, abandon}
	open := [...]string{"there is an open run", "complete", "rolled_back", "abandoned"}
	closed := [...]string{"complete", "it has ended", "it has ended", "it has ended"}
	empty := [...]string{"noop", "it has ended", "it has ended", "it has ended"}
	runs := map[executor.Status]struct {
		place place
		then  func(context.Context, executor.Config) (executor.Result, error)
		want  [4]string // of the commands, in their order
	}{
		executor.Pending:     {place: place{told: executor.Pending}, want: open},
		executor.Running:     {place: place{way: map[string]answer{it: diesBefore}}, want: open},
		executor.Interrupted: {place: place{way: map[string]answer{it: stops}}, want: open},
		executor.Failed:      {place: place{way: map[string]answer{it: vanishes}}, want: open},
		executor.RollingBack: {place: place{way: map[string]answer{after: breaks, it + "/undo": diesBefore}}, want: [4]string{"there is an open run", "rolled_back", "rolled_back", "abandoned"}},
		executor.Complete:    {want: closed},
		executor.Noop:        {place: place{empty: true}, want: empty},
		executor.Deferred:    {place: place{shut: true}, want: closed},
		executor.Blocked:     {place: place{barred: true}, want: closed},
		executor.RolledBack:  {place: place{way: map[string]answer{it: breaks}}, want: closed},
		executor.Abandoned:   {place: place{way: map[string]answer{it: diesBefore}}, then: abandon, want: closed},
	}
	for _, status := range constants(t, "Status") {
		run, ok := runs[executor.Status(status)]
		if !ok {
			t.Errorf("no run is %s", status)
		}
		for i, command := range commands {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(run.place, event{}, planner.Idempotent)
				m.command(m.execute)
				if run.then != nil {
					m.renew()
					m.command(run.then)
				}
				if string(m.last) != status {
					t.Fatalf("it is %s, want %s", m.last, status)
				}
				m.renew()
				m.over = true
				if end := m.command(command); end != run.want[i] {
					t.Errorf("%s, command %d: %s, want %s", status, i, end, run.want[i])
				}
			})
		}
	}
}

// another begins a run of its own.
func another(ctx context.Context, c executor.Config) (executor.Result, error) {
	c.Ticket.Run = "another"
	return executor.Execute(ctx, c, journal.Run{ID: "another", Kind: "apply"})
}
