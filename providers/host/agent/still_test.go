package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/spec"
)

// counted is a client of the agent that knows how often it has asked for its state. It
// waits for an answer for 300 ms.
func counted(t *testing.T, a *agenttest.Agent) (*api.Client, *atomic.Int64) {
	t.Helper()
	asked := &atomic.Int64{}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	relay := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "agent"})
	relay.FlushInterval = -1
	relay.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(a.URL, "unix://"))
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/state" {
			asked.Add(1)
		}
		relay.ServeHTTP(w, r)
	})}
	go server.Serve(l) // until it is closed
	t.Cleanup(func() { server.Close() })
	c, err := api.NewClient("unix://"+socket, api.Options{Answer: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c, asked
}

// TestWhoWaitsForAnAgentThatStandsStillHearsOfIt: what may take long is not waited for
// without end where the agent answers nothing else either. As long as it does, that may
// take its time.
func TestWhoWaitsForAnAgentThatStandsStillHearsOfIt(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	c, asked := counted(t, a)
	a.Keep(agenttest.Ref("1.0.0", "web.1"), a.Definition("1.0.0"))
	i := a.Await(agenttest.Ref("1.0.0", "web.1"), planner.Up)
	listen := agenttest.FreeAddress(t)
	if err := a.Attach(t.Context(), listen, api.Attach{Backends: []api.Backend{{Ref: i.Ref, Host: i.Host, Address: i.Address}}}); err != nil {
		t.Fatal(err)
	}
	finish := agenttest.Busy(t, listen, i.Address)
	defer finish()
	const long = 2 * agenttest.Patience
	slow := &spec.Check{Kind: spec.CheckHTTP, Path: "/slow?for=" + long.String(), Timeout: long}
	calls := map[string]func() error{
		"drain": func() error {
			_, err := c.Drain(t.Context(), listen, api.Drain{Backends: []api.Ref{i.Ref}, Timeout: long})
			return err
		},
		"ask":    func() error { _, err := c.Ask(t.Context(), i.Ref, api.Ask{Check: slow}); return err },
		"follow": func() error { return c.Follow(t.Context(), 0, func(api.Event) error { return nil }) },
	}
	type end struct {
		of  string
		err error
	}
	ends := make(chan end, len(calls))
	for name, call := range calls {
		go func() { ends <- end{name, call()} }()
	}
	agenttest.Until(t, "each has looked a few times whether the agent is there", func() error {
		select {
		case e := <-ends:
			t.Fatalf("%s ended while the agent was there: %v", e.of, e.err)
		default:
		}
		if n := asked.Load(); n < 12 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
	a.Freeze()
	defer a.Thaw()
	patience := time.After(agenttest.Patience)
	for range calls {
		select {
		case e := <-ends:
			var away *api.UnreachableError
			if !errors.As(e.err, &away) || away.Sent != (e.of != "follow") {
				t.Errorf("%s ended with %v", e.of, e.err)
			}
		case <-patience:
			t.Fatal("an agent that stands still is waited for")
		}
	}
}
