package supervisor

import (
	"context"
	"sync"
	"time"

	"pleat/planner"
	"pleat/providers/host/check"
	"pleat/spec"
)

const (
	// settled is how long a process without a check must have lived to count
	// as up.
	settled = 200 * time.Millisecond
	// rotation is how often the size of the output is looked at.
	rotation = 5 * time.Second
	// calm is how often one is looked at that is up and writes nothing.
	calm = 16 * poll
)

// judge turns a process's life and the answers of its checks into states.
type judge struct {
	*instance
	process process
	health  *check.Health
	began   time.Time
}

// watch follows a living process until it has ended, errHalted or errAway.
func (i *instance) watch(ctx context.Context, p process) error {
	run, err := i.prepare()
	if err != nil {
		run, err = i.unprepared(err)
	}
	if err != nil {
		return err
	}
	asking, stopAsking := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer stopAsking()
	answers := make(chan check.Result)
	target := check.Target{Host: i.Address, Port: i.rec.Port, Env: run.env, Dir: run.dir, Credential: run.who.who()}
	asked.Go(func() { check.Watch(asking, target, run.checks, answers) })

	j := judge{instance: i, process: p, health: check.NewHealth(run.checks), began: time.Now()}
	return j.follow(ctx, answers)
}

// unprepared is for a process that runs already, although what it was started
// with is not there any more, such as a secret's file: it is left alone, and no
// program is run to ask it.
func (i *instance) unprepared(why error) (prepared, error) {
	i.warn("leaving out the exec checks of", why)
	var rest []*spec.Check
	for _, c := range i.rec.Definition.Checks {
		if c.Kind != spec.CheckExec {
			rest = append(rest, c)
		}
	}
	checks, err := expandChecks(rest, i.names())
	return prepared{checks: checks, dir: "/"}, err
}

func (j *judge) follow(ctx context.Context, answers <-chan check.Result) error {
	looking, enough := context.WithCancel(ctx)
	defer enough()
	looks := j.process.looks(looking)
	pause := poll
	tick := time.NewTimer(pause)
	defer tick.Stop()
	rotate := time.NewTicker(rotation)
	defer rotate.Stop()
	due := time.NewTimer(settled) // when it may be up, as far as is known
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return errAway
		case <-j.halted:
			return errHalted
		case <-rotate.C:
			j.warn("rotating the output of", j.output().rotate(outputLimit))
		case a := <-answers:
			j.health.Observe(a)
			if left, good := j.health.Left(time.Now()); good && left > 0 {
				due.Reset(left)
			}
		case <-due.C:
		case <-tick.C:
			if j.mark() {
				pause = poll
			} else {
				pause = min(2*pause, calm)
			}
			tick.Reset(pause)
		case <-looks:
			j.mark()
			if err := j.ended(); err != nil {
				return err
			}
		}
		if err := j.decide(ctx); err != nil {
			return err
		}
		if pause > poll && j.snapshot().State != planner.Up { // time alone changes its state
			pause = poll
			tick.Reset(pause)
		}
	}
}

// ended is the blame for a process that has ended; nil while it lives.
func (j *judge) ended() error {
	ended, err := j.process.ended()
	if ended {
		return j.blame(err)
	}
	j.warn("looking at", err)
	return nil
}

// decide is the whole of what health means for the state.
func (j *judge) decide(ctx context.Context) error {
	now, rec := time.Now(), j.snapshot()
	switch rec.State {
	case planner.Up:
		if err := j.health.Failing(); err != nil {
			return j.become(planner.Starting, err, unchanged)
		}
		return nil
	case planner.Pending, planner.Stopping, planner.Down:
		return errHalted
	}
	if j.ready(now) {
		if err := j.ended(); err != nil {
			return err
		}
		return j.become(planner.Up, nil, func(r *record) { r.WasUp, r.UpSince = true, now.UTC() })
	}
	if rec.WasUp {
		// It has proved that it can serve. What it lacks may come back, and a
		// restart would not bring it.
		return nil
	}
	if late := j.health.Late(j.began, now); late != nil {
		return j.giveUp(ctx, late)
	}
	return nil
}

func (j *judge) ready(now time.Time) bool {
	if len(j.rec.Definition.Checks) == 0 {
		return now.Sub(j.began) >= settled
	}
	return j.health.Ready(now)
}

// giveUp ends a process that did not come up, and returns once it is gone:
// never two processes of one instance.
func (j *judge) giveUp(ctx context.Context, why error) error {
	j.warn("killing", j.process.kill())
	looking, enough := context.WithCancel(ctx)
	defer enough()
	looks := j.process.looks(looking)
	for {
		select {
		case <-ctx.Done():
			return errAway
		case <-looks:
			ended, err := j.process.ended()
			if ended {
				return j.blame(why)
			}
			j.warn("looking at", err)
		}
	}
}
