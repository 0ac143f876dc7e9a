package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	boot, err := bootID()
	if err != nil {
		return "", absent, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	started := fields[19] + "@" + boot
	switch fields[0] {
	case "Z", "X", "x":
		return started, zombie, nil
	}
	return started, running, nil
}

var bootID = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
})

// awaitEnd returns nil once the process of that number has ended, and an error
// where the kernel cannot tell (it can since Linux 5.3, see pidfd_open(2)) or
// when ctx ends before.
func awaitEnd(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for the runtime's poller
		return errors.Join(err, unix.Close(fd))
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	cut := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })
	defer cut()
	c, err := f.SyscallConn()
	if err == nil {
		err = c.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err == nil && n > 0
		})
	}
	return errors.Join(err, f.Close())
}
