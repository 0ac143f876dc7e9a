package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"pleat/executor"
	"pleat/providers/postgres"
)

// What came of a run fits the terminal that it is told on.
func TestASummaryFitsATerminal(t *testing.T) {
	keyboard, screen, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	defer screen.Close()
	if err := unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	a := newApp(streams{strings.NewReader(""), screen, screen}, nil)
	a.sum("apply", executor.Summary{Status: executor.Deferred, Deferred: []executor.PutOff{
		{Step: "7 contract hide users.name and all that it is for", Reason: "shop r1 does not know split_name, and is wanted"},
		{Step: "8 contract drop users.name", Reason: "hidden for 2s first"},
	}})
	a.talk("end")
	for out := bufio.NewScanner(keyboard); out.Scan() && out.Text() != "end"; {
		if n := utf8.RuneCountInString(out.Text()); n > 80 {
			t.Errorf("%d columns: %s", n, out.Text())
		}
	}
}

// What a closed window put off as a whole is said once, with what it takes to go on.
func TestABlockedRunIsSaidOnce(t *testing.T) {
	var out strings.Builder
	a := newApp(streams{strings.NewReader(""), &out, &out}, nil)
	a.report(a.conclude("apply", executor.Result{Summary: executor.Summary{
		Status: executor.Deferred, Blocked: true, Deferred: []executor.PutOff{{Step: "1 expand users", Reason: "window office opens Mon 09:00"}},
	}}))
	want := "\nDeferred:\n  1 expand users: window office opens Mon 09:00\nError: blocked: nothing could be done\nNext: pleat apply asks again\n"
	if out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
}

// What was not begun is in the plan; the end of a run does not bury its failure in it.
func TestFewOfTheStepsThatWereNotStartedAreNamed(t *testing.T) {
	var out strings.Builder
	a := newApp(streams{strings.NewReader(""), &out, &out}, nil)
	lines := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%d start web", i+2))
		}
		return out
	}
	a.sum("apply", executor.Summary{Status: executor.Failed, Failed: "1 expand users", NotStarted: lines(36)})
	want := "\nFailed:\n  1 expand users\nNot started:\n  2 start web\n  3 start web\n  4 start web\n  5 start web\n  6 start web\n" +
		"  and 31 more, all of them in the last line of pleat events\n"
	if out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
	if got := first(lines(6)); len(got) != 6 || got[5] != "7 start web" {
		t.Errorf("of six it names %q", got)
	}
}

// What to do next depends on what failed.
func TestWhatIsToBeMended(t *testing.T) {
	for _, x := range []struct {
		failed error
		want   string
	}{
		{&postgres.MigrationError{Migration: "migration core 5 (db/5_note.up.sql)"}, "mend the migration, then: pleat plan"},
		{&postgres.MigrationError{Ran: 2, Of: 4}, "mend the rest of the migration, or the rows, then: pleat plan"},
		{&postgres.LockBudgetError{Table: "users"}, "pleat apply tries again"},
		{errors.New("users 2.0.3 web.1 on one: failed to start"), "mend the release or the spec, then: pleat plan"},
	} {
		var end *runError
		if err := endError("apply", executor.Result{Summary: executor.Summary{Status: executor.RolledBack}, Err: fmt.Errorf("step 1: %w", x.failed)}); !errors.As(err, &end) || end.next != x.want {
			t.Errorf("after %v: %v, want %q", x.failed, err, x.want)
		}
	}
}
