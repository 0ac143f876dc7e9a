package host

import (
	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/variables"
	"pleat/spec"
)

// definition is what the agent needs to run one instance, secrets included.
func (p *Provider) definition(a *planner.Start, i planner.Placement) (api.Definition, error) {
	d := api.Definition{
		Process: a.Definition.Process, SHA256: a.Artifact.SHA256, Command: a.Definition.Command,
		Checks: a.Definition.Checks, HTTP2: a.Definition.Protocol == spec.HTTP2, Drain: a.Definition.Drain,
		Confinement: a.Definition.Confinement,
	}
	known := variables.Source{Reveal: p.options.Reveal, DatabaseURL: p.options.DatabaseURL}
	var err error
	if d.Env, err = known.Variables(a); err != nil {
		return d, err
	}
	d.DatabaseURLs, err = known.DatabaseURLs(a, i)
	return d, err
}
