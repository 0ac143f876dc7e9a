package executor

import (
	"context"
	"fmt"
	"time"

	"pleat/planner"
)

// wait carries a pause out: until a moment that a run which is gone on with
// does not move. It ends early, with ctx's error, when the run is asked to stop.
func (r *run) wait(ctx context.Context, s planner.Step, a *planner.Pause) error {
	now := r.Now()
	end := r.pauseFrom(s, a, now).Add(a.For)
	// Not longer than asked for, whatever the clocks of others say.
	left := min(end.Sub(now), a.For)
	if left <= 0 {
		return nil
	}
	r.report(ctx, s, planner.Waiting{For: fmt.Sprintf("%s until %s", a.Why, end.UTC().Format("2006-01-02 15:04:05 MST"))})
	if !r.pause(ctx, left) {
		return fmt.Errorf("waiting while %s: %w", a.Why, context.Canceled)
	}
	r.report(ctx, s, planner.Waiting{})
	return nil
}

// pauseFrom is when a pause began.
func (r *run) pauseFrom(s planner.Step, a *planner.Pause, now time.Time) time.Time {
	if a.Since != nil {
		return *a.Since
	}
	if first, ok := r.first[s.ID]; ok {
		return first
	}
	return now
}
