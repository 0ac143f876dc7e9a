package exec

import (
	"context"
	"fmt"
	"time"

	"pleat/planner"
	"pleat/spec"
)

// Observer tells what an orchestrator has.
type Observer interface {
	// Observe reads what is live. What cannot be read is an error.
	Observe(ctx context.Context) (*planner.Orchestrator, error)
}

// Router has a program do what a router does.
type Router struct {
	*program
	orchestrators map[spec.Address]Observer
}

// NewRouter makes the provider of a router of the kind exec. The orchestrators
// are those whose instances it routes to. It runs nothing.
func NewRouter(r *spec.Router, orchestrators map[spec.Address]Observer, options Options) *Router {
	hello := Hello{Kind: "router", Name: r.Name}
	return &Router{newProgram(r.Address(), r.Program, hello, []planner.Ability{planner.CanAttach, planner.CanDrain}, options), orchestrators}
}

// Close ends the program, after what it has under way.
func (r *Router) Close() error { return r.close() }

// Announce is executor's: the program remembers the fence.
func (r *Router) Announce(ctx context.Context, t planner.Ticket) error { return r.announce(ctx, t) }

// Apply is executor.Applier's. Nothing is attached that its orchestrator does
// not have up.
func (r *Router) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	kind, action, err := r.action(s.Action)
	if err != nil {
		return err
	}
	if a, ok := s.Action.(*planner.Attach); ok {
		joining := action.(Attach)
		joining.Backends, err = r.locate(ctx, a, joining.Backends, report)
		if err != nil || len(joining.Backends) == 0 {
			return err
		}
		action = joining
	}
	return r.apply(ctx, t, s, kind, action, r.patience(s.Action), r.reporter(s.Action, report))
}

// Probe is executor.Applier's.
func (r *Router) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error) {
	kind, action, err := r.action(s.Action)
	if err != nil {
		return planner.Unknown, err
	}
	return r.probe(ctx, t, s, kind, action)
}

func (r *Router) patience(a planner.Action) time.Duration {
	if d, ok := a.(*planner.Drain); ok {
		return d.Timeout + r.spec.Timeout
	}
	return r.spec.Timeout
}

// action is what the program is told of an action, and its kind. Where
// backends listen is not known yet.
func (r *Router) action(a planner.Action) (kind string, action any, err error) {
	switch a := a.(type) {
	case *planner.Attach:
		out := Attach{Service: a.Service, Release: a.Release, Process: a.Process, HTTP2: a.HTTP2}
		for _, i := range a.Instances {
			out.Backends = append(out.Backends, Target{Instance: i.Instance, Host: i.Host})
		}
		return "attach", out, nil
	case *planner.Drain:
		return "drain", Drain{
			Service: a.Service, Release: a.Release, Process: a.Process, Instances: placed(a.Instances),
			TimeoutMS: a.Timeout.Milliseconds(), Floor: a.Floor,
		}, nil
	case *planner.Weigh:
		return "weigh", weigh(a), nil
	case *planner.HoldTraffic:
		return "hold_traffic", HoldTraffic{Service: a.Service, ForMS: a.For.Milliseconds()}, nil
	}
	return "", nil, r.foreign(a)
}

func weigh(a *planner.Weigh) Weigh {
	w := Weigh{Service: a.Service, Release: a.Release, Floor: a.Floor}
	for _, rule := range a.Rules {
		w.Rules = append(w.Rules, Rule(rule))
	}
	for _, share := range a.Shares {
		w.Shares = append(w.Shares, Share(share))
	}
	if a.Sticky != nil {
		sticky := Sticky(*a.Sticky)
		w.Sticky = &sticky
	}
	return w
}

// locate finds where the instances of an attach listen.
func (r *Router) locate(ctx context.Context, a *planner.Attach, backends []Target, report func(planner.Report)) (up []Target, err error) {
	of := r.orchestrators[a.Orchestrator]
	if of == nil {
		return nil, fmt.Errorf("%s does not know %s", r.address, a.Orchestrator)
	}
	live, err := of.Observe(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for %s %s: %w", a.Service, a.Release, err)
	}
	for _, b := range backends {
		found := planner.Instance{}
		for _, l := range live.Instances {
			if l.Service == a.Service && l.Release == a.Release && l.Name == b.Instance && l.Host == b.Host {
				found = l
			}
		}
		if found.State == planner.Up {
			b.Address = found.Address
			up = append(up, b)
			continue
		}
		lacks := fmt.Errorf("attaching %s %s %s on %s: it is not up%s", a.Service, a.Release, b.Instance, b.Host, but(found.State))
		if !a.Again {
			return nil, lacks
		}
		report(planner.Warning{Text: lacks.Error()})
	}
	return up, nil
}

func but(s planner.InstanceState) string {
	if s == "" {
		return ", it is not there"
	}
	return " but " + string(s)
}

// Observe is what the program says of the backends. What cannot be is an error.
func (r *Router) Observe(ctx context.Context) (*planner.Router, error) {
	var live Backends
	if err := r.ask(ctx, MethodObserve, struct{}{}, &live); err != nil {
		return nil, fmt.Errorf("reading %w", err)
	}
	if live.Identity == "" {
		return nil, r.unlikely("it has no identity")
	}
	out := &planner.Router{Identity: live.Identity, Abilities: r.known()}
	for _, b := range live.Backends {
		if b.Service == "" || b.Release == "" || b.Instance == "" {
			return nil, r.unlikely(fmt.Sprintf("a backend without a full name: %+v", b))
		}
		out.Backends = append(out.Backends, planner.Backend(b))
	}
	for _, rule := range live.Rules {
		out.Rules = append(out.Rules, planner.Rule(rule))
	}
	for _, share := range live.Shares {
		out.Shares = append(out.Shares, planner.Share(share))
	}
	if live.Sticky != nil {
		sticky := planner.Sticky(*live.Sticky)
		out.Sticky = &sticky
	}
	return out, nil
}
