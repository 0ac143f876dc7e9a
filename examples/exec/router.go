package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// table is what the router goes by. The file that has it is the truth.
type table struct {
	Backends []backend
	Shares   []share
}

type backend struct {
	Service, Release, Instance, Address string
	Draining                            bool
}

type share struct {
	Release string `json:"release"`
	Percent int    `json:"percent"`
}

func (p *platform) table() (t table, err error) {
	if err = read(p.path("routes"), &t); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return t, err
}

func (p *platform) backends() (any, error) {
	t, err := p.table()
	list := []object{}
	for _, b := range t.Backends {
		list = append(list, object{"service": b.Service, "release": b.Release, "instance": b.Instance, "draining": b.Draining})
	}
	return object{"identity": p.identity() + " " + p.listen, "backends": list, "shares": t.Shares}, err
}

// change changes the table, and returns once the router goes by it.
func (p *platform) change(w work, f func(*table) error) error {
	return p.locked(func() error {
		t, err := p.table()
		if err != nil {
			return err
		}
		if err := errors.Join(p.admit(w.ticket), f(&t)); err != nil {
			return err
		}
		if err := write(p.path("routes"), t); err != nil {
			return err
		}
		_, err = p.router(w, "/reload")
		return err
	})
}

// router asks the router something. One that is not there is started.
func (p *platform) router(ctx context.Context, path string) (inFlight map[string]int, err error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.path("router"))
		},
	}}
	for range 250 {
		var r *http.Response
		if r, err = client.Get("http://router" + path); err == nil {
			defer r.Body.Close()
			return inFlight, json.NewDecoder(r.Body).Decode(&inFlight)
		}
		// Where it is running already, it has the lock, and this does nothing.
		_ = detach(p.path("router"), []string{"route", p.dir, p.listen}, os.Environ())
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(look):
		}
	}
	log, _ := os.ReadFile(p.path("router.log"))
	return nil, fmt.Errorf("the router does not answer: %w\n%s", err, log)
}

func (p *platform) attach(w work) error {
	return p.change(w, func(t *table) error {
		for _, one := range w.Backends {
			b := backend{Service: w.Service, Release: w.Release, Instance: one.Instance, Address: one.Address}
			t.Backends = append(slices.DeleteFunc(t.Backends, b.same), b)
		}
		return nil
	})
}

func (b backend) same(o backend) bool {
	return b.Service == o.Service && b.Release == o.Release && b.Instance == o.Instance
}

func (b backend) name() string { return b.Service + " " + b.Release + " " + b.Instance }

func (b backend) serves() bool {
	conn, err := net.DialTimeout("tcp", b.Address, time.Second)
	return err == nil && conn.Close() == nil
}

// of are the backends that an action names.
func (w work) of(b backend) bool {
	return b.Service == w.Service && b.Release == w.Release &&
		slices.ContainsFunc(w.Instances, func(one placed) bool { return one.Instance == b.Instance })
}

// enough refuses to leave fewer than the floor.
func (w work) enough(t *table, left func(backend) bool) error {
	serving := 0
	for _, b := range t.Backends {
		if b.Service == w.Service && !b.Draining && left(b) && b.serves() {
			serving++
		}
	}
	if serving < w.Floor {
		return failed("%d backends of %s would be left to serve, and the floor is %d", serving, w.Service, w.Floor)
	}
	return nil
}

func (p *platform) drain(w work) error {
	err := p.change(w, func(t *table) error {
		if !slices.ContainsFunc(t.Backends, w.of) {
			return nil
		}
		for n, b := range t.Backends {
			t.Backends[n].Draining = b.Draining || w.of(b)
		}
		return w.enough(t, func(b backend) bool { return !w.of(b) })
	})
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Duration(w.Timeout) * time.Millisecond); ; {
		inFlight, err := p.router(w, "/in-flight")
		if err != nil {
			return err
		}
		left := 0
		for _, one := range w.Instances {
			left += inFlight[backend{Service: w.Service, Release: w.Release, Instance: one.Instance}.name()]
		}
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			w.report(object{"kind": "warning", "text": fmt.Sprintf("%d requests were not finished in time", left)})
			break
		}
		select {
		case <-w.Done():
			return &fault{Kind: "unknown", Message: "it was cancelled while requests were in flight"}
		case <-time.After(look):
		}
	}
	return p.change(w, func(t *table) error {
		t.Backends = slices.DeleteFunc(t.Backends, w.of)
		return nil
	})
}

func (p *platform) weigh(w work) error {
	return p.change(w, func(t *table) error {
		t.Shares = w.Shares
		return w.enough(t, func(b backend) bool { return t.share(b.Release) > 0 })
	})
}

// share is the percentage of a release, 100 where there are no shares.
func (t table) share(release string) int {
	if len(t.Shares) == 0 {
		return 100
	}
	for _, s := range t.Shares {
		if s.Release == release {
			return s.Percent
		}
	}
	return 0
}

// routed tells whether the effect of a router's step is there.
func (p *platform) routed(kind string, a action) (bool, error) {
	t, err := p.table()
	switch kind {
	case "attach":
		return !slices.ContainsFunc(a.Backends, func(one placed) bool {
			want := backend{Service: a.Service, Release: a.Release, Instance: one.Instance}
			return !slices.ContainsFunc(t.Backends, func(b backend) bool { return b.same(want) && !b.Draining })
		}), err
	case "drain":
		return !slices.ContainsFunc(t.Backends, work{action: a}.of), err
	case "weigh":
		return slices.Equal(t.Shares, a.Shares), err
	}
	return false, failed("it cannot do %s", kind)
}

// balancer hands requests out as the table says.
type balancer struct {
	mu       sync.Mutex
	table    table
	inFlight map[string]int
}

// route is the router. Whoever may use its socket tells it to read the table.
func route(dir, listen string) {
	hold()
	p := &platform{dir: dir, listen: listen}
	b := &balancer{inFlight: map[string]int{}}
	problems := make(chan error)
	go func() {
		problems <- http.ListenAndServe(listen, &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, Transport: b})
	}()
	socket := filepath.Join(dir, "router")
	_ = os.Remove(socket) // of one that is gone: this one has the lock
	control, err := net.Listen("unix", socket)
	if err == nil {
		go func() {
			problems <- http.Serve(control, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { b.answer(rw, p) }))
		}()
		err = <-problems
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// answer takes the table in, and says what is in flight.
func (b *balancer) answer(rw http.ResponseWriter, p *platform) {
	t, err := p.table()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.table = t
		err = json.NewEncoder(rw).Encode(b.inFlight)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// RoundTrip sends a request to a backend. Where none listens at its address,
// nobody has seen the request, and it goes to another one.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, to := range b.order() {
		if !b.begin(to) {
			continue
		}
		r.URL.Scheme, r.URL.Host = "http", to.Address
		answer, err := http.DefaultTransport.RoundTrip(r)
		var dialing *net.OpError
		if err == nil {
			answer.Body = &counted{answer.Body, sync.OnceFunc(func() { b.end(to) })}
			return answer, nil
		}
		b.end(to)
		if !errors.As(err, &dialing) || dialing.Op != "dial" {
			return nil, err
		}
	}
	return nil, errors.New("no backend")
}

// order is the backends as they are tried.
func (b *balancer) order() []backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []backend
	release := b.table.pick()
	for _, to := range b.table.Backends {
		if !to.Draining && b.table.share(to.Release) > 0 {
			all = append(all, to)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(x, y backend) int {
		return map[bool]int{true: 0, false: 1}[x.Release == release] - map[bool]int{true: 0, false: 1}[y.Release == release]
	})
	return all
}

// pick is a release, as often as its share says; "" where there are none.
func (t table) pick() string {
	n := rand.IntN(100)
	for _, s := range t.Shares {
		if n -= s.Percent; n < 0 {
			return s.Release
		}
	}
	return ""
}

// begin counts a request in, unless the backend gets none any more.
func (b *balancer) begin(to backend) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	there := slices.Contains(b.table.Backends, to)
	if there {
		b.inFlight[to.name()]++
	}
	return there
}

func (b *balancer) end(to backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight[to.name()]--
}

// counted is the body of an answer: at its end the request is over.
type counted struct {
	io.ReadCloser
	over func()
}

// Close says so.
func (c *counted) Close() error {
	c.over()
	return c.ReadCloser.Close()
}
