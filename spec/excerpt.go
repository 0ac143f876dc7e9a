package spec

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/text/width"
)

// excerpt is one line of a source as a terminal shows it. Its figures are
// columns of the terminal.
type excerpt struct {
	line   string
	before int // columns before the marked ones
	marked int // at least 1
}

// cut is the line on which rng begins; false when src has no such place. A
// range over several lines is marked to the end of its first.
func cut(src []byte, rng hcl.Range) (excerpt, bool) {
	start, end := rng.Start.Byte, rng.End.Byte
	if src == nil || start < 0 || start > len(src) || end < start || end > len(src) {
		return excerpt{}, false
	}
	first := bytes.LastIndexByte(src[:start], '\n') + 1
	last := len(src)
	if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
		last = start + i
	}
	end = min(end, last)
	before := printable(string(src[first:start]))
	marked := printable(string(src[start:end]))
	after := printable(strings.TrimRight(string(src[end:last]), "\r\t "))
	return excerpt{
		line:   before + marked + after,
		before: displayWidth(before),
		marked: max(1, displayWidth(marked)),
	}, true
}

// margin is how many columns stay visible before what is marked.
const margin = 10

// crop shortens the line to a width, around what is marked.
func (x *excerpt) crop(width int) {
	if displayWidth(x.line) <= width && x.before+x.marked <= width {
		return
	}
	if x.before+min(x.marked, width/2) > width-1 {
		drop := x.before - margin
		x.line = "…" + skipColumns(x.line, drop)
		x.before = margin + 1
	}
	if displayWidth(x.line) > width {
		x.line = takeColumns(x.line, width-1) + "…"
	}
	x.marked = max(1, min(x.marked, width-x.before))
}

func skipColumns(s string, n int) string {
	for i, r := range s {
		if n <= 0 {
			return s[i:]
		}
		n -= runeWidth(r)
	}
	return ""
}

func takeColumns(s string, n int) string {
	for i, r := range s {
		if n -= runeWidth(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

// printable is s without what moves a terminal's cursor or reverses its
// direction: tabs become four blanks, other control characters U+FFFD.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
