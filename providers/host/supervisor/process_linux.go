package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// inspect says whether the process lives, and when it began: in clock ticks
// since a boot that is named, see proc_pid_stat(5) and random(4).
func inspect(pid int) (string, life, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return "", absent, nil
	}
	if err != nil {
		return "", absent, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	// The name in parentheses may hold anything, parentheses and spaces too.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return "", absent, fmt.Errorf("looking at process %d: short stat", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", absent, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	started := fields[19] + "@" + strings.TrimSpace(string(boot))
	switch fields[0] {
	case "Z", "X", "x":
		return started, zombie, nil
	}
	return started, running, nil
}
