package executor

import (
	"context"
	"time"

	"pleat/planner"
)

// shut says why a window keeps a step from running now; "" = none does.
func (r *run) shut(s planner.Step) string {
	for _, g := range s.Guards {
		w, ok := g.(*planner.Within)
		if !ok || r.Plan.Overridden(w) {
			continue
		}
		if a := w.Answer(r.Now()); !a.Met {
			return a.Reason
		}
	}
	return ""
}

// whileOpen ends a back-fill as soon as a window of it closes: it has a cursor, and
// goes on from there. Other steps are left to finish.
func (r *run) whileOpen(ctx context.Context, s planner.Step) (context.Context, context.CancelFunc) {
	until := r.Plan.Until(s, r.Now())
	if _, long := s.Action.(*planner.Backfill); !long || until.IsZero() {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if r.reaches(ctx, until) {
			cancel(&silence{why: r.shut(s), partly: true})
		}
	}()
	return ctx, func() { cancel(nil); <-ended }
}

// reaches waits for an instant by the run's clock, which may be set meanwhile; false
// when ctx ended before.
func (r *run) reaches(ctx context.Context, at time.Time) bool {
	for {
		left := at.Sub(r.Now())
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(min(left, time.Second))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}
