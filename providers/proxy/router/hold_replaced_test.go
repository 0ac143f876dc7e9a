package router

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestAHoldThatIsReplacedAsItsTimeIsOverLetsItsRequestsGo: between the moment in which
// the time is over and that in which the timer lets go, somebody holds anew. That is
// too short to be met by chance, so the timer's work is done by hand here.
func TestAHoldThatIsReplacedAsItsTimeIsOverLetsItsRequestsGo(t *testing.T) {
	const patience = 30 * time.Second
	r, over := &route{}, make(chan struct{})
	old := &hold{over: make(chan struct{}), timer: time.AfterFunc(0, func() { close(over) })}
	<-over
	r.held.Store(old)
	s := httptest.NewServer(r.patient(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	t.Cleanup(s.Close) // once the requests have ended with the test's context
	ask := func(by *hold) <-chan error {
		answered := make(chan error, 1)
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			if err == nil {
				err = done(req)
			}
			answered <- err
		}()
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		for end := time.Now().Add(patience); by.held.Load() != 1; <-look.C {
			if time.Now().After(end) {
				t.Fatal("the request does not arrive")
			}
		}
		return answered
	}
	first := ask(old)
	r.hold(patience)
	second := ask(r.held.Load())
	r.letGo(old)
	select {
	case err := <-first:
		if err != nil {
			t.Error(err)
		}
	case err := <-second:
		t.Fatalf("the one that waits for the hold after it was answered: %v", err)
	case <-time.After(patience / 2):
		t.Fatal("nobody lets the first request go")
	}
	if r.held.Load() == nil {
		t.Error("nothing is held any more")
	}
	now := r.held.Load()
	r.hold(0)
	r.letGo(now) // its timer, had it been over in that moment
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func done(req *http.Request) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
