package planner

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

// arrives tells whether the release is on its way to take over: nothing of it
// was there, or something else still serves. Where only its counts change, or
// what was kept goes, what is done once for a release is done.
func (r *rollout) arrives() bool {
	mine := false
	for _, i := range r.instances[r.service.Name] {
		switch {
		case i.State == Down:
		case i.Release == r.to.Version:
			mine = true
		case r.service.Router == nil || r.served[i.Service+"/"+i.Release+"/"+i.Name]:
			return true
		}
	}
	return !mine
}

// tasks are those of a moment, as far as the release has the process.
func (r *rollout) tasks(at spec.Moment, each bool) []*spec.Task {
	if r.goal.Rollback {
		return nil
	}
	found := slices.DeleteFunc(slices.Clone(r.service.Tasks), func(t *spec.Task) bool {
		return t.Run != at || t.Each != each || r.to.process(t.Process) == nil
	})
	if len(found) > 0 && !each && !r.arrives() {
		return nil
	}
	return found
}

// once runs what a moment of the rollout brings once; what did is done.
func (r *rollout) once(at spec.Moment) {
	for _, t := range r.tasks(at, false) {
		if r.ran[t.Name] || len(r.hosts) == 0 {
			continue
		}
		r.ran[t.Name] = true
		r.task(t, []string{t.Name}, []Placement{{Instance: t.Name, Host: r.hosts[0]}})
	}
}

// ready runs what instances that are up need before they get requests, and what
// the first of them need.
func (r *rollout) ready(p ProcessDefinition, names []string) {
	if slices.ContainsFunc(r.tasks(spec.BeforeTraffic, false), func(t *spec.Task) bool { return t.Process == p.Process }) {
		r.once(spec.BeforeTraffic)
	}
	r.forEach(spec.BeforeTraffic, p, names)
}

// forEach runs what a moment brings for each of the instances.
func (r *rollout) forEach(at spec.Moment, p ProcessDefinition, names []string) {
	for _, t := range r.tasks(at, true) {
		if t.Process == p.Process && len(names) > 0 {
			r.task(t, names, r.located(r.to.Version, names))
		}
	}
}

// moment runs what is not about instances that have just come up.
func (r *rollout) moment(at spec.Moment) {
	r.once(at)
	if len(r.tasks(at, true)) == 0 || !r.arrives() {
		return
	}
	for _, p := range r.to.Processes {
		r.forEach(at, p, r.own(p.Process))
	}
}

// taskCauses are what a moment means.
var taskCauses = map[spec.Moment]string{
	spec.BeforeStart:   "it comes before %s starts",
	spec.BeforeTraffic: "it comes before %s gets requests",
	spec.AtCanary:      "it is tried while %s has a share",
	spec.AfterRollout:  "it comes once %s has arrived",
}

func (r *rollout) task(t *spec.Task, names []string, placed []Placement) {
	title := fmt.Sprintf("%s %s %s", r.service.Name, r.to.Version, t.Name)
	id := []string{t.Name}
	if t.Each {
		_, numbers, _ := strings.Cut(span(names), ".")
		title += " " + t.Process + " " + strings.ReplaceAll(numbers, t.Process+".", "")
		id = []string{t.Name + "/" + span(names)}
	}
	s := r.step(KindTask, r.to.Version, id, title)
	s.Cause = fmt.Sprintf(taskCauses[t.Run], r.to.Version)
	s.Safety, s.Limits.Run = Probed, 0
	s.Waits = []string{"at most " + shortDuration(t.Timeout)}
	s.Does = []string{"runs " + commandText(t.Command)}
	s.Source = r.source(t.Range)
	s.Action = r.taskAction(t, t.Command, placed)
	s.Undo = &Undo{Title: "-"}
	if t.Run == spec.AfterRollout { // where one might think that it is over
		s.Undo.Title = "all goes back"
	}
	if t.Undo != nil {
		s.Undo = &Undo{Title: "run its undo", Action: r.taskAction(t, t.Undo, placed)}
		s.Does = append(s.Does, "undo runs "+commandText(t.Undo))
	}
	if t.Run == spec.BeforeStart {
		s.Needs = append(s.Needs, r.before()...)
	}
	r.add(r.group, s)
}

func (r *rollout) taskAction(t *spec.Task, command []string, placed []Placement) *Task {
	p := *r.to.process(t.Process)
	p.Command, p.Checks = command, nil
	start := r.startAction(r.to, p, placed)
	return &Task{
		Orchestrator: start.Orchestrator, Service: start.Service, Release: start.Release, Task: t.Name,
		Artifact: start.Artifact, Definition: p, Database: start.Database, AlsoUses: start.AlsoUses, Views: start.Views,
		Each: t.Each, Instances: placed, Timeout: t.Timeout,
	}
}

// commandText is a command as a person reads it.
func commandText(command []string) string {
	out := make([]string, len(command))
	for i, arg := range command {
		if out[i] = arg; arg == "" || strings.ContainsAny(arg, " \t\n\"'\\") {
			out[i] = fmt.Sprintf("%q", arg)
		}
	}
	return strings.Join(out, " ")
}
