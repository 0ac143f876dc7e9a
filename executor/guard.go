package executor

import (
	"context"
	"fmt"
	"time"

	"pleat/planner"
)

// recheck is how often evidence is asked for again while a step waits.
const recheck = 250 * time.Millisecond

// await asks a step's guards until all are met; waited tells that they were not at
// once. why says why the step is deferred: its evidence is not there by the deadline.
func (r *run) await(ctx context.Context, s planner.Step, deadline time.Time) (waited bool, why string, err error) {
	shown := ""
	for {
		answer, err := r.ask(ctx, s)
		if err != nil {
			return false, "", err
		}
		if answer.Met {
			return shown != "", "", nil
		}
		if r.Now().Add(max(answer.Recheck, answer.Again)).After(deadline) {
			r.blocked = r.blocked || answer.Closed
			return false, "waiting: " + answer.Reason, nil
		}
		if answer.Reason != shown {
			shown = answer.Reason
			if err := r.change(ctx, s, StepWaiting, shown, nil); err != nil {
				return false, "", err
			}
		}
		if !r.pause(ctx, max(recheck, answer.Again)) {
			return false, "", fmt.Errorf("waiting for %s: %w", answer.Reason, context.Canceled)
		}
	}
}

// ask is the first guard that is not met, or an answer that is.
func (r *run) ask(ctx context.Context, s planner.Step) (planner.Answer, error) {
	for _, g := range s.Guards {
		if w, ok := g.(*planner.Within); ok {
			if a := w.Answer(r.Now()); !a.Met && !r.Plan.Overridden(w) {
				return a, nil
			}
			continue
		}
		asker, ok := r.Providers[g.Provider()].(Asker)
		if !ok {
			return planner.Answer{}, fmt.Errorf("%s: cannot answer %T", g.Provider(), g)
		}
		a, err := asker.Ask(ctx, r.Ticket, g)
		if err != nil || !a.Met {
			return a, err
		}
	}
	return planner.Answer{Met: true}, nil
}

// observe asks a deferred step's guards once, for what asking records: the
// clock of a soak starts with the first run that sees nothing old.
func (r *run) observe(ctx context.Context, s planner.Step) {
	if _, err := r.ask(ctx, s); err != nil {
		r.warn(ctx, s, "evidence could not be asked for: "+err.Error())
	}
}

// pause waits that long; false when the run is asked to stop meanwhile.
func (r *run) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Stop:
	case <-ctx.Done():
	}
	return false
}
