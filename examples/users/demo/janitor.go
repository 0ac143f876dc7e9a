package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// janitorVariable makes this program a janitor; its value is the directory to
// clean up. It is not an argument, because arguments that name the directory
// are how the janitor finds what to end.
const janitorVariable = "PLEAT_DEMO_JANITOR"

// patience is how long a process may take to end after SIGTERM.
const patience = 3 * time.Second

// janitor is a process that outlives the demo to clean up after it, because
// instances outlive their agent by design and a killed demo cannot.
type janitor struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func hire(dir string) (*janitor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("hiring a janitor: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), janitorVariable+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of Ctrl-C
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("hiring a janitor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("hiring a janitor: %w", err)
	}
	return &janitor{cmd, pipe}, nil
}

// dismiss lets the janitor clean up and returns when it is done.
func (j *janitor) dismiss() error {
	return errors.Join(j.pipe.Close(), j.cmd.Wait())
}

// clean is the janitor's life: it waits for the end of input, which comes when
// the demo closes it or dies, and cleans up.
func clean(dir string, input io.Reader, stderr io.Writer) int {
	_, err := io.Copy(io.Discard, input)
	err = errors.Join(err, endAll(dir), os.RemoveAll(dir))
	if err != nil {
		fmt.Fprintln(stderr, "demo: cleaning up:", err)
		return 1
	}
	return 0
}

// endAll ends pleat first, because an agent starts its instances again, and
// then the instances.
func endAll(dir string) error {
	for _, among := range []func(process) bool{pleatIn(dir), instanceIn(dir)} {
		if err := end(among); err != nil {
			return err
		}
	}
	return nil
}

// end asks the processes to stop, and kills those that have not by the end of
// patience. It returns when there are none.
func end(among func(process) bool) error {
	signal, deadline := syscall.SIGTERM, time.Now().Add(patience)
	for {
		left, err := processes(among)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, p := range left {
			if err := syscall.Kill(p.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("ending process %d: %w", p.pid, err)
			}
		}
		if time.Now().After(deadline) {
			signal = syscall.SIGKILL
		}
		time.Sleep(50 * time.Millisecond)
	}
}
