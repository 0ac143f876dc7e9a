package host

import (
	"fmt"
	"maps"
	"strings"

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
	var err error
	d.DatabaseURLs, err = p.databaseURLs(a, i)
	return d, err
}

// databaseURLs are by the variable that has one. Sessions over any of them say
// whose they are.
func (p *Provider) databaseURLs(a *planner.Start, i planner.Placement) (map[string]string, error) {
	databases := map[string]string{} // by variable
	for _, database := range a.AlsoUses {
		databases[variableOf(database)] = database
	}
	if a.Database != "" {
		databases[urlVariable] = a.Database
	}
	if len(databases) == 0 {
		return nil, nil
	}
	name, err := api.Ref{Service: a.Service, Release: a.Release, Instance: i.Instance}.Application()
	if err != nil {
		return nil, err
	}
	urls := map[string]string{}
	for variable, database := range databases {
		url, err := p.databaseURL(database)
		if err != nil {
			return nil, err
		}
		if url, err = viewed(url, a.Views[database]); err != nil {
			return nil, fmt.Errorf("the URL of database.%s: %w", database, err)
		}
		if urls[variable], err = named(url, name); err != nil {
			return nil, fmt.Errorf("the URL of database.%s: %w", database, err)
		}
	}
	return urls, nil
}

const urlVariable = "DATABASE_URL"

// variableOf has the URL of a database that a service uses besides its own.
func variableOf(database string) string {
	return urlVariable + "_" + strings.ReplaceAll(strings.ToUpper(database), "-", "_")
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
