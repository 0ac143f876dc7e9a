package supervisor

import (
	"errors"
	"fmt"
	"syscall"

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

// errLost is the end of a process whose exit status nobody could collect: it
// was not started by this run of the agent.
var errLost = errors.New("ended while the agent was away, exit status unknown")

// errExit is the end of a process that ended without an error.
var errExit = errors.New("exit status 0")

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
	return true, p.collect()
}

func (p process) collect() error {
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(p.pid, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || pid != p.pid:
			return errLost
		case status.Signaled():
			return fmt.Errorf("signal: %s", unix.SignalName(status.Signal()))
		case status.ExitStatus() == 0:
			return errExit
		}
		return fmt.Errorf("exit status %d", status.ExitStatus())
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
