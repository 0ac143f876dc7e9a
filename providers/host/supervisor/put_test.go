package supervisor_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
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
