package planner_test

import (
	"bytes"
	"slices"
	"strings"

	"pleat/planner"
	"pleat/spec"
)

// unmoved adds what has nothing to do with the rest, and asks that the rest
// stays as it is.
func (v *verdict) unmoved() {
	if v.seed%4 != 0 {
		return
	}
	s := v.again()
	s.intrude(v.seed%8 == 0)
	other, diags := planner.Make(s.spec, s.state, patient)
	if other == nil {
		v.wrong("with something unrelated: %s", diags)
		return
	}
	was, is := v.bytes(v.plan), v.bytes(other)
	if !bytes.Equal(was, is) {
		v.wrong("with something unrelated, its own steps are\n%s\nand were\n%s", is, was)
	}
}

// bytes are the steps but for checkpoints, whose letters count on, and for what
// is unrelated.
func (v *verdict) bytes(p *planner.Plan) []byte {
	var own planner.Plan
	for _, s := range p.Steps {
		if s.Kind == planner.KindCheckpoint || strings.Contains(string(s.Address), "stranger") {
			continue
		}
		own.Steps = append(own.Steps, amongFriends(s))
	}
	return encode(v.T, &own)
}

// amongFriends is a step whose evidence does not name the stranger: every
// release that anybody declares may have sessions.
func amongFriends(s planner.Step) planner.Step {
	s.Guards = slices.Clone(s.Guards)
	for i, g := range s.Guards {
		if asks, ok := g.(*planner.NoSessions); ok {
			known := familiar(*asks)
			s.Guards[i] = &known
		}
	}
	if a, ok := s.Action.(*planner.Transaction); ok {
		asked := *a
		asked.Evidence = slices.Clone(a.Evidence)
		for i, asks := range a.Evidence {
			asked.Evidence[i] = familiar(asks)
		}
		s.Action = &asked
	}
	return s
}

// familiar is a question for sessions without the stranger among those that may
// have some.
func familiar(asks planner.NoSessions) planner.NoSessions {
	asks.Except = slices.DeleteFunc(slices.Clone(asks.Except), func(name string) bool { return strings.Contains(name, "stranger@") })
	return asks
}

// intrude adds a change and a service that have nothing to do with the others,
// before or behind them.
func (s *scene) intrude(before bool) {
	name := "z_stranger"
	if before {
		name = "a_stranger"
	}
	change := &spec.Change{Name: name, Database: s.spec.Databases[0], Expand: []spec.Operation{&spec.CreateTable{
		Table: spec.Table{Schema: "public", Name: name}, Columns: []spec.Column{{Name: "id", Type: "bigint", NotNull: true}}, PrimaryKey: []string{"id"},
	}}}
	service := &spec.Service{Name: name, Orchestrator: s.spec.Orchestrators[0], Strategy: &spec.Strategy{Kind: spec.AllAtOnce}}
	service.Processes = []*spec.Process{{Name: "worker", Count: 1, Drain: spec.DefaultDrain()}}
	service.Release = &spec.Release{Service: service, Version: "1", Artifact: spec.Artifact{Path: "bin", SHA256: artifactDigest("1")}, Processes: service.Processes}
	service.Releases = []*spec.Release{service.Release}
	s.spec.Changes, s.spec.Services = append(s.spec.Changes, change), append(s.spec.Services, service)
	slices.SortFunc(s.spec.Changes, func(a, b *spec.Change) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.spec.Services, func(a, b *spec.Service) int { return strings.Compare(a.Name, b.Name) })
}
