package supervisor_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/host/supervisor"
)

// keeper is a supervisor that runs, with few ports to give.
type keeper struct {
	*supervisor.Supervisor
	t    *testing.T
	sha  string
	stop func()
}

func keeperIn(t *testing.T, dir string, first, last int) *keeper {
	t.Helper()
	s, _, sha := supervisorIn(t, dir)
	s.Give(first, last)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	k := &keeper{s, t, sha, func() { cancel(); running.Wait() }}
	t.Cleanup(k.stop)
	return k
}

// put has an instance that listens nowhere, and gives its port once it is up.
func (k *keeper) put(n int) (string, error) {
	r := instanceRef(n)
	err := k.Put(r, api.Put{Definition: api.Definition{Process: "web", SHA256: k.sha, Command: []string{"sleep", "60"}}})
	if err != nil {
		return "", err
	}
	var live api.Instance
	agenttest.Until(k.t, "it is up", func() error {
		live = k.find(r)
		if live.State != planner.Up {
			return fmt.Errorf("it is %+v", live)
		}
		return nil
	})
	// It may have been stopped by then.
	k.t.Cleanup(func() { _ = syscall.Kill(-live.PID, syscall.SIGKILL) })
	_, port, err := net.SplitHostPort(live.Address)
	return port, err
}

func instanceRef(n int) api.Ref {
	return api.Ref{Service: "users", Release: "1", Instance: fmt.Sprintf("web.%d", n)}
}

func (k *keeper) find(r api.Ref) api.Instance {
	all, _ := k.Instances()
	n := slices.IndexFunc(all, func(i api.Instance) bool { return i.Ref == r })
	if n < 0 {
		return api.Instance{}
	}
	return all[n]
}

// fourPorts are four in a row that nobody has.
func fourPorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		first := 10_000 + rand.IntN(9_000)
		if free(first) && free(first+1) && free(first+2) && free(first+3) {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err == nil && io.Closer(l).Close() == nil
}

// TestTwoSupervisorsGiveNoPortTwice, although nobody listens on any: until the
// instance is gone, or the one that gave it is.
func TestTwoSupervisorsGiveNoPortTwice(t *testing.T) {
	first := fourPorts(t)
	dir := t.TempDir()
	one, two := keeperIn(t, dir, first, first+3), keeperIn(t, t.TempDir(), first, first+3)
	var given []string
	for n := range 2 {
		for _, k := range []*keeper{one, two} {
			port, err := k.put(n)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(given, port) {
				t.Errorf("port %s was given twice: %v", port, given)
			}
			given = append(given, port)
		}
	}
	if port, err := two.put(2); err == nil {
		t.Fatalf("a fifth of four ports is %s", port)
	}
	// What is gone leaves its port, also to another one.
	if err := one.Stop(instanceRef(1), api.Stop{Drain: agenttest.Drain()}); err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "it is gone", func() error {
		if i := one.find(instanceRef(1)); i.PID != 0 {
			return fmt.Errorf("it is %+v", i)
		}
		return nil
	})
	if port, err := two.put(2); err != nil || port != given[2] {
		t.Errorf("the port that was left is %s, the next one %s, %v", given[2], port, err)
	}
	// Who comes after one keeps what that has given.
	one.stop()
	keeperIn(t, dir, first, first+3)
	if port, err := two.put(3); err == nil {
		t.Errorf("port %s is given, which another one has", port)
	}
}

// A process that is forked while ports are looked for has none of them: whoever is
// given one can listen on it at once.
func TestAGivenPortIsFree(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var forking sync.WaitGroup
	defer forking.Wait()
	defer stop()
	for range 4 {
		forking.Go(func() {
			for ctx.Err() == nil {
				if err := exec.Command("true").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	p := supervisor.NewPorts()
	for range 500 {
		port, err := p.Take("127.0.0.1", nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
