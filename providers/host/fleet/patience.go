package fleet

import (
	"context"
	"errors"
	"time"

	"pleat/providers/host/api"
)

const (
	// patience is how long an agent may be away during a step: long enough for
	// a restart.
	patience = 15 * time.Second
	// pause is between two attempts to reach it again.
	pause = 200 * time.Millisecond
)

// goneError is an agent that was waited for long enough.
type goneError struct{ error }

// Unwrap is what it was asked for last.
func (e *goneError) Unwrap() error { return e.error }

// Patient calls f, and again while what it asks does not answer, for as long as
// an agent takes to restart after it was missed first, and at least once more: an
// answer alone may be lost. Then it gives f's error. f is what may be asked
// twice. Where it asks for long it calls there when it was answered until then. What
// was waited for inside f is not waited for again.
func Patient(ctx context.Context, f func(there func()) error) error {
	var lost time.Time
	for {
		err := f(func() { lost = time.Now() })
		var away *api.UnreachableError
		var gone *goneError
		if !errors.As(err, &away) || errors.As(err, &gone) {
			return err
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		if time.Since(lost) > patience {
			return &goneError{err}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
