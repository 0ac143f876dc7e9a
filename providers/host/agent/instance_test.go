package agent_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/spec"
)

func TestMain(m *testing.M) { agenttest.Main(m) }

// web1 is the instance of most tests.
var web1 = agenttest.Ref("1.0.0", "web.1")

func get(t *testing.T, address, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// history is an instance's states so far, from the agent's events.
func history(t *testing.T, a *agenttest.Agent, r api.Ref) []string {
	t.Helper()
	events, err := a.Events(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		if e.Ref == r {
			out = append(out, string(e.State))
		}
	}
	return out
}

func wantHistory(t *testing.T, a *agenttest.Agent, r api.Ref, want ...string) {
	t.Helper()
	if got := history(t, a, r); !slices.Equal(got, want) {
		t.Errorf("history of %s = %q, want %q", r, got, want)
	}
}

// gone waits until the process has ended; one that its parent has not
// collected yet has.
func gone(t *testing.T, pid int) {
	t.Helper()
	agenttest.Until(t, fmt.Sprintf("process %d is gone", pid), func() error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.Contains(string(b), ") Z ") {
			return nil
		}
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			return fmt.Errorf("it lives: %v", err)
		}
		return nil
	})
}

func TestInstanceFindsItsEnvironmentAndNothingOfTheAgents(t *testing.T) {
	t.Setenv("SECRET_OF_THE_AGENT", "x")
	a := agenttest.Start(t, agenttest.Options{})
	d := a.Definition("1.0.0")
	d.Env = map[string]string{"FEATURE": "on", "SELF": "http://${ADDR}/"}
	d.DatabaseURLs = map[string]string{"DATABASE_URL": "postgres://u:p${w@h/db", "DATABASE_URL_AUDIT": "postgres://h/audit"}
	a.Keep(web1, d)
	i := a.Await(web1, planner.Up)
	env := strings.Split(get(t, i.Address, "/env"), "\n")
	_, port, _ := strings.Cut(i.Address, ":")
	for _, want := range []string{
		"ADDR=" + i.Address, "PORT=" + port, "FEATURE=on", "SELF=http://" + i.Address + "/",
		"PLEAT_SERVICE=users", "PLEAT_RELEASE=1.0.0", "PLEAT_PROCESS=web", "PLEAT_INSTANCE=web.1",
		"ARTIFACT=" + filepath.Join(a.Dir, "artifacts", d.SHA256), "DATABASE_URL=" + d.DatabaseURLs["DATABASE_URL"],
		"DATABASE_URL_AUDIT=postgres://h/audit", "PATH=" + os.Getenv("PATH"),
	} {
		if !slices.Contains(env, want) {
			t.Errorf("environment lacks %s", want)
		}
	}
	for _, e := range env {
		if strings.Contains(e, "SECRET_OF_THE_AGENT") {
			t.Errorf("environment has %s", e)
		}
	}
}

func TestInstanceOutlivesTheAgentAndIsTakenUpAgain(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	a.Keep(web1, a.Definition("1.0.0"))
	before := a.Await(web1, planner.Up)
	a.Kill()
	if pid := get(t, before.Address, "/pid"); pid != fmt.Sprint(before.PID) {
		t.Fatalf("without its agent the instance is process %s, want %d", pid, before.PID)
	}
	a.Restart()
	after := a.Await(web1, planner.Up)
	if after.PID != before.PID || after.Address != before.Address || after.Restarts != 0 {
		t.Errorf("after the restart %+v, want %+v", after, before)
	}
	wantHistory(t, a, web1, "pending", "starting", "up")

	// It is watched as before: its death is seen, and it is started again.
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "it is started again", func() error {
		if i, _ := a.Instance(web1); i.State != planner.Up || i.PID == before.PID {
			return fmt.Errorf("it is %+v", i)
		}
		return nil
	})
	wantHistory(t, a, web1, "pending", "starting", "up", "down", "pending", "starting", "up")
	wantEnded(t, a, "ended, exit status unknown: an agent before this one had started it")
}

// wantEnded compares how web1 ended the last time.
func wantEnded(t *testing.T, a *agenttest.Agent, want string) {
	t.Helper()
	if i, _ := a.Instance(web1); i.Ended != want {
		t.Errorf("it ended %q, want %q", i.Ended, want)
	}
}

func TestInstanceThatDiedWhileTheAgentWasAwayIsFoundDown(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	a.Keep(web1, a.Definition("1.0.0"))
	before := a.Await(web1, planner.Up)
	a.Kill()
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, before.PID)
	a.Restart()
	// From its first answer on the agent knows.
	if h := history(t, a, web1); !slices.Contains(h, "down") {
		t.Errorf("right after the restart its history is %q", h)
	}
	after := a.Await(web1, planner.Up)
	if after.PID == before.PID || after.Restarts != 1 {
		t.Errorf("after the restart %+v, want another process and 1 restart", after)
	}
	wantHistory(t, a, web1, "pending", "starting", "up", "down", "pending", "starting", "up")
	wantEnded(t, a, "ended while the agent was away, exit status unknown")
}

// A process that has the number of a dead instance's is somebody else.
func TestReusedProcessNumberIsNotMistaken(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	a.Keep(web1, a.Definition("1.0.0"))
	before := a.Await(web1, planner.Up)
	a.Kill()
	// The instance lives on, but what is recorded tells of an earlier process
	// with its number.
	path := filepath.Join(a.Dir, "instances", "users,1.0.0,web.1.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(b), `"began":"`, `"began":"9`, 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Kill(-before.PID, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	a.Restart()
	agenttest.Until(t, "the instance is told down", func() error {
		if h := history(t, a, web1); !slices.Contains(h, "down") {
			return fmt.Errorf("history %q", h)
		}
		return nil
	})
	if got := get(t, before.Address, "/pid"); got != fmt.Sprint(before.PID) {
		t.Errorf("the other process is %s, want %d", got, before.PID)
	}
}

func TestStartingInstanceIsJudgedAnewAfterARestart(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	ready := filepath.Join(t.TempDir(), "ready")
	a.Keep(web1, a.Definition("1.0.0", "-ready", ready))
	before := a.Await(web1, planner.Starting)
	// Its number is known before it may run, and until then it dies with the
	// agent; once it answers, it outlives it.
	agenttest.Until(t, "its process runs", func() error {
		before, _ = a.Instance(web1)
		answer, err := http.Get("http://" + before.Address + "/pid")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	a.Kill()
	a.Restart()
	if i := a.Await(web1, planner.Starting); i.PID != before.PID {
		t.Errorf("it is process %d, want %d", i.PID, before.PID)
	}
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Await(web1, planner.Up)
	wantHistory(t, a, web1, "pending", "starting", "up")
}

func TestStartFails(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	tests := []struct {
		name   string
		change func(*api.Definition)
		want   string
	}{
		{"no such program", func(d *api.Definition) { d.Command = []string{"this-is-gonna-fail"} },
			`exec: "this-is-gonna-fail": executable file not found in $PATH`},
		{"ends at once", func(d *api.Definition) { d.Command = append(d.Command, "-exit", "3") },
			"failed to start: exit status 3"},
		{"ends well at once", func(d *api.Definition) { d.Command = append(d.Command, "-exit", "0") },
			"failed to start: exit status 0"},
		{"ends at once without a check", func(d *api.Definition) {
			// A shell is up in no time, also on a machine that is busy.
			d.Checks, d.Command = nil, []string{"sh", "-c", "exit 3"}
		}, "failed to start: exit status 3"},
		{"unknown name in the command", func(d *api.Definition) { d.Command = append(d.Command, "${HOME}") },
			"command: ${HOME} is unknown; known are ADDR, ARTIFACT, PLEAT_HANDOVER, PLEAT_INSTANCE, PLEAT_PROCESS, PLEAT_RELEASE, PLEAT_ROLE, PLEAT_RUN, PLEAT_SERVICE, PORT"},
		{"artifact is not there", func(d *api.Definition) { d.SHA256 = strings.Repeat("0", 64) },
			"artifact " + strings.Repeat("0", 64) + " is not in the store"},
	}
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := agenttest.Ref("1.0.0", fmt.Sprintf("web.%d", n+1))
			d := a.Definition("1.0.0")
			tt.change(&d)
			a.Keep(r, d)
			i := a.Await(r, planner.Down)
			if i.Error != tt.want {
				t.Errorf("error = %q, want %q", i.Error, tt.want)
			}
			// It is not started again by itself, but when it is asked for.
			wantHistory(t, a, r, "pending", "starting", "down")
			a.Keep(r, a.Definition("1.0.0"))
			a.Await(r, planner.Up)
		})
	}
}

// A busy machine may not have come to any answer by then, or to one before the
// instance listens.
func TestNeverHealthyIsToldWithTheLastAnswer(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	d := a.Definition("1.0.0")
	d.Command = append(d.Command, "-ready", "/nowhere")
	d.Checks[0].StartTimeout = time.Second
	a.Keep(web1, d)
	i := a.Await(web1, planner.Down)
	if !regexp.MustCompile(`^failed to start: not healthy within 1s: (no answer|last answer (503 Service Unavailable: not ready|.*refused.*))$`).MatchString(i.Error) {
		t.Errorf("error = %q", i.Error)
	}
	wantHistory(t, a, web1, "pending", "starting", "down")
	a.Keep(web1, a.Definition("1.0.0"))
	a.Await(web1, planner.Up)
}

func TestSecretIsNotInTheErrorOfAnEnvironmentValue(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	d := a.Definition("1.0.0")
	d.Env = map[string]string{"PASSWORD": "abc${hunter2}def"}
	a.Keep(web1, d)
	if i := a.Await(web1, planner.Down); strings.Contains(i.Error, "hunter2") || !strings.Contains(i.Error, "env PASSWORD") {
		t.Errorf("error = %q", i.Error)
	}
}

func TestArtifactThatWasChangedIsNotStarted(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{Rests: []time.Duration{0}})
	d := a.Definition("1.0.0")
	a.Keep(web1, d)
	i := a.Await(web1, planner.Up)
	path := filepath.Join(a.Dir, "artifacts", d.SHA256)
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nsleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(i.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "the digest is complained about", func() error {
		events, err := a.Events(t.Context(), 0, "")
		if err != nil {
			return err
		}
		for _, e := range events {
			if strings.Contains(e.Error, "want "+d.SHA256) {
				return nil
			}
		}
		return fmt.Errorf("events %v", events)
	})
	if slices.Index(history(t, a, web1), "up") != slices.Index(history(t, a, web1), "down")-1 {
		t.Errorf("history %q: a changed artifact came up", history(t, a, web1))
	}
}

func TestArtifactWithAnotherDigestIsNotKept(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	sha := strings.Repeat("0", 64)
	err := a.PutArtifact(t.Context(), sha, strings.NewReader("x"))
	want := "artifact has sha256 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881, want " + sha
	if err == nil || err.Error() != want {
		t.Errorf("PutArtifact = %v, want %s", err, want)
	}
	if has, err := a.HasArtifact(t.Context(), sha); has || err != nil {
		t.Errorf("HasArtifact = %v, %v, want false", has, err)
	}
}

func TestCrashAfterUpIsToldWithItsStatusAndRestarted(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{Rests: []time.Duration{0, 0, time.Hour}})
	a.Keep(web1, a.Definition("1.0.0"))
	for range 3 {
		i := a.Await(web1, planner.Up)
		if resp, err := http.Get("http://" + i.Address + "/exit?status=7"); err == nil {
			resp.Body.Close()
		}
		agenttest.Until(t, "it is seen down", func() error {
			if j, _ := a.Instance(web1); j.PID == i.PID {
				return fmt.Errorf("it is %s", j.State)
			}
			return nil
		})
	}
	// The third time it rests.
	i := a.Await(web1, planner.Pending)
	if i.Error != "exit status 7" || i.Restarts != 3 {
		t.Errorf("it rests with %q after %d restarts, want exit status 7 after 3", i.Error, i.Restarts)
	}
	rests := []string{"pending", "starting", "up", "down",
		"pending", "starting", "up", "down", "pending", "starting", "up", "down", "pending"}
	wantHistory(t, a, web1, rests...)

	// It rests on when the agent is another one.
	a.Kill()
	a.Restart()
	if i, _ := a.Instance(web1); i.State != planner.Pending || i.Error != "exit status 7" {
		t.Errorf("after the agent's restart it is %s with %q", i.State, i.Error)
	}
	wantHistory(t, a, web1, rests...)

	if err := a.StopInstance(t.Context(), web1, api.Stop{Drain: agenttest.Drain()}); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Instance(web1); ok {
		t.Error("an instance that rests is still there after it was stopped")
	}
	wantHistory(t, a, web1, append(rests, "down")...)
}

func TestUnhealthyInstanceIsStartingUntilItRecovers(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	ready := filepath.Join(t.TempDir(), "ready")
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Keep(web1, a.Definition("1.0.0", "-ready", ready))
	before := a.Await(web1, planner.Up)
	if err := os.Remove(ready); err != nil {
		t.Fatal(err)
	}
	i := a.Await(web1, planner.Starting)
	if want := "http check failed 3 times: last answer 503 Service Unavailable: not ready"; i.Error != want {
		t.Errorf("error = %q, want %q", i.Error, want)
	}
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if after := a.Await(web1, planner.Up); after.PID != before.PID {
		t.Errorf("it was restarted")
	}
	wantHistory(t, a, web1, "pending", "starting", "up", "starting", "up")
}

func TestStopKillsTheGroupWhenItsTimeIsOver(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	a.Keep(web1, a.Definition("1.0.0", "-survive"))
	i := a.Await(web1, planner.Up)
	stop := api.Stop{Drain: spec.Drain{Signal: "TERM", KillAfter: 300 * time.Millisecond}, Key: "r1/s2"}
	began := time.Now()
	if err := a.StopInstance(t.Context(), web1, stop); err != nil {
		t.Fatal(err)
	}
	if j, ok := a.Instance(web1); !ok || j.State != planner.Stopping {
		t.Errorf("right after Stop it is %q, want stopping", j.State)
	}
	agenttest.Until(t, "it is gone", func() error {
		if j, ok := a.Instance(web1); ok {
			return fmt.Errorf("it is %s", j.State)
		}
		return nil
	})
	if took := time.Since(began); took < stop.Drain.KillAfter {
		t.Errorf("it was killed after %s, want %s", took, stop.Drain.KillAfter)
	}
	gone(t, i.PID)
	wantHistory(t, a, web1, "pending", "starting", "up", "stopping", "down")
	if err := a.StopInstance(t.Context(), web1, stop); err != nil {
		t.Errorf("a second Stop = %v, want nil", err)
	}
	lines, err := a.Output(t.Context(), web1, 1)
	if err != nil || len(lines) != 1 || lines[0] != "told to end" {
		t.Errorf("Output = %q, %v, want its last words", lines, err)
	}
}

func TestStopGoesOnAfterARestart(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	a.Keep(web1, a.Definition("1.0.0", "-survive"))
	i := a.Await(web1, planner.Up)
	stop := api.Stop{Drain: spec.Drain{Signal: "TERM", KillAfter: 500 * time.Millisecond}}
	if err := a.StopInstance(t.Context(), web1, stop); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	a.Restart()
	gone(t, i.PID)
	agenttest.Until(t, "it is told down", func() error {
		if h := history(t, a, web1); len(h) == 0 || h[len(h)-1] != "down" {
			return fmt.Errorf("history %q", h)
		}
		return nil
	})
	wantHistory(t, a, web1, "pending", "starting", "up", "stopping", "down")
	if _, ok := a.Instance(web1); ok {
		t.Error("it is still listed")
	}
}

func TestPutAgain(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	d := a.Definition("1.0.0")
	a.Keep(web1, d)
	before := a.Await(web1, planner.Up)
	a.Keep(web1, d)
	if after := a.Await(web1, planner.Up); after.PID != before.PID {
		t.Error("the same definition restarted the instance")
	}
	d.Env = map[string]string{"FEATURE": "on"}
	err := a.PutInstance(t.Context(), web1, api.Put{Definition: d})
	want := "users 1.0.0 web.1 on a is there with another definition"
	if err == nil || err.Error() != want {
		t.Errorf("Put of another definition = %v, want %s", err, want)
	}
	wantHistory(t, a, web1, "pending", "starting", "up")
}

func TestLeaderThatEndsTakesItsGroupAlong(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	d := a.Definition("1.0.0")
	pidFile := filepath.Join(t.TempDir(), "pid")
	d.Checks = nil
	d.Command = []string{"sh", "-c", "sleep 60 & echo $! > " + pidFile + "; wait"}
	a.Keep(web1, d)
	i := a.Await(web1, planner.Up)
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Sscan(string(b), &child); err != nil {
		t.Fatal(err)
	}
	if err := a.StopInstance(t.Context(), web1, api.Stop{Drain: agenttest.Drain()}); err != nil {
		t.Fatal(err)
	}
	gone(t, i.PID)
	gone(t, child)
}
