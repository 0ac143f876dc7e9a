// Package variables is what a spec gives instances in their environment:
// variables with their secrets, and URLs of databases whose sessions say whose
// they are. It owns how these are made; who hands them over is its caller's.
package variables

import (
	"fmt"
	"maps"
	"strings"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/spec"
)

// Source knows what a plan only refers to.
type Source struct {
	// Reveal gives the value of a secret by its reference; nil: nobody knows one.
	Reveal func(ref string) (string, bool)
	// DatabaseURL gives the URL of a database by its name in the spec; nil: nobody
	// knows one.
	DatabaseURL func(database string) (spec.Text, bool)
}

// Variables are those of the spec, in clear.
func (s Source) Variables(a *planner.Start) (map[string]string, error) {
	out := map[string]string{}
	for name, text := range maps.All(a.Definition.Env) {
		value, err := s.Value(text)
		if err != nil {
			return nil, fmt.Errorf("env %s of %s %s: %w", name, a.Service, a.Release, err)
		}
		out[name] = value
	}
	return out, nil
}

// DatabaseURLs are by the variable that has one. Sessions over any of them say
// whose they are.
func (s Source) DatabaseURLs(a *planner.Start, i planner.Placement) (map[string]string, error) {
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
		url, err := s.databaseURL(database)
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

// Value is a text's. One from a saved plan has only a reference.
func (s Source) Value(t spec.Text) (string, error) {
	if !t.Sensitive() || t.Reveal() != "" {
		return t.Reveal(), nil
	}
	if s.Reveal == nil {
		return "", fmt.Errorf("nobody knows the secret %s", t.Ref())
	}
	v, ok := s.Reveal(t.Ref())
	if !ok {
		return "", fmt.Errorf("the spec has no secret %s", t.Ref())
	}
	return v, nil
}

func (s Source) databaseURL(database string) (string, error) {
	if s.DatabaseURL == nil {
		return "", fmt.Errorf("nobody knows database.%s", database)
	}
	t, ok := s.DatabaseURL(database)
	if !ok {
		return "", fmt.Errorf("the spec has no database.%s", database)
	}
	return s.Value(t)
}
