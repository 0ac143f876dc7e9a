package router

import (
	"slices"

	"pleat/providers/host/api"
)

// Weigh gives releases their shares of the requests on listen, and says what
// they are then. It is durable when it returns.
func (r *Router) Weigh(listen string, w api.Weigh) ([]api.Share, error) {
	if err := whole(w.Shares); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.routes[listen]
	if !ok {
		return nil, api.Errorf(api.CodeUnknown, "nothing is attached on %s, so there are no requests to share", listen)
	}
	before := o.shares
	o.shares = slices.Clone(w.Shares)
	if n := o.reached(); n < w.Floor {
		o.shares = before
		return nil, &api.FloorError{Listen: listen, Serving: n, Floor: w.Floor}
	}
	o.spread()
	return slices.Clone(o.shares), r.save()
}

// whole refuses shares that are not all of the requests.
func whole(shares []api.Share) error {
	total, seen := 0, map[string]bool{}
	for _, s := range shares {
		if s.Percent < 0 || s.Percent > 100 {
			return api.Errorf(api.CodeInvalid, "a share of %d percent for %s: want 0 to 100", s.Percent, s.Release)
		}
		if seen[s.Release] {
			return api.Errorf(api.CodeInvalid, "two shares for %s", s.Release)
		}
		seen[s.Release] = true
		total += s.Percent
	}
	if len(shares) > 0 && total != 100 {
		return api.Errorf(api.CodeInvalid, "the shares are %d percent together: want 100", total)
	}
	return nil
}

// reached is how many serving backends get requests.
func (r *route) reached() int {
	n := 0
	for _, b := range r.backends {
		if b.serving() && r.gets(b.spec.Release) {
			n++
		}
	}
	return n
}
