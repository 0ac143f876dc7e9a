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

// Patient calls f, and again while what it asks does not answer, for as long as
// an agent takes to restart; then it gives f's error. f is what may be asked
// twice. Where it asks for long it calls there when it was answered until then.
func Patient(ctx context.Context, f func(there func()) error) error {
	lost := time.Now()
	for {
		err := f(func() { lost = time.Now() })
		var away *api.UnreachableError
		if !errors.As(err, &away) || time.Since(lost) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
