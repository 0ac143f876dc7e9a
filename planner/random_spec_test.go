package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pleat/spec"
)

var users = spec.Table{Schema: "public", Name: "users"}

// spec builds what spec.Load makes of the draft's files, without the places in
// them.
func (d *draft) spec() *spec.Spec {
	out := &spec.Spec{}
	for n := range d.databases {
		out.Databases = append(out.Databases, &spec.Database{
			Name: d.databaseName(n), Lock: spec.LockBudget{Timeout: 100 * time.Millisecond, Hold: 500 * time.Millisecond, Patience: 5 * time.Minute},
		})
	}
	out.Orchestrators = []*spec.Orchestrator{{Kind: "host", Name: "local"}}
	for n := range d.services {
		out.Routers = append(out.Routers, &spec.Router{Kind: "proxy", Name: d.serviceName(n)})
	}
	for c := range d.changes {
		out.Changes = append(out.Changes, d.specChange(out, c))
	}
	for i := range d.directories {
		out.Migrations = append(out.Migrations, d.specDirectory(out, i))
	}
	for s := range d.services {
		out.Services = append(out.Services, d.specService(out, s))
	}
	for s := range d.services {
		out.Services[s].After = pick(out.Services, d.services[s].after)
	}
	for c, change := range d.changes {
		for _, a := range change.absent {
			out.Changes[c].RequiresAbsent = append(out.Changes[c].RequiresAbsent, out.Services[a.service].Releases[a.release])
		}
	}
	return out
}

// pick takes the elements at these places.
func pick[T any](all []T, places []int) []T {
	var out []T
	for _, i := range places {
		out = append(out, all[i])
	}
	return out
}

func columnNames(c int) (name, old string) { return fmt.Sprintf("new%d", c), fmt.Sprintf("old%d", c) }

// specChange adds a column; one that is synced or back-filled has an old one
// beside it, and may take that away.
func (d *draft) specChange(sp *spec.Spec, c int) *spec.Change {
	draft := d.changes[c]
	name, old := columnNames(c)
	out := &spec.Change{Name: d.changeName(c), Database: sp.Databases[draft.database], After: pick(sp.Changes, draft.after)}
	out.Expand = []spec.Operation{&spec.AddColumn{Table: users, Column: spec.Column{Name: name, Type: "text"}}}
	forward := map[string]string{name: old}
	if draft.synced {
		out.Expand = append(out.Expand, &spec.Sync{Table: users, Forward: forward, Backward: map[string]string{old: name}})
	}
	if draft.backfill {
		out.Backfills = []*spec.Backfill{{Table: users, Set: forward, Batch: 1000, Workers: 1, Throttle: spec.Throttle{LockWaiters: 10, Autovacuum: "wraparound"}}}
	}
	if draft.verify {
		out.Verifies = []*spec.Verify{{Name: "agree", SQL: "select 1"}}
	}
	if draft.contract {
		out.Contract = &spec.Contract{Operations: []spec.Operation{&spec.DropColumn{Table: users, Column: old}}}
	}
	return out
}

func (d *draft) specDirectory(sp *spec.Spec, i int) *spec.Migrations {
	draft := d.directories[i]
	out := &spec.Migrations{
		Name: d.directoryName(i), Database: sp.Databases[draft.database], Source: d.directoryName(i),
		Table: spec.Table{Schema: "public", Name: "versions_" + d.directoryName(i)}, Version: draft.files[draft.target],
	}
	for _, v := range draft.files {
		out.Files = append(out.Files, spec.Migration{
			Version: v, Name: "step", File: d.directoryName(i) + "/" + fileName(v, "up"), Up: fileText(v, "up"), Down: fileText(v, "down"),
		})
	}
	return out
}

func fileName(v uint64, direction string) string { return fmt.Sprintf("%d_step.%s.sql", v, direction) }

// fileText is a migration; every third has no way down.
func fileText(v uint64, direction string) string {
	if direction == "down" && v%3 == 0 {
		return ""
	}
	return fmt.Sprintf("select 'version %d %s';\n", v, direction)
}

func (d *draft) specService(sp *spec.Spec, n int) *spec.Service {
	draft := &d.services[n]
	databases := pick(sp.Databases, draft.uses)
	s := &spec.Service{
		Name: d.serviceName(n), Database: databases[0], AlsoUses: databases[1:], Orchestrator: sp.Orchestrators[0], Router: sp.Routers[n],
		Strategy: &spec.Strategy{
			Name: d.serviceName(n), Kind: draft.strategy.kind, Order: draft.strategy.order, Batch: draft.strategy.batch,
			KeepPrevious: draft.strategy.keep, StepTimeout: 2 * time.Minute, Steps: draft.strategy.steps(),
		},
	}
	s.Processes = []*spec.Process{process(draft)}
	for bit := range draft.declared() {
		s.Releases = append(s.Releases, d.specRelease(sp, s, draft, bit))
	}
	s.Release = s.Releases[draft.target]
	return s
}

func process(s *draftService) *spec.Process {
	return &spec.Process{Name: "web", Count: s.count, Command: []string{"${ARTIFACT}"}, Routed: true, Drain: spec.DefaultDrain()}
}

func (d *draft) specRelease(sp *spec.Spec, s *spec.Service, draft *draftService, bit int) *spec.Release {
	r := draft.at(bit)
	out := &spec.Release{
		Service: s, Version: r.version, Artifact: spec.Artifact{Path: "bin/app", SHA256: artifactDigest(r.version)}, Ancestors: r.ancestors,
		Schema: pick(sp.Changes, r.schema), NeedsBackfill: pick(sp.Changes, r.needs), Tolerates: pick(sp.Changes, r.tolerates),
		MigrateOnStart: r.onStart, RequiredStop: r.stop, Processes: []*spec.Process{process(draft)},
	}
	for _, x := range r.ranges {
		out.SchemaVersions = append(out.SchemaVersions, spec.VersionRange{Migrations: sp.Migrations[x.directory], Min: x.min, Max: x.max, Ships: x.ships})
	}
	return out
}

func artifactDigest(version string) string {
	hex := fmt.Sprintf("%x", version)
	return strings.Repeat("0", 64-len(hex)) + hex
}

// refs are the names of blocks as a list in HCL.
func refs(kind string, places []int, name func(int) string) string {
	var out []string
	for _, i := range places {
		out = append(out, kind+"."+name(i))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// quoted is a list of strings in HCL.
func quoted(list []string) string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = fmt.Sprintf("%q", out[i])
	}
	return "[" + strings.Join(out, ", ") + "]"
}
