package planner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/migrations"
	"pleat/migrations/hazard"
	"pleat/spec"
)

// Unhide plans the way back of steps that hid something and of those that came
// after them (Retires), as the plans of the earlier runs have it: what they took
// out of sight comes back, whatever the spec has become since. Other steps are
// left out.
func Unhide(change string, hidden []Step, target []Target, now time.Time) (*Plan, error) {
	p := &Plan{
		Kind: "rollback", Headline: change + " " + string(migrations.Hidden) + " → " + string(migrations.Verified),
		Made: now, Expires: now.Add(DefaultTTL), Wish: digest([]byte("unhide " + change)),
		Notes: []string{"the soak of " + change + " begins anew: an apply after it hides this again"},
	}
	for i := len(hidden) - 1; i >= 0; i-- {
		s, ok := unhidden(hidden[i])
		if !ok {
			s, ok = unretired(hidden[i])
		}
		if !ok {
			continue
		}
		p.Steps = append(p.Steps, s)
		for _, t := range target {
			if t.Address == s.Action.Provider() {
				p.Target = []Target{t}
			}
		}
	}
	var err error
	p.Fingerprint, err = fingerprintOf(p.Steps)
	return p, err
}

// Hides tells whether a step takes something out of sight, which its undo
// brings back without loss.
func Hides(s Step) bool {
	_, ok := unhidden(s)
	return ok
}

// Retires tells whether a step goes on, once what its change takes away is
// hidden, with what its undo takes back: it ends a former key, or has NOT NULL
// take the place of a check. What was hidden comes back whole only with it.
func Retires(s Step) bool {
	_, ok := unretired(s)
	return ok
}

// Unhides tells whether a step brings back what another one hid.
func Unhides(s Step) bool { return s.Kind == KindContract && strings.HasSuffix(s.ID, unhideSuffix) }

// Displaced gives the first of the later steps that takes the name of an index
// which un-hiding a step would move: the name is another's by then. nil where
// there is none.
func Displaced(hidden Step, later []Step) *Step {
	back, ok := unhidden(hidden)
	if !ok {
		return nil
	}
	moved := indexNames(back)
	for i, s := range later {
		if s.Address != hidden.Address && slices.ContainsFunc(indexNames(s), func(n spec.Table) bool { return slices.Contains(moved, n) }) {
			return &later[i]
		}
	}
	return nil
}

// indexNames are the indexes that a step renames or drops, by the names that
// they have before it.
func indexNames(s Step) []spec.Table {
	var out []spec.Table
	switch a := s.Action.(type) {
	case *RemoveIndex:
		out = append(out, a.Index)
	case *Transaction:
		for _, sql := range a.SQL {
			if name := hazard.RenamedIndex(sql); name != "" {
				out = append(out, spec.ParseTable(name))
			}
		}
	}
	return out
}

// StillDone leaves out steps of which a later one in the list is the way back.
func StillDone(steps []Step) []Step {
	back := map[string]bool{}
	var out []Step
	for _, s := range slices.Backward(steps) {
		if id, ok := strings.CutSuffix(s.ID, unhideSuffix); ok {
			back[id] = true
			continue
		}
		if !back[s.ID] {
			out = append(out, s)
		}
		delete(back, s.ID)
	}
	slices.Reverse(out)
	return out
}

const unhideSuffix = "/unhide"

func unhidden(s Step) (Step, bool) { return broughtBack(s, migrations.Verified) }

func unretired(s Step) (Step, bool) { return broughtBack(s, migrations.Hidden) }

// broughtBack is the step that takes one of a contract back, to where its change
// was in that phase, and whose own undo is that one again.
func broughtBack(s Step, to migrations.Phase) (Step, bool) {
	there, ok := s.Action.(*Transaction)
	if !ok || s.Kind != KindContract || s.Undo == nil || there.Reverse {
		return Step{}, false
	}
	back, ok := s.Undo.Action.(*Transaction)
	if !ok || back.Phase != to {
		return Step{}, false
	}
	again := *there
	again.Evidence = nil
	s.ID, s.Action = s.ID+unhideSuffix, back
	s.Title = "un-" + s.Title
	s.Lock = reverseLock(back, s.Lock)
	s.Undo = &Undo{Title: "hide again", Action: &again}
	s.Cause = fmt.Sprintf("asked to bring back what %s hid", s.Address)
	s.Needs, s.Guards, s.Waits, s.Section, s.Together = nil, nil, nil, "", false
	s.putOff(deferral{})
	s.Drops = nil
	return s, true
}

// fingerprintOf is the digest of steps, free of times, sizes and hosts.
func fingerprintOf(steps []Step) (string, error) {
	var all []stepFile
	for _, s := range steps {
		f, err := encodeStep(hostless(s))
		if err != nil {
			return "", err
		}
		f.Estimate, f.Deferred, f.UntilSpec, f.Source = 0, "", false, ""
		all = append(all, f)
	}
	b, err := json.Marshal(all)
	return digest(b), err
}
