package pgtest

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// cleanup waits for the end of its input, which comes when the process that
// holds the other end closes it or dies, however it dies. Then it takes down
// the postmaster, if there is one, and removes the directory.
const cleanup = `
cat >/dev/null
if [ -f "$1/data/postmaster.pid" ]; then
	pid=$(head -n 1 "$1/data/postmaster.pid")
	kill -QUIT "$pid" 2>/dev/null
	tries=0
	while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	kill -0 "$pid" 2>/dev/null && kill -KILL "$pid"
fi
rm -rf "$1"
`

// janitor is a small process that outlives ours to clean up after it.
type janitor struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func watch(dir string) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", cleanup, "pleat-pgtest-janitor", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("watching over postgres: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("watching over postgres: %w", err)
	}
	return &janitor{cmd, pipe}, nil
}

// dismiss ends the janitor after everything was cleaned up.
func (j *janitor) dismiss() error {
	if err := j.pipe.Close(); err != nil {
		return fmt.Errorf("dismissing the janitor: %w", err)
	}
	return j.cmd.Wait()
}
