package router

import (
	"pleat/planner"
	"pleat/providers/host/api"
)

// Weigh says how the requests on listen are spread, and gives that back. It is
// durable when it returns.
func (r *Router) Weigh(listen string, w api.Weigh) (planner.Split, error) {
	if err := whole(w.Split); err != nil {
		return planner.Split{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return planner.Split{}, errMoved
	}
	o, ok := r.routes[listen]
	if !ok {
		return planner.Split{}, api.Errorf(api.CodeUnknown, "nothing is attached on %s, so there are no requests to spread", listen)
	}
	if n := o.reached(w.Split); n < w.Floor && n < o.reached(o.split) {
		return o.split, &api.FloorError{Listen: listen, Serving: n, Floor: w.Floor}
	}
	o.split = w.Split
	o.spread()
	return o.split, r.save()
}

// whole refuses shares that are not all of the requests, and rules that fit
// none or all.
func whole(s planner.Split) error {
	total, seen := 0, map[string]bool{}
	for _, share := range s.Shares {
		if share.Percent < 0 || share.Percent > 100 {
			return api.Errorf(api.CodeInvalid, "a share of %d percent for %s: want 0 to 100", share.Percent, share.Release)
		}
		if seen[share.Release] {
			return api.Errorf(api.CodeInvalid, "two shares for %s", share.Release)
		}
		seen[share.Release] = true
		total += share.Percent
	}
	if len(s.Shares) > 0 && total != 100 {
		return api.Errorf(api.CodeInvalid, "the shares are %d percent together: want 100", total)
	}
	for _, r := range s.Rules {
		if (r.Header == "") == (r.Cookie == "") {
			return api.Errorf(api.CodeInvalid, "a rule for %s asks for a header %q and a cookie %q: want one of them", r.Release, r.Header, r.Cookie)
		}
	}
	if k := s.Sticky; k != nil && (k.Header == "") == (k.Cookie == "") {
		return api.Errorf(api.CodeInvalid, "sticky by a header %q and a cookie %q: want one of them", k.Header, k.Cookie)
	}
	return nil
}

// reached is how many serving backends would get requests.
func (r *route) reached(s planner.Split) int {
	n := 0
	for _, b := range r.backends {
		if b.serving() && s.Reaches(b.spec.Release) {
			n++
		}
	}
	return n
}
