package planner_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// planDir names the directory of the spec that this program, started again,
// plans instead of testing.
const planDir = "PLEAT_BENCH_PLAN"

func TestMain(m *testing.M) {
	dir := os.Getenv(planDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	steps, err := planAll(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(steps, "steps")
}

func planCommand(b *testing.B, dir string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := exec.CommandContext(b.Context(), self)
	c.Env = append(os.Environ(), planDir+"="+dir)
	return c
}

// planAll reads a spec, plans it and prints the plan, and tells how many steps
// run.
func planAll(dir string) (int, error) {
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		return 0, diags
	}
	plan, diags := planner.Make(sp, firstReleases(sp), planner.Goal{})
	if diags.HasErrors() {
		return 0, diags
	}
	return plan.Now(), plan.WriteText(io.Discard, planner.RenderOptions{})
}

// firstReleases is an empty database, and one instance of the first release of
// every service.
func firstReleases(sp *spec.Spec) *planner.State {
	live := &planner.Orchestrator{Hosts: []string{"one"}}
	for _, s := range sp.Services {
		live.Instances = append(live.Instances, planner.Instance{
			Service: s.Name, Release: s.Releases[0].Version, Process: "web", Name: "web.1", Host: "one", State: planner.Up,
		})
	}
	return &planner.State{
		Databases:     map[string]*planner.Database{"main": {Catalog: &migrations.Catalog{Tables: map[string]*migrations.Table{}}}},
		Orchestrators: map[string]*planner.Orchestrator{"orchestrator.host.local": live},
	}
}

// usage is what a process took, from its start to its end.
type usage struct {
	cpu time.Duration // user and system
	mib int64         // its largest
}

// measure runs a command to its end. What it printed is the first result.
func measure(b *testing.B, c *exec.Cmd) (string, usage) {
	var out, talk strings.Builder
	c.Stdout, c.Stderr = &out, &talk
	if err := c.Run(); err != nil {
		b.Fatalf("%s: %v\n%s%s", c.Path, err, out.String(), talk.String())
	}
	u := usage{
		cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime(),
		mib: mib(c.ProcessState.SysUsage().(*syscall.Rusage)),
	}
	// Until it is executed a child has its parent's memory, and that counts
	// for its peak (getrusage(2), ru_maxrss).
	if parent := peak(b); u.mib <= parent {
		b.Fatalf("%s: a peak of %d MiB cannot be told from that of the process that started it, %d MiB", c.Path, u.mib, parent)
	}
	return out.String(), u
}

// peak is the largest that this process has been.
func peak(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return mib(&u)
}

// mib reads a peak. Linux counts in KiB.
func mib(u *syscall.Rusage) int64 { return u.Maxrss / 1024 }
