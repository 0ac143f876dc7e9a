package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// width is what a terminal shows at least.
const width = 80

// talk writes for the person who watches. A terminal that is gone is no
// reason to stop: the exit code still tells.
type talk struct{ io.Writer }

func (t talk) heading(text string) {
	rule := strings.Repeat("─", max(0, width-4-utf8.RuneCountInString(text)))
	fmt.Fprintf(t, "\n── %s %s\n\n", text, rule)
}

func (t talk) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// fact is a line of the summary.
func (t talk) fact(name, format string, args ...any) {
	fmt.Fprintf(t, "%-16s "+format+"\n", append([]any{name}, args...)...)
}

// command is one as it would be typed, over several lines where it is long.
func (t talk) command(words ...string) {
	line := "$"
	for _, word := range words {
		if utf8.RuneCountInString(line+" "+word+" \\") > width {
			fmt.Fprintf(t, "%s \\\n", line)
			line = "   "
		}
		line += " " + word
	}
	fmt.Fprintln(t, line)
}

// thousands groups the digits of n.
func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
