package main

import (
	"fmt"
	"time"

	"pleat/executor"
	"pleat/executor/lease"
	"pleat/planner"
	"pleat/providers/notice"
	"pleat/spec"
)

const (
	// farewell is how long a run that has ended waits for receivers of notices,
	// glance for those that may be dead: whoever waits for the run waits too.
	farewell = 5 * time.Second
	glance   = time.Second
)

// notices tells people how a run goes.
type notices struct {
	teller *notice.Teller
	about  notice.Notice     // what all of them say
	back   map[string]string // what the checkpoint goes back to that follows a step, by that step
	begun  bool
}

func (r *runner) notices(plan *planner.Plan) *notices {
	back := map[string]string{}
	for i, s := range plan.Steps {
		if c, ok := s.Action.(*planner.Checkpoint); ok && i > 0 {
			back[plan.Steps[i-1].ID] = c.Back
		}
	}
	return &notices{
		teller: notice.New(r.world.spec.Notifies, r.app.redact), back: back,
		about: notice.Notice{Run: r.ticket.Run, Kind: plan.Kind, Headline: plan.Headline, Who: r.holder.Who, Host: r.holder.Host},
	}
}

// watch tells of a record, where it is an occasion.
func (n *notices) watch(rec executor.Record) {
	told := n.about
	told.At = rec.At.UTC()
	switch e := rec.Event.(type) {
	case executor.RunChanged:
		told.Occasion, told.Text = n.ofRun(e)
	case executor.StepChanged:
		told.Occasion, told.Text = n.ofStep(e)
		told.Step = fmt.Sprintf("%d %s %s", e.Number, e.Kind, e.Title)
	}
	if told.Occasion != "" {
		n.teller.Tell(told)
	}
}

func (n *notices) ofRun(e executor.RunChanged) (occasion, text string) {
	switch e.Status {
	case executor.Running:
		if n.begun {
			return "", ""
		}
		n.begun = true
		return "start", count(e.Steps, "step")
	case executor.Complete, executor.Noop:
		return "done", doneText(e.Summary)
	case executor.Blocked:
		return "deferred", "nothing was done: " + e.Error
	case executor.Deferred:
		return "deferred", doneText(e.Summary)
	case executor.RolledBack:
		return "rollback", backText(e.Summary) + ": " + e.Error
	case executor.Failed:
		return "failure", "a person must look: " + e.Error
	case executor.Interrupted:
		return "interrupted", doneText(e.Summary)
	}
	return "", ""
}

func doneText(s *executor.Summary) string {
	if s == nil {
		return ""
	}
	text := count(len(s.Done), "step") + " done"
	if len(s.Deferred) > 0 {
		text += ", put off: " + putOff(s.Deferred)[0]
	}
	return text
}

// backText says how far a run went back: what is behind a checkpoint stays.
func backText(s *executor.Summary) string {
	if s == nil || len(s.Done) == 0 {
		return "all of it is back"
	}
	return fmt.Sprintf("%s done and kept, %d undone", count(len(s.Done), "step"), len(s.Undone))
}

func (n *notices) ofStep(e executor.StepChanged) (occasion, text string) {
	switch {
	case (e.Status == executor.StepDone || e.Status == executor.StepSettled) && n.back[e.Step] != "":
		return "checkpoint", n.back[e.Step]
	case e.Status == executor.StepFailed:
		return "failure", e.Error
	case e.Status == executor.StepWaiting && e.Kind == planner.KindApprove && e.Detail != "":
		return "approval", e.Detail
	}
	return "", ""
}

// tellPlan tells people of a plan that was saved for them to review.
func (a *app) tellPlan(sp *spec.Spec, plan *planner.Plan) error {
	who, err := lease.Self("")
	if err != nil {
		return err
	}
	n := notices{teller: notice.New(sp.Notifies, a.redact)}
	n.teller.Tell(notice.Notice{
		Occasion: "plan", At: time.Now().UTC(), Kind: plan.Kind, Headline: plan.Headline, Who: who.Who, Host: who.Host,
		Text: "to review: " + plan.Fingerprint,
	})
	if lost := n.close(); lost != nil {
		a.talk("Warning: not everybody could be told: %s", lost)
	}
	return nil
}

// close gives what could not be told.
func (n *notices) close() error { return n.teller.Close(farewell, glance) }
