package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"pleat/executor"
	"pleat/executor/crash"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/providers/host"
	"pleat/providers/inquiry"
	"pleat/providers/postgres"
	"pleat/providers/proxy"
	"pleat/spec"
)

// environment is the name under which runs, releases and the lease are kept.
const environment = "default"

// world is every live system that a spec names.
type world struct {
	spec      *spec.Spec
	databases map[string]*postgres.Provider
	hosts     map[spec.Address]*host.Provider
	routers   map[spec.Address]*proxy.Provider
	inquiries *inquiry.Provider
	journal   *journal.Journal // to read from, where a verb holds one
}

// open makes the providers of a spec; it connects to nothing yet.
func (a *app) open(sp *spec.Spec) (*world, error) {
	w := &world{
		spec: sp, databases: map[string]*postgres.Provider{},
		hosts: map[spec.Address]*host.Provider{}, routers: map[spec.Address]*proxy.Provider{},
	}
	var problems []error
	for _, d := range sp.Databases {
		w.databases[d.Name] = postgres.New(d, crash.At)
	}
	for _, o := range sp.Orchestrators {
		p, err := host.New(o, host.Options{Dir: sp.Dir, Reveal: sp.Reveal, Redact: sp.Redact, DatabaseURL: w.databaseURL, At: crash.At})
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", o.Address(), err))
			continue
		}
		w.hosts[o.Address()] = p
	}
	for _, r := range sp.Routers {
		p, err := proxy.New(r, sp.Orchestrators, proxy.Options{Dir: sp.Dir, Redact: sp.Redact, At: crash.At})
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", r.Address(), err))
			continue
		}
		w.routers[r.Address()] = p
	}
	w.inquiries = inquiry.New(inquiry.Options{Dir: sp.Dir, Reveal: sp.Reveal, Redact: sp.Redact, Row: w.row})
	return w, errors.Join(problems...)
}

// databaseURL is what the processes of a service connect with.
func (w *world) databaseURL(name string) (spec.Text, bool) {
	for _, d := range w.spec.Databases {
		if d.Name == name {
			return d.URL, true
		}
	}
	return spec.Text{}, false
}

// row asks a database an author's question.
func (w *world) row(ctx context.Context, database, sql string) (json.RawMessage, error) {
	p := w.databases[database]
	if p == nil {
		return nil, fmt.Errorf("the spec has no database %s", database)
	}
	return p.Row(ctx, sql)
}

// observe reads what a plan looks at. Everything that cannot be read is
// reported at once.
func (w *world) observe(ctx context.Context, scope planner.Scope) (*planner.State, error) {
	st := &planner.State{
		Now: now(), Databases: map[string]*planner.Database{},
		Orchestrators: map[string]*planner.Orchestrator{}, Routers: map[string]*planner.Router{},
	}
	var problems []error
	for _, d := range w.spec.Databases {
		s := scope.Databases[d.Name]
		seen, err := w.databases[d.Name].Observe(ctx, postgres.Scope{
			Tables: s.TableNames(), Indexes: s.IndexNames(), Types: s.TypeNames(), Functions: s.Functions, Changes: s.Changes, Migrations: s.Migrations,
			Files: w.files(),
		})
		st.Databases[d.Name] = seen
		if err != nil {
			problems = append(problems, fmt.Errorf("reading %s: %w", d.Address(), err))
		}
	}
	for address, h := range w.hosts {
		seen, err := h.Observe(ctx)
		st.Orchestrators[string(address)] = seen
		problems = append(problems, err)
	}
	for address, r := range w.routers {
		seen, err := r.Observe(ctx)
		st.Routers[string(address)] = seen
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return st, w.recorded(ctx, st)
}

// files are those of the golang-migrate directories, by name.
func (w *world) files() map[string][]spec.Migration {
	out := map[string][]spec.Migration{}
	for _, m := range w.spec.Migrations {
		out[m.Name] = m.Files
	}
	return out
}

// recorded reads what the state store has.
func (w *world) recorded(ctx context.Context, st *planner.State) (err error) {
	if w.spec.State == nil {
		return nil
	}
	if w.journal != nil {
		st.Journal, err = w.journal.Read(ctx)
		return err
	}
	j, err := journal.Open(ctx, w.spec.State.URL, environment, "pleat")
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	st.Journal, err = j.Read(ctx)
	return errors.Join(err, j.Close(ctx))
}

// close ends what is kept between two calls of a provider.
func (w *world) close(ctx context.Context) (err error) {
	for _, p := range w.databases {
		err = errors.Join(err, p.Close(ctx))
	}
	return err
}

// appliers are the providers by the address that steps name.
func (w *world) appliers() map[spec.Address]executor.Applier {
	out := map[spec.Address]executor.Applier{}
	for name, p := range w.databases {
		out[spec.Address("database."+name)] = p
	}
	for address, p := range w.hosts {
		out[address] = p
	}
	for address, p := range w.routers {
		out[address] = p
	}
	for _, g := range w.spec.Gates {
		out[g.Address()] = w.inquiries
	}
	for _, a := range w.spec.Analyses {
		out[a.Address()] = w.inquiries
	}
	return out
}
