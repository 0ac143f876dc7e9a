package fake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pleat/planner"
)

// TaskRun is one run of a task's program, for one instance.
type TaskRun struct {
	Run, Step                        string // that asked for it
	Service, Release, Task, Instance string
	State                            TaskState
}

// TaskState is how far a run of a program has come.
type TaskState int

// The states of a run.
const (
	TaskRunning TaskState = iota
	TaskDone
	TaskFailed
)

// Tasks are all runs of programs so far, in the order in which they began.
func (s *System) Tasks() []TaskRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]TaskRun, len(s.tasks))
	for i, r := range s.tasks {
		out[i] = *r
	}
	return out
}

// applyTask runs the program for all instances together. One of an earlier call
// that still runs is taken up, one of another step ends first.
func (o Orchestrator) applyTask(ctx context.Context, t planner.Ticket, s planner.Step, a *planner.Task, report func(planner.Report)) error {
	others := func(r *TaskRun) bool { return r.State == TaskRunning && r.is(a) && !r.of(t, s) }
	if err := o.await(ctx, 0, when(func() bool { return !slices.ContainsFunc(o.tasks, others) })); err != nil {
		return err
	}
	s.Limits.Run = 0 // each run of the program has its own time
	var all []planner.Placement
	err := o.apply(ctx, t, s, report, func(f Fault) work {
		return func() (_ []planner.Report, _ condition, err error) {
			if all, err = o.meant(t, s, a); err == nil {
				err = o.run(t, s, a, all, f)
			}
			return nil, when(func() bool { return !o.underWay(t, s) }), err
		}
	})
	if ctx.Err() != nil {
		o.kill(t, s)
	}
	if err == nil && o.failed(t, s, all) {
		return fmt.Errorf("task %s of %s %s: it failed, or took longer than it may and was killed", a.Task, a.Service, a.Release)
	}
	return err
}

// of tells whether it is what a run asked for by that step.
func (r *TaskRun) of(t planner.Ticket, s planner.Step) bool { return r.Run == t.Run && r.Step == s.ID }

// underWay tells whether a program of the step runs. The lock is held.
func (s *System) underWay(t planner.Ticket, step planner.Step) bool {
	return slices.ContainsFunc(s.tasks, func(r *TaskRun) bool { return r.State == TaskRunning && r.of(t, step) })
}

func (r *TaskRun) is(a *planner.Task) bool {
	return r.Service == a.Service && r.Release == a.Release && r.Task == a.Task
}

// latest is the last run of a step for an instance, nil for none. The lock is held.
func (s *System) latest(t planner.Ticket, step planner.Step, i planner.Placement) *TaskRun {
	for _, r := range slices.Backward(s.tasks) {
		if r.of(t, step) && r.Instance == i.Instance {
			return r
		}
	}
	return nil
}

// run begins the program for each of those instances for which it is not done and does
// not run.
func (o Orchestrator) run(t planner.Ticket, s planner.Step, a *planner.Task, all []planner.Placement, f Fault) error {
	command := first(a.Definition.Command)
	for _, i := range all {
		if a.Each && !o.up(a.Service, a.Release, i.Instance) {
			return fmt.Errorf("%s %s %s is not up", a.Service, a.Release, i.Instance)
		}
		if r := o.latest(t, s, i); r != nil && r.State != TaskFailed {
			continue
		}
		r := &TaskRun{Run: t.Run, Step: s.ID, Service: a.Service, Release: a.Release, Task: a.Task, Instance: i.Instance}
		o.tasks = append(o.tasks, r)
		if f.Spoil {
			o.takesEffect(r)
		}
		switch {
		case f.Fail || command == Fails || f.Spoil && f.Linger == 0:
			r.State = TaskFailed
			return fmt.Errorf("task %s of %s %s %s: exit status 3", a.Task, a.Service, a.Release, i.Instance)
		case command == Hangs || f.Linger >= a.Timeout:
			time.AfterFunc(a.Timeout, func() { o.endTask(r, TaskFailed) })
		case f.Spoil:
			time.AfterFunc(f.Linger, func() { o.endTask(r, TaskFailed) })
		case f.Linger > 0:
			time.AfterFunc(f.Linger, func() { o.endTask(r, TaskDone) })
		default:
			o.ended(r, TaskDone)
		}
	}
	return nil
}

// endTask ends a program, unless it has ended.
func (s *System) endTask(r *TaskRun, state TaskState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.State == TaskRunning {
		s.ended(r, state)
	}
}

// ended notes how a program ended. The lock is held.
func (s *System) ended(r *TaskRun, state TaskState) {
	if r.State = state; state == TaskDone {
		s.takesEffect(r)
	}
}

// takesEffect tells of it. The lock is held.
func (s *System) takesEffect(r *TaskRun) {
	if s.options.Ran != nil {
		s.options.Ran(*r)
	}
}

// meant are the instances for which the program is: all, or of a role the one for
// which it was begun or else the one that says now that it has it; nobody where
// somebody is the primary by now. The lock is held.
func (s *System) meant(t planner.Ticket, step planner.Step, a *planner.Task) ([]planner.Placement, error) {
	if a.Of == "" {
		return a.Instances, nil
	}
	for _, p := range a.Instances {
		if r := s.latest(t, step, p); r != nil && r.State != TaskFailed {
			return []planner.Placement{p}, nil
		}
	}
	if s.led(a) {
		return nil, nil
	}
	for _, p := range a.Instances {
		if s.says(a.Service, a.Release, p.Instance) == a.Of {
			return []planner.Placement{p}, nil
		}
	}
	return nil, fmt.Errorf("no instance of %s %s says that it is %s", a.Service, a.Release, a.Of)
}

// led tells whether one of the instances is the primary. The lock is held.
func (s *System) led(a *planner.Task) bool {
	return slices.ContainsFunc(a.Instances, func(p planner.Placement) bool { return s.says(a.Service, a.Release, p.Instance) == planner.Primary })
}

// says is what an instance that is up is in its cluster. The lock is held.
func (s *System) says(service, release, name string) planner.Role {
	if !s.up(service, release, name) {
		return ""
	}
	return s.instances[key{service, release, name}].Role
}

// kill ends what a step runs.
func (s *System) kill(t planner.Ticket, step planner.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.tasks {
		if r.of(t, step) && r.State == TaskRunning {
			r.State = TaskFailed
		}
	}
}

// failed tells whether the program failed last for one of the instances.
func (s *System) failed(t planner.Ticket, step planner.Step, all []planner.Placement) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ran(t, step, all, TaskFailed)
}

// ran tells whether that is how the program is for one of the instances. The lock is
// held.
func (s *System) ran(t planner.Ticket, step planner.Step, all []planner.Placement, state TaskState) bool {
	return slices.ContainsFunc(all, func(p planner.Placement) bool {
		r := s.latest(t, step, p)
		return r != nil && r.State == state
	})
}

// probeTask is Done where the program is for each instance. The lock is held.
func (s *System) probeTask(t planner.Ticket, step planner.Step, a *planner.Task) planner.Outcome {
	return all(a.Instances, func(i planner.Placement) bool {
		r := s.latest(t, step, i)
		return r != nil && r.State == TaskDone
	})
}

// telling is how long after the end of a program of a role nobody may say that it is
// primary until that counts as not done.
const telling = 10 * time.Second

// probePromoted is Done where the program is for one of the instances, or one says
// that it is primary, and NotDone where each says that it is something else. While that
// cannot be told it is waited for.
func (o Orchestrator) probePromoted(ctx context.Context, t planner.Ticket, s planner.Step, a *planner.Task) (planner.Outcome, error) {
	outcome, since := planner.Unknown, time.Duration(0)
	err := o.await(ctx, 0, func(waited time.Duration) (bool, error) {
		silent := func(p planner.Placement) bool { return o.says(a.Service, a.Release, p.Instance) == "" }
		switch {
		case o.underWay(t, s):
			since = waited
			return false, nil
		case o.led(a) || o.ran(t, s, a.Instances, TaskDone):
			outcome = planner.Done
			return true, nil
		case slices.ContainsFunc(a.Instances, silent):
			since = waited
			return false, nil
		case o.ran(t, s, a.Instances, TaskFailed) && waited-since < telling:
			return false, nil
		}
		outcome = planner.NotDone
		return true, nil
	})
	return outcome, err
}
