package planner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations"
	"pleat/spec"
)

// finish makes the plan of the emitted steps.
func (e *emitter) finish() *Plan {
	scope := ScopeOf(e.spec)
	scope.watchSessions(e.steps)
	scope.watchUses(e.stepped())
	p := &Plan{
		Kind: "apply", Headline: e.headline(), Made: e.state.Now, Expires: e.state.Now.Add(e.goal.TTL),
		Target: e.targets(), Wish: e.wish(), Releases: e.releases, Recorded: e.wasRecorded(), Lifts: e.lifts(), Live: e.live(),
		Steps: e.steps, Notes: e.notes, Scope: scope, ReadSet: scope.Facts(e.state),
	}
	if e.goal.Rollback {
		p.Kind, p.Holds = "rollback", e.holds()
	} else {
		p.Overrides = e.goal.Overrides
	}
	p.Fingerprint = e.fingerprint(p)
	p.Notes = append(p.Notes, p.remarks(e.state)...)
	return p
}

// stepped are the changes of which the plan has steps.
func (e *emitter) stepped() []*spec.Change {
	about := map[spec.Address]bool{}
	for _, s := range e.steps {
		about[s.Address] = true
	}
	return slices.DeleteFunc(slices.Clone(e.changes), func(c *spec.Change) bool { return !about[c.Address()] })
}

// headline says which services and changes move, and from where to where.
func (e *emitter) headline() string {
	var parts []string
	for _, s := range e.spec.Services {
		var from []string
		for _, version := range sortedKeys(e.start.mix[s.Name]) {
			if version != e.target(s) {
				from = append(from, version)
			}
		}
		if len(from) > 0 || len(e.start.mix[s.Name]) == 0 {
			parts = append(parts, fmt.Sprintf("%s %s → %s", s.Name, firstOf(strings.Join(from, "+"), "nothing"), e.target(s)))
		}
	}
	for _, c := range e.changes {
		if to := e.reached[c.Name]; to != "" {
			parts = append(parts, fmt.Sprintf("%s %s → %s", c.Name, e.start.phases[c.Name], to))
		}
	}
	for _, d := range e.spec.Migrations {
		if to, ok := e.migrated[d.Name]; ok {
			parts = append(parts, fmt.Sprintf("%s %s → %d", d.Name, orNone(e.start.versions[d.Name]), to))
		}
	}
	return some(parts, " · ")
}

func (e *emitter) targets() []Target {
	var out []Target
	for _, name := range sortedKeys(e.state.Databases) {
		out = append(out, Target{databaseAddress(name), e.state.Databases[name].Identity})
	}
	for _, address := range sortedKeys(e.state.Orchestrators) {
		out = append(out, Target{spec.Address(address), e.state.Orchestrators[address].Identity})
	}
	return out
}

// wasRecorded is what was recorded before of the releases that the plan starts.
func (e *emitter) wasRecorded() []Release {
	return slices.DeleteFunc(slices.Clone(e.state.Journal.Releases), func(r Release) bool {
		return !slices.ContainsFunc(e.releases, func(to Release) bool { return to.Service == r.Service && to.Version == r.Version })
	})
}

// live are the releases that run at the start.
func (e *emitter) live() []Live {
	var out []Live
	for _, service := range sortedKeys(e.start.mix) {
		for _, version := range sortedKeys(e.start.mix[service]) {
			out = append(out, Live{service, version})
		}
	}
	return out
}

// lifts are the holds that the goal takes off: of the targets only.
func (e *emitter) lifts() []Lift {
	var out []Lift
	for _, s := range e.spec.Services {
		d := e.declared[releaseKey{s.Name, e.target(s)}]
		if e.goal.LiftHold != "" && d != nil && d.release.Held != "" {
			out = append(out, Lift{s.Name, e.target(s), e.goal.LiftHold})
		}
	}
	return out
}

// holds are the releases that a rollback leaves, as far as they are recorded and not
// on hold yet: without it the next apply would roll them out again.
func (e *emitter) holds() []Hold {
	free := map[releaseKey]bool{}
	for _, r := range e.state.Journal.Releases {
		free[releaseKey{r.Service, r.Version}] = r.Held == ""
	}
	var out []Hold
	for _, s := range e.spec.Services {
		for _, version := range sortedKeys(e.start.mix[s.Name]) {
			if version != e.target(s) && free[releaseKey{s.Name, version}] {
				out = append(out, Hold{s.Name, version, "pleat rollback to " + e.target(s)})
			}
		}
	}
	return out
}

// wish is a digest of what is asked for, without where it starts.
func (p *planning) wish() string {
	type service struct {
		Name, Target string
		Strategy     spec.Strategy
		Release      Release
		KeepRollback time.Duration
		Tasks        []*spec.Task `json:",omitempty"`
	}
	wish := struct {
		Rollback   bool
		Revert     []string
		Services   []service
		Changes    []string
		Migrations []string
		Windows    []string `json:",omitempty"`
	}{Rollback: p.goal.Rollback, Revert: p.goal.Revert}
	for _, s := range p.spec.Services {
		strategy := *s.Strategy
		strategy.Range = hcl.Range{}
		var release Release
		if d := p.declared[releaseKey{s.Name, p.target(s)}]; d != nil {
			release = d.release
		}
		release.Held = ""
		wish.Services = append(wish.Services, service{s.Name, p.target(s), strategy, release, s.KeepRollback, s.Tasks})
	}
	for _, d := range p.spec.Migrations {
		wish.Migrations = append(wish.Migrations, fmt.Sprintf("%s %d", d.Name, d.Version))
		for _, f := range d.Files {
			if f.Version <= d.Version {
				wish.Migrations = append(wish.Migrations, digest([]byte(f.Up)))
			}
		}
	}
	for _, c := range p.changes {
		wish.Changes = append(wish.Changes, c.Name+" "+migrations.Digest(c))
	}
	wish.Windows = p.windowed()
	return p.digestOf(wish)
}

// fingerprint is the digest of all steps, run now or deferred, free of times,
// sizes and hosts: what a reviewer approves. Time passing does not change it.
func (e *emitter) fingerprint(p *Plan) string {
	print, err := fingerprintOf(p.Steps)
	if err != nil {
		e.fail(err)
	}
	return print
}

// hostless is the step without where its instances are, and how long it takes.
func hostless(s Step) Step {
	s.Action, s.Guards = unplaced(s.Action), unmeasured(s.Guards)
	if s.Undo != nil {
		undo := *s.Undo
		undo.Action = unplaced(undo.Action)
		s.Undo = &undo
	}
	return s
}

func unplaced(a Action) Action {
	switch a := a.(type) {
	case *Start:
		return without(a, func(c *Start) *[]Placement { return &c.Instances })
	case *Stop:
		return without(a, func(c *Stop) *[]Placement { return &c.Instances })
	case *Attach:
		return without(a, func(c *Attach) *[]Placement { return &c.Instances })
	case *Drain:
		return without(a, func(c *Drain) *[]Placement { return &c.Instances })
	case *Handover:
		return without(a, func(c *Handover) *[]Placement { return &c.Instances })
	case *Smoke:
		return without(a, func(c *Smoke) *[]Placement { return &c.Instances })
	case *Task:
		return without(a, func(c *Task) *[]Placement { return &c.Instances })
	case *Roles:
		return without(a, func(c *Roles) *[]Placement { return &c.Instances })
	case *Pause:
		c := *a
		c.Since = nil
		return &c
	}
	return a
}

// without is a copy of an action without the hosts of its instances.
func without[A any](a *A, of func(*A) *[]Placement) *A {
	c := *a
	placed := of(&c)
	bare := make([]Placement, len(*placed))
	for i, p := range *placed {
		bare[i] = Placement{Instance: p.Instance}
	}
	*placed = bare
	return &c
}

func (p *planning) digestOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		p.fail(err)
	}
	return digest(b)
}

// fail reports what only a programming mistake can cause.
func (p *planning) fail(err error) {
	p.diags = append(p.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Plan cannot be encoded", Detail: strings.TrimSpace(err.Error())})
}
