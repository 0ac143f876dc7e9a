package router

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// errNoBackend is a request that nobody can take.
var errNoBackend = errors.New("no backend is serving")

// balancer spreads requests over backends in turn. It holds no lock while a
// request is under way.
type balancer struct {
	turns atomic.Pointer[[]*backend] // each backend as often as it weighs; never changed
	next  atomic.Uint64
}

// set replaces the backends.
func (b *balancer) set(all []*backend) {
	turns := turnsOf(all)
	b.turns.Store(&turns)
}

// turnsOf is one round: each backend as often as it weighs, spread out.
func turnsOf(all []*backend) []*backend {
	total := 0
	for _, b := range all {
		total += b.spec.Weight
	}
	credit := make([]int, len(all))
	turns := make([]*backend, 0, total)
	for range total {
		best := 0
		for n, b := range all {
			credit[n] += b.spec.Weight
			if credit[n] > credit[best] {
				best = n
			}
		}
		credit[best] -= total
		turns = append(turns, all[best])
	}
	return turns
}

// pick counts a request in at the next backend that can take it; nil when
// there is none besides tried.
func (b *balancer) pick(tried []*backend) *backend {
	turns := *b.turns.Load()
	for range turns {
		// A turn that is passed over is used up: otherwise the backend after
		// one that cannot serve would get its share too.
		to := turns[b.next.Add(1)%uint64(len(turns))]
		if !to.resting() && to.take(tried) {
			return to
		}
	}
	// Others may have used the turns in between, or all that is left is a
	// backend that just refused a connection.
	for _, to := range turns {
		if to.take(tried) {
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
		defer body.ReadCloser.Close()
	}
	var tried []*backend
	var last error = errNoBackend
	for {
		to := b.pick(tried)
		if to == nil {
			return nil, last
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

// Close does nothing: the transport closes the body after each attempt, even
// after one that sent nothing.
func (u *untouched) Close() error { return nil }
