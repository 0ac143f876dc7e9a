package fake

import (
	"context"
	"fmt"
	"time"

	"pleat/planner"
)

// work makes an effect under the lock, and says what came of it. The call goes on
// until met, unless that is nil.
type work func() (said []planner.Report, met condition, err error)

// condition is looked at under the lock, with how long it was waited for. Its error
// is that it will not be met.
type condition func(waited time.Duration) (bool, error)

// when is met when that is so.
func when(so func() bool) condition {
	return func(time.Duration) (bool, error) { return so(), nil }
}

// apply makes a step's effect as its fault has it.
func (s *System) apply(ctx context.Context, t planner.Ticket, step planner.Step, report func(planner.Report), effect func(Fault) work) error {
	var f Fault
	if s.options.Script != nil {
		f = s.options.Script(step)
	}
	if f.Delay > 0 {
		if err := pause(ctx, f.Delay); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	said, met, err := s.locked(t, f, effect(f))
	f.say(report, said)
	if err == nil && met != nil {
		err = s.await(ctx, step.Limits.Run, met)
	}
	if err == nil && f.Lost {
		return fmt.Errorf("%w: the answer was lost", planner.ErrOutcomeUnknown)
	}
	return err
}

func (s *System) locked(t planner.Ticket, f Fault, effect work) ([]planner.Report, condition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Refuse {
		return nil, nil, fmt.Errorf("refused, as the script says")
	}
	if err := s.admit(t); err != nil {
		return nil, nil, err
	}
	return effect()
}

// await returns once it is met, or its time is over.
func (s *System) await(ctx context.Context, limit time.Duration, met condition) error {
	const look = 20 * time.Millisecond
	for began := time.Now(); ; {
		waited := time.Since(began)
		if is, err := s.is(met, waited); is || err != nil {
			return err
		}
		if limit > 0 && waited >= limit {
			return &lateError{limit}
		}
		if err := pause(ctx, look); err != nil {
			return fmt.Errorf("%w: %w", planner.ErrOutcomeUnknown, err)
		}
	}
}

// lateError is that a step's time was over before its condition was met.
type lateError struct{ limit time.Duration }

func (e *lateError) Error() string { return fmt.Sprintf("not there within the step's %s", e.limit) }

func (s *System) is(met condition, waited time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return met(waited)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// all is Done where each instance is as it should be.
func all(instances []planner.Placement, good func(planner.Placement) bool) planner.Outcome {
	for _, i := range instances {
		if !good(i) {
			return planner.NotDone
		}
	}
	return planner.Done
}

// is tells whether it is met now. The lock is held.
func is(met condition) planner.Outcome {
	if now, err := met(0); now && err == nil {
		return planner.Done
	}
	return planner.NotDone
}
