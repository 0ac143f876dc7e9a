package crash_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"pleat/executor/crash"
)

const childVariable = "CRASH_CHILD"

// TestMain is also the program that dies: it passes one point three times and
// leaves with the number of times that it survived.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	survived := 0
	for range 3 {
		crash.At("step.applied")
		survived++
		os.Stdout.WriteString("x")
	}
	crash.At("step.finished")
	os.Exit(10 + survived)
}

func child(t *testing.T, order string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", crash.Variable+"="+order)
	return cmd
}

func TestAtDiesWhereItWasTold(t *testing.T) {
	tests := []struct {
		order, output string
		killed        bool
	}{
		{"", "xxx", false},
		{"step.applied", "", true},
		{"step.applied:1", "", true},
		{"step.applied:3", "xx", true},
		{"step.applied:4", "xxx", false},
		{"step.finished", "xxx", true},
		{"lease.taken", "xxx", false},
	}
	for _, test := range tests {
		t.Run(test.order, func(t *testing.T) {
			cmd := child(t, test.order)
			out, err := cmd.Output()
			status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !ok {
				t.Fatal(err)
			}
			if string(out) != test.output || status.Signaled() != test.killed {
				t.Errorf("it wrote %q and ended with %v, want %q", out, err, test.output)
			}
			if test.killed && status.Signal() != syscall.SIGKILL {
				t.Errorf("it died of %v", status.Signal())
			}
		})
	}
}

func TestAtFreezesAndGoesOn(t *testing.T) {
	cmd := child(t, "stop:step.applied:2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	if !status.Stopped() {
		t.Fatalf("it did not stop: %v", status)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 13 {
		t.Errorf("it ended with %v", err)
	}
}

func TestATraceListsWhatIsReached(t *testing.T) {
	file := filepath.Join(t.TempDir(), "points")
	if err := child(t, "trace:"+file).Run(); err == nil {
		t.Error("the child did not leave with its count")
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "step.applied\nstep.applied\nstep.applied\nstep.finished\n"; string(got) != want {
		t.Errorf("trace = %q, want %q", got, want)
	}
}

func TestAnOrderThatMakesNoSensePanics(t *testing.T) {
	for _, order := range []string{"step.aplied", "step.applied:0", "step.applied:x", "stop:", "trace:", ":1", "kill:step.applied"} {
		cmd := child(t, order)
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%s: %v", order, err)
		}
	}
}
