package planner

import (
	"fmt"
	"strings"

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

// explain turns the world in which the search stuck into diagnostics: who
// would meet what, and what would resolve it.
func (p *planning) explain(w *world) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, s := range p.spec.Services {
		k := releaseKey{s.Name, p.target(s)}
		if p.finished(*w, s) {
			continue
		}
		var lines []string
		for _, m := range p.unfit(*w, k) {
			lines = append(lines, m.why+m.gone()+p.stuck(*w, m.change))
		}
		diags = append(diags, problem("No way to this release", strings.Join(lines, ".\n")+".\n"+p.resolve(*w, s.Name), s.ReleaseRange))
	}
	for _, c := range p.changes {
		if name := c.Name; len(diags) == 0 || p.inGoal(name) {
			if why := p.stuck(*w, name); why != "" {
				diags = append(diags, problem("No way to this change", strings.TrimPrefix(why, ": ")+".", c.Range))
			}
		}
	}
	return diags
}

func (p *planning) inGoal(change string) bool { return set(p.goal.Revert)[change] }

// stuck says why a change cannot go on in that world; "" when it can.
func (p *planning) stuck(w world, name string) string {
	for _, c := range p.changes {
		if c.Name != name {
			continue
		}
		if p.inGoal(name) {
			if m := p.blocked(w, c, "absent"); len(m) > 0 {
				return ": cannot be taken back, " + m[0].why
			}
			return ""
		}
		for _, r := range c.RequiresAbsent {
			if w.mix[r.Service.Name][r.Version] {
				return fmt.Sprintf(": its expand waits until %s %s is gone", r.Service.Name, r.Version)
			}
		}
		if k := p.careless(w, c); len(k) > 0 && w.phases[name] == "expanded" {
			return fmt.Sprintf(": writers of %s %s do not maintain the new shape, and no sync does", k[0].service, k[0].version)
		}
	}
	return ""
}

// resolve says what the author can do.
func (p *planning) resolve(w world, service string) string {
	if p.goal.Rollback {
		return "A rollback takes no change forward. Roll forward to a release that lives with the schema as it is."
	}
	return fmt.Sprintf("What would resolve it: a release of %s in between that lives with the schema as it is, `tolerates` on a live one, or a sync.", service)
}
