package exec

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"pleat/planner"
	"pleat/providers/host/artifact"
	"pleat/spec"
)

// Orchestrator has a program do what an orchestrator does.
type Orchestrator struct{ *program }

// NewOrchestrator makes the provider of an orchestrator of the kind exec. It
// runs nothing.
func NewOrchestrator(o *spec.Orchestrator, options Options) *Orchestrator {
	hello := Hello{Kind: "orchestrator", Name: o.Name}
	return &Orchestrator{newProgram(o.Address(), o.Program, hello, []planner.Ability{planner.CanStart, planner.CanStop}, options)}
}

// Close ends the program, after what it has under way.
func (o *Orchestrator) Close() error { return o.close() }

// Announce is executor's: the program remembers the fence.
func (o *Orchestrator) Announce(ctx context.Context, t planner.Ticket) error {
	return o.announce(ctx, t)
}

// Apply is executor.Applier's. What it reports of instances is what the program
// says. When ctx ends the program is asked to stop, and ended where it does not.
func (o *Orchestrator) Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error {
	kind, action, err := o.action(s.Action)
	if err != nil {
		return err
	}
	if action, err = o.complete(ctx, s.Action, action); err != nil {
		return err
	}
	return o.apply(ctx, t, s, kind, action, o.patience(s), o.reporter(s.Action, report))
}

// Probe is executor.Applier's.
func (o *Orchestrator) Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error) {
	kind, action, err := o.action(s.Action)
	if err != nil {
		return planner.Unknown, err
	}
	return o.probe(ctx, t, s, kind, action)
}

// Ask answers NoInstances.
func (o *Orchestrator) Ask(ctx context.Context, _ planner.Ticket, g planner.Guard) (planner.Answer, error) {
	none, ok := g.(*planner.NoInstances)
	if !ok {
		return planner.Answer{}, o.foreign(g)
	}
	return o.question(ctx, "no_instances", NoInstances{Service: none.Service, Versions: none.Versions, Except: none.Except})
}

func (p *program) foreign(v any) error { return fmt.Errorf("%s cannot do %T", p.address, v) }

// Ready tells whether an artifact can be started on a host: its file is what the
// release is pinned to, or the program has it. It changes nothing.
func (o *Orchestrator) Ready(ctx context.Context, host string, a planner.Artifact) error {
	_, err := o.artifact(ctx, a, []string{host})
	return err
}

// artifact is handed over as a file, or by its digest alone where the program
// has it on every one of the hosts.
func (o *Orchestrator) artifact(ctx context.Context, a planner.Artifact, hosts []string) (Artifact, error) {
	f, lacks := artifact.Pinned(o.options.Dir, a)
	if lacks == nil {
		path, err := filepath.Abs(f.Name())
		return Artifact{Path: path, SHA256: a.SHA256}, errors.Join(err, f.Close())
	}
	can, err := o.abilities(ctx)
	if err != nil {
		return Artifact{}, err
	}
	if !slices.Contains(can, planner.CanKeepArtifacts) {
		return Artifact{}, lacks
	}
	for _, host := range hosts {
		kept, err := o.question(ctx, "has_artifact", HasArtifact{Host: host, SHA256: a.SHA256})
		if err != nil {
			return Artifact{}, err
		}
		if !kept.Met {
			return Artifact{}, lacks
		}
	}
	return Artifact{SHA256: a.SHA256}, nil
}

// patience is how long the program has for a step: the step's own time, and
// that of an answer.
func (o *Orchestrator) patience(s planner.Step) time.Duration {
	limit := s.Limits.Run
	switch a := s.Action.(type) {
	case *planner.Stop:
		if a.Exclusive {
			limit = time.Duration(len(a.Instances)) * (a.Drain.Timeout + a.Drain.KillAfter)
		}
	case *planner.Task:
		limit = time.Duration(len(a.Instances)) * a.Timeout
	case *planner.Smoke:
		for _, c := range a.Checks {
			limit += time.Duration(len(a.Instances)) * c.Timeout
		}
	}
	if limit == 0 {
		return 0
	}
	return limit + o.spec.Timeout
}

// Observe is what the program says is live. What cannot be is an error.
func (o *Orchestrator) Observe(ctx context.Context) (*planner.Orchestrator, error) {
	var live Instances
	if err := o.ask(ctx, MethodObserve, struct{}{}, &live); err != nil {
		return nil, fmt.Errorf("reading %w", err)
	}
	out := &planner.Orchestrator{Identity: live.Identity, Hosts: slices.Sorted(slices.Values(live.Hosts)), Abilities: o.known()}
	seen := map[[3]string]bool{}
	for _, i := range live.Instances {
		if problem := wrong(i, live.Hosts); problem != "" {
			return nil, o.unlikely(problem)
		}
		key := [3]string{i.Service, i.Release, i.Instance}
		if seen[key] {
			return nil, o.unlikely(fmt.Sprintf("%s %s %s is there twice", i.Service, i.Release, i.Instance))
		}
		seen[key] = true
		out.Instances = append(out.Instances, planner.Instance{
			Service: i.Service, Release: i.Release, Process: i.Process, Name: i.Instance, Host: i.Host, Digest: i.SHA256,
			State: planner.InstanceState(i.State), Role: planner.Role(i.Role), Address: i.Address,
			Restarts: i.Restarts, Ended: o.options.Redact(i.Ended),
		})
	}
	if live.Identity == "" || len(live.Hosts) == 0 {
		return nil, o.unlikely("it has no identity, or no host")
	}
	return out, nil
}

func (p *program) unlikely(problem string) error {
	return fmt.Errorf("reading %s: what the program %s says cannot be: %s", p.address, p.spec.Command[0], p.options.Redact(problem))
}

var states = []planner.InstanceState{planner.Pending, planner.Starting, planner.Up, planner.Stopping, planner.Down}

// wrong says what is the matter with an instance; "" for nothing.
func wrong(i Instance, hosts []string) string {
	switch {
	case i.Service == "" || i.Release == "" || i.Process == "" || i.Instance == "":
		return fmt.Sprintf("an instance without a full name: %+v", i)
	case !slices.Contains(states, planner.InstanceState(i.State)):
		return fmt.Sprintf("%s is %q", i.Instance, i.State)
	case i.Restarts < 0:
		return fmt.Sprintf("%s was started again %d times", i.Instance, i.Restarts)
	case !slices.Contains(hosts, i.Host):
		return fmt.Sprintf("%s is on %q, which is no host", i.Instance, i.Host)
	}
	return ""
}

func (p *program) question(ctx context.Context, kind string, question any) (planner.Answer, error) {
	q, err := asked(kind, question)
	if err != nil {
		return planner.Answer{}, err
	}
	var a Answer
	if err := p.ask(ctx, MethodAsk, q, &a); err != nil {
		return planner.Answer{}, err
	}
	if !a.Met && a.Reason == "" {
		a.Reason = string(p.address) + " does not say why not"
	}
	return planner.Answer{Met: a.Met, Reason: p.options.Redact(a.Reason)}, nil
}
