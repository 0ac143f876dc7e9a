package executor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pleat/executor/crash"
	"pleat/executor/journal"
	"pleat/migrations/conn"
	"pleat/planner"
)

// run is one plan on its way.
type run struct {
	Config
	began   time.Time
	number  map[string]int        // as the plan shows a step
	status  map[string]StepStatus // what is recorded of a step
	why     map[string]string     // of deferred steps
	left    map[string]StepStatus // what a rollback found of steps of which there was nothing to undo
	first   map[string]time.Time  // when a step was started first, by a run that was cut short
	failed  *planner.Step
	back    *journal.Entry // where a rollback was decided
	waiting bool           // the provider said that it waits
	blocked bool           // something was put off for want of somebody's yes, or by a window
	partly  bool           // a step has come some way, and goes on with a later run
	gates   []GateAnswer   // that kept it from its first step
	stopped bool
	written bool   // the journal, by this command
	next    string // what which command does where the journal fails
}

func newRun(c Config) *run {
	r := &run{Config: c, began: c.Now(), number: map[string]int{}, status: map[string]StepStatus{}, why: map[string]string{}, left: map[string]StepStatus{}, first: map[string]time.Time{}, next: goesOn(c.Plan.Kind)}
	n := 0
	for _, s := range c.Plan.Steps {
		if s.Kind != planner.KindCheckpoint {
			n++
			r.number[s.ID] = n
		}
	}
	return r
}

func goesOn(kind string) string { return "pleat " + kind + " goes on with the run" }

// rollbackEntry is the journal's entry that says that a rollback was decided.
const rollbackEntry = "rollback"

// recall reads what the journal has of the run.
func (r *run) recall(ctx context.Context) error {
	entries, err := r.Journal.Entries(ctx, r.Ticket.Run)
	if err != nil {
		return r.unrecorded(err)
	}
	for _, e := range entries {
		if e.Step == rollbackEntry {
			r.back = &e
			continue
		}
		delete(r.left, e.Step)
		if StepStatus(e.Status) == StepUndone && e.Detail == "" {
			r.left[e.Step] = r.status[e.Step]
		}
		r.status[e.Step] = StepStatus(e.Status)
		if _, known := r.first[e.Step]; !known && StepStatus(e.Status) == StepStarted {
			r.first[e.Step] = e.At
		}
	}
	// What was put off is asked again, and with it what needs it.
	maps.DeleteFunc(r.status, func(_ string, status StepStatus) bool { return status == StepDeferred })
	return nil
}

// started tells whether any step was begun.
func (r *run) started() bool {
	return slices.ContainsFunc(r.Plan.Steps, func(s planner.Step) bool { return r.status[s.ID] != "" })
}

// prepare records the releases that the plan starts, and puts on hold and takes
// off hold what the plan says, before anything else.
func (r *run) prepare(ctx context.Context) error {
	for _, l := range r.Plan.Lifts {
		if err := r.Journal.Lift(ctx, r.Ticket, l.Service, l.Version); err != nil {
			return r.unrecorded(err)
		}
	}
	for _, h := range r.Plan.Holds {
		if err := r.Journal.Hold(ctx, r.Ticket, h.Service, h.Version, h.Reason); err != nil {
			return r.unrecorded(err)
		}
	}
	for _, release := range r.Plan.Releases {
		if err := r.Journal.PutRelease(ctx, r.Ticket, release); err != nil {
			return r.unrecorded(err)
		}
	}
	return nil
}

// carryOut runs the steps that are left.
func (r *run) carryOut(ctx context.Context) (Result, error) {
	if err := r.emit(ctx, RunChanged{Status: Running, Steps: len(r.number)}); err != nil {
		return Result{}, err
	}
	for _, s := range r.Plan.Steps {
		if r.took(s) {
			continue
		}
		crash.At("run.between_steps")
		if r.stopping(ctx) && !r.committed(ctx, s) {
			return r.interrupted(ctx)
		}
		err := r.step(ctx, s)
		if err == nil {
			continue
		}
		var earlier *earlierError
		if errors.As(err, &earlier) {
			s, err = earlier.step, earlier.error
		}
		if r.stopping(ctx) && !r.committed(ctx, s) && !errors.Is(err, planner.ErrOutcomeUnknown) {
			if !errors.Is(err, context.Canceled) {
				r.warn(ctx, s, "it failed as the run was to stop, and is tried again: "+firstLine(err))
			}
			return r.interrupted(ctx)
		}
		return r.failure(ctx, s, err)
	}
	return r.end(ctx, r.outcome(), nil)
}

// opened tells whether the step belongs to several that run together, and they
// have begun.
func (r *run) opened(s planner.Step) bool {
	i := slices.IndexFunc(r.Plan.Steps, func(x planner.Step) bool { return x.ID == s.ID })
	if i < 0 || !s.Together { // an undo is no step of the plan
		return false
	}
	for i > 0 && r.Plan.Steps[i].Together {
		i--
	}
	return r.took(r.Plan.Steps[i])
}

// committed tells whether the step comes although the run was asked to stop:
// services are down until it and its like are through. Asked twice, it stops.
func (r *run) committed(ctx context.Context, s planner.Step) bool {
	return ctx.Err() == nil && r.opened(s)
}

// took tells whether the step is known to have taken effect.
func (r *run) took(s planner.Step) bool {
	return r.status[s.ID] == StepDone || r.status[s.ID] == StepSettled
}

// stopping tells whether somebody asked the run to end.
func (r *run) stopping(ctx context.Context) bool {
	if ctx.Err() != nil {
		r.stopped = true
	}
	select {
	case <-r.Stop:
		r.stopped = true
	default:
	}
	return r.stopped
}

func (r *run) outcome() Status {
	deferred, done := 0, 0
	for _, s := range r.Plan.Steps {
		switch {
		case s.Kind == planner.KindCheckpoint:
		case r.status[s.ID] == StepDeferred, r.status[s.ID] == StepFailed:
			deferred++
		default:
			done++
		}
	}
	if deferred > 0 {
		return Deferred
	}
	if done == 0 {
		return Noop
	}
	return Complete
}

// step runs one step: guards, record, apply, record.
func (r *run) step(ctx context.Context, s planner.Step) error {
	if s.Kind == planner.KindCheckpoint {
		return r.record(ctx, s, StepDone, "")
	}
	why := r.deferral(s)
	if why != "" && s.Deferred == "" && r.opened(s) {
		return errors.New(why)
	}
	if why != "" {
		return r.postpone(ctx, s, why)
	}
	// One that is idempotent is applied again even if it is done: its provider
	// tells what became of the instances, which nobody may have heard.
	if r.status[s.ID] == StepStarted && s.Safety != planner.Idempotent {
		if done, err := r.settle(ctx, s); done || err != nil {
			return err
		}
	}
	crash.At("step.before_start")
	why, err := r.allowed(ctx, r.ungated(s))
	if err != nil {
		return err
	}
	if why != "" && s.Together {
		return errors.New(why)
	}
	if why != "" {
		return r.postpone(ctx, s, why)
	}
	err = r.attempt(ctx, s)
	if s.Cleanup && r.mayStay(ctx, err) {
		return r.leaveBehind(ctx, s, err)
	}
	var late *silence
	if errors.As(err, &late) {
		r.blocked, r.partly = true, r.partly || late.partly
		return r.postpone(ctx, s, late.why)
	}
	return err
}

// deferral says why a step cannot run now: the plan says so, or one that it
// needs was deferred.
func (r *run) deferral(s planner.Step) string {
	if s.Deferred != "" {
		return s.Deferred
	}
	for _, need := range s.Needs {
		if why := r.why[need]; why != "" {
			return why
		}
	}
	return ""
}

func (r *run) postpone(ctx context.Context, s planner.Step, why string) error {
	r.why[s.ID] = why
	r.blocked = r.blocked || r.shut(s) != ""
	r.observe(ctx, s)
	return r.change(ctx, s, StepDeferred, why, nil)
}

// mayStay tells whether a cleanup that failed is left to the next apply: its provider
// said no, and not for the sake of what is to serve.
func (r *run) mayStay(ctx context.Context, err error) bool {
	var fenced *conn.FencedError
	var unrecorded *RecordError
	return err != nil && ctx.Err() == nil && !errors.Is(err, planner.ErrOutcomeUnknown) && !errors.Is(err, planner.ErrUnwell) &&
		!errors.Is(err, context.Canceled) && !errors.As(err, &fenced) && !errors.As(err, &unrecorded)
}

// leaveBehind goes on without a cleanup that failed, and without what needs it. What it may
// have done is taken back if the run fails later.
func (r *run) leaveBehind(ctx context.Context, s planner.Step, cause error) error {
	r.why[s.ID] = fmt.Sprintf("%s could not be stopped: %s", s.Title, firstLine(cause))
	return r.change(ctx, s, StepFailed, "going on: what was rolled out stands", cause)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// attempts is how often a step whose connection was lost is sent again once
// probing has shown that it took no effect.
const attempts = 3

// attempt applies a step and settles what became of it.
func (r *run) attempt(ctx context.Context, s planner.Step) error {
	began := r.Now()
	if err := r.change(ctx, s, StepStarted, "", nil); err != nil {
		return err
	}
	crash.At("step.started")
	var err error
	for range attempts {
		if err = r.apply(ctx, s); err == nil {
			crash.At("step.applied")
			return r.done(ctx, s, began)
		}
		if !errors.Is(err, planner.ErrOutcomeUnknown) {
			return err
		}
		done, lost := r.settle(ctx, s)
		if done || lost != nil {
			return lost
		}
		if r.stopping(ctx) { // which is why the step was cut short
			return fmt.Errorf("stopped before it was done: %w", context.Canceled)
		}
	}
	return fmt.Errorf("the connection was lost %d times: %w", attempts, err)
}

func (r *run) done(ctx context.Context, s planner.Step, began time.Time) error {
	err := r.emitted(ctx, s, StepDone, StepChanged{Took: r.Now().Sub(began).Seconds()})
	crash.At("step.finished")
	return err
}

// apply hands a step to its provider, within the step's time. A pause has none,
// and neither has a person's word.
func (r *run) apply(ctx context.Context, s planner.Step) error {
	if a, ok := s.Action.(*planner.Pause); ok {
		return r.wait(ctx, s, a)
	}
	if a, ok := s.Action.(*planner.Approve); ok {
		return r.decide(ctx, s, a)
	}
	p := r.Providers[s.Action.Provider()]
	if p == nil {
		return fmt.Errorf("%s: no provider", s.Action.Provider())
	}
	ctx, cancel := r.soft(ctx, s)
	defer cancel()
	report, end := r.reporting(ctx, s)
	defer end()
	open, closing := r.whileOpen(ctx, s)
	defer closing()
	err := p.Apply(open, r.Ticket, s, report)
	var shut *silence
	if err != nil && errors.As(context.Cause(open), &shut) {
		return shut
	}
	return err
}

// soft ends a step that may simply be applied again as soon as the run is
// asked to stop; one that cannot is left to finish.
func (r *run) soft(ctx context.Context, s planner.Step) (context.Context, context.CancelFunc) {
	if s.Safety != planner.Idempotent || r.opened(s) {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-r.Stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-ended }
}

// settle finds out what became of a step that was started and not finished.
// The first result says that it is done.
func (r *run) settle(ctx context.Context, s planner.Step) (bool, error) {
	outcome, err := r.probe(ctx, s)
	switch {
	case outcome == planner.Done && s.Limits.Stay > 0: // it is up, and has yet to stay so
		return false, nil
	case outcome == planner.Done:
		return true, r.change(ctx, s, StepSettled, "an earlier attempt had done it", nil)
	case outcome == planner.NotDone:
		return false, nil
	}
	if s.Safety == planner.Idempotent && err == nil {
		return false, nil
	}
	return false, &UnknownError{Step: s, Err: errors.Join(planner.ErrOutcomeUnknown, err)}
}

// probeTime bounds a probe, which runs also after the run's context ended.
const probeTime = 30 * time.Second

func (r *run) probe(ctx context.Context, s planner.Step) (planner.Outcome, error) {
	p := r.Providers[s.Action.Provider()]
	if p == nil {
		return planner.Unknown, fmt.Errorf("%s: no provider", s.Action.Provider())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	return p.Probe(ctx, r.Ticket, s)
}
