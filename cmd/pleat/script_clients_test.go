package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	public "pleat/examples/users/load/traffic"
)

// audience is users of the example service: they write in every shape that it
// answers to and check what they read.
type audience struct {
	cancel context.CancelFunc
	ended  chan public.Summary
	v2     chan struct{} // closed when /v2/user may be used
	used   chan struct{} // closed once it was
}

// clientsCommand lets clients use the example service; a request that takes
// longer than two seconds has failed:
//
//	clients start    (uses /v2/user once only releases that have it live)
//	clients start v1
//	clients both     (uses /v2/user too, from now on, and waits until it was)
//	clients stop     (prints what they suffered; fails on any error)
func clientsCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := sceneOf(ts)
	switch strings.Join(args, " ") {
	case "start":
		w.audience = startClients(ts)
		close(w.audience.v2)
	case "start v1":
		w.audience = startClients(ts)
	case "both":
		close(w.audience.v2)
		select {
		case <-w.audience.used:
		case <-time.After(deadline):
			ts.Fatalf("/v2/user was not used within %s", deadline)
		}
	case "stop":
		w.audience.cancel()
		s := <-w.audience.ended
		fmt.Fprint(ts.Stdout(), s.Lines())
		if s.Errors > 0 || s.Requests == 0 {
			ts.Fatalf("%d errors in %d requests", s.Errors, s.Requests)
		}
	default:
		ts.Fatalf("usage: clients start [v1]|both|stop")
	}
}

func startClients(ts *testscript.TestScript) *audience {
	ctx, cancel := context.WithCancel(context.Background())
	c := &audience{cancel, make(chan public.Summary, 1), make(chan struct{}), make(chan struct{})}
	url := "http://" + ts.Getenv("LISTEN") // the script's environment is the script's alone
	go func() {
		s, err := public.Run(ctx, public.Options{
			URL: url, Rate: 200, Clients: 8, Timeout: 2 * time.Second, V2From: c.v2, V2Used: func() { close(c.used) },
		})
		if err != nil {
			s.Errors++
		}
		c.ended <- s
	}()
	return c
}

// visitorsCommand has COUNT users, named by the header X-User, ask TIMES times each,
// and prints which release answered whom: "user0 r1". One whom two releases answered
// fails.
//
//	visitors COUNT TIMES URL
func visitorsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: visitors COUNT TIMES URL")
	}
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	times, err := strconv.Atoi(args[1])
	ts.Check(err)
	by := make([]string, count)
	for i := range count * times {
		n := i % count
		r, err := http.NewRequest(http.MethodGet, args[2], nil)
		ts.Check(err)
		r.Header.Set("X-User", fmt.Sprintf("user%d", n))
		release := answeredBy(ts, r)
		if i >= count && by[n] != release {
			ts.Fatalf("user%d was answered by %s and by %s", n, by[n], release)
		}
		by[n] = release
	}
	for n, release := range by {
		fmt.Fprintf(ts.Stdout(), "user%d %s\n", n, release)
	}
}

// answeredBy sends a request, and gives the release that answered it with 200: the
// first word of the body.
func answeredBy(ts *testscript.TestScript, r *http.Request) string {
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("status %s: %s", answer.Status, b)
	}
	release, _, _ := strings.Cut(string(b), " ")
	return release
}
