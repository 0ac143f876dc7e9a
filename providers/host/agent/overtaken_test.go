package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// caller sends requests as they may come out of a network: with any number, and as
// often as one likes.
type caller struct {
	t     *testing.T
	agent *agenttest.Agent
	http  http.Client
}

func newCaller(t *testing.T, a *agenttest.Agent) *caller {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", strings.TrimPrefix(a.URL, "unix://"))
	}}
	return &caller{t, a, http.Client{Transport: transport}}
}

// call gives "" or the code of the refusal.
func (c *caller) call(number int, method, path string, body any) api.Code {
	c.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://agent"+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Pleat-Fence", "1 a")
	r.Header.Set("Pleat-Call", strconv.Itoa(number))
	answer, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		return ""
	}
	var refused api.Error
	text, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(text, &refused)
	}
	if err != nil {
		c.t.Fatalf("%s: %s: %v", answer.Status, text, err)
	}
	return refused.Code
}

// TestALateCallUndoesNothing: what was asked for later counts, also when the earlier
// call arrives after it, twice, or when the agent has been started anew.
func TestALateCallUndoesNothing(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	c := newCaller(t, a)
	r := agenttest.Ref("1.0.0", "web.1")
	instance := "/v1/instances/" + r.Service + "/" + r.Release + "/" + r.Instance
	listen := agenttest.FreeAddress(t)
	route := "/v1/routes/" + listen
	put := api.Put{Definition: a.Definition("1.0.0"), Key: "run/step"}
	back := func(i api.Instance) api.Attach {
		return api.Attach{Backends: []api.Backend{{Ref: i.Ref, Host: i.Host, Address: i.Address}}}
	}
	done := func(number int, method, path string, body any) {
		t.Helper()
		if code := c.call(number, method, path, body); code != "" {
			t.Fatalf("call %d, %s %s: %s", number, method, path, code)
		}
	}
	late := func(number int, method, path string, body any) {
		t.Helper()
		if code := c.call(number, method, path, body); code != api.CodeOvertaken {
			t.Errorf("call %d, %s %s, arrives late: %q", number, method, path, code)
		}
	}
	done(10, http.MethodPut, instance, put)
	live := a.Await(r, planner.Up)
	done(20, http.MethodPost, route+"/attach", back(live))
	done(30, http.MethodPut, route+"/split", api.Weigh{})

	late(5, http.MethodPost, instance+"/stop", api.Stop{})
	late(15, http.MethodPost, route+"/detach", api.Detach{Backends: []api.Ref{r}})
	late(16, http.MethodPost, route+"/drain", api.Drain{Backends: []api.Ref{r}})
	late(17, http.MethodPut, route+"/split", api.Weigh{})
	late(18, http.MethodPut, route+"/hold", api.Hold{For: agenttest.Patience})
	late(19, http.MethodPut, route+"/limits", api.Limit{})
	late(20, http.MethodPost, route+"/attach", back(live))
	late(21, http.MethodPost, "/v1/tasks", api.Task{Ref: r, Name: "late", Definition: put.Definition, Key: "run/step"})
	late(30, http.MethodPut, "/v1/fence", nil)

	done(40, http.MethodPost, route+"/drain", api.Drain{Backends: []api.Ref{r}, Timeout: agenttest.Patience})
	done(50, http.MethodPost, instance+"/stop", api.Stop{Drain: agenttest.Drain()})
	agenttest.Until(t, "it is gone", func() error {
		if i, there := a.Instance(r); there {
			return fmt.Errorf("it is %s", i.State)
		}
		return nil
	})
	late(10, http.MethodPut, instance, put)
	a.Kill()
	a.Restart()
	late(10, http.MethodPut, instance, put)
	late(49, http.MethodPut, instance, put)
	if i, there := a.Instance(r); there {
		t.Errorf("a late call started %v", i)
	}
	done(60, http.MethodPut, instance, put)
	if again := a.Await(r, planner.Up); again.Restarts > 0 {
		t.Errorf("%v", again)
	}
}

// TestCallsAtTheSameTimeAreAllCarriedOut: of those that a holder makes side by side
// any may arrive first.
func TestCallsAtTheSameTimeAreAllCarriedOut(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	ctx := api.WithFence(t.Context(), api.Fence{Lease: "a", Number: 1})
	errs := make(chan error)
	const calls = 50
	for range calls {
		go func() { errs <- a.Announce(ctx) }()
	}
	for range calls {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
