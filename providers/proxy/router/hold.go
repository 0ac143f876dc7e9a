package router

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pleat/providers/host/api"
)

const (
	// longestHold bounds how long requests are held: longer, and who sent them has
	// given up.
	longestHold = time.Minute
	// mostHeld is how many requests of a route are held at the same time. Each
	// costs a connection and its memory; one more is refused at once.
	mostHeld = 10_000
)

// hold keeps new requests waiting until it is over.
type hold struct {
	over  chan struct{}
	once  sync.Once // closes over
	held  atomic.Int64
	timer *time.Timer // ends it by itself
}

// Hold keeps the route's new requests waiting for at most a time, from now on; 0
// lets go of them. Those that are under way go on. A hold is not durable: a router
// that starts anew holds nothing.
func (r *Router) Hold(listen string, most time.Duration) error {
	if most < 0 || most > longestHold {
		return api.Errorf(api.CodeInvalid, "holding requests for %s: want at most %s", most, longestHold)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return errMoved
	}
	if o, ok := r.routes[listen]; ok {
		o.hold(most)
	}
	return nil
}

// hold is called with the router's mutex.
func (r *route) hold(most time.Duration) {
	now := r.held.Load()
	switch {
	case most == 0 && now == nil:
	case most == 0:
		now.timer.Stop()
		r.letGo(now)
	case now != nil && now.timer.Stop():
		now.timer.Reset(most)
	default: // the time of the one before is over, or there is none
		h := &hold{over: make(chan struct{})}
		h.timer = time.AfterFunc(most, func() { r.letGo(h) })
		r.held.Store(h)
	}
}

// letGo ends a hold, unless it has ended. Another one may have taken its place just
// as its time was over: who waits for this one goes on all the same.
func (r *route) letGo(h *hold) {
	r.held.CompareAndSwap(h, nil)
	h.once.Do(func() { close(h.over) })
}

// patient has requests wait while they are held.
func (r *route) patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := r.held.Load()
		if h == nil {
			next.ServeHTTP(w, req)
			return
		}
		if h.held.Add(1) > mostHeld {
			h.held.Add(-1)
			w.Header().Set("Retry-After", "1")
			http.Error(w, "pleat: too many requests are held on "+r.listen, http.StatusServiceUnavailable)
			return
		}
		select {
		case <-h.over:
			next.ServeHTTP(w, req)
		case <-req.Context().Done(): // whoever sent it is gone
		}
		h.held.Add(-1)
	})
}
