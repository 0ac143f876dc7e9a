package router

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"pleat/spec"
)

const (
	// headerTimeout and idleTimeout count where a route's limits say nothing.
	headerTimeout = 30 * time.Second
	idleTimeout   = 3 * time.Minute
)

// front accepts a route's connections. An http.Server's timeouts cannot be changed
// once it serves, so that each change of them makes another one: it gets the
// connections that come from then on, and those before keep the server that they have.
type front struct {
	listener net.Listener
	setUp    func() *http.Server // without its timeouts

	mu      sync.Mutex
	ended   bool
	serving sync.WaitGroup
	doors   []*door // the last one gets what comes
}

// door is the way to one server. It is its listener.
type door struct {
	server   *http.Server
	address  net.Addr
	arrivals chan net.Conn
	shut     chan struct{} // closed when it gets no more
	once     sync.Once
}

// Accept waits for a connection until the door is shut.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.arrivals:
		return c, nil
	case <-d.shut:
		return nil, net.ErrClosed
	}
}

// Addr is the address of all.
func (d *door) Addr() net.Addr { return d.address }

// Close shuts the door; a second call does nothing. Connections go on.
func (d *door) Close() error {
	d.once.Do(func() { close(d.shut) })
	return nil
}

// bound gives connections that come from now on their timeouts.
func (f *front) bound(l spec.RouterLimits) {
	header, idle := cmp.Or(l.HeaderTimeout, headerTimeout), cmp.Or(l.IdleTimeout, idleTimeout)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.doors); n > 0 {
		last := f.doors[n-1]
		if f.ended || last.server.ReadHeaderTimeout == header && last.server.IdleTimeout == idle {
			return
		}
		defer last.Close() // once there is the next one
	}
	d := &door{server: f.setUp(), address: f.listener.Addr(), arrivals: make(chan net.Conn), shut: make(chan struct{})}
	d.server.ReadHeaderTimeout, d.server.IdleTimeout = header, idle
	f.doors = append(f.doors, d)
	f.serving.Go(func() { d.serve() })
}

// serve returns once the door is shut.
func (d *door) serve() {
	if d.server.TLSConfig != nil {
		_ = d.server.ServeTLS(d, "", "") // net.ErrClosed, or http.ErrServerClosed
		return
	}
	_ = d.server.Serve(d)
}

// serve hands connections on until the listener is closed.
func (f *front) serve() error {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return err
		}
		f.hand(c)
	}
}

func (f *front) hand(c net.Conn) {
	for {
		f.mu.Lock()
		d, ended := f.doors[len(f.doors)-1], f.ended
		f.mu.Unlock()
		select {
		case d.arrivals <- c:
			return
		case <-d.shut:
			if ended {
				_ = c.Close() // nobody has read anything of it
				return
			}
		}
	}
}

// end accepts no connection any more, and gives requests under way until ctx ends.
func (f *front) end(ctx context.Context) error {
	f.mu.Lock()
	f.ended = true
	doors := f.doors
	f.mu.Unlock()
	errs := []error{f.listener.Close()}
	if errors.Is(errs[0], net.ErrClosed) {
		errs = nil // by a router that leaves
	}
	for _, d := range doors {
		err := d.server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = d.server.Close()
		}
		errs = append(errs, err, d.Close())
	}
	f.serving.Wait()
	return errors.Join(errs...)
}
