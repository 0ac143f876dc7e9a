package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pleat/executor"
	"pleat/executor/crash"
	"pleat/executor/journal"
	"pleat/planner"
	"pleat/providers/exec"
	"pleat/providers/host"
	"pleat/providers/host/api"
	"pleat/providers/inquiry"
	"pleat/providers/postgres"
	"pleat/providers/proxy"
	"pleat/providers/variables"
	"pleat/spec"
)

// environment is the name under which runs, releases and the lease are kept.
const environment = "default"

// world is every live system that a spec names.
type world struct {
	spec      *spec.Spec
	databases map[string]*postgres.Provider
	// orchestrators are all of them, and hosts those that have agents.
	orchestrators map[spec.Address]orchestrator
	hosts         map[spec.Address]*host.Provider
	routers       map[spec.Address]router
	inquiries     *inquiry.Provider
	journal       *journal.Journal // to read from, where a verb holds one
	closing       []func() error
}

// orchestrator is what a verb needs of one, whatever its kind.
type orchestrator interface {
	executor.Applier
	executor.Asker
	fenced
	Observe(ctx context.Context) (*planner.Orchestrator, error)
	Ready(ctx context.Context, host string, a planner.Artifact) error
}

// router is what a verb needs of one, whatever its kind.
type router interface {
	executor.Applier
	fenced
	Observe(ctx context.Context) (*planner.Router, error)
}

// fenced keeps former holders of a lease off.
type fenced interface {
	Announce(ctx context.Context, t planner.Ticket) error
}

// open makes the providers of a spec; it connects to nothing yet.
func (a *app) open(sp *spec.Spec) (*world, error) {
	w := &world{
		spec: sp, databases: map[string]*postgres.Provider{},
		orchestrators: map[spec.Address]orchestrator{}, hosts: map[spec.Address]*host.Provider{}, routers: map[spec.Address]router{},
	}
	var problems []error
	for _, d := range sp.Databases {
		w.databases[d.Name] = postgres.New(d, crash.At)
	}
	for _, o := range sp.Orchestrators {
		if o.Program != nil {
			p := exec.NewOrchestrator(o, w.programOptions())
			w.orchestrators[o.Address()] = p
			w.closing = append(w.closing, p.Close)
			continue
		}
		p, err := host.New(o, host.Options{Dir: sp.Dir, Reveal: sp.Reveal, Redact: sp.Redact, DatabaseURL: w.databaseURL, At: crash.At})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		w.hosts[o.Address()], w.orchestrators[o.Address()] = p, p
	}
	if err := errors.Join(problems...); err != nil {
		return w, err // which the routers of these agents would say again
	}
	for _, r := range sp.Routers {
		if r.Program != nil {
			p := exec.NewRouter(r, w.observers(), w.programOptions())
			w.routers[r.Address()] = p
			w.closing = append(w.closing, p.Close)
			continue
		}
		p, err := proxy.New(r, withAgents(sp.Orchestrators), proxy.Options{Dir: sp.Dir, Redact: sp.Redact, At: crash.At})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		w.routers[r.Address()] = p
	}
	w.inquiries = inquiry.New(inquiry.Options{Dir: sp.Dir, Reveal: sp.Reveal, Redact: sp.Redact, Row: w.row})
	return w, errors.Join(problems...)
}

// withAgents are those of the kind host.
func withAgents(all []*spec.Orchestrator) []*spec.Orchestrator {
	return slices.DeleteFunc(slices.Clone(all), func(o *spec.Orchestrator) bool { return o.Program != nil })
}

func (w *world) programOptions() exec.Options {
	known := variables.Source{Reveal: w.spec.Reveal, DatabaseURL: w.databaseURL}
	return exec.Options{Dir: w.spec.Dir, Known: known, Redact: w.spec.Redact, At: crash.At}
}

func (w *world) observers() map[spec.Address]exec.Observer {
	out := map[spec.Address]exec.Observer{}
	for address, o := range w.orchestrators {
		out[address] = o
	}
	return out
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
	st, unknown, err := w.look(ctx, scope)
	if err := errors.Join(append([]error{err}, unknown.problems()...)...); err != nil {
		return nil, err
	}
	return st, nil
}

// silent are the orchestrators and routers that could not be read whole, with why.
type silent map[spec.Address]error

// problems are in the order of the addresses, orchestrators first. What a router
// says of an agent that was named before is left out.
func (s silent) problems() []error {
	var said []error
	for _, address := range slices.Sorted(maps.Keys(s)) {
		var agent *api.UnreachableError
		before := errors.As(s[address], &agent) && slices.ContainsFunc(said, func(e error) bool { return strings.Contains(e.Error(), agent.Error()) })
		if !before {
			said = append(said, s[address])
		}
	}
	return said
}

// look is observe that goes on without what does not answer, as far as databases do:
// the state has what those said that did.
func (w *world) look(ctx context.Context, scope planner.Scope) (*planner.State, silent, error) {
	st := &planner.State{
		Now: now(), Databases: map[string]*planner.Database{},
		Orchestrators: map[string]*planner.Orchestrator{}, Routers: map[string]*planner.Router{},
	}
	store := w.reachStore(ctx)
	var problems []error
	for _, d := range w.spec.Databases {
		s := scope.Databases[d.Name]
		seen, err := w.databases[d.Name].Observe(ctx, postgres.Scope{
			Tables: s.TableNames(), Indexes: s.IndexNames(), Types: s.TypeNames(), Functions: s.Functions, Retyped: s.Retyped, Changes: s.Changes,
			Migrations: s.Migrations, Files: w.files(),
		})
		st.Databases[d.Name] = seen
		if err != nil {
			problems = append(problems, fmt.Errorf("reading %s: %w", d.Address(), err))
		}
	}
	unknown := silent{}
	for address, o := range w.orchestrators {
		seen, err := o.Observe(ctx)
		if err != nil {
			unknown[address] = err
		}
		if seen != nil {
			st.Orchestrators[string(address)] = seen
		}
	}
	for address, r := range w.routers {
		seen, err := r.Observe(ctx)
		if err != nil {
			unknown[address] = err
			continue
		}
		st.Routers[string(address)] = seen
	}
	if err := errors.Join(problems...); err != nil {
		return nil, unknown, errors.Join(err, store().leave(ctx))
	}
	return st, unknown, w.recorded(ctx, st, store)
}

// read has the databases read what the changes of the spec say in SQL, and adds to
// the state what they can make no sense of.
func (w *world) read(ctx context.Context, st *planner.State) error {
	var problems []error
	readings := planner.Readings(w.spec, st)
	for _, name := range slices.Sorted(maps.Keys(readings)) {
		refused, wordings, err := w.databases[name].Read(ctx, readings[name])
		if err != nil {
			problems = append(problems, fmt.Errorf("reading %s: %w", spec.Address("database."+name), err))
			continue
		}
		cat := st.Databases[name].Catalog
		cat.Refusals, cat.Wordings = refused, wordings
	}
	return errors.Join(problems...)
}

// files are those of the golang-migrate directories, by name.
func (w *world) files() map[string][]spec.Migration {
	out := map[string][]spec.Migration{}
	for _, m := range w.spec.Migrations {
		out[m.Name] = m.Files
	}
	return out
}

// recorded reads what the state store has: after what is live, of which it
// tells the past.
func (w *world) recorded(ctx context.Context, st *planner.State, store func() reached) (err error) {
	r := store()
	switch {
	case r.err != nil:
		return fmt.Errorf("state: %w", r.err)
	case r.journal == nil:
		return nil
	}
	st.Journal, err = r.journal.Read(ctx)
	return errors.Join(err, r.leave(ctx))
}

// reached is a connection to the state store, or why there is none. Neither is
// a spec that has no such store.
type reached struct {
	journal *journal.Journal
	err     error
	kept    bool // somebody else's
}

func (r reached) leave(ctx context.Context) error {
	if r.journal == nil || r.kept {
		return nil
	}
	return r.journal.Close(ctx)
}

// reachStore connects to the state store while the caller does something else:
// to connect takes longer than to read. The result waits for it, and must be
// called, once.
func (w *world) reachStore(ctx context.Context) func() reached {
	if w.spec.State == nil || w.journal != nil {
		return func() reached { return reached{journal: w.journal, kept: true} }
	}
	done := make(chan reached, 1)
	go func() {
		j, err := journal.Open(ctx, w.spec.State.URL, environment, "pleat")
		done <- reached{journal: j, err: err}
	}()
	return func() reached { return <-done }
}

// close ends what is kept between two calls of a provider.
func (w *world) close(ctx context.Context) (err error) {
	for _, p := range w.databases {
		err = errors.Join(err, p.Close(ctx))
	}
	for _, end := range w.closing {
		err = errors.Join(err, end())
	}
	return err
}

// appliers are the providers by the address that steps name.
func (w *world) appliers() map[spec.Address]executor.Applier {
	out := map[spec.Address]executor.Applier{}
	for name, p := range w.databases {
		out[spec.Address("database."+name)] = p
	}
	for address, p := range w.orchestrators {
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
