package fake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pleat/planner"
)

// Router applies Attach, Drain, Weigh and HoldTraffic.
type Router struct{ *System }

// Router is the system as a router.
func (s *System) Router() Router { return Router{s} }

// Announce fences former holders of the ticket's lease off.
func (r Router) Announce(_ context.Context, t planner.Ticket) error { return r.announce(t) }

// Apply makes the step's effect, as the script has it.
func (r Router) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	var effect func() ([]planner.Report, error)
	switch a := s.Action.(type) {
	case *planner.Attach:
		effect = func() ([]planner.Report, error) { return r.attach(a) }
	case *planner.Drain:
		effect = func() ([]planner.Report, error) { return nil, r.drain(a) }
	case *planner.Weigh:
		effect = func() ([]planner.Report, error) { return nil, r.weigh(a) }
	case *planner.HoldTraffic:
		effect = func() ([]planner.Report, error) { r.hold(a); return nil, nil }
	default:
		return r.foreign(s.Action)
	}
	return r.apply(ctx, t, s, report, func(Fault) work {
		return func() ([]planner.Report, condition, error) {
			said, err := effect()
			return said, nil, err
		}
	})
}

func (r Router) foreign(v any) error { return fmt.Errorf("%s cannot do %T", r.options.Router, v) }

func (r Router) attach(a *planner.Attach) (said []planner.Report, err error) {
	var joining []planner.Backend
	for _, p := range a.Instances {
		if !r.up(a.Service, a.Release, p.Instance) {
			lacks := fmt.Errorf("attaching %s %s %s: it is not up", a.Service, a.Release, p.Instance)
			if !a.Again {
				return nil, lacks
			}
			said = append(said, planner.Warning{Text: lacks.Error()})
			continue
		}
		joining = append(joining, planner.Backend{Service: a.Service, Release: a.Release, Instance: p.Instance})
	}
	for _, b := range joining {
		if !slices.Contains(r.backends, b) {
			r.backends = append(r.backends, b)
		}
	}
	return said, nil
}

func (r Router) drain(a *planner.Drain) error {
	mine := func(b planner.Backend) bool {
		return b.Service == a.Service && b.Release == a.Release &&
			slices.ContainsFunc(a.Instances, func(p planner.Placement) bool { return p.Instance == b.Instance })
	}
	if !slices.ContainsFunc(r.backends, mine) {
		return nil
	}
	if n := r.serving(a.Service, func(b planner.Backend) bool { return mine(b) || r.unreached(b) }); n < a.Floor && n < r.serving(a.Service, r.unreached) {
		return fmt.Errorf("%d backends would be left of %d", n, a.Floor)
	}
	r.backends = slices.DeleteFunc(r.backends, mine)
	return nil
}

// unreached tells whether a backend gets no requests.
func (r Router) unreached(b planner.Backend) bool { return !r.split.Reaches(b.Release) }

func (r Router) weigh(a *planner.Weigh) error {
	nothing := func(b planner.Backend) bool { return !a.Reaches(b.Release) }
	if n := r.serving(a.Service, nothing); n < a.Floor && n < r.serving(a.Service, r.unreached) {
		return fmt.Errorf("%d backends would get requests, of %d", n, a.Floor)
	}
	r.split = a.Split
	return nil
}

func (r Router) hold(a *planner.HoldTraffic) {
	delete(r.held, a.Service)
	if a.For > 0 {
		r.held[a.Service] = time.Now().Add(a.For)
	}
}

// Held is how much longer requests of a service wait; 0: they do not.
func (s *System) Held(service string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Until(s.held[service]))
}

// Request waits while requests of the service are held, and fails where nobody
// serves then.
func (r Router) Request(ctx context.Context, service string) error {
	if err := r.await(ctx, 0, when(func() bool { return time.Until(r.held[service]) <= 0 })); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serving(service, r.unreached) == 0 {
		return fmt.Errorf("nobody of %s serves", service)
	}
	return nil
}

// Probe tells whether the route is as the step wants it.
func (r Router) Probe(_ context.Context, _ planner.Ticket, s planner.Step) (planner.Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	has := func(service, release string) func(planner.Placement) bool {
		return func(p planner.Placement) bool {
			return slices.Contains(r.backends, planner.Backend{Service: service, Release: release, Instance: p.Instance})
		}
	}
	switch a := s.Action.(type) {
	case *planner.Attach:
		return all(a.Instances, has(a.Service, a.Release)), nil
	case *planner.Drain:
		return all(a.Instances, func(p planner.Placement) bool { return !has(a.Service, a.Release)(p) }), nil
	case *planner.Weigh:
		if r.split.Equal(a.Split) {
			return planner.Done, nil
		}
		return planner.NotDone, nil
	case *planner.HoldTraffic: // for how long is not known of a router
		return planner.NotDone, nil
	}
	return planner.Unknown, r.foreign(s.Action)
}

// Observe is the backends and how requests are spread.
func (r Router) Observe(context.Context) (*planner.Router, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &planner.Router{Identity: "fake", Backends: slices.Clone(r.backends), Split: r.split}, nil
}
