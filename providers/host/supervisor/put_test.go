package supervisor_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/api"
	"pleat/providers/host/artifact"
	"pleat/providers/host/eventlog"
	"pleat/providers/host/supervisor"
	"pleat/spec"
)

func newSupervisor(t *testing.T) (*supervisor.Supervisor, *eventlog.Log, string) {
	t.Helper()
	return supervisorIn(t, t.TempDir())
}

func supervisorIn(t *testing.T, dir string) (*supervisor.Supervisor, *eventlog.Log, string) {
	t.Helper()
	events, err := eventlog.Open(filepath.Join(dir, "events"), 100)
	if err != nil {
		t.Fatal(err)
	}
	store, err := artifact.Open(filepath.Join(dir, "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("x"))
	sha := hex.EncodeToString(sum[:])
	if err := store.Put(sha, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	s, err := supervisor.New(supervisor.Config{
		Host: "a", Dir: dir, Address: "127.0.0.1", Artifacts: store, Events: events,
		Backoff: supervisor.Backoff, Changed: func(api.Ref, bool) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, events, sha
}

// A request may come in before the supervisor runs. The instance must not be
// kept twice.
func TestPutBeforeRunStartsOneProcess(t *testing.T) {
	s, events, sha := newSupervisor(t)
	r := api.Ref{Service: "users", Release: "1", Instance: "web.1"}
	begun := filepath.Join(t.TempDir(), "begun")
	command := []string{"sh", "-c", "echo x >> " + begun + "; exec sleep 60"}
	put := make(chan error, 1)
	go func() {
		put <- s.Put(r, api.Put{Definition: api.Definition{Process: "web", SHA256: sha, Command: command}})
	}()
	await(t, s, func(i api.Instance) bool { return i.State == planner.Pending })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	defer running.Wait()
	defer cancel()
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	up := await(t, s, func(i api.Instance) bool { return i.State == planner.Up || i.State == planner.Down })
	t.Cleanup(func() {
		if err := syscall.Kill(-up.PID, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	if b, err := os.ReadFile(begun); err != nil || string(b) != "x\n" {
		t.Errorf("begun = %q, %v, want once", b, err)
	}
	var got []string
	for _, e := range events.Held() {
		got = append(got, string(e.State))
	}
	if want := []string{"pending", "starting", "up"}; !slices.Equal(got, want) {
		t.Errorf("events = %q, want %q", got, want)
	}
}

// What a crash left half written is cleared away, and nothing else.
func TestWhatIsHalfWrittenIsClearedAway(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "instances"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".fences.json123", "fences.json", ".kept", "instances/.users,1,web.1.json45"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	supervisorIn(t, dir)
	for name, stays := range map[string]bool{".fences.json123": false, "fences.json": true, ".kept": true, "instances/.users,1,web.1.json45": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != stays {
			t.Errorf("%s is there: %t, want %t", name, err == nil, stays)
		}
	}
}

// none waits until no instance is there.
func none(s *supervisor.Supervisor) bool {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
		if all, _ := s.Instances(); len(all) == 0 {
			return true
		}
	}
	return false
}

func await(t *testing.T, s *supervisor.Supervisor, good func(api.Instance) bool) api.Instance {
	t.Helper()
	deadline := time.After(30 * time.Second)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		all, _ := s.Instances()
		if len(all) == 1 && good(all[0]) {
			return all[0]
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("instances are %+v", all)
		}
	}
}

const (
	aloneVariable = "PLEAT_TEST_ALONE" // has a process see to it that it is the instance's only one
	notAlone      = 3
)

func TestMain(m *testing.M) {
	prefix, ok := os.LookupEnv(aloneVariable)
	if !ok {
		os.Exit(m.Run())
	}
	if _, err := os.Stat(prefix + "not-yet"); err == nil {
		os.Exit(1)
	}
	f, err := os.Create(prefix + os.Getenv("PLEAT_INSTANCE"))
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		os.Exit(notAlone)
	}
	if _, err := net.Listen("tcp", os.Getenv("ADDR")); err != nil {
		os.Exit(1)
	}
	<-time.After(time.Minute) // or until it is told to end
}

// alone is an instance that is up once it listens, and fails to start where it is
// not alone or the file alone-not-yet is in the directory.
func alone(t *testing.T, dir, sha string) api.Put {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return api.Put{Definition: api.Definition{
		Process: "web", SHA256: sha, Command: []string{self},
		Env:    map[string]string{aloneVariable: filepath.Join(dir, "alone-"), "ADDR": "${ADDR}"},
		Checks: []*spec.Check{{Kind: spec.CheckTCP, Interval: 10 * time.Millisecond, Timeout: time.Second, StartTimeout: time.Minute}},
	}}
}

// Many ask for the same instances and stop them, all at the same time: no instance
// ever has two processes, and when all are told to stop, nothing is left of them.
func TestManyAskForTheSame(t *testing.T) {
	dir := t.TempDir()
	s, _, sha := supervisorIn(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	defer running.Wait()
	defer cancel()
	put := alone(t, dir, sha)
	name := func(n int) api.Ref {
		return api.Ref{Service: "users", Release: "1", Instance: fmt.Sprintf("web.%d", n%4)}
	}
	var asking sync.WaitGroup
	for asker := range 8 {
		asking.Go(func() {
			for n := range 30 {
				err := s.Put(name(asker+n), put)
				var conflict *api.Error
				if err != nil && !(errors.As(err, &conflict) && conflict.Code == api.CodeConflict) {
					t.Errorf("Put = %v", err)
				}
				all, _ := s.Instances()
				for _, i := range all {
					if i.State == planner.Down && strings.Contains(i.Error, fmt.Sprintf("exit status %d", notAlone)) {
						t.Errorf("%s had two processes", i.Ref)
					}
				}
				if err := s.Stop(name(asker+n/2), api.Stop{Drain: spec.Drain{KillAfter: 10 * time.Second}}); err != nil {
					t.Errorf("Stop = %v", err)
				}
			}
		})
	}
	asking.Wait()
	for n := range 4 {
		if err := s.Stop(name(n), api.Stop{Drain: spec.Drain{KillAfter: 10 * time.Second}}); err != nil {
			t.Error(err)
		}
	}
	if !none(s) {
		t.Error("some are still there")
	}
	left, err := filepath.Glob(filepath.Join(dir, "instances", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("records that are left: %q, %v", left, err)
	}
}

// Many ask at the same time for an instance that failed to start: it gets one
// process.
func TestManyAskForOneThatFailed(t *testing.T) {
	for range 8 {
		dir := t.TempDir()
		s, _, sha := supervisorIn(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		put := alone(t, dir, sha)
		notYet := filepath.Join(dir, "alone-not-yet")
		if err := os.WriteFile(notYet, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := api.Ref{Service: "users", Release: "1", Instance: "web.1"}
		if err := s.Put(r, put); err != nil {
			t.Fatal(err)
		}
		await(t, s, func(i api.Instance) bool { return i.State == planner.Down })
		if err := os.Remove(notYet); err != nil {
			t.Fatal(err)
		}
		var asking sync.WaitGroup
		for range 8 {
			asking.Go(func() {
				if err := s.Put(r, put); err != nil {
					t.Errorf("Put = %v", err)
				}
			})
		}
		asking.Wait()
		if i := await(t, s, func(i api.Instance) bool { return i.State == planner.Up || i.State == planner.Down }); i.State == planner.Down {
			t.Errorf("it is down: %s", i.Error)
		}
		if err := s.Stop(r, api.Stop{Drain: spec.Drain{KillAfter: 10 * time.Second}}); err != nil {
			t.Error(err)
		}
		if !none(s) {
			t.Error("it is still there")
		}
		cancel()
		running.Wait()
	}
}
