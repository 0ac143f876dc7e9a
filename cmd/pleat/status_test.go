package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pleat/executor/lease"
	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/spec"
)

// Names stand at their first line, and a text that is too long goes on below itself.
func TestSheet(t *testing.T) {
	var s sheet
	s.add("service.demo", "r1  web 1 up", "crash loop: one two three four five six seven")
	s.add("run", "x")
	var out strings.Builder
	if err := s.write(&out, 44); err != nil {
		t.Fatal(err)
	}
	want := "service.demo  r1  web 1 up\n" +
		"              crash loop: one two three four\n" +
		"              five six seven\n" +
		"run           x\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the sheet (-want +got):\n%s", diff)
	}
}

// Who gets the requests is said where more than one could, or nobody does.
func TestReleaseLinesSayWhoGetsRequests(t *testing.T) {
	since := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	service := &spec.Service{
		Name: "demo", Router: &spec.Router{Kind: "proxy", Name: "edge"},
		Strategy: &spec.Strategy{KeepPrevious: time.Hour},
	}
	world := func(split planner.Split, backends ...string) *planner.State {
		st := &planner.State{Now: since, Routers: map[string]*planner.Router{}, Orchestrators: map[string]*planner.Orchestrator{}}
		st.Journal.Kept = []planner.Kept{{Service: "demo", Version: "r1", Since: since}}
		o := &planner.Orchestrator{}
		for _, release := range []string{"r1", "r2"} {
			o.Instances = append(o.Instances, planner.Instance{Service: "demo", Release: release, Process: "web", Name: "web.1", State: planner.Up})
		}
		router := &planner.Router{Split: split}
		for _, release := range backends {
			router.Backends = append(router.Backends, planner.Backend{Service: "demo", Release: release, Instance: "web.1"})
		}
		st.Orchestrators["o"], st.Routers[string(service.Router.Address())] = o, router
		return st
	}
	tenth := planner.Split{Shares: []planner.Share{{Release: "r1", Percent: 90}, {Release: "r2", Percent: 10}}}
	none := planner.Split{Shares: []planner.Share{{Release: "r1", Percent: 100}, {Release: "r2"}}}
	beta := none
	beta.Rules = []planner.Rule{{Header: "X-Beta", Release: "r2"}}
	both := tenth
	both.Rules = beta.Rules
	for name, c := range map[string]struct {
		st   *planner.State
		want []string
	}{
		"kept":    {world(planner.Split{}, "r2"), []string{"r1  web 1 up, no requests, kept until 2026-11-26T21:00:00Z", "r2  web 1 up, all requests"}},
		"even":    {world(planner.Split{}, "r1", "r2"), []string{"r1  web 1 up, 1 of 2 instances that get requests", "r2  web 1 up, 1 of 2 instances that get requests"}},
		"shares":  {world(tenth, "r1", "r2"), []string{"r1  web 1 up, 90% of the requests", "r2  web 1 up, 10% of the requests"}},
		"held":    {world(none, "r1", "r2"), []string{"r1  web 1 up, all requests", "r2  web 1 up, no requests"}},
		"by rule": {world(beta, "r1", "r2"), []string{"r1  web 1 up, all requests", "r2  web 1 up, requests with X-Beta"}},
		"both":    {world(both, "r1", "r2"), []string{"r1  web 1 up, 90% of the requests", "r2  web 1 up, 10% of the requests, and those with X-Beta"}},
		"nobody":  {world(planner.Split{}), []string{"r1  web 1 up, no requests, kept until 2026-11-26T21:00:00Z", "r2  web 1 up, no requests"}},
	} {
		if diff := cmp.Diff(c.want, releaseLines(service, c.st)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A run that goes on says the same until it comes to another step: nothing is printed
// again for a heartbeat. One that is not heard of says since when.
func TestRunLinesChangeWithTheStep(t *testing.T) {
	at := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	held := &lease.Holder{ID: "L", Run: "R", Host: "vm", PID: 7, Who: "root", Step: "4 start demo", Since: at, Beat: at, Asked: at}
	run := &planner.Run{ID: "R", Kind: "apply"}
	want := []string{"R since 2026-11-26T20:00:00Z", "at step 4 start demo", "by root on vm (pid 7), lease L"}
	for range 3 {
		if diff := cmp.Diff(want, runLines(run, held)); diff != "" {
			t.Errorf("a run (-want +got):\n%s", diff)
		}
		held.Beat, held.Asked = held.Beat.Add(5*time.Second), held.Asked.Add(6*time.Second)
	}
	held.Asked = held.Beat.Add(time.Minute)
	if diff := cmp.Diff(append(want, "no heartbeat since 2026-11-26T20:00:15Z"), runLines(run, held)); diff != "" {
		t.Errorf("one that is not heard of (-want +got):\n%s", diff)
	}
}

func TestAnAgentThatDoesNotAnswerIsNamedOnce(t *testing.T) {
	gone := func(reader, agent string) error {
		return fmt.Errorf("reading %s: %w", reader, &api.UnreachableError{Agent: agent, Err: syscall.ECONNREFUSED})
	}
	hosts := errors.Join(gone("orchestrator.host.a", "unix:///one"), gone("orchestrator.host.a", "unix:///two"))
	other, asked := gone("router.proxy.other", "unix:///three"), errors.New("reading router.exec.own: it says no")
	got := silent{
		"router.proxy.edge": gone("router.proxy.edge", "unix:///two"), "router.proxy.other": other,
		"orchestrator.host.a": hosts, "router.exec.own": asked,
	}.problems()
	if want := []error{hosts, asked, other}; !slices.Equal(got, want) {
		t.Errorf("problems = %v, want %v", got, want)
	}
}
