package router_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// TestHeldRequestsWait: those that are held are answered once they are let go, or
// when the time is over, and none before.
func TestHeldRequestsWait(t *testing.T) {
	for _, letGo := range []bool{true, false} {
		w := newWorld(t)
		w.serve(1, name(1))
		most := time.Minute
		if !letGo {
			most = 200 * time.Millisecond
		}
		began := time.Now()
		for range 2 { // the second time counts from now on
			if err := w.Hold(w.listen, most); err != nil {
				t.Fatal(err)
			}
		}
		if !w.Routes()[0].Held {
			t.Error("the route does not say that it holds")
		}
		var asking sync.WaitGroup
		answered := make(chan string, 20)
		for range cap(answered) {
			asking.Go(func() {
				_, who := w.do(http.MethodPost, "/", "")
				answered <- who
			})
		}
		if letGo {
			select {
			case <-answered:
				t.Error("a held request was answered")
			case <-time.After(50 * time.Millisecond):
			}
			if err := w.Hold(w.listen, 0); err != nil {
				t.Fatal(err)
			}
		}
		asking.Wait()
		if took := time.Since(began); !letGo && took < most {
			t.Errorf("answered after %s", took)
		}
		for range cap(answered) {
			if who := <-answered; who != "1" {
				t.Errorf("answered %q", who)
			}
		}
		if w.Routes()[0].Held {
			t.Error("it still holds")
		}
	}
}

// TestARouterThatStartsAnewHoldsNothing, and a time that nobody waits for is
// refused.
func TestARouterThatStartsAnewHoldsNothing(t *testing.T) {
	w := newWorld(t)
	w.serve(1, name(1))
	var refused *api.Error
	if err := w.Hold(w.listen, 2*time.Minute); !errors.As(err, &refused) || refused.Code != api.CodeInvalid {
		t.Errorf("two minutes: %v", err)
	}
	if err := w.Hold(agenttest.FreeAddress(t), time.Second); err != nil {
		t.Errorf("a route that is not open: %v", err)
	}
	if err := w.Hold(w.listen, time.Minute); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.run()
	w.Health(ref(1), true)
	agenttest.Until(t, "the backend to serve", func() error {
		if status, _ := w.do(http.MethodGet, "/", ""); status != http.StatusOK {
			return errors.New("it does not")
		}
		return nil
	})
}
