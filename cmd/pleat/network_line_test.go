package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pleat/providers/host/agenttest"
)

// fault is one way in which a line treats a request.
type fault string

const (
	late  fault = "late"  // the answer takes its time
	stuck fault = "stuck" // it comes when nobody waits any more
	twice fault = "twice" // the request is delivered, and delivered again
	held  fault = "held"  // no answer, and it is delivered after later ones
	lost  fault = "lost"  // it is carried out, and nobody hears of it
	dark  fault = "dark"  // nothing gets through for a while
)

// line is the network between pleat and one agent: over TCP and TLS on this side,
// and as bad as its faults, which are drawn anew for each request.
type line struct {
	url, cert string

	t      testing.TB
	server *http.Server
	agent  *http.Transport
	closed chan struct{}

	mutex  sync.Mutex
	random *rand.Rand
	faults []fault // nil: the line is good
	rate   float64 // of requests that have one, where they change something
	until  time.Time
	call   int64 // the highest number that the agent has answered
	held   []*message
	seen   map[fault]int
	refuse int // of those that were delivered late
}

// message is a request as it is on the line.
type message struct {
	method, uri string
	header      http.Header
	body        []byte
	after       int // how many more are answered before it is delivered
}

func newLine(t testing.TB, socket string, seed uint64) *line {
	t.Helper()
	cert, key := agenttest.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{
		url: "https://" + l.Addr().String(), cert: string(pem), t: t, closed: make(chan struct{}),
		agent: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
		random: rand.New(rand.NewPCG(seed, 1)), seen: map[fault]int{},
	}
	n.server = &http.Server{Handler: n, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, ErrorLog: quietLog}
	go n.server.ServeTLS(l, "", "")
	t.Cleanup(func() {
		close(n.closed)
		n.server.Close()
		n.agent.CloseIdleConnections()
	})
	return n
}

// set makes the line bad, or good again.
func (n *line) set(rate float64, faults ...fault) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.rate, n.faults, n.until = rate, faults, time.Time{}
}

// draw gives what happens to a request, "" for nothing, and how long it takes.
func (n *line) draw(changes bool) (fault, time.Duration) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if wait := time.Until(n.until); wait > 0 {
		return dark, wait
	}
	rate := n.rate
	if !changes {
		rate /= 5 // there are many
	}
	if len(n.faults) == 0 || n.random.Float64() > rate {
		return "", 0
	}
	f := n.faults[n.random.IntN(len(n.faults))]
	if !changes && (f == twice || f == held) {
		f = late
	}
	n.seen[f]++
	took := time.Duration(n.random.IntN(400)) * time.Millisecond
	switch f {
	case dark:
		took += time.Second
		n.until = time.Now().Add(took)
	case stuck:
		took += 16 * time.Second
	}
	return f, took
}

// ServeHTTP is one request.
func (n *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	m := &message{method: r.Method, uri: r.RequestURI, header: r.Header.Clone(), body: body}
	f, took := n.draw(m.changes())
	switch f {
	case dark:
		n.rest(took)
		panic(http.ErrAbortHandler)
	case held:
		n.hold(m)
		panic(http.ErrAbortHandler)
	}
	answer, err := n.deliver(r.Context(), m)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	switch f {
	case late, stuck:
		n.rest(took)
	case lost:
		io.Copy(io.Discard, io.LimitReader(answer.Body, 1)) // it is carried out
		panic(http.ErrAbortHandler)
	case twice:
		n.again(m)
	}
	relay(w, answer)
}

// relay passes an answer on, as it comes.
func relay(w http.ResponseWriter, answer *http.Response) {
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	out := http.NewResponseController(w)
	part := make([]byte, 32<<10)
	for {
		k, err := answer.Body.Read(part)
		if _, gone := w.Write(part[:k]); gone != nil || out.Flush() != nil || err != nil && err != io.EOF {
			panic(http.ErrAbortHandler)
		}
		if err == io.EOF {
			return
		}
	}
}

func (n *line) rest(d time.Duration) {
	select {
	case <-n.closed:
	case <-time.After(d):
	}
}

// changes tells whether the agent has to keep it in order: an artifact is what it is,
// and a question changes nothing.
func (m *message) changes() bool {
	return m.method != http.MethodGet && m.method != http.MethodHead && !strings.HasPrefix(m.uri, "/v1/artifacts/") && !strings.HasSuffix(m.uri, "/ask")
}

func (m *message) number() int64 {
	call, _ := strconv.ParseInt(m.header.Get("Pleat-Call"), 10, 64) // 0 where it has none
	return call
}

// deliver has the agent answer a request, and then those that it overtook.
func (n *line) deliver(ctx context.Context, m *message) (*http.Response, error) {
	answer, err := n.send(ctx, m)
	if err != nil || !m.changes() || answer.StatusCode/100 != 2 {
		return answer, err
	}
	n.mutex.Lock()
	n.call = max(n.call, m.number())
	var due []*message
	for _, h := range n.held {
		if h.after--; h.after == 0 {
			due = append(due, h)
		}
	}
	n.mutex.Unlock()
	for _, h := range due {
		n.again(h)
	}
	return answer, nil
}

func (n *line) send(ctx context.Context, m *message) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, m.method, "http://agent"+m.uri, bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	r.Header = m.header.Clone()
	return n.agent.RoundTrip(r)
}

func (n *line) hold(m *message) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	m.after = 1 + n.random.IntN(3)
	n.held = append(n.held, m)
}

// again delivers a request late. An agent that has taken it, or a later one, before
// must refuse it.
func (n *line) again(m *message) {
	answer, err := n.send(context.Background(), m)
	if err != nil {
		return // the agent is not there
	}
	defer answer.Body.Close()
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if answer.StatusCode/100 == 2 && m.number() <= n.call {
		n.t.Errorf("%s %s of call %d was carried out after call %d", m.method, m.uri, m.number(), n.call)
	}
	if answer.StatusCode/100 != 2 {
		n.refuse++
	}
}

// flush delivers what is held still.
func (n *line) flush() {
	n.mutex.Lock()
	left := n.held
	n.held = nil
	n.mutex.Unlock()
	for _, m := range left {
		if m.after > 0 {
			n.again(m)
		}
	}
}

// String is what the line did.
func (n *line) String() string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return fmt.Sprintf("%v, %d delivered late and refused", n.seen, n.refuse)
}
