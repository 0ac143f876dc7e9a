package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// clients is how many keep-alive clients a script's load has where it does not say. Each thinks between
// two requests: enough come for one that fails to show, and other tests go on.
const (
	clients  = 4
	thinking = 25 * time.Millisecond
)

// traffic is requests that never end until stop.
type traffic struct {
	cancel   context.CancelFunc
	running  sync.WaitGroup
	began    time.Time
	lasted   time.Duration // read it after stop
	requests atomic.Int64
	errors   atomic.Int64
	first    atomic.Pointer[string]
}

// startTraffic has so many clients send requests of that method to url; one that takes longer than patience has
// failed, 0 is for ever.
func startTraffic(many int, method, url string, patience time.Duration) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	t := &traffic{cancel: cancel, began: time.Now()}
	for range many {
		t.running.Go(func() { t.client(ctx, method, url, patience) })
	}
	return t
}

// startPolling has requests sent to url at that many a second, whether or not those
// before were answered. One that is late is sent at once.
func startPolling(rate int, method, url string) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	t := &traffic{cancel: cancel, began: time.Now()}
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: rate}}
	t.running.Go(func() {
		defer c.CloseIdleConnections()
		var answering sync.WaitGroup
		defer answering.Wait()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(t.began.Add(time.Duration(n) * time.Second / time.Duration(rate)))):
			}
			// What was sent is answered, whenever the load stops.
			answering.Go(func() { t.count(request(context.WithoutCancel(ctx), c, method, url)) })
		}
	})
	return t
}

func (t *traffic) count(err error) {
	t.requests.Add(1)
	if err != nil {
		text := err.Error()
		t.errors.Add(1)
		t.first.CompareAndSwap(nil, &text)
	}
}

func (t *traffic) client(ctx context.Context, method, url string, patience time.Duration) {
	c := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	defer c.CloseIdleConnections()
	for ctx.Err() == nil {
		err := request(ctx, c, method, url)
		if ctx.Err() != nil {
			return
		}
		t.count(err)
		select {
		case <-ctx.Done():
		case <-time.After(thinking):
		}
	}
}

func request(ctx context.Context, c *http.Client, method, url string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", answer.Status)
	}
	return nil
}

// stop ends the load; a second call does nothing.
func (t *traffic) stop() {
	t.cancel()
	t.running.Wait()
	if t.lasted == 0 {
		t.lasted = time.Since(t.began)
	}
}

// String is what came of the load, once it has stopped.
func (t *traffic) String() string {
	return fmt.Sprintf("%d requests, %d errors\n%.0f a second for %.1fs",
		t.requests.Load(), t.errors.Load(), float64(t.requests.Load())/t.lasted.Seconds(), t.lasted.Seconds())
}
