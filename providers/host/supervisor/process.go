package supervisor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one process, never mistaken for another that got its number
// later: started tells them apart.
type process struct {
	pid     int
	started string
}

type life int

const (
	absent life = iota
	running
	zombie
)

// How a process ended whose exit status nobody could collect, because this run of
// the agent had not started it.
var (
	errLost = errors.New("ended, exit status unknown: an agent before this one had started it")
	errGone = errors.New("ended while the agent was away, exit status unknown")
)

// ended tells whether the process has ended, and how. It ends what is left of
// its group, and collects the exit status where the process is a child.
func (p process) ended() (bool, error) {
	started, l, err := inspect(p.pid)
	if err != nil {
		return false, err
	}
	if l == running && started == p.started {
		return false, nil
	}
	if l != absent && started != p.started {
		return true, errLost
	}
	// As long as a member of the group lives, or the leader is not collected,
	// the number is not given to anybody else.
	if err := p.kill(); err != nil {
		return false, err
	}
	return p.collect()
}

// looks sends when it is worth asking whether the process has ended: from its end
// on where the kernel tells of that, otherwise always; again and again, because a
// process is not collected before its last thread is gone. It ends with ctx.
func (p process) looks(ctx context.Context) <-chan struct{} {
	due := make(chan struct{})
	go func() {
		// A number that is somebody else's by now tells nothing.
		if started, _, err := inspect(p.pid); err == nil && started == p.started {
			_ = awaitEnd(ctx, p.pid) // where it cannot tell, it is looked
		}
		look := time.NewTicker(poll)
		defer look.Stop()
		for ctx.Err() == nil {
			select {
			case due <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case <-look.C:
			case <-ctx.Done():
			}
		}
	}()
	return due
}

func (p process) collect() (bool, error) {
	var status unix.WaitStatus
	pid, err := wait(p.pid, &status)
	switch {
	case err != nil:
		return true, errLost
	case pid == 0:
		// Its main thread has ended, others are about to.
		return false, nil
	case status.Signaled():
		return true, fmt.Errorf("signal: %s", unix.SignalName(status.Signal()))
	}
	return true, fmt.Errorf("exit status %d", status.ExitStatus())
}

func wait(pid int, status *unix.WaitStatus) (int, error) {
	for {
		got, err := unix.Wait4(pid, status, unix.WNOHANG, nil)
		if !errors.Is(err, unix.EINTR) {
			return got, err
		}
	}
}

// signal asks the process itself, so that it can end its children in order.
func (p process) signal(s syscall.Signal) error {
	started, l, err := inspect(p.pid)
	if err != nil || l != running || started != p.started {
		return err
	}
	return ignoreGone(unix.Kill(p.pid, s))
}

// kill ends the whole group.
func (p process) kill() error { return ignoreGone(unix.Kill(-p.pid, unix.SIGKILL)) }

func ignoreGone(err error) error {
	// A group of which only zombies are left answers EPERM on macOS.
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// destroy ends a child for certain, and returns once it is collected.
func (p process) destroy() error {
	if err := p.kill(); err != nil {
		return err
	}
	for {
		if _, err := unix.Wait4(p.pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
