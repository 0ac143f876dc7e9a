package planner_test

import (
	"fmt"
	"slices"
	"testing"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// Forty services on one database, too many to try every order: those that do
// not live with the next version are levelled first, and no others.
func TestManyServicesAreLevelled(t *testing.T) {
	for _, behind := range []int{1, 40} {
		t.Run(fmt.Sprint(behind), func(t *testing.T) {
			sp, st := skewed(40, behind)
			plan, diags := planner.Make(sp, st, planner.Goal{})
			if plan == nil {
				t.Fatal(diags)
			}
			at := slices.IndexFunc(plan.Steps, func(s planner.Step) bool { return s.Kind == planner.KindMigrate })
			levelled, arrived := startsOf(plan.Steps[:at]), startsOf(plan.Steps[at:])
			if levelled["b1564"] != behind || len(levelled) != 1 || arrived["b1600"] != 40 || len(arrived) != 1 {
				t.Errorf("%d behind: before the migration %v start, after it %v", behind, levelled, arrived)
			}
		})
	}
}

// startsOf counts the starts by release.
func startsOf(steps []planner.Step) map[string]int {
	n := map[string]int{}
	for _, s := range steps {
		if a, ok := s.Action.(*planner.Start); ok {
			n[a.Release]++
		}
	}
	return n
}

// skewed is services of which some run a release that lives with version 1 of a
// directory only, and the others one that lives with 2 as well, which they all
// should go to.
func skewed(services, behind int) (*spec.Spec, *planner.State) {
	db, o := &spec.Database{Name: "main"}, &spec.Orchestrator{Kind: "host", Name: "local"}
	m := &spec.Migrations{
		Name: "core", Database: db, Table: spec.Table{Schema: "public", Name: "schema_migrations"}, Version: 2,
		Files: []spec.Migration{{Version: 1, Name: "one", Up: "select 1"}, {Version: 2, Name: "two", Up: "select 2"}},
	}
	sp := &spec.Spec{Databases: []*spec.Database{db}, Orchestrators: []*spec.Orchestrator{o}, Migrations: []*spec.Migrations{m}}
	live := &planner.Orchestrator{Hosts: []string{"one"}}
	for i := range services {
		s := &spec.Service{Name: fmt.Sprintf("s%02d", i), Database: db, Orchestrator: o, Strategy: &spec.Strategy{Kind: spec.Rolling}}
		release := func(version string, lo, hi, ships uint64, ancestors ...string) *spec.Release {
			return &spec.Release{
				Service: s, Version: version, Ancestors: ancestors, Processes: []*spec.Process{{Name: "web", Count: 1}},
				SchemaVersions: []spec.VersionRange{{Migrations: m, Min: lo, Max: hi, Ships: ships}},
			}
		}
		s.Releases = []*spec.Release{release("b1200", 1, 1, 1), release("b1564", 1, 2, 1, "b1200"), release("b1600", 1, 2, 2, "b1564")}
		s.Release = s.Releases[2]
		sp.Services = append(sp.Services, s)
		at := "b1564"
		if i < behind {
			at = "b1200"
		}
		live.Instances = append(live.Instances, planner.Instance{Service: s.Name, Release: at, Process: "web", Name: "web.1", Host: "one", State: planner.Up})
	}
	return sp, &planner.State{
		Databases:     map[string]*planner.Database{"main": {Catalog: &migrations.Catalog{}, Versions: map[string]planner.Version{"core": {Version: 1}}}},
		Orchestrators: map[string]*planner.Orchestrator{"orchestrator.host.local": live},
	}
}
