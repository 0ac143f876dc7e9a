package planner

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"pleat/spec"
)

// Format is the version of the plan's encoding. A plan of another one is
// refused.
const Format = 1

// Plan is the ordered way from what is live to what is wanted. It is a value;
// Encode gives its bytes.
type Plan struct {
	// Kind is "apply" or "rollback".
	Kind string
	// Headline is where the plan goes: "users 1.0.1 → 2.0.2".
	Headline string
	// Made is the instant that the plan was made for, Expires until when it
	// may be applied. Neither is in the fingerprint.
	Made    time.Time
	Expires time.Time
	Target  []Target
	// By is the pleat that encoded it: "pleat 1.2.0". It is in no fingerprint.
	By string
	// Wish is a digest of what was asked for: the same spec and goal have the
	// same wish, wherever they start.
	Wish     string
	Releases []Release // those that the plan starts, to be recorded first
	Recorded []Release // what was recorded of them before, as far as anything was
	Lifts    []Lift
	Holds    []Hold // releases that a rollback leaves
	// Overrides are windows that the run does not keep to.
	Overrides []Override
	Live      []Live // what ran when the plan was made, by service and version
	Steps     []Step
	// Notes are sentences for the reader: what availability falls to, drift
	// that was adopted, a service without a check.
	Notes       []string
	Scope       Scope
	ReadSet     []Fact
	Fingerprint string
}

// Target says which system a plan is for.
type Target struct {
	Address  spec.Address `json:"address"`
	Identity string       `json:"identity"`
}

// Lift takes a release off hold.
type Lift struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

// Hold keeps a release from being rolled out again by the next apply.
type Hold struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

// Override says that a run does not keep to a window, why, and who says so.
type Override struct {
	Window string `json:"window"`
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// Live is a release that ran when the plan was made.
type Live struct {
	Service string `json:"service"`
	Version string `json:"version"`
}

// Alone tells whether that release, and no other of its service, ran when the
// plan was made.
func (p *Plan) Alone(service, version string) bool {
	ran := false
	for _, l := range p.Live {
		if l.Service == service && l.Version != version {
			return false
		}
		ran = ran || l.Service == service
	}
	return ran
}

// Withhold is the plan in which those steps are put off for which why gives a
// reason, and all that need them. Its fingerprint is the plan's: it is the same
// steps.
func (p *Plan) Withhold(why func(Step) string) *Plan {
	held, off := *p, map[string]deferral{}
	held.Steps = slices.Clone(p.Steps)
	for i := range held.Steps {
		s := &held.Steps[i]
		if s.Deferred == "" {
			s.putOff(deferral{why: why(*s)})
		}
		for _, need := range s.Needs {
			s.putOff(cmp.Or(s.deferral(), off[need]))
		}
		off[s.ID] = s.deferral()
	}
	for i := len(held.Steps) - 2; i >= 0; i-- {
		if s := &held.Steps[i]; s.Kind == KindCheckpoint {
			s.putOff(cmp.Or(s.deferral(), held.Steps[i+1].deferral()))
		}
	}
	return &held
}

// Elsewhere says which hosts are no longer those that the plan was made for, as
// sentences.
func (p *Plan) Elsewhere(st *State) []string {
	var was []Fact
	for _, f := range p.ReadSet {
		if strings.HasSuffix(f.Key, hostsFact) {
			was = append(was, f)
		}
	}
	return Changed(was, p.Scope.Facts(st))
}

// Empty tells whether there is nothing to do, now or later.
func (p *Plan) Empty() bool { return p.count(func(Step) bool { return true }) == 0 }

// Now counts the steps that run now, without checkpoints.
func (p *Plan) Now() int { return p.count(func(s Step) bool { return s.Deferred == "" }) }

// Deferred counts the steps that wait for time or evidence.
func (p *Plan) Deferred() int { return p.count(func(s Step) bool { return s.Deferred != "" }) }

// Irreversible counts the steps, run now or deferred, that have no undo.
func (p *Plan) Irreversible() int { return p.count(func(s Step) bool { return s.Undo == nil }) }

func (p *Plan) count(match func(Step) bool) int {
	n := 0
	for _, s := range p.Steps {
		if s.Kind != KindCheckpoint && match(s) {
			n++
		}
	}
	return n
}
