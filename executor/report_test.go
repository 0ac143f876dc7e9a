package executor_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pleat/executor"
	"pleat/planner"
	"pleat/providers/postgres/pgtest"
	"pleat/spec"
)

// talker says a lot, however long that takes to be kept.
type talker struct {
	executor.Applier
	lines int
	holds func() (frees func()) // the journal
}

func (p talker) Apply(_ context.Context, _ planner.Ticket, _ planner.Step, report func(planner.Report)) error {
	defer p.holds()()
	for n := range p.lines {
		report(planner.Output{Service: "users", Release: "1.0.1", Source: "talk", Line: fmt.Sprint(n)})
	}
	return nil
}

// While the journal is slow, what a provider says waits, not the provider. It is all
// there, in its order, before the step is done, in few transactions.
func TestAProviderDoesNotWaitForTheJournal(t *testing.T) {
	t.Parallel()
	const lines = 500
	step := migrateTo(1, "select", nil)
	w := newWorld(t, step)
	holder := pgtest.Connect(t, w.url)
	p := talker{lines: lines, holds: func() func() {
		tx, err := holder.Begin(t.Context())
		if err == nil {
			_, err = tx.Exec(t.Context(), "set local idle_in_transaction_session_timeout = '5s'; lock table pleat.event in exclusive mode")
		}
		if err != nil {
			t.Error(err)
			return func() {}
		}
		return func() {
			if err := tx.Rollback(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}}
	w.more = map[spec.Address]executor.Applier{step.Action.Provider(): p}
	if result := w.execute(nil); result.Status != executor.Complete {
		t.Fatalf("%s: %v", result.Status, result.Err)
	}
	var want []string
	for n := range lines {
		want = append(want, fmt.Sprint(n))
	}
	got := pgtest.Value[[]string](t, w.admin, "select array_agg(body->>'line' order by seq) from pleat.event where body->>'type' = 'output'")
	if !slices.Equal(got, want) {
		t.Errorf("the journal has %q", got)
	}
	if n := pgtest.Value[int](t, w.admin, "select count(distinct xmin::text) from pleat.event where body->>'type' = 'output'"); n > lines/4 {
		t.Errorf("%d lines were written in %d transactions", lines, n)
	}
	if late := pgtest.Value[bool](t, w.admin, `select (select max(seq) from pleat.event where body->>'type' = 'output')
		> (select seq from pleat.event where body->>'status' = 'done')`); late {
		t.Error("something was written after the step was done")
	}
}
