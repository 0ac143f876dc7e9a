package supervisor

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func TestAProcessIsLookedAtOnceItHasEnded(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the kernel does not tell of the end of a process here")
	}
	cmd := exec.Command("cat") // until its input ends
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started, l, err := inspect(cmd.Process.Pid)
	if err != nil || l != running {
		t.Fatalf("it is %v: %v", l, err)
	}
	p := process{pid: cmd.Process.Pid, started: started}
	looks := p.looks(t.Context())
	select {
	case <-looks:
		t.Error("a process that lives is looked at")
	case <-time.After(4 * poll):
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	for ended := false; !ended; {
		select {
		case <-looks:
			if ended, err = p.ended(); ended && err.Error() != "exit status 0" {
				t.Errorf("it ended with %q", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody looks at a process that has ended")
		}
	}
}

// A number that is another's by now is looked at at once.
func TestAProcessThatIsNotTheOneIsLookedAt(t *testing.T) {
	t.Parallel()
	p := process{pid: syscall.Getpid(), started: "before"}
	select {
	case <-p.looks(t.Context()):
	case <-time.After(time.Minute):
		t.Fatal("nobody looks")
	}
}
