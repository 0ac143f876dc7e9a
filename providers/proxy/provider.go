// Package proxy is the router that is embedded in pleat's agent. It turns
// steps into calls to the agent that listens, and keeps nothing itself. Which
// backends serve is decided by the router in the agent.
package proxy

import (
	"context"
	"fmt"
	"slices"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
	"pleat/spec"
)

// Options are what a provider needs besides router and orchestrators.
type Options struct {
	// Dir is the spec's directory: CA files are in it.
	Dir string
	// Redact blanks secrets in what instances say. nil: none is known.
	Redact func(text string) string
	// At is told the names of crash points as they are reached; nil: nobody is.
	At func(point string)
}

// Provider applies Attach, Drain, Weigh, HoldTraffic and Bound.
type Provider struct {
	address spec.Address
	listen  string
	tls     *api.TLS
	agent   *api.Client
	fleets  map[spec.Address]*fleet.Fleet
	at      func(string)
	redact  func(string) string
}

// New makes the provider of a router. The orchestrators are those whose
// instances it routes to; the one that has the router's agent lends its token
// and CA. It does not connect.
func New(r *spec.Router, orchestrators []*spec.Orchestrator, options Options) (*Provider, error) {
	p := &Provider{address: r.Address(), listen: r.Listen, fleets: map[spec.Address]*fleet.Fleet{}, at: options.At, redact: options.Redact}
	if p.at == nil {
		p.at = func(string) {}
	}
	if p.redact == nil {
		p.redact = func(text string) string { return text }
	}
	if r.TLS != nil {
		p.tls = &api.TLS{Certificate: r.TLS.Certificate, Key: r.TLS.Key}
	}
	owner := &spec.Orchestrator{}
	for _, o := range orchestrators {
		f, err := fleet.New(o, options.Dir)
		if err != nil {
			return nil, err
		}
		p.fleets[o.Address()] = f
		if slices.Contains(o.Agents, r.Agent) {
			owner = o
		}
	}
	c, err := fleet.Client(owner, options.Dir, r.Agent)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.address, err)
	}
	p.agent = c
	return p, nil
}

// Apply makes the step's effect and returns once it is there: for a drain,
// when the last request is finished or the time is over. When ctx ends, a
// drain that was begun goes on. An agent that restarts is waited for.
func (p *Provider) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	ctx, err := fleet.By(ctx, t)
	if err != nil {
		return err
	}
	return fleet.Patient(ctx, func(func()) error { return p.apply(ctx, s, report) })
}

func (p *Provider) apply(ctx context.Context, s planner.Step, report func(planner.Report)) error {
	switch a := s.Action.(type) {
	case *planner.Attach:
		return p.attach(ctx, a, report)
	case *planner.Drain:
		return p.drain(ctx, a, report)
	case *planner.Weigh:
		return p.weigh(ctx, a)
	case *planner.HoldTraffic:
		return p.hold(ctx, a)
	case *planner.Bound:
		return p.bound(ctx, a)
	}
	return p.foreign(s.Action)
}

// Announce fences former holders of the ticket's lease off from the router. An agent
// that restarts is waited for.
func (p *Provider) Announce(ctx context.Context, t planner.Ticket) error {
	ctx, err := fleet.By(ctx, t)
	if err != nil {
		return err
	}
	if err := fleet.Patient(ctx, func(func()) error { return p.agent.Announce(ctx) }); err != nil {
		return fmt.Errorf("announcing the holder to %s: %w", p.address, err)
	}
	return nil
}

func (p *Provider) foreign(v any) error { return fmt.Errorf("%s cannot do %T", p.address, v) }

// Observe reads the route's backends. A route that was never opened has none.
func (p *Provider) Observe(ctx context.Context) (*planner.Router, error) {
	state, err := p.agent.State(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p.address, err)
	}
	out := &planner.Router{Identity: state.ID + "/" + p.listen}
	live := route(state, p.listen)
	out.Split, out.Limits = live.Split, live.Limits
	for _, b := range live.Backends {
		out.Backends = append(out.Backends, planner.Backend{
			Service: b.Service, Release: b.Release, Instance: b.Instance, Draining: b.Draining,
		})
	}
	return out, nil
}

func route(s api.State, listen string) api.Route {
	for _, r := range s.Routes {
		if r.Listen == listen {
			return r
		}
	}
	return api.Route{}
}

// Probe tells whether the backends are as the step wants them. A call that went
// unanswered changes nothing after it. An agent that restarts is waited for.
func (p *Provider) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error) {
	ctx, err := fleet.By(ctx, t)
	if err != nil {
		return planner.Unknown, err
	}
	var state api.State
	err = fleet.Patient(ctx, func(func()) (err error) {
		state, err = p.agent.State(ctx)
		return err
	})
	if err != nil {
		return planner.Unknown, fmt.Errorf("reading %s: %w", p.address, err)
	}
	live := route(state, p.listen)
	switch a := s.Action.(type) {
	case *planner.HoldTraffic: // nobody knows how long it is held for: it is asked again
		return planner.NotDone, nil
	case *planner.Attach:
		return p.attached(ctx, a, live), nil
	case *planner.Drain:
		return outcome(!slices.ContainsFunc(live.Backends, func(b api.Backend) bool {
			return b.Service == a.Service && b.Release == a.Release &&
				slices.ContainsFunc(a.Instances, func(i planner.Placement) bool { return i.Instance == b.Instance })
		})), nil
	case *planner.Bound:
		return outcome(live.Limits == a.Limits), nil
	case *planner.Weigh:
		return outcome(live.Split.Equal(a.Split)), nil
	}
	return planner.Unknown, p.foreign(s.Action)
}

func outcome(done bool) planner.Outcome {
	if done {
		return planner.Done
	}
	return planner.NotDone
}
