package router

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync/atomic"

	"pleat/providers/host/api"
)

// errMoved refuses changes while a successor takes the routes over.
var errMoved = api.Errorf(api.CodeMoved, "the agent is being replaced")

// handing is what a route has to know to be handed over to another process,
// which accepts on the same socket.
type handing struct {
	direct  atomic.Int64 // requests that this process answers itself
	conns   atomic.Int64 // open connections
	leaving atomic.Bool
}

// handed relays requests to the successor once this router leaves: what comes on
// a connection that is still open is answered as the successor would, and the
// client is told to use another one.
func (r *route) handed(next http.Handler, log *slog.Logger) http.Handler {
	relays := map[bool]http.Handler{} // by whether they speak HTTP/2, as the client does
	for _, second := range []bool{false, true} {
		relays[second] = duplex(&httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(&url.URL{Scheme: r.scheme(), Host: r.listener.Addr().String()})
				p.Out.Host = p.In.Host
			},
			Transport:  r.toSuccessor(second),
			BufferPool: &buffers{},
			ErrorLog:   slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.direct.Add(1)
		if !r.leaving.Load() {
			defer r.direct.Add(-1)
			next.ServeHTTP(w, req)
			return
		}
		r.direct.Add(-1)
		w.Header().Set("Connection", "close")
		relays[req.ProtoMajor == 2].ServeHTTP(w, req)
	})
}

func (r *route) scheme() string {
	if r.tls != nil {
		return "https"
	}
	return "http"
}

// toSuccessor reaches it at the route's own address, so that it need not say who
// it is.
func (r *route) toSuccessor(second bool) *http.Transport {
	t := &http.Transport{DisableCompression: true, DisableKeepAlives: !second, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if second {
		t.Protocols = protocols(false)
		t.Protocols.SetHTTP2(true)
	}
	return t
}

// count follows the server's connections.
func (r *route) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		r.conns.Add(1)
	case http.StateHijacked, http.StateClosed:
		r.conns.Add(-1)
	}
}

// Freeze refuses every change from now on, and gives the sockets of the routes,
// by address, for a successor. The files are the caller's to close.
func (r *Router) Freeze() (map[string]*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
	out := map[string]*os.File{}
	for listen, o := range r.routes {
		if o.held.Load() != nil {
			return out, fmt.Errorf("requests on %s are held for a step of a run, and a successor would let them go", listen)
		}
		tcp, ok := o.listener.(*net.TCPListener)
		if !ok {
			return out, fmt.Errorf("the socket of %s cannot be handed over", listen)
		}
		f, err := tcp.File()
		if err != nil {
			return out, fmt.Errorf("handing %s over: %w", listen, err)
		}
		out[listen] = f
	}
	return out, nil
}

// Thaw takes Freeze back: there is no successor.
func (r *Router) Thaw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = false
}

// Leave accepts no connection any more: the successor does. Requests under way
// go on.
func (r *Router) Leave() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, o := range r.routes {
		o.leaving.Store(true)
		errs = append(errs, o.listener.Close())
	}
	return errors.Join(errs...)
}

// Left is how much of a router that leaves is still there: requests that it
// answers itself, and open connections.
func (r *Router) Left() (requests, connections int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.routes {
		requests += o.direct.Load()
		connections += o.conns.Load()
	}
	return requests, connections
}

// preceded tells that a process before this one still answers requests, which
// may be on any backend.
func (r *Router) preceded() bool {
	if r.before == nil {
		return false
	}
	select {
	case <-r.before:
		return false
	default:
		return true
	}
}
