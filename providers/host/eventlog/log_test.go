package eventlog_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pleat/providers/host/api"
	"pleat/providers/host/eventlog"
)

func open(t *testing.T, path string, keep int) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Open(path, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

func add(t *testing.T, l *eventlog.Log, n int) {
	t.Helper()
	for range n {
		if _, err := l.Append(api.Event{Host: "a"}); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(events []api.Event) []int64 {
	var out []int64
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}

func TestNumbersGoOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	l := open(t, path, 10)
	add(t, l, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, 10)
	add(t, l, 1)
	if got := numbers(l.Held()); len(got) != 4 || got[3] != 4 {
		t.Errorf("numbers = %v, want 1 to 4", got)
	}
}

func TestOldEventsAreDroppedFromMemoryAndDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	l := open(t, path, 10)
	add(t, l, 100)
	if got := numbers(l.Held()); len(got) != 10 || got[0] != 91 {
		t.Errorf("held = %v, want 91 to 100", got)
	}
	stat, err := os.Stat(path)
	if err != nil || stat.Size() > 25*100 {
		t.Errorf("the file has %d bytes, %v", stat.Size(), err)
	}
	_, _, err = l.Since(89)
	var gone *eventlog.GoneError
	if !errors.As(err, &gone) || gone.Oldest != 91 {
		t.Errorf("Since(89) = %v, want the oldest to be 91", err)
	}
	events, _, err := l.Since(90)
	if err != nil || len(events) != 10 {
		t.Errorf("Since(90) = %v, %v", numbers(events), err)
	}
	l = open(t, path, 10)
	if l.Seq() != 100 {
		t.Errorf("Seq after a restart = %d, want 100", l.Seq())
	}
}

func TestTornLineIsDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	l := open(t, path, 10)
	add(t, l, 3)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < 30; cut++ {
		if err := os.WriteFile(path, b[:len(b)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, path, 10)
		if l.Seq() != 2 {
			t.Fatalf("cut by %d: Seq = %d, want 2", cut, l.Seq())
		}
		add(t, l, 1)
		if l := open(t, path, 10); l.Seq() != 3 {
			t.Fatalf("cut by %d and gone on: Seq = %d, want 3", cut, l.Seq())
		}
	}
}

func TestBrokenLineInTheMiddleIsNotIgnored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(path, []byte("{\"seq\":1}\nxx\n{\"seq\":3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.Open(path, 10); err == nil {
		t.Error("Open = nil, want an error")
	}
}

func TestSinceWakesAFollower(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "events"), 10)
	events, more, err := l.Since(0)
	if err != nil || len(events) != 0 {
		t.Fatalf("Since(0) = %v, %v", events, err)
	}
	add(t, l, 1)
	<-more
	events, _, err = l.Since(0)
	if err != nil || len(events) != 1 {
		t.Errorf("Since(0) = %v, %v, want one", events, err)
	}
}

// Many append at the same time: nobody's event is lost, each is there once Append
// has returned, and the numbers have no gap, in the file neither.
func TestManyAppendAtATime(t *testing.T) {
	const appenders, each, keep = 20, 50, 100
	path := filepath.Join(t.TempDir(), "events")
	l := open(t, path, keep)
	var appending sync.WaitGroup
	for range appenders {
		appending.Go(func() {
			for range each {
				e, err := l.Append(api.Event{Host: "a"})
				if err != nil || l.Seq() < e.Seq {
					t.Errorf("Append = %d, %v, and the newest is %d", e.Seq, err, l.Seq())
				}
			}
		})
	}
	appending.Wait()
	want := int64(appenders * each)
	if l.Seq() != want {
		t.Errorf("Seq = %d, want %d", l.Seq(), want)
	}
	check := func(l *eventlog.Log) {
		t.Helper()
		held := numbers(l.Held())
		for n, seq := range held {
			if seq != want-int64(len(held)-1-n) {
				t.Fatalf("numbers = %v, want up to %d", held, want)
			}
		}
	}
	check(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, path, keep))
}
