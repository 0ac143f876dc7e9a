package executor

import (
	"context"

	"pleat/planner"
)

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
