package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pleat/planner"
)

// Abandon closes a run that was cut short and that nobody goes on with: what
// it had started is settled first, what it was rolling back is put on hold, and
// requests that it has waiting are let go of. Unknown outcomes stop it.
func Abandon(ctx context.Context, c Config) error {
	r := newRun(c)
	if err := r.recall(ctx); err != nil {
		return err
	}
	for _, s := range c.Plan.Steps {
		if r.status[s.ID] != StepStarted {
			continue
		}
		if outcome, err := r.probe(ctx, s); outcome == planner.Unknown && s.Safety == planner.Probed {
			return &UnknownError{Step: s, Err: err}
		}
	}
	if r.back != nil {
		if err := r.hold(ctx, errors.New(r.back.Detail), extent(r.back.Status)); err != nil {
			return err
		}
	}
	if err := r.recordBack(ctx); err != nil {
		return err
	}
	r.letGo(ctx)
	return r.tell(func(bodies ...json.RawMessage) (int64, error) {
		return c.Journal.Finish(ctx, c.Ticket, c.Ticket.Run, string(Abandoned), bodies[0])
	}, RunChanged{Status: Abandoned})
}

// letting bounds how long a router is asked to let go of requests.
const letting = 10 * time.Second

// letGo has routers let go of the requests that the run has waiting: whoever plans
// next knows nothing of it. What cannot be let go of now waits for as long as it may,
// and that is told.
func (r *run) letGo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, letting)
	defer cancel()
	known := map[string]bool{}
	for _, s := range r.begun() {
		a, ok := s.Action.(*planner.HoldTraffic)
		if !ok || known[a.Service] {
			continue
		}
		known[a.Service] = true
		if a.For == 0 && r.took(s) {
			continue
		}
		s.Action = &planner.HoldTraffic{Router: a.Router, Service: a.Service}
		if err := r.apply(ctx, s); err != nil {
			r.warn(ctx, s, fmt.Sprintf("the requests of %s may wait until their time is over: %s", a.Service, firstLine(err)))
		}
	}
}
