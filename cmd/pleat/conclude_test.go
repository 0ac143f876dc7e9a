package main

import (
	"bufio"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"pleat/executor"
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
	a.sum("apply", executor.Summary{Status: executor.Deferred, Deferred: []string{
		"7 contract hide users.name and all that it is for: shop r1 does not know split_name, and is wanted",
		"8 contract drop users.name: hidden for 2s first",
	}})
	a.talk("end")
	for out := bufio.NewScanner(keyboard); out.Scan() && out.Text() != "end"; {
		if n := utf8.RuneCountInString(out.Text()); n > 80 {
			t.Errorf("%d columns: %s", n, out.Text())
		}
	}
}
