package router

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pleat/providers/host/api"
)

const (
	// idle is how long an unused connection to a backend is kept. It is below
	// what common servers allow (5s), so that it is never used in the moment
	// in which the backend closes it.
	idle = 4 * time.Second
	// rest is how long a backend that refused a connection is asked last.
	rest = 500 * time.Millisecond
)

// backend is one instance that gets requests.
type backend struct {
	spec      api.Backend
	up        *atomic.Bool // kept by whoever watches the instance
	draining  atomic.Bool
	inFlight  atomic.Int64
	refused   atomic.Int64  // until when it is asked last, Unix nanoseconds
	missed    chan struct{} // has room for one: somebody found nobody there; for watch
	conns     connections
	transport *http.Transport

	gone  chan struct{} // closed once the backend is in no route
	drain *drain        // the one under way; guarded by the router's mutex
}

func newBackend(b api.Backend, up *atomic.Bool) *backend {
	out := &backend{spec: b, up: up, missed: make(chan struct{}, 1), gone: make(chan struct{})}
	out.transport = &http.Transport{
		DialContext:           out.conns.dial,
		DisableCompression:    true, // what the client and the backend agree on is theirs
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       idle,
		ExpectContinueTimeout: time.Second,
	}
	if b.HTTP2 {
		out.transport.Protocols = protocols(false)
	}
	return out
}

func (b *backend) serving() bool { return b.up.Load() && !b.draining.Load() }

func (b *backend) resting() bool {
	until := b.refused.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// take counts a request in where the backend can serve it. It is counted
// before draining is looked at, so that a drain sees either the request or an
// empty backend.
func (b *backend) take(tried []*backend) bool {
	if !b.up.Load() || slices.Contains(tried, b) {
		return false
	}
	b.inFlight.Add(1)
	if b.draining.Load() {
		b.release()
		return false
	}
	return true
}

func (b *backend) release() { b.inFlight.Add(-1) }

// send is one round trip. The request counts as in flight until its answer's
// body is closed.
func (b *backend) send(req *http.Request) (*http.Response, error) {
	req.URL.Scheme, req.URL.Host = "http", b.spec.Address
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		b.release()
		if refused(err) {
			b.refused.Store(time.Now().Add(rest).UnixNano())
		}
		if absent(err) {
			b.miss()
		}
		return nil, err
	}
	resp.Body = counted(resp.Body, b.release)
	return resp, nil
}

// refused tells that no connection came about: nothing was sent.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// absent tells that nobody listens there: the process has ended, which one that is
// slow or out of reach has not.
func absent(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// miss has watch know that nobody listens there. It does not block.
func (b *backend) miss() {
	select {
	case b.missed <- struct{}{}:
	default: // that is known already
	}
}

// cutOff ends what is left of a backend that is out of its route, and counts
// it.
func (b *backend) cutOff() int64 {
	cut := b.inFlight.Load()
	if cut > 0 {
		b.conns.close()
	}
	b.transport.CloseIdleConnections()
	return cut
}

func counted(body io.ReadCloser, done func()) io.ReadCloser {
	c := &countedBody{ReadCloser: body, done: done}
	if rw, ok := body.(io.ReadWriteCloser); ok {
		return &upgradedBody{countedBody: c, Writer: rw}
	}
	return c
}

// countedBody tells once that it was closed.
type countedBody struct {
	io.ReadCloser
	once sync.Once
	done func()
}

// Close counts the request out.
func (b *countedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.done)
	return err
}

// upgradedBody is a connection that has left HTTP, such as a WebSocket's.
type upgradedBody struct {
	*countedBody
	io.Writer
}

// CloseWrite passes on that the client has nothing more to say.
func (b *upgradedBody) CloseWrite() error {
	if half, ok := b.ReadCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return b.Close()
}

// connections are the open ones to a backend, so that they can be cut without
// a word about each request.
type connections struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

type connection struct {
	*net.TCPConn
	of *connections
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	out := &connection{TCPConn: tcp, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[*connection]struct{}{}
	}
	c.open[out] = struct{}{}
	return out, nil
}

// Close forgets the connection too.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.TCPConn.Close()
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		// Its owner gets the error of what it was doing.
		_ = conn.TCPConn.Close()
	}
}
