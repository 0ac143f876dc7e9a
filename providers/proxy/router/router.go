// Package router is the reverse proxy inside an agent: it accepts requests on
// the addresses of its routes and spreads them over backends that are attached,
// healthy and not draining. It owns who gets a request; whether an instance is
// healthy, its watcher tells. A request is never sent to a second backend
// unless that is safe, and routes survive a restart.
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"pleat/providers/host/api"
	"pleat/providers/host/disk"
	"pleat/spec"
)

// errEnding refuses work that Run would not do any more.
var errEnding = errors.New("the agent is going down")

// Router is the routes of one agent.
type Router struct {
	host    string
	file    string
	log     *slog.Logger
	account *account

	found []func(context.Context)    // by New, for Run to do
	work  chan func(context.Context) // to Run
	over  chan struct{}              // closed when Run takes no more

	judged chan struct{} // has room for one: a watched backend has another verdict than was saved

	before <-chan struct{} // closed once a process before this one is done; nil: there was none

	mu      sync.Mutex
	frozen  bool // a successor takes over
	routes  map[string]*route
	secured map[string]*api.TLS          // of routes that are not open
	limits  map[string]spec.RouterLimits // of those too

	cells  sync.Mutex // who tells of an instance's health waits for nobody's disk
	health map[api.Ref]*atomic.Bool
}

// New opens the routes that an earlier router left in dir. Requests are
// answered once Run runs. host is the name of this host: instances on it are
// healthy when Health says so.
func New(dir, host string, log *slog.Logger) (*Router, error) {
	return Succeed(dir, host, log, nil, nil)
}

// Succeed is New after a router of another process that was frozen: the sockets
// are its, by address, and before is closed once it answers no request any more
// that came to it. Until then a drain waits, since such a request may be on any
// backend.
func Succeed(dir, host string, log *slog.Logger, sockets map[string]net.Listener, before <-chan struct{}) (*Router, error) {
	r := &Router{
		before: before, judged: make(chan struct{}, 1),
		host: host, file: filepath.Join(dir, "routes.json"), log: log, account: newAccount(),
		work: make(chan func(context.Context)), over: make(chan struct{}),
		secured: map[string]*api.TLS{}, limits: map[string]spec.RouterLimits{}, routes: map[string]*route{}, health: map[api.Ref]*atomic.Bool{},
	}
	r.found = append(r.found, r.keepVerdicts)
	var saved []api.Route
	if err := disk.ReadJSON(r.file, &saved); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	for _, s := range saved {
		opened, err := open(s.Listen, s.TLS, sockets[s.Listen], log, r.account)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		opened.split = s.Split
		opened.bound(s.Limits)
		r.routes[s.Listen] = opened
		r.found = append(r.found, func(ctx context.Context) { r.serve(ctx, opened) })
		for _, b := range s.Backends {
			b := r.known(b)
			opened.put(b)
			r.found = append(r.found, func(ctx context.Context) { r.watch(ctx, b) })
		}
	}
	return r, nil
}

// Close closes the listeners of a router that never ran.
func (r *Router) Close() error {
	var errs []error
	for _, o := range r.routes {
		errs = append(errs, o.front.end(context.Background()))
	}
	return errors.Join(errs...)
}

// Run answers requests until ctx ends and those under way are finished.
func (r *Router) Run(ctx context.Context) {
	var working sync.WaitGroup
	for _, f := range r.found {
		working.Go(func() { f(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			close(r.over)
			working.Wait()
			return
		case f := <-r.work:
			working.Go(func() { f(ctx) })
		}
	}
}

// begin has Run do work; false when it takes no more.
func (r *Router) begin(f func(context.Context)) bool {
	select {
	case r.work <- f:
		return true
	case <-r.over:
		return false
	}
}

func (r *Router) serve(ctx context.Context, o *route) {
	if err := o.serve(ctx); err != nil {
		r.log.Error("serving a route", "listen", o.listen, "error", err)
	}
}

// Health tells whether an instance of this host can serve. It does not block.
func (r *Router) Health(ref api.Ref, up bool) { r.cell(ref).Store(up) }

// cell is where the health of an instance of this host is kept.
func (r *Router) cell(ref api.Ref) *atomic.Bool {
	r.cells.Lock()
	defer r.cells.Unlock()
	c, ok := r.health[ref]
	if !ok {
		c = &atomic.Bool{}
		r.health[ref] = c
	}
	return c
}

// backend makes one.
func (r *Router) backend(b api.Backend) *backend {
	if b.Weight == 0 {
		b.Weight = 1
	}
	b.Draining, b.Serving, b.InFlight = false, false, 0
	if b.Host == r.host {
		return newBackend(b, r.cell(b.Ref))
	}
	// It is attached because it is up; watch finds out when that ends.
	up := &atomic.Bool{}
	up.Store(true)
	return newBackend(b, up)
}

// known makes one that an earlier router had. What its last verdict was counts for
// one that is watched: where its checks had failed, it gets no request before they
// are good again, although it may accept some. All others get requests at once, as
// when they were attached. They do not wait for an answer: all verdicts would be
// missing then, and a restart would leave the service without any backend.
func (r *Router) known(b api.Backend) *backend {
	out := r.backend(b)
	if len(r.watched(b)) > 0 {
		out.up.Store(b.Serving)
	}
	return out
}

// Attach adds backends to the route on listen, opening it where it is not open
// yet, and takes back the draining of those that are there. It is durable when
// it returns.
func (r *Router) Attach(listen string, backends []api.Backend) error {
	for _, b := range backends {
		if err := valid(b); err != nil {
			return err
		}
	}
	work, err := r.attach(listen, backends)
	for _, w := range work {
		if !r.begin(w) {
			return errors.Join(err, errEnding)
		}
	}
	return err
}

func valid(b api.Backend) error {
	if _, _, err := net.SplitHostPort(b.Address); err != nil {
		return api.Errorf(api.CodeInvalid, "backend %s: address %q: want host:port", b.Ref, b.Address)
	}
	if b.Weight < 0 || b.Weight > 1000 {
		return api.Errorf(api.CodeInvalid, "backend %s: weight %d: want 1 to 1000", b.Ref, b.Weight)
	}
	return nil
}

// attach gives the work that follows from it.
func (r *Router) attach(listen string, backends []api.Backend) (work []func(context.Context), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return nil, errMoved
	}
	o, ok := r.routes[listen]
	if !ok {
		o, err = open(listen, r.secured[listen], nil, r.log, r.account)
		if err != nil {
			return nil, api.Errorf(api.CodeConflict, "%v", err)
		}
		o.bound(r.limits[listen])
		r.routes[listen] = o
		work = append(work, func(ctx context.Context) { r.serve(ctx, o) })
	}
	for _, b := range backends {
		if n := slices.IndexFunc(o.backends, func(o *backend) bool { return o.spec.Service != b.Service }); n >= 0 {
			return work, api.Errorf(api.CodeConflict, "%s routes %s; %s needs an address of its own",
				listen, o.backends[n].spec.Service, b.Service)
		}
		joining := r.backend(b)
		if old := o.find(b.Ref); old != nil && old.same(joining) {
			old.stay()
			old.up.Store(joining.up.Load()) // who attaches it has seen that it is up
			continue
		}
		o.put(joining)
		work = append(work, func(ctx context.Context) { r.watch(ctx, joining) })
	}
	return work, r.save()
}

// save makes the routes durable, and the verdicts of watched backends. A draining
// backend is left out: nothing of what it has in flight would be left after a restart.
func (r *Router) save() error {
	if r.frozen {
		return nil // they are the successor's
	}
	saved := make([]api.Route, 0, len(r.routes))
	for _, listen := range slices.Sorted(maps.Keys(r.routes)) {
		v := r.routes[listen].view()
		v.Backends = slices.DeleteFunc(v.Backends, func(b api.Backend) bool { return b.Draining })
		saved = append(saved, v)
	}
	return disk.WriteJSON(r.file, saved)
}

// Detach takes backends out of the route at once and lets their requests
// finish. Absent ones are done.
func (r *Router) Detach(listen string, refs []api.Ref) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return errMoved
	}
	o, ok := r.routes[listen]
	if !ok {
		return nil
	}
	for _, ref := range refs {
		if b := o.find(ref); b != nil {
			o.remove(b)
		}
	}
	return r.save()
}

// Routes lists the routes and their backends.
func (r *Router) Routes() []api.Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]api.Route, 0, len(r.routes))
	for _, listen := range slices.Sorted(maps.Keys(r.routes)) {
		out = append(out, r.routes[listen].view())
	}
	return out
}
