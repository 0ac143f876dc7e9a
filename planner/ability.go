package planner

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// Ability is something that an orchestrator or a router may be without. An
// action names those that it needs.
type Ability string

// The abilities of an orchestrator.
const (
	CanStart            Ability = "start"             // instances; no orchestrator is without it
	CanStop             Ability = "stop"              // instances; no orchestrator is without it
	CanSmoke            Ability = "smoke"             // ask instances once, each where it listens
	CanHandover         Ability = "handover"          // hear from instances that they took over
	CanTask             Ability = "task"              // run a program of a release to its end
	CanRoles            Ability = "roles"             // hear from instances what they are in their cluster
	CanCheckHTTP        Ability = "check.http"        // checks by HTTP
	CanCheckTCP         Ability = "check.tcp"         // checks by a connection
	CanCheckExec        Ability = "check.exec"        // checks by a program
	CanCheckGRPC        Ability = "check.grpc"        // checks by gRPC's health protocol
	CanLimit            Ability = "limits"            // of memory and CPU
	CanUser             Ability = "user"              // that instances run as
	CanWorkingDirectory Ability = "working_directory" // of instances
	CanSecrets          Ability = "secrets"           // in files of the host
	CanHTTP2            Ability = "http2"             // instances that speak HTTP/2 without TLS; a router has it too
	CanKeepArtifacts    Ability = "artifacts"         // start again what has no file any more; no plan needs it
)

// The abilities of a router.
const (
	CanAttach Ability = "attach"       // instances; no router is without it
	CanDrain  Ability = "drain"        // instances; no router is without it
	CanWeigh  Ability = "weigh"        // spread requests by shares
	CanMatch  Ability = "match"        // rules by header or cookie
	CanStick  Ability = "sticky"       // keep who comes back at his release
	CanHold   Ability = "hold_traffic" // keep requests waiting
)

// needs are the abilities without which a provider cannot apply an action. For Bound
// there is none: the spec has limits for the agent's router alone.
func needs(a Action) []Ability {
	switch a := a.(type) {
	case *Start:
		return append([]Ability{CanStart}, a.Definition.needs()...)
	case *Stop:
		return []Ability{CanStop}
	case *Smoke:
		return append([]Ability{CanSmoke}, checking(a.Checks)...)
	case *Handover:
		return []Ability{CanHandover}
	case *Task:
		return append([]Ability{CanTask}, a.Definition.needs()...)
	case *Roles:
		return []Ability{CanRoles}
	case *Attach:
		if a.HTTP2 {
			return []Ability{CanAttach, CanHTTP2}
		}
		return []Ability{CanAttach}
	case *Drain:
		return []Ability{CanDrain}
	case *Weigh:
		return append([]Ability{CanWeigh}, a.Split.needs()...)
	case *HoldTraffic:
		return []Ability{CanHold}
	}
	return nil
}

func (d ProcessDefinition) needs() []Ability {
	list := checking(d.Checks)
	for ability, needed := range map[Ability]bool{
		CanLimit: d.Limits != spec.Limits{}, CanUser: d.User != "", CanWorkingDirectory: d.WorkingDirectory != "",
		CanSecrets: len(d.Secrets) > 0, CanHTTP2: d.Protocol == spec.HTTP2,
	} {
		if needed {
			list = append(list, ability)
		}
	}
	slices.Sort(list)
	return list
}

func checking(checks []*spec.Check) []Ability {
	var list []Ability
	for _, c := range checks {
		list = append(list, Ability("check."+string(c.Kind)))
	}
	return list
}

func (s Split) needs() []Ability {
	var list []Ability
	if len(s.Rules) > 0 {
		list = append(list, CanMatch)
	}
	if s.Sticky != nil {
		list = append(list, CanStick)
	}
	return list
}

// Missing is the first ability that an action needs and that is not among those
// of its provider; "" where none is.
func Missing(can []Ability, a Action) Ability {
	for _, need := range needs(a) {
		if !slices.Contains(can, need) {
			return need
		}
	}
	return ""
}

// checkAbilities refuses a plan of which a provider says that it cannot apply a
// step, or take it back.
func (e *emitter) checkAbilities() {
	told := map[string]bool{}
	for _, s := range e.steps {
		what := string(s.Kind) + " " + s.Title
		e.checkAbility(s, s.Action, what, told)
		if s.Undo != nil {
			e.checkAbility(s, s.Undo.Action, "the way back of "+what, told)
		}
	}
}

func (e *emitter) checkAbility(s Step, a Action, what string, told map[string]bool) {
	if a == nil {
		return
	}
	can, all := e.state.abilities(a.Provider())
	missing := Missing(can, a)
	key := string(a.Provider()) + " " + string(missing)
	if all || missing == "" || told[key] {
		return
	}
	told[key] = true
	var at hcl.Range
	for _, service := range e.spec.Services {
		if service.Address() == s.Address {
			at = service.Range
		}
	}
	e.diags = append(e.diags, problem("Beyond the provider",
		fmt.Sprintf("%s does not say that it can do %s, which %s needs.", a.Provider(), missing, what), at))
}

// abilities are those of an orchestrator or a router; all is true where it has
// no list of them.
func (s *State) abilities(provider spec.Address) (list []Ability, all bool) {
	if o := s.Orchestrators[string(provider)]; o != nil {
		return o.Abilities, o.Abilities == nil
	}
	if r := s.Routers[string(provider)]; r != nil {
		return r.Abilities, r.Abilities == nil
	}
	return nil, true
}
