package supervisor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"pleat/planner"
)

// poll is how often a process is looked at.
const poll = 50 * time.Millisecond

// Why a process is not followed any longer, although it lives.
var (
	errAway   = errors.New("the agent ends")
	errHalted = errors.New("asked to stop")
)

// keep runs the instance until it is gone, failed to start, or ctx ends.
func (i *instance) keep(ctx context.Context) {
	rec := i.snapshot()
	if rec.failed() {
		return
	}
	p, err := i.takeUp(rec)
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
		if again := i.died(ctx, err); !again {
			return
		}
		p, err = nil, nil
	}
}

// takeUp finds the process that an earlier supervisor started: nil when it has
// to be started, an error when it has ended and that is not known yet.
func (i *instance) takeUp(rec record) (*process, error) {
	var p *process
	var end error
	if rec.PID != 0 {
		p = &process{pid: rec.PID, started: rec.Began}
		ended, err := p.ended()
		if ended {
			p, end = nil, err
		}
	}
	switch {
	case rec.Stop != nil:
		return p, errHalted
	case p != nil:
		return p, nil
	case rec.State == planner.Up, rec.State == planner.Starting && rec.WasUp:
		return nil, errors.Join(errLost, ignore(end, errLost))
	}
	// Down: its end was told, and it rested. Pending, or starting for the first
	// time: the agent's end may have held it back, so it is judged anew.
	return nil, nil
}

func ignore(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}

// died tells the end of the process, and waits until it is to be started
// again. False: it is not.
func (i *instance) died(ctx context.Context, why error) bool {
	var rest time.Duration
	var wasUp bool
	err := i.become(planner.Down, why, func(r *record) {
		if !r.UpSince.IsZero() && time.Since(r.UpSince) >= steady {
			r.Restarts = 0
		}
		rest, wasUp = i.Backoff(r.Restarts), r.WasUp
		r.PID, r.Began, r.UpSince = 0, "", time.Time{}
		if wasUp {
			r.Restarts++
		}
	})
	if err != nil {
		i.Log.Error("telling the end of an instance", "instance", i.rec.Ref.String(), "error", err)
	}
	if !wasUp {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-i.halted:
		return false
	case <-time.After(rest):
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
	look := time.NewTicker(poll)
	defer look.Stop()
	for {
		ended, err := p.ended()
		if ended {
			return killed, nil
		}
		i.warn("looking at", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-look.C:
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
