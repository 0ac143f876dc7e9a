package supervisor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"pleat/planner"
)

// poll is how often a process is looked at where that is needed, and how long
// its output is.
const poll = 50 * time.Millisecond

// Why a process is not followed any longer, although it lives.
var (
	errAway   = errors.New("the agent ends")
	errHalted = errors.New("asked to stop")
)

// keep runs the instance until it is gone, failed to start, or ctx ends.
func (i *instance) keep(ctx context.Context) {
	p, err := i.taken, error(nil)
	switch rec := i.snapshot(); {
	case rec.failed():
		return
	case rec.Stop != nil:
		err = errHalted
	case rec.resting() && !i.rested(ctx, i.Backoff(rec.Restarts-1)):
		return
	}
	for {
		if err == nil && p == nil {
			p, err = i.start()
		}
		if err == nil {
			err = i.watch(ctx, *p)
		}
		switch {
		case errors.Is(err, errAway):
			return
		case errors.Is(err, errHalted):
			i.end(ctx, p)
			return
		}
		rest, again := i.died(err)
		if !again || !i.rested(ctx, rest) {
			return
		}
		p, err = nil, nil
	}
}

// takeUp finds the process that an earlier supervisor started, and tells its
// end where nobody has.
func (i *instance) takeUp() error {
	switch {
	case i.rec.State == planner.Down && i.rec.WasUp:
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.rest()
	case i.rec.PID == 0:
		return nil
	}
	p := &process{pid: i.rec.PID, started: i.rec.Began}
	ended, err := p.ended()
	if !ended {
		i.taken = p
		return err
	}
	if i.rec.Stop == nil && i.rec.WasUp {
		i.died(errGone)
	}
	// One that never came up is judged anew: the agent's end may have held it
	// back. One that stops is told down by keep.
	return nil
}

// died tells the end of the process. again: it is to be started again, after
// that rest.
func (i *instance) died(why error) (rest time.Duration, again bool) {
	why = i.freed(why)
	err := i.become(planner.Down, why, func(r *record) {
		if !r.UpSince.IsZero() && time.Since(r.UpSince) >= steady {
			r.Restarts = 0
		}
		rest, again = i.Backoff(r.Restarts), r.WasUp
		r.PID, r.Began, r.UpSince = 0, "", time.Time{}
		if again {
			r.Restarts++
			r.Ended = r.Error
		}
	})
	if err != nil {
		i.Log.Error("telling the end of an instance", "instance", i.rec.Ref.String(), "error", err)
	}
	return rest, again
}

// freed takes away what held the ended process, and says more of why it ended
// where that is known.
func (i *instance) freed(why error) error {
	i.mark()
	limits := i.snapshot().Definition.Limits
	overran, err := release(Group(i.Dir, label(i.rec.Ref)), limits)
	i.warn("taking away the limits of", err)
	if overran {
		return i.blame(overrun(limits))
	}
	return why
}

// blame says of an instance that was never up that this is the trouble.
func (i *instance) blame(err error) error {
	if i.snapshot().WasUp {
		return err
	}
	return fmt.Errorf("failed to start: %w", err)
}

// rested waits, until somebody asks for the instance at the longest; false when it
// was asked to stop or ctx ended.
func (i *instance) rested(ctx context.Context, d time.Duration) bool {
	select {
	case <-i.woken:
		return true
	case <-ctx.Done():
		return false
	case <-i.halted:
		return false
	case <-time.After(d):
		return true
	}
}

// end takes the process down: the signal, then, when its time is over, the
// end of its whole group. When ctx ends first, the next supervisor goes on.
func (i *instance) end(ctx context.Context, p *process) {
	var why error
	if p != nil {
		killed, err := i.bringDown(ctx, *p)
		if err != nil {
			return
		}
		why = killed
	}
	i.freed(nil)
	err := i.become(planner.Down, why, func(r *record) { r.PID, r.Began = 0, "" })
	if err != nil {
		i.Log.Error("telling the end of an instance", "instance", i.rec.Ref.String(), "error", err)
	}
}

// bringDown returns once the process has ended; killed says that it had to be
// forced.
func (i *instance) bringDown(ctx context.Context, p process) (killed, err error) {
	stop := i.snapshot().Stop
	sig, err := signalNamed(stop.Drain.Signal)
	if err != nil {
		sig = syscall.SIGTERM
	}
	i.warn("signalling", p.signal(sig))
	force := time.After(time.Until(stop.At.Add(stop.Drain.KillAfter)))
	looking, enough := context.WithCancel(ctx)
	defer enough()
	looks := p.looks(looking)
	growing := time.NewTicker(poll)
	defer growing.Stop()
	for {
		i.mark()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-growing.C:
		case <-looks:
			ended, err := p.ended()
			if ended {
				return killed, nil
			}
			i.warn("looking at", err)
		case <-force:
			killed = fmt.Errorf("killed: still there %s after SIG%s", stop.Drain.KillAfter, stop.Drain.Signal)
			i.warn("killing", p.kill())
		}
	}
}

func (i *instance) warn(doing string, err error) {
	if err != nil {
		i.Log.Warn(doing+" a process", "instance", i.rec.Ref.String(), "error", err)
	}
}
