// Package traffic sends the requests that users of the example service would
// send, at a steady rate, and tells what they suffered. It is an open loop:
// each request has the moment at which it should be sent, and its latency
// counts from there, so that a stall is felt by every request that would have
// been sent during it. It knows the service by its HTTP interface only.
package traffic

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"
)

// Options is what to send where. The zero value of each field but URL has a
// meaning of its own.
type Options struct {
	URL     string        // of the service, such as http://127.0.0.1:8080
	Rate    float64       // requests a second, of all clients; default 100
	Clients int           // keep-alive connections; default 16
	Timeout time.Duration // of one request; default 10s
	V1Only  bool          // never use /v2/user, even where it answers
	Seed    uint64        // of the choice of requests; the same for the same load

	// V2From, once closed, lets /v2/user be used where it answers; nil: at once.
	// A release that reads rows which are not filled yet needs it.
	V2From <-chan struct{}

	// V2Used is called once, by whichever client does so first, when /v2/user
	// has answered; nil: nobody is told.
	V2Used func()

	// Known says that users 1 to Known exist, that each is called Name(id), and
	// that nobody writes them; they are read at random. 0: only users that the
	// load made are read.
	Known int64
	Name  func(id int64) string
}

func (o *Options) fill() error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return errors.New("the service's URL must look like http://127.0.0.1:8080")
	}
	if o.Rate < 0 || o.Clients < 0 || o.Timeout < 0 {
		return errors.New("rate, clients and timeout must not be negative")
	}
	if o.Known > 0 && o.Name == nil {
		return errors.New("known users without their names")
	}
	if o.Rate == 0 {
		o.Rate = 100
	}
	if o.Clients == 0 {
		o.Clients = 16
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.V2Used == nil {
		o.V2Used = func() {}
	}
	return nil
}

// Run sends requests until ctx is done, waits for the answers to those in
// flight, and returns what was measured. An error means that nothing was sent.
func Run(ctx context.Context, o Options) (Summary, error) {
	if err := o.fill(); err != nil {
		return Summary{}, err
	}
	begin := time.Now()
	r := newRecorder()
	s := &shapes{knows: map[string]bool{}, from: o.V2From, used: sync.OnceFunc(o.V2Used)}
	var running sync.WaitGroup
	if !o.V1Only {
		running.Go(func() { s.watch(ctx, newCaller(o)) })
	}
	for i := range o.Clients {
		c := newClient(o, i, s, r)
		running.Go(func() { c.run(ctx, begin) })
	}
	running.Wait()
	return r.summary(time.Since(begin)), nil
}
