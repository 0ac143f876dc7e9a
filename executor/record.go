package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"pleat/executor/crash"
	"pleat/executor/journal"
	"pleat/migrations/conn"
	"pleat/planner"
)

// record writes a step's status to the journal.
func (r *run) record(ctx context.Context, s planner.Step, status StepStatus, detail string) error {
	if err := r.Journal.Write(ctx, r.Ticket, journal.Entry{Step: s.ID, Status: string(status), Detail: detail}); err != nil {
		return r.unrecorded(err)
	}
	r.status[s.ID] = status
	return nil
}

// unrecorded is what the journal's error means for the run; nil is none. That
// somebody has closed the run, or has the lease by now, is no fault of the journal's.
func (r *run) unrecorded(err error) error {
	var fenced *conn.FencedError
	if err == nil || errors.Is(err, journal.ErrNotOpen) || errors.As(err, &fenced) {
		return err
	}
	return &RecordError{Err: err, Written: r.written, next: r.next}
}

// change records a step's status and tells whoever watches.
func (r *run) change(ctx context.Context, s planner.Step, status StepStatus, detail string, cause error) error {
	e := StepChanged{Detail: detail}
	if cause != nil {
		e.Error = cause.Error()
	}
	return r.emitted(ctx, s, status, e)
}

// emitted records a status together with the event that describes it, and then
// passes the event on: nobody is told what is not durable.
func (r *run) emitted(ctx context.Context, s planner.Step, status StepStatus, e StepChanged) error {
	e = r.describe(s, status, e)
	if status == StepWaiting {
		return r.emit(ctx, e)
	}
	if err := r.write(ctx, []journal.Entry{e.entry()}, e); err != nil {
		return err
	}
	r.status[s.ID] = status
	return nil
}

// describe has the event say which step it is of.
func (r *run) describe(s planner.Step, status StepStatus, e StepChanged) StepChanged {
	e.Step, e.Number, e.Address, e.Kind, e.Title, e.Status = s.ID, r.number[s.ID], s.Address, s.Kind, s.Title, status
	return e
}

// entry is what the journal keeps of it.
func (e StepChanged) entry() journal.Entry {
	return journal.Entry{Step: e.Step, Status: string(e.Status), Detail: e.Detail + e.Error}
}

// write records entries together with the events that describe them.
func (r *run) write(ctx context.Context, entries []journal.Entry, events ...Event) error {
	return r.tell(func(bodies ...json.RawMessage) (int64, error) {
		return r.Journal.Record(ctx, r.Ticket, entries, bodies...)
	}, events...)
}

// emit gives events their place in the stream, all of them or none, and passes them
// on.
func (r *run) emit(ctx context.Context, events ...Event) error {
	return r.tell(func(bodies ...json.RawMessage) (int64, error) { return r.Journal.Emit(ctx, r.Ticket, bodies...) }, events...)
}

// tell passes events on once write, which gives the Seq of the last, has made all of
// them durable that are kept.
func (r *run) tell(write func(bodies ...json.RawMessage) (last int64, err error), events ...Event) error {
	var bodies []json.RawMessage
	for _, e := range events {
		if !kept(e) {
			continue
		}
		b, err := body(e)
		if err != nil {
			return err
		}
		bodies = append(bodies, b)
	}
	var seq int64
	if len(bodies) > 0 {
		last, err := write(bodies...)
		if err != nil {
			return r.unrecorded(err)
		}
		seq = last - int64(len(bodies))
	}
	for _, e := range events {
		if !kept(e) {
			r.show(e)
			continue
		}
		seq++
		r.Watch(Record{Seq: seq, At: r.Now(), Run: r.Ticket.Run, Event: e})
		crash.At("event.told")
	}
	return nil
}

// show passes on an event that has no place in the stream.
func (r *run) show(e Event) { r.Watch(Record{At: r.Now(), Run: r.Ticket.Run, Event: e}) }

// kept tells whether the journal keeps an event.
func kept(e Event) bool {
	_, passing := e.(Progressed)
	return !passing
}

func (r *run) warn(ctx context.Context, s planner.Step, text string) {
	r.report(ctx, s, planner.Warning{Text: text})
}

// interrupted leaves the run open, for the next apply to go on with.
func (r *run) interrupted(ctx context.Context) (Result, error) {
	ctx = context.WithoutCancel(ctx)
	sum := r.summary(Interrupted)
	err := r.emit(ctx, RunChanged{Status: Interrupted, Summary: &sum})
	return Result{Summary: sum, Err: context.Canceled}, err
}

// end closes the run. One that failed where a person must look stays open, so
// that nothing else starts before the look; so does one that a gate keeps from
// being gone on with, which can be taken back from where it stands.
func (r *run) end(ctx context.Context, status Status, cause error) (Result, error) {
	ctx = context.WithoutCancel(ctx)
	sum := r.summary(status)
	e := RunChanged{Status: status, Summary: &sum}
	if cause != nil {
		e.Error = cause.Error()
	}
	crash.At("run.before_end")
	err := r.tell(func(bodies ...json.RawMessage) (seq int64, err error) {
		if status == Failed || status == Blocked && r.started() {
			return r.Journal.Emit(ctx, r.Ticket, bodies...)
		}
		seq, err = r.Journal.Finish(ctx, r.Ticket, r.Ticket.Run, string(status), bodies[0])
		crash.At("run.ended")
		return seq, err
	}, e)
	return Result{Summary: sum, Err: cause}, err
}

// summary says what became of every step.
func (r *run) summary(status Status) Summary {
	sum := Summary{Status: status, Blocked: r.blocked && !r.partly, Gates: r.gates, Seconds: r.Now().Sub(r.began).Seconds()}
	more := false // something goes on by the spec as it is
	for _, s := range r.Plan.Steps {
		if s.Kind == planner.KindCheckpoint {
			continue
		}
		line := fmt.Sprintf("%d %s %s", r.number[s.ID], s.Kind, s.Title)
		switch r.became(s) {
		case StepDone, StepSettled:
			if r.failed == nil || r.failed.ID != s.ID { // one that failed may have taken effect before
				sum.Done = append(sum.Done, line)
			}
		case StepUndone:
			sum.Undone = append(sum.Undone, line)
		case StepDeferred:
			sum.Deferred = append(sum.Deferred, PutOff{s.ID, line, r.why[s.ID]})
			more = more || !s.UntilSpec
		case StepFailed:
			if why := r.why[s.ID]; why != "" {
				sum.Deferred, more = append(sum.Deferred, PutOff{s.ID, line, why}), true
				continue
			}
			sum.Failed = line
		case StepStarted, StepUndoing:
			sum.Unfinished = line
		default:
			sum.NotStarted = append(sum.NotStarted, line)
		}
	}
	sum.UntilSpec = len(sum.Deferred) > 0 && !more
	if r.failed != nil {
		sum.Failed = fmt.Sprintf("%d %s %s", r.number[r.failed.ID], r.failed.Kind, r.failed.Title)
	}
	if sum.Unfinished == sum.Failed {
		sum.Unfinished = ""
	}
	return sum
}

// became is what there is to say of a step: a rollback that has nothing to undo
// of it leaves it as it is.
func (r *run) became(s planner.Step) StepStatus {
	if left := r.left[s.ID]; left != "" {
		return left
	}
	return r.status[s.ID]
}
