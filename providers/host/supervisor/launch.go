package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/spec"
)

// gate holds a process back until its number is on disk: it execs the command
// once it was told to, and ends when the agent ends first. So a crash between
// fork and record never leaves a process that nobody knows.
const gate = `read -r go <&3 || exit 125; exec 3<&-; exec "$@"`

// prepared is a definition with every reference filled in.
type prepared struct {
	argv   []string
	env    []string
	checks []*spec.Check
	dir    string
	who    *person
}

func (i *instance) prepare() (prepared, error) {
	d := i.rec.Definition
	values := i.names()
	argv, err := expandAll(d.Command, values)
	if err != nil {
		return prepared{}, err
	}
	secrets, err := i.secrets(d)
	if err != nil {
		return prepared{}, err
	}
	who, err := whom(d.User)
	if err != nil {
		return prepared{}, err
	}
	env, err := environment(d, who, secrets, values)
	if err != nil {
		return prepared{}, err
	}
	dir, err := within(d)
	if err != nil {
		return prepared{}, err
	}
	checks, err := expandChecks(d.Checks, values)
	return prepared{argv: argv, env: env, checks: checks, dir: dir, who: who}, err
}

func (i *instance) output() output { return output{file(i.outputs(), ".log", i.rec.Ref)} }

// start begins the instance's process. The error says why there is none.
func (i *instance) start() (*process, error) {
	if err := i.begin(); err != nil {
		return nil, err
	}
	run, err := i.prepare()
	if err != nil {
		return nil, err
	}
	if err := i.Artifacts.Verify(i.rec.Definition.SHA256); err != nil {
		return nil, err
	}
	run.argv[0], err = lookup(run.dir, run.argv[0])
	if err != nil {
		return nil, err
	}
	// What it is now it has to find out anew.
	if err := os.Truncate(file(i.roles(), "", i.rec.Ref), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := run.who.introduce(i.Supervisor, i.rec.Definition, file(i.handovers(), "", i.rec.Ref), file(i.roles(), "", i.rec.Ref)); err != nil {
		return nil, err
	}
	return i.launch(run)
}

// begin brings the state to starting. One that is judged anew is there
// already.
func (i *instance) begin() error {
	if i.snapshot().State == planner.Starting {
		return nil
	}
	return i.become(planner.Starting, nil, unchanged)
}

// lookup finds a program as exec does; a relative path with a slash is
// relative to where the instance runs.
func lookup(dir, name string) (string, error) {
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	return exec.LookPath(name)
}

func (i *instance) launch(run prepared) (*process, error) {
	out, size, err := i.output().open()
	if err != nil {
		return nil, err
	}
	group, err := bounded(Group(i.Dir, label(i.rec.Ref)), i.rec.Definition.Limits)
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	p, open, err := fork(gate, "sh", run, run.who.who(), out)
	if err := errors.Join(err, out.Close()); err != nil {
		return nil, err
	}
	if group != nil {
		if err := group.Add(p.pid); err != nil {
			return nil, errors.Join(fmt.Errorf("limiting an instance: %w", err), open.Close(), p.destroy(), group.Remove())
		}
	}
	err = i.amend(func(r *record) { r.PID, r.Began, r.Output = p.pid, p.started, size })
	if err != nil {
		return nil, errors.Join(err, open.Close(), p.destroy())
	}
	_, err = open.WriteString("go\n")
	if err := errors.Join(err, open.Close()); err != nil {
		return nil, errors.Join(err, p.destroy())
	}
	return p, nil
}

// fork starts the process behind a gate, a script that finds zero in $0, in a
// session of its own, and gives the gate's other side. more are its files from
// number 4 on.
func fork(script, zero string, run prepared, who *syscall.Credential, out *os.File, more ...*os.File) (*process, *os.File, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	wait, open, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer wait.Close()
	child, err := os.StartProcess("/bin/sh", append([]string{"sh", "-c", script, zero}, run.argv...), &os.ProcAttr{
		Dir: run.dir, Env: run.env, Files: append([]*os.File{null, out, out, wait}, more...),
		Sys: &syscall.SysProcAttr{Setsid: true, Credential: who},
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("forking: %w", err), open.Close())
	}
	p := &process{pid: child.Pid}
	p.started, _, err = inspect(p.pid)
	if err := errors.Join(err, child.Release()); err != nil {
		return nil, nil, errors.Join(err, open.Close(), p.destroy())
	}
	return p, open, nil
}

// signalNamed reads "TERM" or "SIGTERM"; "" is TERM.
func signalNamed(name string) (syscall.Signal, error) {
	if name == "" {
		return unix.SIGTERM, nil
	}
	if s := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG")); s != 0 {
		return s, nil
	}
	return 0, api.Errorf(api.CodeInvalid, "signal %q is unknown", name)
}
