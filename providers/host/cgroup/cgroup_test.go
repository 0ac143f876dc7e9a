package cgroup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pleat/providers/host/cgroup"
	"pleat/spec"
)

// hierarchy makes a directory that has what the agent's group of v2 has.
func hierarchy(t *testing.T, group, controllers string) (point string) {
	t.Helper()
	point = t.TempDir()
	dir := filepath.Join(point, group)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(controllers+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return point
}

func TestWhereGroupsAreMade(t *testing.T) {
	v1 := "30 23 0:26 /docker/x /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n" +
		"31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
	full := hierarchy(t, "/system.slice/pleat.service", "cpuset cpu io memory pids")
	bare := hierarchy(t, "/", "hugetlb")
	tests := []struct{ name, mounts, groups, controller, want string }{
		{"v2", "29 23 0:25 / " + full + " rw - cgroup2 none rw\n", "0::/system.slice/pleat.service\n", "memory", full + "/system.slice/pleat.service v2"},
		{"v2, the agent in its leaf", "29 23 0:25 / " + full + " rw - cgroup2 none rw\n", "0::/system.slice/pleat.service/pleat-agent\n", "cpu", full + "/system.slice/pleat.service v2"},
		{"v1 where v2 has it not", "29 23 0:25 / " + bare + " rw - cgroup2 none rw\n" + v1, "4:memory:/docker/x/y\n0::/\n", "memory", "/sys/fs/cgroup/memory/y v1"},
		{"v1, two controllers together", v1, "3:cpu,cpuacct:/a\n0::/\n", "cpu", "/sys/fs/cgroup/cpu,cpuacct/a v1"},
		{"none of it", "29 23 0:25 / " + bare + " rw - cgroup2 none rw\n", "0::/\n", "memory", "the control group " + bare + " has no controller memory"},
		{"nothing", "29 23 0:25 / / rw - ext4 /dev/sda rw\n", "0::/\n", "cpu", "this host has no control groups"},
	}
	for _, tt := range tests {
		dir, unified, err := cgroup.Place(tt.mounts, tt.groups, tt.controller)
		got := fmt.Sprintf("%s v%d", dir, map[bool]int{true: 2, false: 1}[unified])
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A file that the kernel does not have is no limit, and so no start.
func TestLimitThatTheKernelDoesNotTakeIsAnError(t *testing.T) {
	dir := t.TempDir()
	l := spec.Limits{Memory: 64 << 20, CPU: 0.5}
	if err := cgroup.Limit(dir, "memory", l); err == nil || !strings.Contains(err.Error(), "memory.max") {
		t.Errorf("without memory.max: %v", err)
	}
	for _, name := range []string{"memory.max", "cpu.max"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for controller, want := range map[string]string{"memory": "67108864", "cpu": "50000 100000"} {
		if err := cgroup.Limit(dir, controller, l); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, controller+".max")); string(b) != want {
			t.Errorf("%s.max has %q, want %q (%v)", controller, b, want, err)
		}
	}
}
