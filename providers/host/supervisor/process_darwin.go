package supervisor

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// stateZombie is SZOMB of <sys/proc.h>.
const stateZombie = 5

// inspect says whether the process lives, and when it began.
func inspect(pid int) (string, life, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	// The kernel answers an unknown number with an empty record.
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EIO) {
		return "", absent, nil
	}
	if err != nil {
		return "", absent, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	began := info.Proc.P_starttime
	started := fmt.Sprintf("%d.%06d", began.Sec, began.Usec)
	if info.Proc.P_stat == stateZombie {
		return started, zombie, nil
	}
	return started, running, nil
}

// awaitEnd cannot tell here.
func awaitEnd(context.Context, int) error { return errors.ErrUnsupported }
