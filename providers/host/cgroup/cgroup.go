// Package cgroup makes a control group of the kernel's for an instance, sets
// its limits and takes it away again. It owns the groups that it names, below
// the one that the agent is in; a limit holds, or there is an error.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pleat/spec"
)

const (
	memory = "memory"
	cpu    = "cpu"
)

// period is what a share of processors is measured over, in microseconds: the
// kernel's own default.
const period = 100_000

// Group is the group of one instance, in one hierarchy of cgroup v2, or in one
// for each controller of v1.
type Group struct{ parts []part }

// part is a group's directory in one hierarchy.
type part struct {
	dir     string
	unified bool
}

// Make makes the group of that name, empty, with these limits. One that is
// there already is made anew, and what is left in it is killed.
func Make(name string, l spec.Limits) (*Group, error) {
	g := Find(name, l)
	if err := g.Remove(); err != nil {
		return nil, err
	}
	g = &Group{}
	for _, controller := range controllers(l) {
		p, err := prepare(controller)
		if err == nil {
			p.dir = filepath.Join(p.dir, prefix+name)
			err = g.add(p, controller, l)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("limiting %s: %w", controller, err), g.Remove())
		}
	}
	return g, nil
}

// prefix is of all groups that this package makes.
const prefix = "pleat-"

func controllers(l spec.Limits) []string {
	var out []string
	if l.Memory > 0 {
		out = append(out, memory)
	}
	if l.CPU > 0 {
		out = append(out, cpu)
	}
	return out
}

// Find gives the group of that name and these limits as an earlier Make left
// it. What is not there is left out.
func Find(name string, l spec.Limits) *Group {
	g := &Group{}
	for _, controller := range controllers(l) {
		base, err := place(controller)
		if err != nil {
			continue
		}
		base.dir = filepath.Join(base.dir, prefix+name)
		if _, err := os.Stat(base.dir); err == nil && !g.has(base.dir) {
			g.parts = append(g.parts, base)
		}
	}
	return g
}

// add makes a directory and sets the controller's limit in it.
func (g *Group) add(p part, controller string, l spec.Limits) error {
	if !g.has(p.dir) {
		if err := os.Mkdir(p.dir, 0o755); err != nil {
			return err
		}
		g.parts = append(g.parts, p)
	}
	for _, s := range settings(p.unified, controller, l) {
		err := write(filepath.Join(p.dir, s.file), s.value)
		// Without swap in the kernel there is nothing to keep from it.
		if err != nil && (!s.optional || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return nil
}

func (g *Group) has(dir string) bool {
	for _, p := range g.parts {
		if p.dir == dir {
			return true
		}
	}
	return false
}

// setting is a file of a group and what is written there.
type setting struct {
	file, value string
	optional    bool
}

// settings are those of cgroups(7) and, for v1, of the kernel's
// Documentation/admin-guide/cgroup-v1, in the order in which they have to come.
func settings(unified bool, controller string, l spec.Limits) []setting {
	size, quota := strconv.FormatInt(l.Memory, 10), strconv.Itoa(max(1000, int(l.CPU*period)))
	switch {
	case controller == memory && unified:
		// All of an instance, or nothing: half of one serves nobody.
		return []setting{{"memory.max", size, false}, {"memory.swap.max", "0", true}, {"memory.oom.group", "1", true}}
	case controller == memory:
		return []setting{{"memory.limit_in_bytes", size, false}, {"memory.memsw.limit_in_bytes", size, true}}
	case unified:
		return []setting{{"cpu.max", quota + " " + strconv.Itoa(period), false}}
	}
	return []setting{{"cpu.cfs_period_us", strconv.Itoa(period), false}, {"cpu.cfs_quota_us", quota, false}}
}

// Add takes the process into the group, and with it what it starts from then
// on.
func (g *Group) Add(pid int) error {
	for _, p := range g.parts {
		if err := write(filepath.Join(p.dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// Overran tells whether something in the group was killed because it needed
// more memory than it may.
func (g *Group) Overran() bool {
	for _, p := range g.parts {
		file := "memory.oom_control"
		if p.unified {
			file = "memory.events"
		}
		b, err := os.ReadFile(filepath.Join(p.dir, file))
		if err != nil {
			continue // no limit of memory in this one
		}
		for line := range strings.Lines(string(b)) {
			if n, ok := strings.CutPrefix(line, "oom_kill "); ok && strings.TrimSpace(n) != "0" {
				return true
			}
		}
	}
	return false
}

// Throttled is how often the group was held back because it wanted more of the
// processors than it may have.
func (g *Group) Throttled() int {
	for _, p := range g.parts {
		b, err := os.ReadFile(filepath.Join(p.dir, "cpu.stat"))
		if err != nil {
			continue // no limit of processors in this one
		}
		for line := range strings.Lines(string(b)) {
			if text, ok := strings.CutPrefix(line, "nr_throttled "); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(text)) // the kernel writes a number
				return n
			}
		}
	}
	return 0
}

// Empty tells that there is no group.
func (g *Group) Empty() bool { return len(g.parts) == 0 }

// patience is how long what was killed may take to be gone.
const patience = 2 * time.Second

// Remove kills what is left in the group, and takes it away.
func (g *Group) Remove() error {
	var errs []error
	for _, p := range g.parts {
		errs = append(errs, p.remove())
	}
	return errors.Join(errs...)
}

func (p part) remove() error {
	giveUp := time.After(patience)
	for {
		err := os.Remove(p.dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		p.kill()
		select {
		case <-giveUp:
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill may miss what is started at this moment: remove comes again.
func (p part) kill() {
	b, err := os.ReadFile(filepath.Join(p.dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, field := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
		}
	}
}

func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
