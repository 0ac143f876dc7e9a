package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// leaf is the agent's own group: in cgroup v2 one with limited groups below it
// has no processes of its own.
const leaf = prefix + "agent"

// Where the kernel tells what is mounted and where a process is: cgroups(7).
const (
	mountsPath = "/proc/self/mountinfo"
	groupsPath = "/proc/self/cgroup"
)

// place finds where groups with that controller are made: below the agent's
// own group, of v2 if the controller is there, else of v1.
func place(controller string) (part, error) {
	mounts, err := os.ReadFile(mountsPath)
	if err != nil {
		return part{}, fmt.Errorf("finding the control groups: %w", err)
	}
	groups, err := os.ReadFile(groupsPath)
	if err != nil {
		return part{}, fmt.Errorf("finding the control groups: %w", err)
	}
	return find(string(mounts), string(groups), controller)
}

func find(mounts, groups, controller string) (part, error) {
	reason := "this host has no control groups"
	if m, ok := mounted(mounts, "cgroup2", ""); ok {
		base := m.dir(own(groups, ""))
		if filepath.Base(base) == leaf {
			base = filepath.Dir(base)
		}
		there, err := fields(filepath.Join(base, "cgroup.controllers"))
		if err == nil && slices.Contains(there, controller) {
			return part{dir: base, unified: true}, nil
		}
		reason = fmt.Sprintf("the control group %s has no controller %s", base, controller)
	}
	if m, ok := mounted(mounts, "cgroup", controller); ok {
		return part{dir: m.dir(own(groups, controller))}, nil
	}
	return part{}, errors.New(reason)
}

// prepare is place, with the controller handed on to the groups below.
func prepare(controller string) (part, error) {
	p, err := place(controller)
	if err != nil || !p.unified {
		return p, err
	}
	control := filepath.Join(p.dir, "cgroup.subtree_control")
	on, err := fields(control)
	if err != nil || slices.Contains(on, controller) {
		return p, err
	}
	err = write(control, "+"+controller)
	if errors.Is(err, syscall.EBUSY) {
		err = errors.Join(p.moveOut(), write(control, "+"+controller))
	}
	return p, err
}

// moveOut brings the processes of the agent's group into a leaf of it.
func (p part) moveOut() error {
	into := filepath.Join(p.dir, leaf)
	if err := os.Mkdir(into, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	pids, err := fields(filepath.Join(p.dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range pids {
		err := write(filepath.Join(into, "cgroup.procs"), pid)
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

func fields(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	return strings.Fields(string(b)), err
}

// mount is a hierarchy's place in the file system, and what of it is there.
type mount struct{ point, root string }

// dir is where the group of that path is.
func (m mount) dir(group string) string {
	rest, ok := strings.CutPrefix(group, strings.TrimSuffix(m.root, "/"))
	if !ok {
		rest = ""
	}
	return filepath.Join(m.point, rest)
}

// mounted finds the first mount of that type, and of that controller where it
// is not empty: proc_pid_mountinfo(5).
func mounted(mounts, kind, controller string) (mount, bool) {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 || right[0] != kind {
			continue
		}
		if controller == "" || slices.Contains(strings.Split(right[2], ","), controller) {
			return mount{point: left[4], root: left[3]}, true
		}
	}
	return mount{}, false
}

// own is the path of this process's group: of v2 for "", else of that
// controller.
func own(groups, controller string) string {
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && slices.Contains(strings.Split(parts[1], ","), controller) {
			return parts[2]
		}
	}
	return "/"
}
