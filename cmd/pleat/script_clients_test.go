package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	public "pleat/examples/users/load/traffic"
)

// audience is users of the example service: they write in every shape that it
// answers to and check what they read.
type audience struct {
	cancel context.CancelFunc
	ended  chan public.Summary
}

// clientsCommand lets clients use the example service; a request that takes
// longer than two seconds has failed:
//
//	clients start
//	clients stop     (prints what they suffered; fails on any error)
func clientsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "start" && args[0] != "stop" {
		ts.Fatalf("usage: clients start|stop")
	}
	w := sceneOf(ts)
	if args[0] == "start" {
		w.audience = startClients(ts, "http://"+ts.Getenv("LISTEN"))
		return
	}
	w.audience.cancel()
	s := <-w.audience.ended
	fmt.Fprint(ts.Stdout(), s.Lines())
	if s.Errors > 0 || s.Requests == 0 {
		ts.Fatalf("%d errors in %d requests", s.Errors, s.Requests)
	}
}

func startClients(ts *testscript.TestScript, url string) *audience {
	ctx, cancel := context.WithCancel(context.Background())
	c := &audience{cancel, make(chan public.Summary, 1)}
	go func() {
		s, err := public.Run(ctx, public.Options{URL: url, Rate: 200, Clients: 8, Timeout: 2 * time.Second})
		if err != nil {
			s.Errors++
		}
		c.ended <- s
	}()
	return c
}
