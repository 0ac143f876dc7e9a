package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/planner"
	"pleat/spec"
)

// GateStatus is what a run knows of a gate.
type GateStatus string

// The statuses of a gate.
const (
	GatePassed  GateStatus = "passed"
	GateMissing GateStatus = "missing" // it is closed, or there is no answer
	GateSkipped GateStatus = "skipped" // it was not asked
)

// GateAnswer is what came of asking a gate before the first step.
type GateAnswer struct {
	Gate   spec.Address `json:"gate"`
	For    []string     `json:"for"` // what it guards: "change.names", "users 2.0.2"
	Status GateStatus   `json:"status"`
	Reason string       `json:"reason,omitempty"` // why it is missing, or was skipped
}

// GatesAsked tells of all gates of a run, before its first step: cheap ones
// first, and anew when one that was waited for has another answer.
type GatesAsked struct {
	Gates []GateAnswer `json:"gates"`
	// Until is when a run gives up on those that are missing; nil: it does not
	// wait.
	Until *time.Time `json:"until,omitempty"`
}

func (GatesAsked) kind() string { return "gates" }

// admission is the question whether a run may begin.
type admission struct {
	*run
	questions []planner.GateQuestion
	answers   []GateAnswer
}

// blockedBy asks the gates of what has not begun before anything is done, until
// all are open, the plan's time for them is over, or the run is to stop. The first
// result names those that are closed; nil where none is. Where services are down
// none is asked, as in the plan: they come back all the same.
func (r *run) blockedBy(ctx context.Context) (closed error, err error) {
	left := func(s planner.Step) bool { return !r.took(s) && r.status[s.ID] != StepStarted }
	a := &admission{run: r, questions: r.Plan.GateQuestions(left)}
	next := slices.IndexFunc(r.Plan.Steps, func(s planner.Step) bool { return !r.took(s) })
	if len(a.questions) == 0 || r.opened(r.Plan.Steps[next]) || r.opening(r.Plan.Steps[next]) {
		return nil, nil
	}
	wait := time.Duration(0)
	for _, q := range a.questions {
		a.answers = append(a.answers, GateAnswer{Gate: q.Open.Provider(), For: q.For})
		wait = max(wait, q.Wait)
	}
	return a.wait(ctx, r.Now().Add(wait))
}

// opening tells whether the step is the first of several that run together, and was
// begun by an attempt that was cut short: services may be down.
func (r *run) opening(s planner.Step) bool {
	i := slices.IndexFunc(r.Plan.Steps, func(x planner.Step) bool { return x.ID == s.ID })
	return r.status[s.ID] == StepStarted && !s.Together && i >= 0 && i+1 < len(r.Plan.Steps) && r.Plan.Steps[i+1].Together
}

// ungated is the step without its gates and windows, where services may be down
// already: they were open when it began.
func (r *run) ungated(s planner.Step) planner.Step {
	if r.opening(s) {
		s.Guards = slices.DeleteFunc(slices.Clone(s.Guards), func(g planner.Guard) bool {
			switch g.(type) {
			case *planner.Open, *planner.Within:
				return true
			}
			return false
		})
	}
	return s
}

func (a *admission) wait(ctx context.Context, deadline time.Time) (closed error, err error) {
	var told []GateAnswer
	for {
		again := a.round(ctx)
		if a.stopping(ctx) {
			return nil, nil
		}
		closed = a.closed()
		over := closed == nil || a.Now().Add(again).After(deadline)
		if over || !slices.EqualFunc(told, a.answers, sameStatus) {
			told = slices.Clone(a.answers)
			if err := a.tellGates(ctx, over, deadline); err != nil {
				return nil, err
			}
		}
		if over && closed != nil {
			a.blocked, a.gates = true, a.answers
		}
		if over {
			return closed, nil
		}
		a.pause(ctx, max(recheck, again))
	}
}

func (a *admission) tellGates(ctx context.Context, over bool, deadline time.Time) error {
	e := GatesAsked{Gates: slices.Clone(a.answers)}
	if !over {
		e.Until = &deadline
	}
	return a.emit(ctx, e)
}

func sameStatus(a, b GateAnswer) bool { return a.Status == b.Status }

// round asks what has not passed yet, and says how long to leave it alone. What
// costs more than one that is closed is not asked: it would change nothing.
func (a *admission) round(ctx context.Context) (again time.Duration) {
	var shut *planner.Open
	for i, q := range a.questions {
		answer := &a.answers[i]
		switch {
		case answer.Status == GatePassed || a.stopping(ctx):
		case q.Deferred != "":
			answer.Status, answer.Reason = GateSkipped, "what it guards is put off: "+q.Deferred
		case shut != nil && q.Open.Cost() > shut.Cost():
			answer.Status, answer.Reason = GateSkipped, fmt.Sprintf("%s is missing", shut.Provider())
		default:
			again = max(again, a.askGate(ctx, q.Open, answer))
			if answer.Status == GateMissing && shut == nil {
				shut = q.Open
			}
		}
	}
	return again
}

// askGate asks one. Without an answer it is closed.
func (a *admission) askGate(ctx context.Context, g *planner.Open, answer *GateAnswer) (again time.Duration) {
	said, err := a.ask(ctx, planner.Step{Guards: []planner.Guard{g}})
	if err == nil && said.Met {
		answer.Status, answer.Reason = GatePassed, ""
		return 0
	}
	answer.Status, answer.Reason = GateMissing, strings.TrimPrefix(said.Reason, string(g.Provider())+": ")
	if err != nil {
		answer.Reason = err.Error()
	}
	return said.Again
}

// closed names the gates that keep the run from its first step; nil where there
// is none.
func (a *admission) closed() error {
	var names []string
	for _, answer := range a.answers {
		if answer.Status == GateMissing && !slices.Contains(names, string(answer.Gate)) {
			names = append(names, string(answer.Gate))
		}
	}
	switch len(names) {
	case 0:
		return nil
	case 1:
		return errors.New(names[0] + " is closed")
	}
	return errors.New(strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are closed")
}
