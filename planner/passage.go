package planner

import (
	"fmt"
	"strings"

	"pleat/spec"
)

// passage is one line of a plan between its verdicts, whoever it is written for:
// exactly one of these, and with a step its number.
type passage struct {
	section    string // why a part of the plan comes before the others
	heading    string // why the steps below are there, and where the author asked for it
	checkpoint *Checkpoint
	step       *Step
	number     int
}

// passages are the lines of a plan, in execution order.
func passages(steps []Step) []passage {
	var out []passage
	n, about, section := 0, spec.Address(""), ""
	for i := range steps {
		s := &steps[i]
		if s.Section != section {
			out = append(out, passage{section: s.Section})
			section, about = s.Section, ""
		}
		if c, ok := s.Action.(*Checkpoint); ok {
			out = append(out, passage{checkpoint: c})
			about = ""
			continue
		}
		if s.Address != about {
			out = append(out, passage{heading: s.heading()})
			about = s.Address
		}
		n++
		out = append(out, passage{step: s, number: n})
	}
	return out
}

func (s *Step) heading() string {
	if s.Source == "" {
		return s.Cause
	}
	return s.Cause + " · " + s.Source
}

// line is the checkpoint across the columns.
func (c *Checkpoint) line() string {
	if c.NoReturn {
		return "══ point of no return: " + c.Back
	}
	return fmt.Sprintf("── checkpoint %s · %s", c.Name, c.Back)
}

// irreversible is what a step says of its failing that has no way back.
const irreversible = "IRREVERSIBLE"

// row is a step in columns.
type row struct{ Number, Kind, Title, Waits, Lock, Fails string }

func rowOf(n int, s Step) row {
	r := row{
		Number: fmt.Sprint(n), Kind: string(s.Kind), Title: s.Title,
		Waits: strings.Join(s.Waits, ", "), Lock: lockText(s), Fails: irreversible,
	}
	if s.Estimate > 0 {
		r.Title = s.Title + ", about " + thousands(s.Estimate)
	}
	switch {
	case s.Undo == nil:
		r.Number = "!" + r.Number
	case s.Cleanup:
		r.Fails = "left for later"
	default:
		r.Fails = s.Undo.Title
	}
	if s.Deferred != "" {
		r.Number = "~" + r.Number
	}
	return r
}

// marks says what is before numbers, where steps have their reason beside them; ""
// for nothing.
func (p *Plan) marks() string {
	var all []string
	if p.Deferred() > 0 {
		all = append(all, "~ deferred: not now")
	}
	if p.Irreversible() > 0 {
		all = append(all, "! irreversible")
	}
	return strings.Join(all, " · ")
}
