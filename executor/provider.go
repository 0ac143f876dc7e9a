package executor

import (
	"context"
	"encoding/json"

	"pleat/executor/journal"
	"pleat/planner"
)

// Journal is where a run is recorded; *journal.Journal is one, and says what
// each method promises. What is written is durable once the call returns, and
// an error of a write means that it is not there.
type Journal interface {
	Begin(ctx context.Context, t planner.Ticket, r journal.Run) error
	Resume(ctx context.Context, t planner.Ticket, run string) error
	Finish(ctx context.Context, t planner.Ticket, run, status string, event json.RawMessage) (seq int64, err error)

	Write(ctx context.Context, t planner.Ticket, e journal.Entry) error
	Record(ctx context.Context, t planner.Ticket, entries []journal.Entry, events ...json.RawMessage) (last int64, err error)
	Emit(ctx context.Context, t planner.Ticket, bodies ...json.RawMessage) (last int64, err error)
	Entries(ctx context.Context, run string) ([]journal.Entry, error)
	Words(ctx context.Context, run string, after int64) ([]journal.Word, error)

	PutRelease(ctx context.Context, t planner.Ticket, r planner.Release) error
	Hold(ctx context.Context, t planner.Ticket, service, version, reason string) error
	Lift(ctx context.Context, t planner.Ticket, service, version string) error
}

// Applier is the whole contract between the executor and a provider.
type Applier interface {
	// Apply makes the step's effect, and returns once it is there. It is
	// absolute and idempotent. Cancelling ctx asks it to stop at once; it then
	// returns the context's error when nothing was done, or an error that
	// wraps planner.ErrOutcomeUnknown when that cannot be told. report is
	// called from one goroutine at a time, never after Apply returned.
	Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error
	// Probe tells whether the step's effect is there. It changes nothing.
	Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error)
}

// Asker answers guards.
type Asker interface {
	// Ask looks at what is live now. An answer that cannot be had is an
	// error, and never counts as met.
	Ask(ctx context.Context, t planner.Ticket, g planner.Guard) (planner.Answer, error)
}
