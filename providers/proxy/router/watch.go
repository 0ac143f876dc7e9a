package router

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"pleat/providers/host/api"
	"pleat/providers/host/check"
	"pleat/spec"
)

// watched are the checks of a backend that another agent keeps, as far as they can be
// asked from here. Of its own host's is known from Health.
func (r *Router) watched(b api.Backend) []*spec.Check {
	if b.Host == r.host {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(b.Checks), func(c *spec.Check) bool { return c.Kind == spec.CheckExec })
}

// watch judges a backend by its checks until it is gone or ctx ends.
func (r *Router) watch(ctx context.Context, b *backend) {
	checks := r.watched(b.spec)
	if len(checks) == 0 {
		return
	}
	target, err := targetOf(b.spec.Address)
	if err != nil {
		r.log.Error("watching a backend", "backend", b.spec.Ref.String(), "error", err)
		return
	}
	for r.follow(ctx, b, target, checks) {
		// Its agent starts it again, and then it is as any other that starts: it is
		// asked often, and has to be healthy for as long.
		r.judge(b, false)
	}
}

// follow asks the checks; true once nobody listens there who did before.
func (r *Router) follow(ctx context.Context, b *backend, target check.Target, checks []*spec.Check) (ended bool) {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	answers := make(chan check.Result)
	asking.Go(func() { check.Watch(ctx, target, checks, answers) })
	health := check.NewHealth(checks)
	var due <-chan time.Time // when it may be ready, as far as is known
	for {
		select {
		case <-ctx.Done():
			return false
		case <-b.gone:
			return false
		case <-b.missed:
			if b.up.Load() {
				return true
			}
		case a := <-answers:
			if checks[a.Check].Port == 0 && absent(a.Err) && b.up.Load() {
				return true
			}
			health.Observe(a)
			if left, good := health.Left(time.Now()); good && left > 0 {
				due = time.After(left)
			}
		case <-due:
		}
		switch { // it stays as it is while the answers do not say enough
		case health.Failing() != nil:
			r.judge(b, false)
		case health.Ready(time.Now()):
			r.judge(b, true)
		}
	}
}

// judge has Run save a verdict that is another one. It does not block.
func (r *Router) judge(b *backend, up bool) {
	if b.up.Swap(up) == up {
		return
	}
	select {
	case r.judged <- struct{}{}:
	default: // what is saved then has this one too
	}
}

// keepVerdicts saves what became of watched backends, until ctx ends.
func (r *Router) keepVerdicts(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.judged:
		}
		r.mu.Lock()
		err := r.save()
		r.mu.Unlock()
		if err != nil {
			r.log.Error("saving what checks said of backends", "error", err)
		}
	}
}

func targetOf(address string) (check.Target, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return check.Target{}, err
	}
	n, err := strconv.Atoi(port)
	return check.Target{Host: host, Port: n}, err
}
