package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// On two hosts, of which the first one has the router, these are on the second.
const (
	first  = 1
	second = 3
)

func named(n int) api.Ref { return agenttest.Ref("1.0.0", fmt.Sprintf("web.%d", n)) }

// bring starts and attaches one whose check was changed.
func (w *world) bring(n int, change func(*planner.Start)) {
	w.t.Helper()
	a := w.start("1.0.0", n)
	change(a)
	w.mustApply(a, w.attach("1.0.0", n))
}

// serving is what a list of routes says of one.
func serving(routes []api.Route, n int) bool {
	return slices.ContainsFunc(routes, func(r api.Route) bool {
		return slices.ContainsFunc(r.Backends, func(b api.Backend) bool { return b.Ref == named(n) && b.Serving })
	})
}

// until waits for the router's verdict, which is on its disk by then.
func (w *world) until(n int, want bool) {
	w.t.Helper()
	agenttest.Until(w.t, fmt.Sprintf("the verdict on %s is %t", named(n), want), func() error {
		s, err := w.agents[0].State(w.t.Context())
		if err != nil {
			return err
		}
		var saved []api.Route
		b, err := os.ReadFile(filepath.Join(w.agents[0].Dir, "routes.json"))
		if err == nil {
			err = json.Unmarshal(b, &saved)
		}
		if err == nil && (serving(s.Routes, n) != want || serving(saved, n) != want) {
			return fmt.Errorf("%+v, and saved is %s", s.Routes, b)
		}
		return err
	})
}

// whose is the process that answers a request.
func (w *world) whose() int {
	w.t.Helper()
	pid, err := strconv.Atoi(agenttest.Get(w.t, w.spec.Listen, "/pid"))
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

// Who accepts connections on another host, but failed its checks, gets no request after
// a restart of the router's agent either; who was well gets them at once.
func TestAVerdictOutlivesTheAgent(t *testing.T) {
	w := newWorld(t, agenttest.Options{Name: "a"}, agenttest.Options{Name: "b"})
	ready := filepath.Join(w.dir, "ready")
	writeFile(t, ready, nil)
	w.bring(first, func(a *planner.Start) {
		a.Definition.Command = append(a.Definition.Command, "-ready", ready)
		a.Definition.Checks[0].Threshold = 20
	})
	w.bring(second, func(*planner.Start) {})
	sick, _ := w.agents[1].Instance(named(first))
	if err := os.Remove(ready); err != nil {
		t.Fatal(err)
	}
	w.until(first, false)
	w.agents[0].Kill()
	w.agents[0].Restart()
	for range 50 {
		if w.whose() == sick.PID {
			t.Fatal("who failed its checks gets requests")
		}
	}
	writeFile(t, ready, nil)
	w.until(first, true)
	w.mustApply(w.drain("1.0.0", second, 1))
	w.agents[0].Kill()
	w.agents[0].Restart()
	if err := request(http.DefaultClient, 1, "http://"+w.spec.Listen); err != nil {
		t.Errorf("right after the restart, with one that is well: %v", err)
	}
}

// Who ended and was started again by its agent is neither attached nor gets requests
// before it has been healthy for as long as any other, although nobody has seen it
// fail as often as it may.
func TestWhoIsBackHasToBeHealthyAnew(t *testing.T) {
	const healthy = time.Second
	w := newWorld(t, agenttest.Options{Name: "a"}, agenttest.Options{Name: "b", Rests: []time.Duration{200 * time.Millisecond}})
	long := func(a *planner.Start) {
		a.Definition.Checks[0].HealthyAfter, a.Definition.Checks[0].Threshold = healthy, 1000
	}
	w.bring(first, long)
	w.bring(second, long)
	before, _ := w.agents[1].Instance(named(first))
	l := w.load(4)
	crashed := time.Now()
	agenttest.Crash(before, 7)
	var again api.Instance
	agenttest.Until(t, "it is started again", func() error {
		again, _ = w.agents[1].Instance(named(first))
		if again.PID == before.PID || again.PID == 0 {
			return fmt.Errorf("%+v", again)
		}
		return nil
	})
	attached := false
	agenttest.Until(t, "it is attached and gets requests", func() error {
		err := w.apply(w.attach("1.0.0", first))
		if err == nil && !attached {
			attached = true
			if took := time.Since(crashed); took < healthy {
				t.Errorf("it was attached %s after its end", took)
			}
		}
		if pid := w.whose(); pid != again.PID {
			return fmt.Errorf("%d answers, not %d: %v", pid, again.PID, err)
		}
		if took := time.Since(crashed); took < healthy {
			t.Fatalf("it got a request %s after its end", took)
		}
		if !attached {
			return err
		}
		return nil
	})
	l.stop()
	l.running.Wait()
}
