package planner

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// checkReleases refuses what no order of steps can cure: a target on hold, an
// unknown one, and an artifact that is not the one that runs.
func (p *planning) checkReleases() {
	for _, s := range p.spec.Services {
		k := releaseKey{s.Name, p.target(s)}
		d := p.declared[k]
		if d == nil {
			p.diags = append(p.diags, problem("Unknown release", fmt.Sprintf("%s has no release %q, neither in the spec nor in the record of earlier runs.", s.Address(), k.version), s.ReleaseRange))
			continue
		}
		if d.release.Held != "" && p.goal.LiftHold == "" {
			p.diags = append(p.diags, held(d, s.ReleaseRange))
		}
		for _, i := range liveInstances(p.state) {
			if i.Service == k.service && i.Release == k.version && i.State != Down && i.Digest != d.release.Artifact.SHA256 {
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
