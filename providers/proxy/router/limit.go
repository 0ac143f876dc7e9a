package router

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"pleat/providers/host/api"
	"pleat/spec"
)

// Limit says what is taken of the requests on listen, those that come from then on;
// timeouts are of connections that do. It is durable when it returns. Where the route is not open, it counts once it is; a
// router that starts anew before that knows nothing of it.
func (r *Router) Limit(listen string, l spec.RouterLimits) error {
	if l.Header < 0 || l.Body < 0 || l.Requests < 0 || l.HeaderTimeout < 0 || l.IdleTimeout < 0 {
		return api.Errorf(api.CodeInvalid, "limits below 0: %+v", l)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return errMoved
	}
	o, open := r.routes[listen]
	if !open {
		r.limits[listen] = l
		return nil
	}
	o.bound(l)
	return r.save()
}

// limited refuses what is more than the route takes. It is around what has a request
// until its end, also where that leaves HTTP.
func (r *route) limited(a *account, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		most, now := *r.limits.Load(), r.requests.Add(1)
		defer r.requests.Add(-1)
		hit := func(limit string) { a.limited.WithLabelValues(r.listen, limit).Inc() }
		switch {
		case most.Requests > 0 && now > int64(most.Requests):
			hit("max_requests")
			w.Header().Set("Retry-After", "1")
			http.Error(w, "pleat: too many requests at once on "+r.listen, http.StatusServiceUnavailable)
		case most.Header > 0 && headerSize(req) > most.Header:
			hit("max_header_bytes")
			http.Error(w, "pleat: the header is larger than "+spec.FormatMemory(most.Header), http.StatusRequestHeaderFieldsTooLarge)
		case most.Body > 0 && req.ContentLength > most.Body:
			hit("max_body")
			http.Error(w, tooLarge(most.Body), http.StatusRequestEntityTooLarge)
		default:
			if most.Body > 0 && req.ContentLength < 0 {
				req.Body = &boundedBody{ReadCloser: http.MaxBytesReader(w, req.Body, most.Body), hit: func() { hit("max_body") }}
			}
			next.ServeHTTP(w, req)
		}
	})
}

func tooLarge(most int64) string { return "pleat: the body is larger than " + spec.FormatMemory(most) }

// headerSize is about what the header of a request took on its way, as HTTP/1.1
// writes it.
func headerSize(req *http.Request) int64 {
	n := len(req.Method) + len(req.RequestURI) + len(req.Proto) + len(req.Host) + len("  \r\nHost: \r\n\r\n")
	for name, values := range req.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return int64(n)
}

// boundedBody is a body of which nobody said how long it is.
type boundedBody struct {
	io.ReadCloser
	once sync.Once
	hit  func() // is told where it is longer than it may be
}

// Read fails with an *http.MaxBytesError behind the limit.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		b.once.Do(b.hit)
	}
	return n, err
}
