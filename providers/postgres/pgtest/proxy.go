package pgtest

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a client and the server and can cut the connection at
// a message of the client's choosing.
type Proxy struct {
	listener net.Listener
	upstream atomic.Pointer[string]
	watch    atomic.Pointer[Cut]
	refuse   atomic.Bool
	linger   atomic.Bool
	deaf     atomic.Int64 // up to which session the proxy swallows
	sessions atomic.Int64
	work     sync.WaitGroup

	mutex sync.Mutex
	open  map[net.Conn]bool
}

// Cut says where a proxy cuts. It happens once; Happened is closed then.
type Cut struct {
	// At is asked about each message from the client.
	At func(kind byte, body []byte) bool
	// Before cuts before the server gets the message; otherwise it gets all
	// of it, and what comes with it up to the next Sync, and acts, and the
	// client never sees the answer.
	Before   bool
	Happened chan struct{}
}

// NewProxy forwards to the server of the url until the end of the test. It
// gives the url that leads through it.
func NewProxy(t testing.TB, to string) (*Proxy, string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, open: map[net.Conn]bool{}}
	p.upstream.Store(&u.Host)
	through := *u
	through.Host = l.Addr().String()
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p, through.String()
}

// Arm makes the proxy cut the first connection on which c.At says so.
func (p *Proxy) Arm(c *Cut) {
	c.Happened = make(chan struct{})
	p.watch.Store(c)
}

// Refuse makes the proxy close new connections at once; those it has go on.
func (p *Proxy) Refuse() { p.refuse.Store(true) }

// Lead leads new connections to another server, at HOST:PORT.
func (p *Proxy) Lead(address string) { p.upstream.Store(&address) }

// Linger makes the proxy keep the server's side of a connection whose client is
// gone, as a network does that loses the client's last words.
func (p *Proxy) Linger() { p.linger.Store(true) }

// Swallow makes the connections that there are carry nothing any more, in either
// direction, and end only with the proxy; with later, those to come too.
func (p *Proxy) Swallow(later bool) {
	last := p.sessions.Load()
	if later {
		last = math.MaxInt64
	}
	p.deaf.Store(last)
}

// Sever cuts all connections at once.
func (p *Proxy) Sever() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for c := range p.open {
		c.Close() // the other side's copy loop reports nothing either: ending it is the point
	}
}

func (p *Proxy) close() {
	p.listener.Close() // nobody can act on its failure
	p.Sever()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.forget(client)
	p.remember(client)
	if p.refuse.Load() {
		return
	}
	server, err := net.Dial("tcp", *p.upstream.Load())
	if err != nil {
		return
	}
	defer p.forget(server)
	p.remember(server)
	s := &session{proxy: p, client: client, server: server, number: p.sessions.Add(1)}
	answers := make(chan struct{})
	p.work.Go(func() {
		defer close(answers)
		s.copyAnswers()
	})
	s.copyRequests()
	if !p.linger.Load() {
		server.Close() // ends copyAnswers
	}
	<-answers
}

func (p *Proxy) remember(c net.Conn) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.open[c] = true
}

func (p *Proxy) forget(c net.Conn) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.open, c)
	c.Close() // it is being given up
}

// session is one client's connection.
type session struct {
	proxy          *Proxy
	client, server net.Conn
	number         int64
	mute           atomic.Pointer[Cut] // why the client sees no more answers
}

// copyRequests forwards whole messages: first the startup packet, which has
// no kind, then the others.
func (s *session) copyRequests() {
	if err := s.forward(0); err != nil {
		return
	}
	var kind [1]byte
	for {
		if _, err := io.ReadFull(s.client, kind[:]); err != nil {
			return
		}
		if err := s.forward(kind[0]); err != nil {
			return
		}
	}
}

func (s *session) swallowed() bool { return s.number <= s.proxy.deaf.Load() }

var errCut = errors.New("cut")

func (s *session) forward(kind byte) error {
	message, err := read(s.client, kind)
	if err != nil {
		return err
	}
	if s.swallowed() {
		return nil
	}
	cut := s.proxy.watch.Load()
	due := cut != nil && kind != 0 && cut.At(kind, message[5:])
	if due && cut.Before {
		cut.done(s.proxy)
		return errCut
	}
	if due {
		s.mute.Store(cut)
	}
	_, err = s.server.Write(message)
	return err
}

// done tells the test, once.
func (c *Cut) done(p *Proxy) {
	if p.watch.CompareAndSwap(c, nil) {
		close(c.Happened)
	}
}

// copyAnswers forwards answers. Once muted, the first answer proves that the
// server acted, and the client is cut off.
func (s *session) copyAnswers() {
	defer s.client.Close() // ends copyRequests
	buffer := make([]byte, 64<<10)
	for {
		n, err := s.server.Read(buffer)
		if err != nil {
			return
		}
		if s.swallowed() {
			continue
		}
		if cut := s.mute.Load(); cut != nil {
			cut.done(s.proxy)
			return
		}
		if _, err := s.client.Write(buffer[:n]); err != nil && !s.proxy.linger.Load() {
			return
		}
	}
}

// read takes one message, with its kind in front unless that is 0.
func read(r io.Reader, kind byte) ([]byte, error) {
	var head []byte
	if kind != 0 {
		head = []byte{kind}
	}
	length := make([]byte, 4)
	if _, err := io.ReadFull(r, length); err != nil {
		return nil, err
	}
	message := append(head, length...)
	body := make([]byte, binary.BigEndian.Uint32(length)-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return append(message, body...), nil
}
