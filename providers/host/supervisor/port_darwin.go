package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// claim locks a file that all users share: flock(2). The kernel gives it up with the
// process.
func claim(port int) (io.Closer, error) {
	f, err := os.OpenFile(fmt.Sprintf("/tmp/pleat-port-%d", port), os.O_CREATE|os.O_RDONLY|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
