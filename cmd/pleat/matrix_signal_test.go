package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/providers/postgres/pgtest"
)

var signalSeed = flag.Uint64("signal-seed", uint64(time.Now().UnixNano()), "seed of TestMatrix/interrupted and /terminated")

// rounds is how often a random moment is tried.
func rounds(sample, all int) int {
	if pgtest.Long() {
		return all
	}
	return sample
}

// seeded gives a round's own generator, and how to repeat it.
func seeded(t *testing.T, round int) *rand.Rand {
	t.Logf("repeat with: PLEAT_TEST_LONG=1 go test ./cmd/pleat -run '%s' -signal-seed %d", t.Name(), *signalSeed)
	return rand.New(rand.NewPCG(*signalSeed, uint64(round)))
}

// interrupts signals an apply once, twice or three times, at any moment. It ends
// with 130, or is through already, and the next apply finishes.
func (m *matrix) interrupts(t *testing.T) {
	w := worldNamed("W2")
	m.learn(t, w)
	for round := range rounds(3, 60) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			m.interrupted(t, w, seeded(t, round), round%3+1)
		})
	}
	t.Run("while a release comes up", m.interruptedStart)
	t.Run("while requests drain", m.interruptedDrain)
}

// interruptedStart stops an apply in a step that could go on for long. That is
// no failure of the step: nothing is taken back.
func (m *matrix) interruptedStart(t *testing.T) {
	s := m.begin(t, &matrixWorld{name: "W2", setup: usersTable, wish: splitName, serves: true, target: "r8", expanded: "W2-fails"})
	s.interruptAt("start")
	e := s.lane.pleat("", "rollback", "--auto-approve")
	s.ends(e, exitDone)
	s.isOld(e)
	s.writer.stop()
	s.settled()
	s.finish()
}

// interruptedDrain does so while an instance does not answer its requests.
func (m *matrix) interruptedDrain(t *testing.T) {
	s := m.begin(t, worldNamed("W2"))
	st, err := s.lane.agentState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stuck := st.Instances[0].PID
	if err := syscall.Kill(stuck, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.interruptAt("drain")
	if err := syscall.Kill(stuck, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.applyAgain()
	s.writer.stop()
	s.lane.traffic.failed() // those that were stuck for too long
	s.settled()
	s.finish()
}

// interruptAt stops an apply in the first step of a kind that it begins.
func (s *sequence) interruptAt(kind string) {
	s.t.Helper()
	cmd, out := s.lane.command("", "apply", "--auto-approve")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	err := polled("the "+kind, func() error {
		if s.yes("select from pleat.entry where step like '%/" + kind + "/%' and status = 'started'") {
			return cmd.Process.Signal(syscall.SIGINT)
		}
		return fmt.Errorf("it was not begun")
	})
	if e := endOf(cmd, out); err != nil || e.code != exitInterrupted || s.decided() {
		s.t.Fatalf("%v, exit %d\n%s", err, e.code, e.output)
	}
}

func (m *matrix) interrupted(t *testing.T, w *matrixWorld, random *rand.Rand, times int) {
	s := m.begin(t, w)
	cmd, out := s.lane.command("", "apply", "--auto-approve")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range times {
		<-time.After(time.Duration(random.IntN(600)) * time.Millisecond)
		// One that has ended is no failure: the moment was late.
		_ = cmd.Process.Signal(syscall.SIGINT)
	}
	e := endOf(cmd, out)
	if e.code != exitDone && e.code != exitInterrupted {
		t.Fatalf("after %d signals: exit %d\n%s", times, e.code, e.output)
	}
	if e.code == exitInterrupted && times == 1 && strings.Contains(e.output, "Interrupted") && !strings.Contains(e.output, "pleat apply") {
		t.Errorf("it does not say how to go on:\n%s", e.output)
	}
	s.applyAgain()
	s.writer.stop()
	s.settled()
	s.finish()
}

// terminates ends pleat's sessions while a run is on. What is lost is settled:
// the apply ends as if nothing had been.
func (m *matrix) terminates(t *testing.T) {
	for _, w := range []*matrixWorld{worldNamed("W2"), worldNamed("W3")} {
		m.learn(t, w)
		for round := range rounds(1, 30) {
			t.Run(fmt.Sprintf("%s-%d", w.name, round), func(t *testing.T) {
				t.Parallel()
				m.terminated(t, w, seeded(t, round))
			})
		}
	}
}

func (m *matrix) terminated(t *testing.T, w *matrixWorld, random *rand.Rand) {
	s := m.begin(t, w)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- terminations(ctx, s.lane.url, random) }()
	e := s.lane.pleat("", "apply", "--auto-approve")
	stop()
	if n := <-ended; n == 0 {
		t.Log("no session was ended")
	}
	s.ends(e, exitDone)
	s.is("planned", s.planned())
	s.once()
	s.writer.stop()
	s.settled()
	s.finish()
}

// terminations ends pleat's sessions now and then, and counts them. The pauses
// grow: a step on a busy machine must get through in the end.
func terminations(ctx context.Context, url string, random *rand.Rand) (n int) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0
	}
	defer c.Close(context.Background())
	for longest := 250; ctx.Err() == nil; longest += longest / 3 {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(30+random.IntN(longest)) * time.Millisecond):
		}
		var count int
		err := c.QueryRow(ctx, `
			select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and application_name like 'pleat/%'
			  and exists (select from pleat.run)`).Scan(&count)
		if err == nil {
			n += count
		}
	}
	return n
}

// defers kills an apply after it had to put a step off: the next one asks again,
// and takes what depends on it no sooner.
func (m *matrix) defers(t *testing.T) {
	w := worldNamed("W2")
	m.learn(t, w)
	s := m.begin(t, w)
	old, err := pgx.Connect(t.Context(), s.lane.url+"&application_name=demo@"+s.lane.live+"/web.7")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close(context.Background())
	// The plan of a few seconds' patience has the contract; its evidence lacks.
	cmd, out := s.lane.command("trace:"+os.DevNull, "apply", "--auto-approve", "--wait", "300ms")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = polled("the step that is put off", func() error {
		if s.yes("select from pleat.entry where status = 'deferred'") {
			return cmd.Process.Kill()
		}
		return fmt.Errorf("none is")
	})
	endOf(cmd, out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := old.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.writer.stop()
	if e := s.lane.pleat("", "apply", "--auto-approve"); e.code != exitDone {
		t.Fatalf("exit %d\n%s", e.code, e.output)
	}
	s.is("planned", s.planned())
	s.settled()
	s.finish()
}
