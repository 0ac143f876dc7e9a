package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

// outputLines is how much of its output a failed instance is quoted with.
const outputLines = 20

// StartError is an instance that did not come up.
type StartError struct {
	Ref    api.Ref
	Host   string
	Reason string
	Output []string // its last lines
}

// Error is one line: who, where and why.
func (e *StartError) Error() string { return fmt.Sprintf("%s on %s: %s", e.Ref, e.Host, e.Reason) }

// Detail is what the instance wrote last, "" when it wrote nothing.
func (e *StartError) Detail() string { return strings.Join(e.Output, "\n") }

// place is an instance on a host.
type place struct {
	host string
	ref  api.Ref
}

// start is one Start under way.
type start struct {
	*call
	*planner.Start
	hosts    map[string]fleet.Member
	puts     map[place]api.Put
	up       map[place]bool
	leaving  map[place]bool // asked for once they are gone
	mu       sync.Mutex     // for note
	failures int
	most     int         // that were up at once
	idle     *time.Timer // since then; nil: it may last
}

func (c *call) start(ctx context.Context, a *planner.Start) error {
	members, hosts, err := c.members(ctx, a.Instances)
	if err != nil {
		return err
	}
	s := &start{call: c, Start: a, hosts: hosts, puts: map[place]api.Put{}, up: map[place]bool{}, leaving: map[place]bool{}}
	if err := s.define(); err != nil {
		return err
	}
	for _, m := range members {
		if err := c.upload(ctx, m, a.Artifact); err != nil {
			return err
		}
		unanswered, err := c.recall(ctx, m, s.mine)
		if err != nil {
			return err
		}
		for _, e := range unanswered {
			if err := s.count(ctx, e); err != nil {
				return err
			}
		}
	}
	if err := s.putAll(ctx); err != nil {
		return err
	}
	if s.complete() {
		return s.stays(ctx)
	}
	late, err := c.within(ctx, func(ctx context.Context) error {
		return s.advancing(ctx, func(ctx context.Context) error {
			return s.call.follow(ctx, members, func(e api.Event) error { return s.take(ctx, e) })
		})
	})
	switch {
	case late:
		return s.late(ctx, fmt.Sprintf("not up within the step's %s", s.limit))
	case errors.Is(err, errIdle):
		return s.late(ctx, fmt.Sprintf("not up, and for %s no other one came up", s.progress))
	}
	if err != nil {
		return err
	}
	return s.stays(ctx)
}

// stays looks at instances once more when all have been up for as long as the step
// says. One that has ended by itself since did not come up, whether or not it is back.
func (s *start) stays(ctx context.Context) error {
	if s.stay == 0 {
		return nil
	}
	timer := time.NewTimer(s.stay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", planner.ErrOutcomeUnknown, ctx.Err())
	}
	var hosts map[string]fleet.Member
	err := fleet.Patient(ctx, func(func()) (err error) {
		_, hosts, err = s.members(ctx, s.Instances)
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range s.Instances {
		p := s.place(i)
		if live, ok := hosts[i.Host].Find(p.ref); !ok || live.State != planner.Up || live.Shaky {
			return s.blame(ctx, p, fmt.Sprintf("it was up and did not stay so for %s", s.stay))
		}
	}
	return nil
}

// errIdle is that no more instances came up for too long.
var errIdle = errors.New("no progress")

// advancing calls wait, and ends it with errIdle when no more instances come up.
// One that comes up again is no progress.
func (s *start) advancing(ctx context.Context, wait func(context.Context) error) error {
	if s.progress == 0 {
		return wait(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.most = len(s.up)
	s.idle = time.AfterFunc(s.progress, func() { cancel(errIdle) })
	defer s.idle.Stop()
	err := wait(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errIdle) {
		return errIdle
	}
	return err
}

// late says why it took too long of the first instance that is not up.
func (s *start) late(ctx context.Context, why string) error {
	for _, i := range s.Instances {
		if p := s.place(i); !s.up[p] {
			return s.blame(ctx, p, why)
		}
	}
	return nil
}

func (s *start) place(i planner.Placement) place {
	return place{i.Host, api.Ref{Service: s.Service, Release: s.Release, Instance: i.Instance}}
}

func (s *start) mine(e api.Event) bool {
	_, ok := s.puts[place{e.Host, e.Ref}]
	return ok
}

// define makes each instance's definition, before anything is touched.
func (s *start) define() error {
	for _, i := range s.Instances {
		d, err := s.definition(s.Start, i)
		if err != nil {
			return err
		}
		s.puts[s.place(i)] = api.Put{Definition: d, Key: s.key}
	}
	return nil
}

// putAll asks for all instances.
func (s *start) putAll(ctx context.Context) error {
	return perHost(s.Instances, func(i planner.Placement) error { return s.put(ctx, s.place(i)) })
}

// put asks for an instance, unless it is up with the same artifact. One that
// an earlier step told to stop has to be gone first.
func (s *start) put(ctx context.Context, p place) error {
	m := s.hosts[p.host]
	i, ok := m.Find(p.ref)
	switch {
	case ok && i.State == planner.Up && i.SHA256 == s.Artifact.SHA256:
		s.note(s.up, p)
		return nil
	case ok && i.State == planner.Stopping:
		s.note(s.leaving, p)
		return nil
	}
	return s.ask(ctx, p)
}

// note is for several hosts at once; later there is one goroutine.
func (s *start) note(in map[place]bool, p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in[p] = true
}

func (s *start) ask(ctx context.Context, p place) error {
	err := s.hosts[p.host].PutInstance(s.traced(ctx), p.ref, s.puts[p])
	if err != nil {
		return fmt.Errorf("starting %s on %s: %w", p.ref, p.host, fleet.Unsure(err))
	}
	s.options.At("rollout.answered")
	return nil
}

func (s *start) complete() bool { return len(s.up) == len(s.puts) }

// take takes an event in; fleet.ErrEnough once every instance is up.
func (s *start) take(ctx context.Context, e api.Event) error {
	if !s.mine(e) {
		return nil
	}
	s.tell(e)
	p := place{e.Host, e.Ref}
	if s.leaving[p] && e.State == planner.Down {
		delete(s.leaving, p)
		return s.ask(ctx, p)
	}
	switch e.State {
	case planner.Up:
		s.up[p] = true
		s.advanced()
	case planner.Pending, planner.Starting:
		delete(s.up, p)
	case planner.Stopping:
		return &StartError{Ref: e.Ref, Host: e.Host, Reason: "somebody else stops it"}
	case planner.Down:
		delete(s.up, p)
		return s.failed(ctx, e)
	}
	if s.complete() {
		return fleet.ErrEnough
	}
	return nil
}

// advanced lets the next instance have as long as this one had.
func (s *start) advanced() {
	if s.idle != nil && len(s.up) > s.most {
		s.most = len(s.up)
		s.idle.Reset(s.progress)
	}
}

// failed counts a failure: below the limit it starts the instance again.
func (s *start) failed(ctx context.Context, e api.Event) error {
	if err := s.count(ctx, e); err != nil {
		return err
	}
	return s.ask(ctx, place{e.Host, e.Ref})
}

// count takes an event for one more failure, if it is: above the limit an error.
func (s *start) count(ctx context.Context, e api.Event) error {
	if e.State != planner.Down {
		return nil
	}
	s.failures++
	if s.failures > s.MaxStartFailures {
		return s.blame(ctx, place{e.Host, e.Ref}, e.Error)
	}
	s.report(planner.Warning{Text: fmt.Sprintf("%s on %s: %s; start %d of %d that may fail",
		e.Ref, e.Host, e.Error, s.failures, s.MaxStartFailures)})
	return nil
}

// blame is the error of an instance that did not come up, with what it wrote.
func (s *start) blame(ctx context.Context, p place, reason string) error {
	lines, err := s.hosts[p.host].Output(ctx, p.ref, outputLines)
	if err != nil {
		lines = []string{"(its output cannot be read: " + err.Error() + ")"}
	}
	for n, line := range lines {
		lines[n] = s.options.Redact(line)
	}
	return &StartError{Ref: p.ref, Host: p.host, Reason: reason, Output: lines}
}
