package planner

import (
	"sort"

	"pleat/spec"
)

// releaseKey names a release of a service.
type releaseKey struct{ service, version string }

// declaration is what a release says of the changes it can live with.
type declaration struct {
	release       Release
	knows         map[string]bool
	needsBackfill map[string]bool
	tolerates     map[string]bool
}

// declarations gathers every release that is known: those of the spec, and
// those that the journal has from earlier runs and the spec has no more.
func declarations(sp *spec.Spec, st *State) map[releaseKey]*declaration {
	out := map[releaseKey]*declaration{}
	for _, r := range st.Journal.Releases {
		out[releaseKey{r.Service, r.Version}] = declare(r)
	}
	for _, s := range sp.Services {
		for _, r := range s.Releases {
			d := declare(Describe(r))
			if recorded := out[releaseKey{s.Name, r.Version}]; recorded != nil {
				d.release.Held = recorded.release.Held
			}
			out[releaseKey{s.Name, r.Version}] = d
		}
	}
	return out
}

func declare(r Release) *declaration {
	return &declaration{release: r, knows: set(r.Knows), needsBackfill: set(r.NeedsBackfill), tolerates: set(r.Tolerates)}
}

// Describe is a release of the spec as the journal records it.
func Describe(r *spec.Release) Release {
	out := Release{
		Service: r.Service.Name, Version: r.Version,
		Artifact:       Artifact{Path: r.Artifact.Path, SHA256: r.Artifact.SHA256},
		Ancestors:      r.Ancestors,
		Knows:          changeNames(closure(r.Schema)),
		NeedsBackfill:  changeNames(r.NeedsBackfill),
		Tolerates:      changeNames(r.Tolerates),
		MigrateOnStart: r.MigrateOnStart, RequiredStop: r.RequiredStop,
	}
	for _, v := range r.SchemaVersions {
		out.Versions = append(out.Versions, VersionRange{v.Migrations.Name, v.Min, v.Max, v.Ships})
	}
	for _, p := range r.Processes {
		out.Processes = append(out.Processes, define(r, p))
	}
	return out
}

// define is a process of a release with everything needed to run it.
func define(r *spec.Release, p *spec.Process) ProcessDefinition {
	env := map[string]spec.Text{}
	for k, v := range r.Env {
		env[k] = v
	}
	for k, v := range p.Env {
		env[k] = v
	}
	return ProcessDefinition{
		Process: p.Name, Count: p.Count, PerHost: p.PerHost, Scaling: p.Scaling, Command: p.Command, Env: env,
		Routed: p.Routed, Protocol: p.Protocol, Checks: p.Checks, Drain: p.Drain, Confinement: p.Confinement,
	}
}

// process is the definition of that process, or nil when the release has none.
func (r Release) process(name string) *ProcessDefinition {
	for i := range r.Processes {
		if r.Processes[i].Process == name {
			return &r.Processes[i]
		}
	}
	return nil
}

// closure is the changes and everything that comes before them.
func closure(changes []*spec.Change) []*spec.Change {
	var out []*spec.Change
	seen := map[*spec.Change]bool{}
	var visit func(c *spec.Change)
	visit = func(c *spec.Change) {
		if seen[c] {
			return
		}
		seen[c] = true
		out = append(out, c)
		for _, before := range c.After {
			visit(before)
		}
	}
	for _, c := range changes {
		visit(c)
	}
	return out
}

func changeNames(changes []*spec.Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Name)
	}
	sort.Strings(out)
	return out
}

func set(names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// sortedKeys gives a map's keys in order: every walk over a map goes through
// it, because a plan's bytes must not depend on the map.
func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
