package postgres

import (
	"context"
	"fmt"
	"sync"

	"pleat/migrations/conn"
)

// last is the step of ours that was committed last. A server that took over from
// another may lack it, and then nothing may be done there as if it were done.
type last struct {
	mutex     sync.Mutex
	run, step string
}

func (l *last) set(run, step string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.run, l.step = run, step
}

// lookBack looks for it on a new connection. What is committed one after the other
// is lost from its end, so that nothing is lost when it is there. That it is not
// leaves unknown what became of the step in hand.
func (l *last) lookBack(ctx context.Context, tx conn.Tx) error {
	l.mutex.Lock()
	run, step := l.run, l.step
	l.mutex.Unlock()
	if step == "" {
		return nil
	}
	there, err := marked(ctx, tx, run, step)
	if err != nil || there {
		return err
	}
	return fmt.Errorf("%w: %w", conn.ErrOutcomeUnknown, &conn.GoneBackError{What: "step " + step})
}
