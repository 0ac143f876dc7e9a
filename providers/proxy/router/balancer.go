package router

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync/atomic"

	"pleat/planner"
)

// errNoBackend is a request that nobody can take.
var errNoBackend = errors.New("no backend is serving")

// balancer spreads requests over backends in turn. It holds no lock while a
// request is under way.
type balancer struct {
	now   atomic.Pointer[spread]
	next  atomic.Uint64
	taken func(ctx context.Context, by *backend) // is told who has a request; nil: nobody is
}

// spread is who gets which turn. Only the turns that were used change in it.
type spread struct {
	rules  []ruled
	sticky *planner.Sticky
	groups []*group // each once
	turns  []*group // each as often as its share says
	places []*group // whose place it is, of a hundred; none without shares
}

// ruled is a rule and who is behind it.
type ruled struct {
	planner.Rule
	group *group
}

// group is backends that share requests among them: those of a release, or all.
type group struct {
	turns []*backend // each as often as it weighs
	next  atomic.Uint64
}

// set replaces backends and how requests are spread over them.
func (b *balancer) set(all []*backend, split planner.Split) {
	of := func(release string) *group {
		return groupOf(slices.DeleteFunc(slices.Clone(all), func(b *backend) bool { return b.spec.Release != release }))
	}
	s := &spread{sticky: split.Sticky}
	for _, r := range split.Rules {
		s.rules = append(s.rules, ruled{r, of(r.Release)})
	}
	var weights []int
	for _, share := range split.Shares {
		if share.Percent == 0 {
			continue
		}
		g := of(share.Release)
		s.groups, weights = append(s.groups, g), append(weights, share.Percent)
		for range share.Percent {
			s.places = append(s.places, g)
		}
	}
	if len(split.Shares) == 0 {
		s.groups, weights = []*group{groupOf(all)}, []int{1}
	}
	for _, n := range interleaved(weights) {
		s.turns = append(s.turns, s.groups[n])
	}
	b.now.Store(s)
}

func groupOf(backends []*backend) *group {
	weights := make([]int, len(backends))
	for n, b := range backends {
		weights[n] = b.spec.Weight
	}
	g := &group{}
	for _, n := range interleaved(weights) {
		g.turns = append(g.turns, backends[n])
	}
	return g
}

// interleaved is one round: each place in weights as often as it weighs, spread
// out.
func interleaved(weights []int) []int {
	if len(weights) > 0 && slices.Min(weights) == slices.Max(weights) && weights[0] > 0 {
		return inOrder(len(weights)) // what follows takes as many steps squared
	}
	total, divisor := 0, 0
	for _, w := range weights {
		total += w
		for a := w; a > 0; {
			a, divisor = divisor%a, a
		}
	}
	credit := make([]int, len(weights))
	var round []int
	for range total / max(divisor, 1) {
		best := 0
		for n, w := range weights {
			credit[n] += w
			if credit[n] > credit[best] {
				best = n
			}
		}
		credit[best] -= total
		round = append(round, best)
	}
	return round
}

func inOrder(count int) []int {
	out := make([]int, count)
	for n := range out {
		out[n] = n
	}
	return out
}

// pick counts a request in at the next backend that can take it; nil when
// there is none besides tried. A share whose backends cannot take any goes to
// the others that have one.
func (b *balancer) pick(req *http.Request, tried []*backend) *backend {
	s := b.now.Load()
	first := s.meant(req, &b.next)
	if first == nil {
		return nil
	}
	if to := first.pick(tried); to != nil {
		return to
	}
	for _, g := range s.groups {
		if g == first {
			continue
		}
		if to := g.pick(tried); to != nil {
			return to
		}
	}
	// Others may have used the turns in between, or all that is left is a
	// backend that just refused a connection.
	for _, g := range append([]*group{first}, s.groups...) {
		for _, to := range g.turns {
			if to.take(tried) {
				return to
			}
		}
	}
	return nil
}

// meant is whose turn it is with a request; nil where nobody is there.
func (s *spread) meant(req *http.Request, next *atomic.Uint64) *group {
	for _, r := range s.rules {
		if fits(r.Rule, req) {
			return r.group
		}
	}
	if name := who(s.sticky, req); name != "" && len(s.places) > 0 {
		return s.places[place(name)]
	}
	if len(s.turns) == 0 {
		return nil
	}
	return s.turns[next.Add(1)%uint64(len(s.turns))]
}

func (g *group) pick(tried []*backend) *backend {
	for range g.turns {
		// A turn that is passed over is used up: otherwise the backend after
		// one that cannot serve would get its share too.
		to := g.turns[g.next.Add(1)%uint64(len(g.turns))]
		if !to.resting() && to.take(tried) {
			return to
		}
	}
	return nil
}

// RoundTrip sends the request to a backend. Where nothing can have come of it,
// or it may be repeated by its nature, it is sent to another one instead.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	var body *untouched
	if req.Body != nil && req.Body != http.NoBody {
		body = &untouched{ReadCloser: req.Body}
		req.Body = body
	}
	var tried []*backend
	var last error = errNoBackend
	for {
		to := b.pick(req, tried)
		if to == nil {
			return nil, last
		}
		if b.taken != nil {
			b.taken(req.Context(), to)
		}
		resp, err := to.send(req)
		if err == nil {
			return resp, nil
		}
		if !repeatable(req, body, err, len(tried)) {
			return nil, err
		}
		tried, last = append(tried, to), err
		req = again(req)
	}
}

// repeatable tells whether the request may go to another backend. One that
// was refused was not sent at all. One that was sent may be repeated once if
// its method is safe: more often, and a request that kills backends would
// kill them all.
func repeatable(req *http.Request, body *untouched, err error, before int) bool {
	if errors.Is(err, context.Canceled) || body != nil && body.read.Load() {
		return false
	}
	if refused(err) {
		return true
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return before == 0
	}
	return false
}

// again is the request for another attempt: the transport may still look at
// the one before.
func again(req *http.Request) *http.Request {
	out := req.WithContext(req.Context())
	url := *req.URL
	out.URL = &url
	return out
}

// untouched is a request's body that outlives an attempt, and knows whether an
// attempt took anything of it.
type untouched struct {
	io.ReadCloser
	read atomic.Bool
}

// Read takes from the body, which cannot be repeated from then on.
func (u *untouched) Read(p []byte) (int, error) {
	u.read.Store(true)
	return u.ReadCloser.Read(p)
}

// Close does nothing: the transport closes the body after each attempt, even after
// one that sent nothing. The proxy, whose it is, does once the request is over; not
// before, since an answer may begin while the client still has something to say.
func (u *untouched) Close() error { return nil }
