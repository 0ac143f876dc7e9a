package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

// TaskError is a task that did not end well.
type TaskError struct {
	Ref    api.Ref
	Host   string
	Task   string
	Reason string
	Output []string // its last lines
}

// Error is one line: which task, for whom, where and why.
func (e *TaskError) Error() string {
	return fmt.Sprintf("task %s of %s on %s: %s", e.Task, e.Ref, e.Host, e.Reason)
}

// Detail is what the task wrote last, "" when it wrote nothing.
func (e *TaskError) Detail() string { return strings.Join(e.Output, "\n") }

const (
	// taskLook is how often a task is looked at.
	taskLook = 100 * time.Millisecond
	// taskLines is how many lines of a task become events. What comes after is
	// in its agent's file alone.
	taskLines = 1000
)

// task runs the program for one instance after the other.
func (c *call) task(ctx context.Context, a *planner.Task) error {
	members, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := c.upload(ctx, m, a.Artifact); err != nil {
			return err
		}
	}
	defer c.report(planner.Waiting{})
	all := a.Instances
	if a.Of != "" {
		if all, err = c.meant(ctx, a, hosts); err != nil {
			return err
		}
	}
	for _, i := range all {
		if err := c.taskFor(ctx, a, hosts[i.Host], i); err != nil {
			return err
		}
	}
	return nil
}

// meant is the one instance that a task of one role is for: the one for which it was
// begun before, or the one that has the role now. Nobody, where it was not begun and
// somebody is the primary by now.
func (c *call) meant(ctx context.Context, a *planner.Task, hosts map[string]fleet.Member) ([]planner.Placement, error) {
	for _, i := range a.Instances {
		var state api.TaskState
		err := fleet.Patient(ctx, func(func()) (err error) {
			state, err = hosts[i.Host].TaskState(ctx, taskKey(c.key, i), 0)
			return err
		})
		if err != nil {
			return nil, err
		}
		if state.Status == api.TaskRunning || state.Status == api.TaskDone {
			return []planner.Placement{i}, nil
		}
	}
	if _, err := having(a, planner.Primary, hosts); err == nil {
		return nil, nil
	}
	one, err := having(a, a.Of, hosts)
	return []planner.Placement{one}, err
}

// taskKey is one for each instance.
func taskKey(key string, i planner.Placement) string { return key + "/" + i.Instance }

func (c *call) taskFor(ctx context.Context, a *planner.Task, m fleet.Member, i planner.Placement) error {
	d, err := c.definition(a.Running(), i)
	if err != nil {
		return err
	}
	t := api.Task{
		Ref: api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}, Name: a.Task, Definition: d,
		Beside: a.Each, Timeout: a.Timeout, Key: taskKey(c.key, i),
	}
	f := &taskRun{call: c, task: t, member: m}
	c.report(planner.Waiting{For: fmt.Sprintf("task %s on %s", a.Task, m.Host)})
	err = f.begin(ctx)
	if ctx.Err() != nil {
		return f.kill(ctx) // it may have begun all the same
	}
	if err != nil {
		return err
	}
	return f.follow(ctx)
}

// taskRun is one task under way.
type taskRun struct {
	*call
	task   api.Task
	member fleet.Member
	next   int64  // of its output
	rest   string // a line that is not whole yet
	told   int
	last   []string
}

// begin starts the task. One of an earlier run that still goes on has to end
// first.
func (f *taskRun) begin(ctx context.Context) error {
	for {
		err := fleet.Patient(ctx, func(func()) error { return f.member.RunTask(f.traced(ctx), f.task) })
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Code != api.CodeConflict {
			if err != nil {
				return fmt.Errorf("starting task %s on %s: %w", f.task.Name, f.member.Host, fleet.Unsure(err))
			}
			f.options.At("rollout.answered")
			return nil
		}
		f.report(planner.Waiting{For: refused.Message})
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(taskLook):
		return nil
	}
}

// follow passes on what the task writes until it has ended. When ctx ends the
// task is killed: it has then failed. An agent that restarts is waited for: the
// task goes on without it.
func (f *taskRun) follow(ctx context.Context) error {
	for {
		var state api.TaskState
		err := fleet.Patient(ctx, func(func()) (err error) {
			state, err = f.member.TaskState(ctx, f.task.Key, f.next)
			return err
		})
		if ctx.Err() != nil {
			return f.kill(ctx)
		}
		if err != nil {
			return fmt.Errorf("asking for task %s on %s: %w", f.task.Name, f.member.Host, errors.Join(planner.ErrOutcomeUnknown, err))
		}
		f.tell(state.Output, state.Status != api.TaskRunning && state.Next == f.next)
		more := state.Next > f.next
		f.next = state.Next
		switch {
		case more:
			continue
		case state.Status == api.TaskDone:
			return nil
		case state.Status != api.TaskRunning:
			reason := state.Error
			if state.Status == api.TaskNone {
				reason = "its agent knows nothing of it"
			}
			return &TaskError{Ref: f.task.Ref, Host: f.member.Host, Task: f.task.Name, Reason: f.options.Redact(reason), Output: f.last}
		}
		if pause(ctx) != nil {
			return f.kill(ctx)
		}
	}
}

func (f *taskRun) kill(ctx context.Context) error {
	cause := ctx.Err()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := f.member.EndTask(ctx, f.task.Key); err != nil {
		return fmt.Errorf("ending task %s on %s: %w", f.task.Name, f.member.Host, errors.Join(planner.ErrOutcomeUnknown, err))
	}
	return cause
}

// tell passes on whole lines; at the end also one that is not.
func (f *taskRun) tell(text string, end bool) {
	lines := strings.Split(f.rest+strings.ToValidUTF8(text, "\uFFFD"), "\n")
	f.rest = lines[len(lines)-1]
	lines = lines[:len(lines)-1]
	if end && f.rest != "" {
		lines, f.rest = append(lines, f.rest), ""
	}
	for _, line := range lines {
		line = f.options.Redact(line)
		f.last = append(f.last, line)
		f.last = f.last[max(0, len(f.last)-outputLines):]
		f.told++
		if f.told > taskLines {
			continue
		}
		f.report(planner.Output{Service: f.task.Ref.Service, Release: f.task.Ref.Release, Source: f.task.Name, Host: f.member.Host, Line: line})
		if f.told == taskLines {
			f.report(planner.Warning{Text: fmt.Sprintf("task %s on %s has written %d lines; what comes after is not kept", f.task.Name, f.member.Host, taskLines)})
		}
	}
}

// probeTask is done when it is for every instance. One that still runs is not: it is
// taken up again.
func (p *Provider) probeTask(ctx context.Context, t planner.Ticket, s planner.Step, a *planner.Task) (planner.Outcome, error) {
	if a.Of != "" {
		return p.probePromoted(ctx, t, s, a)
	}
	ran, _, err := p.ran(ctx, t, s, a)
	if err != nil {
		return planner.Unknown, err
	}
	if ran[api.TaskDone] < len(a.Instances) {
		return planner.NotDone, nil
	}
	return planner.Done, nil
}

// ran counts the instances of a step's task by how it is with that for them, and gives
// the agents as they were right before.
func (p *Provider) ran(ctx context.Context, t planner.Ticket, s planner.Step, a *planner.Task) (map[api.TaskStatus]int, map[string]fleet.Member, error) {
	members, missing := p.fleet.Read(ctx)
	ran, hosts := map[api.TaskStatus]int{}, map[string]fleet.Member{}
	for _, i := range a.Instances {
		m, ok := fleet.On(members, i.Host)
		if !ok {
			return nil, nil, absent(i.Host, missing)
		}
		state, err := m.TaskState(ctx, taskKey(t.Run+"/"+s.ID, i), 0)
		if err != nil {
			return nil, nil, err
		}
		ran[state.Status]++
		hosts[i.Host] = m
	}
	return ran, hosts, nil
}
