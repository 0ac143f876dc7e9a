package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// unknownRelease is the problem of a release that there is not. The spec is not where a
// rollback was told of it.
func (p *planning) unknownRelease(s *spec.Service, version string) *hcl.Diagnostic {
	var known []string
	for k := range p.declared {
		if k.service == s.Name {
			known = append(known, k.version)
		}
	}
	at := s.ReleaseRange
	if p.goal.Releases[s.Name] != "" {
		at = hcl.Range{}
	}
	return problem("Unknown release", fmt.Sprintf("%s has no release %q, neither in the spec nor in the record of earlier runs.%s", s.Address(), version, spec.DidYouMean(version, sorted(known))), at)
}

// checkReleases refuses what no order of steps can cure: a target on hold, an
// unknown one, and an artifact that is not the one that runs.
func (p *planning) checkReleases() {
	for _, s := range p.spec.Services {
		k := releaseKey{s.Name, p.target(s)}
		d := p.declared[k]
		if d == nil {
			p.diags = append(p.diags, p.unknownRelease(s, k.version))
			continue
		}
		if d.release.Held != "" && p.goal.LiftHold == "" && !p.goal.Rollback && !p.start.at(k.service, k.version) {
			p.diags = append(p.diags, held(d, s.ReleaseRange))
		}
		p.checkLineage(s, d)
		p.checkOnStart(s, d)
		p.checkCluster(s, d)
		for _, i := range p.instances[s.Name] {
			if i.Release == k.version && i.State != Down && i.Digest != d.release.Artifact.SHA256 {
				p.diags = append(p.diags, problem("Another artifact runs under this release",
					fmt.Sprintf("%s %s on %s runs the artifact %.12s, and the spec pins %.12s. A release is immutable: give the new artifact a new version.", k.service, k.version, i.Host, i.Digest, d.release.Artifact.SHA256), s.ReleaseRange))
				break
			}
		}
		if len(d.release.Processes) > 0 && len(p.state.Orchestrators[string(s.Orchestrator.Address())].hosts()) == 0 {
			p.diags = append(p.diags, problem("No host", fmt.Sprintf("%s has no host to start %s on.", s.Orchestrator.Address(), s.Address()), s.Range))
		}
	}
}

// checkLineage refuses a release whose code does not contain a live one: a
// hotfix that is live must not get lost. Going back is no loss, and a release
// that declares no ancestors says nothing.
func (p *planning) checkLineage(s *spec.Service, to *declaration) {
	target := releaseKey{s.Name, to.release.Version}
	if p.goal.Rollback || len(to.release.Ancestors) == 0 {
		return
	}
	line := p.lineage(target)
	for _, version := range sortedKeys(p.start.mix[s.Name]) {
		live := releaseKey{s.Name, version}
		if line[version] || p.declared[live] == nil || p.lineage(live)[target.version] {
			continue
		}
		text := fmt.Sprintf("%s %s does not contain %s, which is live: its ancestors are %s", s.Name, target.version, version, strings.Join(to.release.Ancestors, ", "))
		if p.goal.AcceptLineage != "" {
			p.drift = append(p.drift, text+"; accepted: "+p.goal.AcceptLineage)
			continue
		}
		p.diags = append(p.diags, problem("Live release would get lost", text+". Build it from "+version+", or say why it may go: --accept-lineage REASON.", s.ReleaseRange))
	}
}

// checkOnStart refuses a release that changes the schema under those that run
// beside it.
func (p *planning) checkOnStart(s *spec.Service, to *declaration) {
	if !to.release.MigrateOnStart || s.Strategy.Kind == spec.Offline || p.start.at(s.Name, to.release.Version) {
		return
	}
	p.diags = append(p.diags, problem("Release migrates on start",
		fmt.Sprintf("%s %s runs its migrations by itself when it starts, while others still run: each restart of a release before it would then fail. Let pleat run the migrations and take migrate_on_start out of the release, or use an `offline` strategy.", s.Name, to.release.Version), s.ReleaseRange))
}

// checkTogether refuses services that go offline together and come back with
// different versions, where one of them asks for the same.
func (k *knot) checkTogether() {
	together := slices.DeleteFunc(slices.Clone(k.services), func(s *spec.Service) bool { return s.Strategy.Kind != spec.Offline })
	i := slices.IndexFunc(together, func(s *spec.Service) bool { return s.Strategy.SameVersion })
	if i < 0 {
		return
	}
	strict := together[i]
	for _, other := range together {
		if k.target(other) == k.target(strict) {
			continue
		}
		k.planning.diags = append(k.planning.diags, problem("Different versions offline",
			fmt.Sprintf("%s goes to %s and %s to %s. They are down together, and all components have to be at the same version.", strict.Address(), k.target(strict), other.Address(), k.target(other)), other.ReleaseRange))
	}
}

// HeldSummary marks the diagnostic of a release that is on hold, for the exit
// code.
const HeldSummary = "Release is on hold"

func held(d *declaration, at hcl.Range) *hcl.Diagnostic {
	return problem(HeldSummary, fmt.Sprintf("%s %s was rolled back: %s. To roll it out all the same, say why: --lift-hold REASON.", d.release.Service, d.release.Version, d.release.Held), at)
}

func (o *Orchestrator) hosts() []string {
	if o == nil {
		return nil
	}
	return o.Hosts
}
