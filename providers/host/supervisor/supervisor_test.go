package supervisor_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pleat/planner"
	"pleat/providers/host/supervisor"
)

// Whoever adds a state or a step between states has to look at become, decide,
// takeUp and the follower in providers/host too.
func TestLifeOfAnInstance(t *testing.T) {
	all := []planner.InstanceState{planner.Pending, planner.Starting, planner.Up, planner.Stopping, planner.Down}
	want := "" +
		"pending:  starting stopping down\n" +
		"starting: up stopping down\n" +
		"up:       starting stopping down\n" +
		"stopping: down\n" +
		"down:     pending\n"
	var got strings.Builder
	for _, from := range all {
		line := fmt.Sprintf("%-9s", from+":")
		for _, to := range []planner.InstanceState{planner.Pending, planner.Starting, planner.Up, planner.Stopping, planner.Down} {
			if slices.Contains(supervisor.Allowed[from], to) {
				line += " " + string(to)
			}
		}
		got.WriteString(line + "\n")
	}
	if got.String() != want {
		t.Errorf("life =\n%swant\n%s", got.String(), want)
	}
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{
		0: 0, 4: 0, 5: 10 * time.Second, 14: 10 * time.Second, 15: 30 * time.Second, 1000: 30 * time.Second,
	} {
		if got := supervisor.Backoff(n); got != want {
			t.Errorf("Backoff(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	values := map[string]string{"ADDR": "127.0.0.1:1", "PORT": "1"}
	tests := []struct{ in, want, err string }{
		{"plain", "plain", ""},
		{"${ADDR} and ${PORT}", "127.0.0.1:1 and 1", ""},
		{"$ADDR $1 {PORT} $", "$ADDR $1 {PORT} $", ""},
		{"${HOME}", "", "${HOME} is unknown"},
		{"${}", "", "${} is unknown"},
		{"${PORT", "${PORT", ""},
	}
	for _, tt := range tests {
		got, err := supervisor.Expand(tt.in, values)
		if err != nil && err.Error() == tt.err {
			continue
		}
		if got != tt.want || err != nil || tt.err != "" {
			t.Errorf("Expand(%q) = %q, %v, want %q, %q", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestSignals(t *testing.T) {
	for name, good := range map[string]bool{"": true, "TERM": true, "SIGINT": true, "QUIT": true, "NOPE": false} {
		if _, err := supervisor.SignalNamed(name); (err == nil) != good {
			t.Errorf("signal %q: %v", name, err)
		}
	}
}

// The writer holds the file open all the time, as an instance does.
func TestRotationKeepsTheWriterWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := supervisor.NewOutputFile(path)
	for n := range 6 {
		fmt.Fprintf(f, "line %d\n", n)
		if err := o.Rotate(7); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprint(f, "x\n")
	for name, want := range map[string]string{"log": "x\n", "log.1": "line 5\n", "log.2": "line 4\n", "log.3": "line 3\n"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
		if err != nil || string(b) != want {
			t.Errorf("%s = %q, %v, want %q", name, b, err, want)
		}
	}
	if _, err := os.Stat(path + ".4"); err == nil {
		t.Error("a fourth rotated file is kept")
	}
}

func TestLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	o := supervisor.NewOutputFile(path)
	if got, err := o.Last(5, 0); got != nil || err != nil {
		t.Errorf("without a file: %q, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("old\none\ntwo\n\xff three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		lines int
		from  int64
		want  []string
	}{
		{2, 0, []string{"two", "\uFFFD three"}},
		{10, 4, []string{"one", "two", "\uFFFD three"}},
		{1, 1000, []string{"\uFFFD three"}}, // rotated since
		{10, 20, nil},
	} {
		got, err := o.Last(tt.lines, tt.from)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Last(%d, %d) = %q, %v, want %q", tt.lines, tt.from, got, err, tt.want)
		}
	}
}

func TestOldOutputIsRemoved(t *testing.T) {
	dir := t.TempDir()
	limit := time.Now().Add(-time.Hour)
	for _, name := range []string{"gone.log", "gone.log.1", "living.log", "living.log.1", "fresh.log"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if old := limit.Add(-time.Second); name != "fresh.log" {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := supervisor.Prune(dir, limit, map[string]bool{"living": true}); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 3 {
		t.Errorf("left %q, %v, want the living's and the fresh one", left, err)
	}
}

func TestFreePortIsFreeAndNotTaken(t *testing.T) {
	ports, taken := supervisor.NewPorts(), map[int]bool{}
	for range 50 {
		port, err := ports.Take("127.0.0.1", taken)
		if err != nil {
			t.Fatal(err)
		}
		if taken[port] {
			t.Fatalf("port %d was given twice", port)
		}
		taken[port] = true
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}

// A reader that follows sees each line once, whatever is rotated meanwhile, with
// the time at which it was there.
func TestFollowedOutputIsWholeAcrossRotations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := supervisor.NewWriter(t, path)
	w.Say("zero", 1)
	r := w.Read(1)
	want := []string{"1 zero"}
	for n := range 8 {
		w.Say(fmt.Sprintf("line %d", n), n+2)
		want = append(want, fmt.Sprintf("%d line %d", n+2, n))
		if n%3 == 2 {
			w.Rotate()
		}
		if got := r.All(); !slices.Equal(got, want[len(want)-len(got):]) || n == 0 && len(got) != 2 || n > 0 && len(got) != 1 {
			t.Errorf("after line %d it reads %q", n, got)
		}
	}
	// From the beginning, and from so many lines before the end.
	if got := w.Read(-1).All(); !slices.Equal(got, want) {
		t.Errorf("all = %q, want %q", got, want)
	}
	for tail := range len(want) {
		if got := w.Read(tail).All(); !slices.Equal(got, want[len(want)-tail:]) {
			t.Errorf("the last %d = %q", tail, got)
		}
	}
}
