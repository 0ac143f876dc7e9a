package executor

import (
	"context"

	"pleat/planner"
)

// backlog is how much a provider may say before it has to wait for the journal.
const backlog = 1000

// reporting passes on what a provider says of a step, in its order, until end has
// passed on the last of it. The provider need not wait for the journal: what it says
// during one write, the next one writes, all of it at once. What panics as it is
// passed on panics in end.
func (r *run) reporting(ctx context.Context, s planner.Step) (report func(planner.Report), end func()) {
	said, broken := make(chan planner.Report, backlog), make(chan any, 1)
	go func() {
		defer func() {
			broken <- recover()
			for range said { // the provider speaks on
			}
		}()
		for first := range said {
			r.report(ctx, s, append([]planner.Report{first}, pending(said)...)...)
		}
	}()
	return func(p planner.Report) { said <- p }, func() {
		close(said)
		if why := <-broken; why != nil {
			panic(why)
		}
	}
}

// pending is what c gives without anybody waiting for it.
func pending[T any](c <-chan T) (all []T) {
	for range len(c) {
		all = append(all, <-c)
	}
	return all
}

// report passes on what there is to say of a step. What cannot be kept is shown all
// the same, and the next journal write will fail.
func (r *run) report(ctx context.Context, s planner.Step, reports ...planner.Report) {
	var events []Event
	for _, p := range reports {
		if e := r.event(s, p); e != nil {
			events = append(events, e)
		}
	}
	if err := r.emit(context.WithoutCancel(ctx), events...); err != nil {
		for _, e := range events {
			r.show(e)
		}
	}
}

// event is what there is to tell of a report, nil for nothing.
func (r *run) event(s planner.Step, report planner.Report) Event {
	switch p := report.(type) {
	case planner.Progress:
		return Progressed{s.ID, s.Title, p.Done, p.Total, p.Unit}
	case planner.Waiting:
		if p.For == "" && !r.waiting {
			return nil
		}
		r.waiting = p.For != ""
		return r.describe(s, StepWaiting, StepChanged{Detail: p.For})
	case planner.InstanceChange:
		return InstanceChanged{s.ID, p.Service, p.Release, p.Process, p.Instance, p.Host, p.State, p.Error}
	case planner.SessionEnded:
		return SessionEnded{s.ID, p.PID, p.Application, p.Service, p.Release, p.Idle.Seconds(), p.Table}
	case planner.Output:
		return Wrote{s.ID, p.Service, p.Release, p.Source, p.Host, p.Line}
	case planner.Warning:
		return Warned{s.ID, p.Text}
	}
	return nil
}
