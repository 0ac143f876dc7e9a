package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/spec"
)

// farewell is how long requests that are under way when the router ends have
// to finish.
const farewell = 5 * time.Second

// route is one listening address and where its requests go. Its backends are
// guarded by the router's mutex; the balancer reads its own copy.
type route struct {
	listen   string
	listener net.Listener
	front    *front
	balancer balancer
	backends []*backend
	tls      *certificate // nil: connections are not secured
	split    planner.Split
	held     atomic.Pointer[hold] // nil: requests go on at once
	limits   atomic.Pointer[spec.RouterLimits]
	requests atomic.Int64 // that are being answered, or wait
	handing
}

// open listens, or goes on with a socket that is open already. Go sets
// SO_REUSEADDR, so that connections of an earlier run that are not forgotten yet
// do not hold the address.
func open(listen string, secured *api.TLS, listener net.Listener, log *slog.Logger, a *account) (*route, error) {
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", listen); err != nil {
			return nil, fmt.Errorf("listening on %s: %w", listen, bare(err))
		}
	}
	r := &route{listen: listen, listener: listener}
	r.limits.Store(&spec.RouterLimits{})
	r.balancer.taken = func(ctx context.Context, by *backend) { a.taken(ctx, listen, by) }
	r.spread()
	if err := r.secure(secured, log); err != nil {
		return nil, err
	}
	handler := r.handed(a.of(listen, r.limited(a, r.patient(r.known(duplex(r.proxy(log)))))), log)
	r.front = &front{listener: listener, setUp: func() *http.Server {
		return &http.Server{
			Handler:   handler,
			ConnState: r.count,
			ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			Protocols: protocols(true),
			TLSConfig: r.tls.config(),
		}
	}}
	return r, nil
}

// bound says what is taken of the requests that come from now on, and how long
// connections that come from now on may keep still.
func (r *route) bound(l spec.RouterLimits) {
	r.limits.Store(&l)
	r.front.bound(l)
}

// protocols are HTTP/1.1 and HTTP/2, also without TLS, where whoever connects
// knows beforehand, as gRPC's clients do; or only the latter.
func protocols(both bool) *http.Protocols {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	if both {
		p.SetHTTP1(true)
		p.SetHTTP2(true)
	}
	return p
}

// bare leaves out what was called with what address, which is named already.
func bare(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func (r *route) proxy(log *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:      func(p *httputil.ProxyRequest) { p.SetXForwarded() },
		Transport:    &r.balancer,
		BufferPool:   &buffers{},
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: r.apologize,
	}
}

// duplex lets an answer begin before its request has ended. Without it the server takes
// in what is left of a request then, under HTTP/1.1, and the backend never gets it.
func duplex(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // not known to HTTP/2, which always is
		next.ServeHTTP(w, req)
	})
}

func (r *route) apologize(w http.ResponseWriter, req *http.Request, err error) {
	if errors.Is(err, errNoBackend) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "pleat: no backend is serving on "+r.listen, http.StatusServiceUnavailable)
		return
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		http.Error(w, tooLarge(large.Limit), http.StatusRequestEntityTooLarge)
		return
	}
	http.Error(w, "pleat: the backend did not answer: "+err.Error(), http.StatusBadGateway)
}

// serve accepts requests until ctx ends, and gives those under way some time.
func (r *route) serve(ctx context.Context) error {
	var serving sync.WaitGroup
	var failed error
	serving.Go(func() { failed = r.front.serve() })
	<-ctx.Done()
	if h := r.held.Load(); h != nil {
		r.letGo(h)
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	err := r.front.end(grace)
	serving.Wait()
	if !errors.Is(failed, net.ErrClosed) && !r.leaving.Load() {
		err = errors.Join(err, failed)
	}
	return err
}

func (r *route) find(ref api.Ref) *backend {
	n := slices.IndexFunc(r.backends, func(b *backend) bool { return b.spec.Ref == ref })
	if n < 0 {
		return nil
	}
	return r.backends[n]
}

// spread has the balancer know what it is to do.
func (r *route) spread() { r.balancer.set(r.backends, r.split) }

// put adds a backend, in the place of one of the same name.
func (r *route) put(b *backend) {
	if old := r.find(b.spec.Ref); old != nil {
		r.remove(old)
	}
	r.backends = append(slices.Clone(r.backends), b)
	r.spread()
}

// remove takes a backend out. What it has in flight goes on, a drain that
// waits for it does not.
func (r *route) remove(b *backend) {
	r.backends = slices.DeleteFunc(slices.Clone(r.backends), func(o *backend) bool { return o == b })
	r.spread()
	close(b.gone)
	if b.drain != nil {
		b.drain.end(0, nil)
		b.drain = nil
	}
}

func (r *route) view() api.Route {
	out := api.Route{Listen: r.listen, Backends: make([]api.Backend, 0, len(r.backends)), Split: r.split, Limits: *r.limits.Load(), Held: r.held.Load() != nil}
	if r.tls != nil {
		out.TLS = &r.tls.TLS
	}
	for _, b := range r.backends {
		v := b.spec
		v.Draining, v.Serving, v.InFlight = b.draining.Load(), b.serving(), b.inFlight.Load()
		out.Backends = append(out.Backends, v)
	}
	return out
}

// buffers lends the proxy what it copies bodies through.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get lends a buffer.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

// Put takes it back.
func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
