package host

import (
	"fmt"
	"maps"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/spec"
)

// definition is what the agent needs to run one instance, secrets included.
func (p *Provider) definition(a *planner.Start, i planner.Placement) (api.Definition, error) {
	d := api.Definition{
		Process: a.Definition.Process, SHA256: a.Artifact.SHA256, Command: a.Definition.Command,
		Env: map[string]string{}, Checks: a.Definition.Checks, Drain: a.Definition.Drain,
	}
	for name, text := range maps.All(a.Definition.Env) {
		value, err := p.reveal(text)
		if err != nil {
			return d, fmt.Errorf("env %s of %s %s: %w", name, a.Service, a.Release, err)
		}
		d.Env[name] = value
	}
	if a.Database == "" {
		return d, nil
	}
	url, err := p.databaseURL(a.Database)
	if err != nil {
		return d, err
	}
	name, err := api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}.Application()
	if err != nil {
		return d, err
	}
	d.DatabaseURL, err = named(url, name)
	if err != nil {
		return d, fmt.Errorf("the URL of database.%s: %w", a.Database, err)
	}
	return d, nil
}

// reveal gives a text's value. One from a saved plan has only a reference.
func (p *Provider) reveal(t spec.Text) (string, error) {
	if !t.Sensitive() || t.Reveal() != "" {
		return t.Reveal(), nil
	}
	if p.options.Reveal == nil {
		return "", fmt.Errorf("nobody knows the secret %s", t.Ref())
	}
	v, ok := p.options.Reveal(t.Ref())
	if !ok {
		return "", fmt.Errorf("the spec has no secret %s", t.Ref())
	}
	return v, nil
}

func (p *Provider) databaseURL(database string) (string, error) {
	if p.options.DatabaseURL == nil {
		return "", fmt.Errorf("nobody knows database.%s", database)
	}
	t, ok := p.options.DatabaseURL(database)
	if !ok {
		return "", fmt.Errorf("the spec has no database.%s", database)
	}
	return p.reveal(t)
}
