package planner

import (
	"cmp"
	"slices"
	"time"

	"pleat/spec"
)

// gate has a step wait for the gates of what it is about, cheap ones first.
// While services are down none is asked: they come back all the same. A way back
// asks none, and neither does who only asks for more or fewer instances: gates are
// for what changes, and more are wanted most while something is wrong.
func (e *emitter) gate(s *Step) {
	if e.goal.Rollback || len(e.goal.Scale) > 0 || s.Together {
		return
	}
	var opens []*Open
	for _, g := range e.gatesOf(s.Address) {
		open := &Open{Gate: g.Name, Inquiry: g.Inquiry, Expect: g.Expect}
		if name, ok := cutPrefix(s.Address, "service."); ok {
			open.Service, open.Release = name, e.target(e.byName[name])
		}
		opens = append(opens, open)
	}
	slices.SortStableFunc(opens, cheaper)
	for _, open := range opens {
		s.Guards = append(s.Guards, open)
		s.Waits = append(s.Waits, string(open.Provider()))
	}
}

func (e *emitter) gatesOf(a spec.Address) []*spec.Gate {
	if name, ok := cutPrefix(a, "service."); ok && e.byName[name] != nil {
		return e.byName[name].Gates
	}
	if name, ok := cutPrefix(a, "change."); ok {
		if i, known := e.position[name]; known {
			return e.changes[i].Gates
		}
	}
	return nil
}

// costs are those of inquiries: evidence that lies there, a question to somebody
// else or a program, a query that a database has to work for, one over the past.
var costs = map[spec.InquiryKind]int{
	spec.InquiryFile: 0, spec.InquiryHTTP: 1, spec.InquiryCommand: 1, spec.InquirySQL: 2, spec.InquiryPrometheus: 3,
}

// Cost orders gates: one that costs less is asked before one that costs more.
func (g *Open) Cost() int { return costs[g.Inquiry.Kind] }

func cheaper(a, b *Open) int { return cmp.Compare(a.Cost(), b.Cost()) }

// GateQuestion is a gate as a run asks it before its first step.
type GateQuestion struct {
	Open *Open
	For  []string // what it guards: "change.names", "users 2.0.2"
	// Deferred says why none of the steps that it guards runs now; "" = one does.
	Deferred string
	Wait     time.Duration // how long those steps wait for it at most
}

// GateQuestions are the gates of the steps for which left is so, each once,
// cheap ones first. One that would have the same answer for several services is
// one question.
func (p *Plan) GateQuestions(left func(Step) bool) []GateQuestion {
	var out []GateQuestion
	at := map[Open]int{}
	for _, s := range p.Steps {
		for _, g := range s.Guards {
			open, ok := g.(*Open)
			if !ok || !left(s) {
				continue
			}
			i, known := at[open.identity()]
			if !known {
				i = len(out)
				at[open.identity()] = i
				out = append(out, GateQuestion{Open: open, Deferred: s.Deferred, Wait: s.Limits.Evidence})
			}
			out[i].add(s, open)
		}
	}
	slices.SortStableFunc(out, func(a, b GateQuestion) int { return cheaper(a.Open, b.Open) })
	return out
}

// identity is what makes two questions two: only programs and Prometheus hear of
// whom they are asked.
func (g *Open) identity() Open {
	id := Open{Gate: g.Gate}
	if g.Inquiry.Kind == spec.InquiryCommand || g.Inquiry.Kind == spec.InquiryPrometheus {
		id.Service, id.Release = g.Service, g.Release
	}
	return id
}

// add notes that the question is about the step too.
func (q *GateQuestion) add(s Step, open *Open) {
	of := string(s.Address)
	if open.Service != "" {
		of = open.Service + " " + open.Release
	}
	if !slices.Contains(q.For, of) {
		q.For = append(q.For, of)
	}
	if s.Deferred == "" {
		q.Deferred = ""
	}
	q.Wait = max(q.Wait, s.Limits.Evidence)
}
