package exec

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"pleat/planner"
	"pleat/spec"
)

func asked(kind string, question any) (Question, error) {
	raw, err := json.Marshal(question)
	if err != nil {
		return Question{}, fmt.Errorf("encoding the question: %w", err)
	}
	return Question{Kind: kind, Question: raw}, nil
}

// action is what the program is told of an action, and its kind: all that a probe
// needs.
func (o *Orchestrator) action(a planner.Action) (kind string, action any, err error) {
	switch a := a.(type) {
	case *planner.Start:
		return "start", Start{
			Service: a.Service, Release: a.Release, Process: a.Definition.Process, Definition: process(a),
			Instances: placed(a.Instances), MaxStartFailures: a.MaxStartFailures,
		}, nil
	case *planner.Stop:
		return "stop", Stop{
			Service: a.Service, Release: a.Release, Process: a.Process, Leave: leave(a.Drain),
			Instances: placed(a.Instances), Wait: a.Wait, Exclusive: a.Exclusive, Floor: a.Floor, By: a.By, Role: string(a.Role),
		}, nil
	case *planner.Smoke:
		return "smoke", Smoke{Service: a.Service, Release: a.Release, Process: a.Process, Instances: placed(a.Instances), Checks: checks(a.Checks)}, nil
	case *planner.Handover:
		return "handover", Handover{Service: a.Service, Release: a.Release, Process: a.Process, Instances: placed(a.Instances), Run: a.Run}, nil
	case *planner.Task:
		return "task", Task{
			Service: a.Service, Release: a.Release, Task: a.Task, Definition: process(a.Running()), Each: a.Each,
			Instances: placed(a.Instances), Of: string(a.Of), TimeoutMS: a.Timeout.Milliseconds(),
		}, nil
	case *planner.Roles:
		r := Roles{Service: a.Service, Release: a.Release, Process: a.Process, Instances: placed(a.Instances)}
		for _, want := range a.Want {
			r.Want = append(r.Want, string(want))
		}
		return "roles", r, nil
	}
	return "", nil, o.foreign(a)
}

// process is how instances run, without what only apply hands over.
func process(a *planner.Start) Process {
	d := a.Definition
	return Process{
		Artifact: Artifact{SHA256: a.Artifact.SHA256},
		Command:  d.Command, Checks: checks(d.Checks), HTTP2: d.Protocol == spec.HTTP2, Leave: leave(d.Drain),
		MemoryBytes: d.Limits.Memory, CPU: d.Limits.CPU, User: d.User, WorkingDirectory: d.WorkingDirectory, Secrets: d.Secrets,
	}
}

// complete adds what apply hands over to what was made of an action.
func (o *Orchestrator) complete(ctx context.Context, a planner.Action, made any) (any, error) {
	var err error
	switch out := made.(type) {
	case Start:
		out.Definition, err = o.handed(ctx, a.(*planner.Start), out.Definition)
		return out, err
	case Task:
		out.Definition, err = o.handed(ctx, a.(*planner.Task).Running(), out.Definition)
		return out, err
	}
	return made, nil
}

// handed adds secrets, database URLs and the artifact's file.
func (o *Orchestrator) handed(ctx context.Context, a *planner.Start, p Process) (Process, error) {
	var hosts []string
	p.DatabaseURLs = map[string]map[string]string{}
	for _, i := range a.Instances {
		hosts = append(hosts, i.Host)
		urls, err := o.options.Known.DatabaseURLs(a, i)
		if err != nil {
			return p, err
		}
		if urls != nil {
			p.DatabaseURLs[i.Instance] = urls
		}
	}
	var err error
	if p.Env, err = o.options.Known.Variables(a); err != nil {
		return p, err
	}
	slices.Sort(hosts)
	p.Artifact, err = o.artifact(ctx, a.Artifact, slices.Compact(hosts))
	return p, err
}

func placed(all []planner.Placement) []Placed {
	out := []Placed{}
	for _, i := range all {
		out = append(out, Placed{Instance: i.Instance, Host: i.Host})
	}
	return out
}

func leave(d spec.Drain) Leave {
	return Leave{TimeoutMS: d.Timeout.Milliseconds(), Signal: d.Signal, KillAfterMS: d.KillAfter.Milliseconds()}
}

func checks(all []*spec.Check) []Check {
	var out []Check
	for _, c := range all {
		out = append(out, Check{
			Kind: string(c.Kind), Path: c.Path, Port: c.Port, Service: c.Service, Command: c.Command,
			IntervalMS: c.Interval.Milliseconds(), TimeoutMS: c.Timeout.Milliseconds(), Threshold: c.Threshold,
			HealthyAfterMS: c.HealthyAfter.Milliseconds(), StartTimeoutMS: c.StartTimeout.Milliseconds(),
		})
	}
	return out
}

// subject is whom an action is about.
type subject struct {
	service, release, process, source string
	instances                         []planner.Placement
}

func subjectOf(a planner.Action) subject {
	switch a := a.(type) {
	case *planner.Start:
		return subject{a.Service, a.Release, a.Definition.Process, "", a.Instances}
	case *planner.Stop:
		return subject{a.Service, a.Release, a.Process, "", a.Instances}
	case *planner.Task:
		return subject{a.Service, a.Release, a.Definition.Process, a.Task, a.Instances}
	}
	return subject{}
}

// reporter passes on what the program reports, without secrets. What is not
// about the step is an error.
func (p *program) reporter(a planner.Action, report func(planner.Report)) func(Report) error {
	about := subjectOf(a)
	return func(r Report) error {
		text := p.options.Redact(r.Text)
		switch r.Kind {
		case WaitingReport:
			report(planner.Waiting{For: text})
			return nil
		case WarningReport:
			report(planner.Warning{Text: text})
			return nil
		}
		n := slices.IndexFunc(about.instances, func(i planner.Placement) bool { return i.Instance == r.Instance })
		if n < 0 {
			return fmt.Errorf("the step is not about an instance %q", r.Instance)
		}
		host := about.instances[n].Host
		switch {
		case r.Kind == OutputReport && about.source != "":
			report(planner.Output{Service: about.service, Release: about.release, Source: about.source, Host: host, Line: text})
			return nil
		case r.Kind == InstanceReport && slices.Contains(states, planner.InstanceState(r.State)):
			report(planner.InstanceChange{
				Service: about.service, Release: about.release, Process: about.process, Instance: r.Instance, Host: host,
				State: planner.InstanceState(r.State), Error: text,
			})
			return nil
		}
		return fmt.Errorf("there is no report %q with the state %q", r.Kind, r.State)
	}
}
