package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"pleat/executor/journal"
	"pleat/planner"
)

// memory is a journal in memory: a random walk has no time for a server, and no
// server can be brought to fail at the very write that a walk wants to fail.
type memory struct {
	open     *journal.Run
	entries  map[string][]journal.Entry
	releases []planner.Release
	events   int64
	clock    int64
	// writing is asked before each write, and written told after: either may
	// end the process.
	writing func() error
	written func()
	// word is what a person says to the step that waits for one; "": nothing.
	word func() string
}

func (j *memory) write(do func() error) error {
	if err := j.writing(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	j.written()
	return nil
}

func (j *memory) Begin(_ context.Context, _ planner.Ticket, r journal.Run) error {
	return j.write(func() error {
		if j.open != nil {
			return errors.New("there is an open run")
		}
		j.open = &r
		return nil
	})
}

func (j *memory) isOpen(run string) error {
	if j.open == nil || j.open.ID != run {
		return journal.ErrNotOpen
	}
	return nil
}

func (j *memory) Resume(_ context.Context, _ planner.Ticket, run string) error {
	return j.write(func() error { return j.isOpen(run) })
}

func (j *memory) Finish(_ context.Context, _ planner.Ticket, run, _ string, _ json.RawMessage) (int64, error) {
	err := j.write(func() error {
		if err := j.isOpen(run); err != nil {
			return err
		}
		j.open = nil
		j.events++
		return nil
	})
	return j.events, err
}

// put writes an entry: each has a time of its own, as a server's clock gives it.
func (j *memory) put(run string, e journal.Entry) {
	j.clock++
	e.At = time.Now().Add(time.Duration(j.clock))
	j.entries[run] = append(j.entries[run], e)
}

func (j *memory) Write(_ context.Context, t planner.Ticket, e journal.Entry) error {
	return j.write(func() error { j.put(t.Run, e); return nil })
}

func (j *memory) Record(_ context.Context, t planner.Ticket, entries []journal.Entry, events ...json.RawMessage) (int64, error) {
	err := j.write(func() error {
		for _, e := range entries {
			j.put(t.Run, e)
		}
		j.events += int64(len(events))
		return nil
	})
	return j.events, err
}

func (j *memory) Emit(_ context.Context, _ planner.Ticket, bodies ...json.RawMessage) (int64, error) {
	err := j.write(func() error { j.events += int64(len(bodies)); return nil })
	return j.events, err
}

func (j *memory) Entries(_ context.Context, run string) ([]journal.Entry, error) {
	return slices.Clone(j.entries[run]), nil
}

func (j *memory) Words(_ context.Context, run string, _ int64) ([]journal.Word, error) {
	word := j.word()
	if word == "" {
		return nil, nil
	}
	entries := j.entries[run]
	step := entries[len(entries)-1].Step // nothing comes while it waits
	return []journal.Word{{Step: step, Word: word, Who: "alice", At: time.Now()}}, nil
}

// has tells whether a step has an entry of that status.
func (j *memory) has(run, step, status string) bool {
	return slices.ContainsFunc(j.entries[run], func(e journal.Entry) bool { return e.Step == step && e.Status == status })
}

// last is the status that a step has now.
func (j *memory) last(run, step string) (status string) {
	for _, e := range j.entries[run] {
		if e.Step == step {
			status = e.Status
		}
	}
	return status
}

func (j *memory) release(service, version string) *planner.Release {
	i := slices.IndexFunc(j.releases, func(r planner.Release) bool { return r.Service == service && r.Version == version })
	if i < 0 {
		return nil
	}
	return &j.releases[i]
}

func (j *memory) PutRelease(_ context.Context, _ planner.Ticket, r planner.Release) error {
	return j.write(func() error {
		if known := j.release(r.Service, r.Version); known != nil {
			r.Held = known.Held
			*known = r
			return nil
		}
		r.Held = ""
		j.releases = append(j.releases, r)
		slices.SortFunc(j.releases, func(a, b planner.Release) int { return strings.Compare(a.Version, b.Version) })
		return nil
	})
}

func (j *memory) Hold(_ context.Context, _ planner.Ticket, service, version, reason string) error {
	return j.write(func() error {
		known := j.release(service, version)
		if known == nil {
			return errors.New("it was never recorded")
		}
		known.Held = reason
		return nil
	})
}

func (j *memory) Lift(ctx context.Context, t planner.Ticket, service, version string) error {
	return j.Hold(ctx, t, service, version, "")
}

var turning = regexp.MustCompile(`^service\.([^/]+)/(.+)/(drain|start|attach)/`)

// read is what a plan is made of; the real journal's rule for what is kept.
func (j *memory) read() planner.Journal {
	out := planner.Journal{Releases: slices.Clone(j.releases)}
	if j.open != nil {
		out.Open = &planner.Run{ID: j.open.ID, Kind: j.open.Kind, Fingerprint: j.open.Fingerprint}
	}
	drained, other := map[planner.Kept]time.Time{}, map[planner.Kept]time.Time{}
	for _, entries := range j.entries {
		for _, e := range entries {
			found := turning.FindStringSubmatch(e.Step)
			if found == nil {
				continue
			}
			release := planner.Kept{Service: found[1], Version: found[2]}
			took := e.Status == "done" || e.Status == "settled"
			switch {
			case took && found[3] == "drain":
				drained[release] = later(drained[release], e.At)
			case took || e.Status == "undone" && found[3] == "drain":
				other[release] = later(other[release], e.At)
			}
		}
	}
	for release, at := range drained {
		if at.After(other[release]) {
			release.Since = at
			out.Kept = append(out.Kept, release)
		}
	}
	slices.SortFunc(out.Kept, func(a, b planner.Kept) int { return strings.Compare(a.Version, b.Version) })
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
