package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/providers/postgres/pgtest"
)

// freezes an apply at points of the rollout and the schema, lets another command
// take the lease over and finish, and wakes the first one up: it must change
// nothing any more, and say that a person must look.
func (m *matrix) freezes(t *testing.T) {
	w := worldNamed("W2")
	m.learn(t, w)
	for _, p := range frozenAt {
		t.Run(p.String(), func(t *testing.T) {
			for _, action := range w.actions() {
				if pgtest.Long() || slices.Contains(sampledFrozen, p.String()+"/"+action) {
					t.Run(action, func(t *testing.T) { t.Parallel(); m.frozen(t, w, p, action) })
				}
			}
		})
	}
}

var frozenAt = []place{
	{"lease.taken", 1}, {"run.recorded", 1}, {"run.between_steps", 6}, {"step.before_start", 5},
	{"step.started", 1}, {"step.started", 5}, {"step.started", 6}, {"step.started", 8}, {"step.started", 13},
	{"step.sent", 1}, {"step.sent", 3}, {"step.applied", 4}, {"step.applied", 6}, {"step.finished", 8},
	{"rollout.called", 2}, {"rollout.answered", 4},
	{"backfill.updated", 2}, {"backfill.between", 1}, {"run.before_end", 1}, {"run.ended", 1},
}

var sampledFrozen = []string{"step.started:6/rollback", "step.sent:1/apply", "run.before_end:1/apply"}

// frozen is one case.
func (m *matrix) frozen(t *testing.T, w *matrixWorld, p place, action string) {
	s := m.begin(t, w)
	cmd, out := s.freeze(p)
	s.frozen = true
	s.expireLease()
	s.recover(action)
	s.writer.stop()
	want, entries := s.picture(), s.recorded()
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	e := endOf(cmd, out)
	s.frozen = false
	if e.code != exitLook && e.code != exitDone || e.code == exitDone && p.point != "run.ended" {
		t.Errorf("the one that woke up: exit %d, want %d\n%s", e.code, exitLook, e.output)
	}
	s.is("what it was before the first one woke up", want)
	if got := s.recorded(); got != entries {
		t.Errorf("it wrote to the journal: %s, was %s", got, entries)
	}
	s.settled()
	s.finish()
}

// freeze begins an apply that stops at a place, and returns once it did.
func (s *sequence) freeze(p place) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	cmd, out := s.lane.command("stop:"+p.String(), "apply", "--auto-approve")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	overdue := time.AfterFunc(deadline, func() { cmd.Process.Kill() })
	defer overdue.Stop()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil {
		s.t.Fatal(err)
	}
	if !status.Stopped() {
		s.t.Fatalf("it did not freeze at %s: %v\n%s", p, status, out)
	}
	return cmd, out
}

// pleat runs a command; as long as the transaction of one that froze is open,
// which the server ends after 10 s, it is refused and tried again.
func (s *sequence) pleat(args ...string) ended {
	s.t.Helper()
	e := s.lane.pleat("", args...)
	for end := time.Now().Add(deadline); s.frozen && e.code == exitLocked && time.Now().Before(end); {
		e = s.lane.pleat("", args...)
	}
	return e
}

// expireLease makes the time pass that the holder sleeps away.
func (s *sequence) expireLease() {
	s.t.Helper()
	err := polled("the lease", func() error {
		_, err := s.db.Exec(s.t.Context(), "set lock_timeout = 200; update pleat.lease set until = clock_timestamp() - interval '1s'")
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// recorded counts what was written under pleat's name.
func (s *sequence) recorded() string {
	s.t.Helper()
	return strings.Join([]string{
		fmt.Sprint(pgtest.Value[int](s.t, s.db, "select count(*) from pleat.entry"), " entries"),
		fmt.Sprint(pgtest.Value[int](s.t, s.db, "select count(*) from pleat.event"), " events"),
		fmt.Sprint(pgtest.Value[int](s.t, s.db, "select count(*) from pleat.mark"), " marks"),
		fmt.Sprint(pgtest.Value[int](s.t, s.db, "select count(*) from audit.ddl"), " effects"),
		fmt.Sprint(pgtest.Value[int](s.t, s.db, "select count(*) from audit.filled"), " filled"),
	}, ", ")
}
