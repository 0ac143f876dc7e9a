package agent_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
	"pleat/providers/host/cgroup"
	"pleat/providers/host/supervisor"
	"pleat/spec"
)

// script is a definition that runs a script of the shell, without a check.
func script(a *agenttest.Agent, text string) api.Definition {
	d := a.Definition("1.0.0")
	d.Command, d.Checks = []string{"sh", "-c", text}, nil
	return d
}

// said waits until the instance has written n lines.
func said(t *testing.T, a *agenttest.Agent, r api.Ref, n int) []string {
	t.Helper()
	var lines []string
	agenttest.Until(t, fmt.Sprintf("%s says %d lines", r, n), func() (err error) {
		lines, err = a.Output(t.Context(), r, 100)
		if err == nil && len(lines) < n {
			err = fmt.Errorf("it says %q", lines)
		}
		return err
	})
	return lines
}

// limited skips where limits cannot be had. That nothing is started there is
// TestWhatCannotBeConfinedIsRefused.
func limited(t *testing.T, l spec.Limits) {
	t.Helper()
	g, err := cgroup.Make("test", l)
	if err != nil {
		t.Skipf("no control groups for a test: %v", err)
	}
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryIsLimited(t *testing.T) {
	limits := spec.Limits{Memory: 32 << 20}
	limited(t, limits)
	a := agenttest.Start(t, agenttest.Options{Rests: []time.Duration{time.Hour}})
	small, large := agenttest.Ref("1.0.0", "web.1"), agenttest.Ref("1.0.0", "web.2")
	d := script(a, "head -c 200m /dev/zero | tail -c 1 | wc -c; exec sleep 60")
	d.Limits = limits
	a.Keep(small, d)
	a.Await(small, planner.Up)
	d = script(a, "x=$(head -c 200m /dev/zero | tr '\\0' x); echo $x | wc -c; exec sleep 60")
	d.Limits = limits
	a.Keep(large, d)
	var got string
	agenttest.Until(t, "the large one is killed", func() error {
		if i, _ := a.Instance(large); i.State != planner.Down && i.State != planner.Pending || i.Error == "" {
			return fmt.Errorf("it is %s: %s", i.State, i.Error)
		} else {
			got = i.Error
		}
		return nil
	})
	if !strings.HasSuffix(got, "killed: it needed more than its 32MiB of memory") {
		t.Errorf("it ended with %q", got)
	}
	// The agent that is started anew knows whose group it is.
	a.Terminate()
	a.Restart()
	freed(t, a, limits)
}

// group is that of the first instance.
func group(a *agenttest.Agent, l spec.Limits) *cgroup.Group {
	return cgroup.Find(supervisor.Group(a.Dir, "users,1.0.0,web.1"), l)
}

// freed stops the first instance, and waits until its group is gone.
func freed(t *testing.T, a *agenttest.Agent, l spec.Limits) {
	t.Helper()
	if group(a, l).Empty() {
		t.Error("the first instance has no group")
	}
	if err := a.StopInstance(t.Context(), agenttest.Ref("1.0.0", "web.1"), api.Stop{Drain: agenttest.Drain()}); err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "no group is left", func() error {
		if !group(a, l).Empty() {
			return errors.New("there is one")
		}
		return nil
	})
}

// A process with a tenth of a processor that wants a whole one gets no more
// than that.
func TestProcessorsAreLimited(t *testing.T) {
	limits := spec.Limits{CPU: 0.1}
	limited(t, limits)
	a := agenttest.Start(t, agenttest.Options{})
	r := agenttest.Ref("1.0.0", "web.1")
	d := script(a, `while :; do n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done; times | sed -n 1p; cut -d. -f1 /proc/uptime; done`)
	d.Limits = limits
	a.Keep(r, d)
	a.Await(r, planner.Up)
	agenttest.Until(t, "it was held back", func() error {
		if n := group(a, limits).Throttled(); n < 3 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
	freed(t, a, limits)
}

func TestInstancesRunAsTheirUserInTheirDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes somebody else")
	}
	a := agenttest.Start(t, agenttest.Options{})
	if err := os.Chmod(filepath.Dir(a.Dir), 0o711); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := agenttest.Ref("1.0.0", "web.1")
	d := script(a, `id -un; id -G; pwd; echo $HOME; test -x $ARTIFACT && echo may run; echo "$PLEAT_RUN done" >$PLEAT_HANDOVER; echo sync >$PLEAT_ROLE; ls $(dirname $ARTIFACT) 2>&1 | sed 's/.*: //'; exec sleep 60`)
	d.User, d.WorkingDirectory = "nobody", dir
	d.Checks = []*spec.Check{{Kind: spec.CheckExec, Command: []string{"sh", "-c", "test $(id -un) = nobody"}, Interval: 20 * time.Millisecond, Timeout: 5 * time.Second, Threshold: 3, StartTimeout: agenttest.Patience}}
	a.Keep(r, d)
	if i := a.Await(r, planner.Up); i.Handover != "r1 done" || i.Role != "sync" {
		agenttest.Until(t, "it says that it took over", func() error {
			if i, _ := a.Instance(r); i.Handover != "r1 done" || i.Role != "sync" {
				return fmt.Errorf("it says %q, %q", i.Handover, i.Role)
			}
			return nil
		})
	}
	groups, err := exec.Command("id", "-G", "nobody").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(said(t, a, r, 6), "\n")
	want := "nobody\n" + strings.TrimSpace(string(groups)) + "\n" + dir + "\n/nonexistent\nmay run\nPermission denied"
	if got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}

	task := api.Task{Ref: r, Name: "who", Definition: d, Timeout: time.Minute, Key: "r1/t1"}
	task.Definition.Command = []string{"sh", "-c", "id -un; exit 3"}
	if err := a.RunTask(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "the task has ended", func() error {
		s, err := a.TaskState(t.Context(), "r1/t1", 0)
		if err == nil && (s.Error != "exit status 3" || s.Output != "nobody\n") {
			err = fmt.Errorf("it is %+v", s)
		}
		return err
	})
}

func TestWhatCannotBeConfinedIsRefused(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{})
	tests := []struct {
		name    string
		confine func(*spec.Confinement)
		want    string
	}{
		{"user", func(c *spec.Confinement) { c.User = "nobody-of-that-name" }, "user nobody-of-that-name: "},
		{"directory", func(c *spec.Confinement) { c.WorkingDirectory = "/nowhere" }, "working directory: stat /nowhere: no such file or directory"},
		{"secret", func(c *spec.Confinement) { c.Secrets = map[string]string{"KEY": "/nowhere/key"} }, "secret KEY: open /nowhere/key: no such file or directory"},
	}
	if os.Geteuid() != 0 {
		tests[0].confine = func(c *spec.Confinement) { c.User = "root" }
		tests[0].want = "user root: the agent is not root"
	}
	if g, err := cgroup.Make("test-none", spec.Limits{Memory: 1 << 30, CPU: 1}); err == nil {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	} else {
		limits := tests[1]
		limits.name, limits.want = "limits", "limiting "
		limits.confine = func(c *spec.Confinement) { c.Limits = spec.Limits{Memory: 1 << 30, CPU: 1} }
		tests = append(tests, limits)
	}
	for _, tt := range tests {
		r := agenttest.Ref("1.0.0", tt.name+".1")
		d := script(a, "exec sleep 60")
		tt.confine(&d.Confinement)
		err := a.PutInstance(t.Context(), r, api.Put{Definition: d, Key: "r1/s1"})
		got := fmt.Sprint(err)
		if err == nil {
			got = a.Await(r, planner.Down).Error
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: it ended with %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What is in a secret's file is in the instance's environment, and nowhere else.
func TestSecretsAreReadAtTheStartAndKeptNowhere(t *testing.T) {
	a := agenttest.Start(t, agenttest.Options{Rests: []time.Duration{0}})
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("sesame-one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := agenttest.Ref("1.0.0", "web.1")
	d := script(a, `echo "$(printf %s "$KEY" | wc -c) bytes"; echo "I say $KEY"; exec sleep 60`)
	d.Secrets = map[string]string{"KEY": path}
	a.Keep(r, d)
	up := a.Await(r, planner.Up)
	if got := strings.Join(said(t, a, r, 2), "|"); got != "10 bytes|I say (sensitive)" {
		t.Errorf("it says %q", got)
	}
	// An agent that is started anew knows what to leave out.
	a.Kill()
	a.Restart()
	if got := strings.Join(said(t, a, r, 2), "|"); got != "10 bytes|I say (sensitive)" {
		t.Errorf("it says %q after the agent came back", got)
	}
	// The next start reads it again.
	if err := os.WriteFile(path, []byte("sesame-second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(up.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	agenttest.Until(t, "it is started again", func() error {
		if i, _ := a.Instance(r); i.PID == up.PID || i.State != planner.Up {
			return errors.New("not yet")
		}
		return nil
	})
	if got := strings.Join(said(t, a, r, 2), "|"); got != "13 bytes|I say (sensitive)" {
		t.Errorf("it says %q after its second start", got)
	}
	err := filepath.WalkDir(a.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".log") {
			return err // what an instance writes of itself is its own
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "sesame") {
			t.Errorf("the secret is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
