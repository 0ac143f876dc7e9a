package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is drawn replaces what was, is cut to the terminal, and is never so high
// that a line of it scrolls away.
func TestBoardIsDrawnInPlace(t *testing.T) {
	var out strings.Builder
	at := time.Date(2026, 11, 26, 20, 0, 0, 0, time.Local)
	b := &board{out: &out, tty: true, size: func() (int, int) { return 20, 6 }, clock: func() time.Time { return at }}
	for _, text := range []string{"one\ntwo\nthree\nfour\n", "much longer than the terminal is\nx\n"} {
		if err := b.show(text); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Split(strings.ReplaceAll(out.String(), "\x1b", "^"), "\r\n")
	want := []string{
		"\r^[K20:00:00 · Ctrl-C …", "\r^[K", "\r^[Kone", "\r^[Ktwo", "\r^[K… and 2 more lines",
		"^[J^[5A\r^[K20:00:00 · Ctrl-C …", "\r^[K", "\r^[Kmuch longer than t…", "\r^[Kx", "^[J",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drawn (-want +got):\n%s", diff)
	}
}

func TestBoardThatIsNoTerminalIsPrintedAtEachChange(t *testing.T) {
	var out strings.Builder
	b := &board{out: &out, clock: func() time.Time { return time.Unix(0, 0).UTC() }}
	for _, text := range []string{"a\n", "a\n", "b\n", "a\n"} {
		if err := b.show(text); err != nil {
			t.Fatal(err)
		}
	}
	head := "── 1970-01-01T00:00:00Z\n"
	if want := head + "a\n\n" + head + "b\n\n" + head + "a\n\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}
