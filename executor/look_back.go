package executor

import (
	"context"
	"fmt"
	"strings"

	"pleat/migrations/conn"
	"pleat/planner"
	"pleat/spec"
)

// lookBack refuses to go on with a run, or to take it back, in a database that
// lacks what the journal has as done there: the journal may be in another one,
// which has lost nothing. A database loses what it committed last, so that is what
// is asked about.
func (r *run) lookBack(ctx context.Context) error {
	if r.back != nil {
		return nil // it was taking away what it did
	}
	last := map[spec.Address]planner.Step{}
	for _, s := range r.Plan.Steps {
		if s.Action != nil && r.took(s) && strings.HasPrefix(string(s.Action.Provider()), "database.") {
			last[s.Action.Provider()] = s
		}
	}
	for _, s := range last {
		outcome, err := r.probe(ctx, s)
		if outcome == planner.NotDone {
			return &GoneBackError{conn.GoneBackError{What: fmt.Sprintf("%s %s", s.Kind, s.Title)}, r.Ticket.Run}
		}
		if outcome == planner.Unknown {
			return &UnknownError{Step: s, Err: err}
		}
	}
	return nil
}

// GoneBackError is a database that lacks what a run did there.
type GoneBackError struct {
	conn.GoneBackError
	Run string
}

// Hint is how to go on.
func (e *GoneBackError) Hint() string {
	return "look at what the application has lost too; pleat unlock --abandon-run " + e.Run + " closes the run, and pleat apply plans from what is there"
}
