// Package host is the orchestrator that is embedded in pleat: an agent on each
// host keeps processes running. It turns steps into calls to the agents and
// their events into reports; it keeps nothing itself, and never starts an
// instance that is up.
package host

import (
	"context"
	"fmt"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
	"pleat/spec"
)

// Options are what a provider needs besides the orchestrator.
type Options struct {
	// Dir is the spec's directory: artifacts and the CA file are in it.
	Dir string
	// Reveal gives the value of a secret by its reference.
	Reveal func(ref string) (string, bool)
	// DatabaseURL gives the URL of a database by its name in the spec.
	DatabaseURL func(database string) (spec.Text, bool)
	// Redact blanks secrets in what instances say: in everything that becomes a
	// report or an error. nil: none is known.
	Redact func(text string) string
	// At is told the names of crash points as they are reached; nil: nobody is.
	At func(point string)
}

// Provider applies the actions of an orchestrator, from Start to Roles, and answers
// NoInstances.
type Provider struct {
	address spec.Address
	fleet   *fleet.Fleet
	options Options
}

// New makes the provider of an orchestrator. It does not connect.
func New(o *spec.Orchestrator, options Options) (*Provider, error) {
	f, err := fleet.New(o, options.Dir)
	if err != nil {
		return nil, err
	}
	if options.At == nil {
		options.At = func(string) {}
	}
	if options.Redact == nil {
		options.Redact = func(text string) string { return text }
	}
	return &Provider{address: o.Address(), fleet: f, options: options}, nil
}

// Apply makes the step's effect: instances that are up, or gone. It returns once
// that is so. Instances that are not up within Limits.Run, or of which none more
// comes up within Limits.Progress, are a *StartError; those that are not gone by
// then are a warning, and Apply returns nil. When ctx ends it returns soon; what was
// started by then runs on. An agent that restarts is waited for.
func (p *Provider) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	ctx, err := fleet.By(ctx, t)
	if err != nil {
		return err
	}
	c := call{Provider: p, key: t.Run + "/" + s.ID, limit: s.Limits.Run, progress: s.Limits.Progress, stay: s.Limits.Stay, report: report, began: map[string]int64{}}
	return fleet.Patient(ctx, func(func()) error { return p.apply(ctx, c, s) })
}

func (p *Provider) apply(ctx context.Context, c call, s planner.Step) error {
	switch a := s.Action.(type) {
	case *planner.Start:
		return c.start(ctx, a)
	case *planner.Stop:
		return c.stop(ctx, a)
	case *planner.Smoke:
		return c.smoke(ctx, a)
	case *planner.Handover:
		return c.handover(ctx, a)
	case *planner.Task:
		return c.task(ctx, a)
	case *planner.Roles:
		return c.roles(ctx, a)
	}
	return p.foreign(s.Action)
}

// Announce fences former holders of the ticket's lease off from the agents. One that
// restarts is waited for.
func (p *Provider) Announce(ctx context.Context, t planner.Ticket) error {
	ctx, err := fleet.By(ctx, t)
	if err != nil {
		return err
	}
	var members []fleet.Member
	err = fleet.Patient(ctx, func(func()) (err error) {
		members, err = p.fleet.Read(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.address, err)
	}
	for _, m := range members {
		if err := fleet.Patient(ctx, func(func()) error { return m.Announce(ctx) }); err != nil {
			return fmt.Errorf("announcing the holder to %s: %w", m.Host, err)
		}
	}
	return nil
}

func (p *Provider) foreign(v any) error { return fmt.Errorf("%s cannot do %T", p.address, v) }

// Probe tells whether the instances are as the step wants them. A call that went
// unanswered changes nothing after it. An agent that restarts is waited for.
func (p *Provider) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (outcome planner.Outcome, err error) {
	if ctx, err = fleet.By(ctx, t); err != nil {
		return planner.Unknown, err
	}
	err = fleet.Patient(ctx, func(func()) (err error) {
		outcome, err = p.look(ctx, t, s)
		return err
	})
	return outcome, err
}

func (p *Provider) look(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error) {
	if a, ok := s.Action.(*planner.Task); ok {
		return p.probeTask(ctx, t, s, a)
	}
	members, err := p.fleet.Read(ctx)
	switch a := s.Action.(type) {
	case *planner.Start:
		return probe(members, err, a.Instances, func(m fleet.Member, instance string) bool {
			i, ok := m.Find(api.Ref{Service: a.Service, Release: a.Release, Instance: instance})
			return ok && i.State == planner.Up && i.SHA256 == a.Artifact.SHA256
		})
	case *planner.Stop:
		return probe(members, err, a.Instances, func(m fleet.Member, instance string) bool {
			i, ok := m.Find(api.Ref{Service: a.Service, Release: a.Release, Instance: instance})
			return !ok || !a.Wait && i.State == planner.Stopping
		})
	case *planner.Handover:
		return probe(members, err, a.Instances, func(m fleet.Member, instance string) bool {
			i, ok := m.Find(api.Ref{Service: a.Service, Release: a.Release, Instance: instance})
			return ok && tookOver(i, a.Of(t.Run))
		})
	case *planner.Roles:
		if err != nil {
			return planner.Unknown, err
		}
		if missing, _ := lacking(a, members); missing != "" {
			return planner.NotDone, nil
		}
		return planner.Done, nil
	case *planner.Smoke: // an answer is for the attempt that asked
		return planner.NotDone, nil
	}
	return planner.Unknown, p.foreign(s.Action)
}

// probe is done when every instance is as it should be. An agent that did not
// answer leaves that unknown only if the step needs it.
func probe(members []fleet.Member, missing error, all []planner.Placement, good func(fleet.Member, string) bool) (planner.Outcome, error) {
	for _, i := range all {
		m, ok := fleet.On(members, i.Host)
		if !ok {
			return planner.Unknown, absent(i.Host, missing)
		}
		if !good(m, i.Instance) {
			return planner.NotDone, nil
		}
	}
	return planner.Done, nil
}

// absent is a host that no agent answered for.
func absent(host string, missing error) error {
	if missing != nil {
		return fmt.Errorf("looking for host %s: %w", host, missing)
	}
	return fmt.Errorf("no agent calls its host %s", host)
}
