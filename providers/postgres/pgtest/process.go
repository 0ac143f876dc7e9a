package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// process is a child that is waited for from the moment it runs.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of the wait; read it after exited is closed
}

// run starts cmd with its output appended to logFile. The goroutine that
// waits for it ends with the child, which stop brings about.
func run(cmd *exec.Cmd, logFile string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = errors.Join(cmd.Wait(), log.Close())
		close(p.exited)
	}()
	return p, nil
}

// stop signals the child and waits for its end. How it ended is no error: it
// was told to.
func (p *process) stop(signal os.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping postgres: %w", err)
	}
	<-p.exited
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// demote runs cmd in dir with an environment of its own, in its own process
// group so that a terminal's Ctrl-C does not reach it, and without root's
// rights, with which postgres refuses to run.
func demote(cmd *exec.Cmd, dir string) {
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if uid, gid, ok := unprivileged(); ok {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
}

// own gives dir to the user that the server runs as.
func own(dir string) error {
	uid, gid, ok := unprivileged()
	if !ok {
		return nil
	}
	return os.Chown(dir, int(uid), int(gid))
}

// Directory is an empty one in parent (empty: the default directory for temporary
// files) that a server may use, for this test.
func Directory(t testing.TB, parent string) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "pleat-pg-dir-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := own(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unprivileged is whom to become; not ok means to stay who we are.
func unprivileged() (uid, gid uint32, ok bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		id, idErr := strconv.ParseUint(u.Uid, 10, 32)
		group, groupErr := strconv.ParseUint(u.Gid, 10, 32)
		if idErr == nil && groupErr == nil {
			return uint32(id), uint32(group), true
		}
	}
	return 65534, 65534, true
}
