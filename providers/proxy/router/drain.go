package router

import (
	"context"
	"errors"
	"slices"
	"time"

	"pleat/providers/host/api"
)

// drainPoll is how often a draining backend's requests are counted.
const drainPoll = 5 * time.Millisecond

// drain is one backend on its way out. done is closed when that is over, one
// way or the other; cut and err are set before.
type drain struct {
	deadline time.Time
	done     chan struct{}
	cut      int64
	err      error
}

func (d *drain) end(cut int64, err error) {
	d.cut, d.err = cut, err
	close(d.done)
}

// same tells whether requests would go the same way to the other one.
func (b *backend) same(o *backend) bool {
	return b.spec.Address == o.spec.Address && b.spec.Weight == o.spec.Weight && b.spec.HTTP2 == o.spec.HTTP2 && b.spec.Host == o.spec.Host
}

// leave begins a drain. The router's mutex is held.
func (b *backend) leave(deadline time.Time) *drain {
	b.drain = &drain{deadline: deadline, done: make(chan struct{})}
	b.draining.Store(true)
	return b.drain
}

// stay takes a drain back. The router's mutex is held.
func (b *backend) stay() {
	if b.drain == nil {
		return
	}
	b.drain.end(0, api.Errorf(api.CodeConflict, "%s was attached again while it drained", b.spec.Ref))
	b.drain = nil
	b.draining.Store(false)
}

// Drain takes backends out of the route: they get no request any more, and
// those in flight have at most the timeout to finish; what is left is cut. It
// returns when that is over. A second call joins the first; absent backends
// are done. When ctx ends, the draining goes on. It is an *api.FloorError, and
// changes nothing, when fewer would be serving than are now, and fewer than floor.
func (r *Router) Drain(ctx context.Context, listen string, d api.Drain) (api.Drained, error) {
	drained, err := r.StartDrain(listen, d)
	if err != nil {
		return api.Drained{}, err
	}
	return drained(ctx)
}

// StartDrain is Drain in two: when it returns, no request goes to the backends any
// more; drained waits for those in flight.
func (r *Router) StartDrain(listen string, d api.Drain) (drained func(context.Context) (api.Drained, error), err error) {
	leaving, work, err := r.mark(listen, d)
	for _, w := range work {
		if !r.begin(w) {
			return nil, errEnding
		}
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (api.Drained, error) { return await(ctx, leaving) }, nil
}

func await(ctx context.Context, leaving []*drain) (api.Drained, error) {
	var out api.Drained
	var errs []error
	for _, l := range leaving {
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-l.done:
			out.Cut += l.cut
			errs = append(errs, l.err)
		}
	}
	return out, errors.Join(errs...)
}

// mark stops requests to the backends. work is for those that were not
// draining before.
func (r *Router) mark(listen string, d api.Drain) (leaving []*drain, work []func(context.Context), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return nil, nil, errMoved
	}
	o, ok := r.routes[listen]
	if !ok {
		return nil, nil, nil
	}
	var begun []*backend
	others, fewer := 0, false
	for _, b := range o.backends {
		serves := b.serving() && o.split.Reaches(b.spec.Release)
		switch {
		case slices.Contains(d.Backends, b.spec.Ref) && b.drain != nil:
			leaving = append(leaving, b.drain)
		case slices.Contains(d.Backends, b.spec.Ref):
			begun = append(begun, b)
			fewer = fewer || serves
		case serves:
			others++
		}
	}
	if fewer && others < d.Floor {
		return nil, nil, &api.FloorError{Listen: listen, Serving: others, Floor: d.Floor}
	}
	deadline := time.Now().Add(d.Timeout)
	for _, b := range begun {
		l := b.leave(deadline)
		leaving = append(leaving, l)
		work = append(work, func(ctx context.Context) { r.empty(ctx, o, b, l) })
	}
	return leaving, work, r.save()
}

// empty waits until the backend has nothing in flight, and takes it out,
// unless it was attached again.
func (r *Router) empty(ctx context.Context, o *route, b *backend, d *drain) {
	look := time.NewTicker(drainPoll)
	defer look.Stop()
	for (b.inFlight.Load() > 0 || r.preceded()) && time.Now().Before(d.deadline) {
		select {
		case <-ctx.Done():
			return
		case <-d.done:
			return
		case <-look.C:
		}
	}
	r.takeOut(o, b, d)
}

// takeOut has nothing to make durable: what drains is left out of what is saved.
func (r *Router) takeOut(o *route, b *backend, d *drain) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b.drain != d {
		return
	}
	b.drain = nil
	o.remove(b)
	d.end(b.cutOff(), nil)
}
