package router

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"pleat/providers/host/check"
	"pleat/spec"
)

// watch asks the checks of a backend that another agent keeps, until it is
// gone or ctx ends. Its own host's are known from Health.
func (r *Router) watch(ctx context.Context, b *backend) {
	checks := slices.DeleteFunc(slices.Clone(b.spec.Checks), func(c *spec.Check) bool { return c.Kind == spec.CheckExec })
	if b.spec.Host == r.host || len(checks) == 0 {
		return
	}
	target, err := targetOf(b.spec.Address)
	if err != nil {
		r.log.Error("watching a backend", "backend", b.spec.Ref.String(), "error", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	answers := make(chan check.Result)
	asking.Go(func() { check.Watch(ctx, target, checks, answers) })
	health := check.NewHealth(checks)
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.gone:
			return
		case a := <-answers:
			health.Observe(a)
			b.judge(health)
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

// judge leaves the backend as it is while the answers do not say enough.
func (b *backend) judge(h *check.Health) {
	switch {
	case h.Failing() != nil:
		b.up.Store(false)
	case h.Ready(time.Now()):
		b.up.Store(true)
	}
}
