package main

import (
	"io"
	"strings"
	"unicode/utf8"

	"pleat/spec"
)

// sheet is names with lines of text to the right of them.
type sheet struct{ rows []row }

type row struct{ name, text string }

// add puts lines beside a name, which stands at the first one alone.
func (s *sheet) add(name string, lines ...string) {
	for n, line := range lines {
		if n > 0 {
			name = ""
		}
		s.rows = append(s.rows, row{name, line})
	}
}

// leastText is how wide a text may be whatever the names leave of the width.
const leastText = 30

// write prints the rows, and breaks texts that are too long for the width.
func (s *sheet) write(out io.Writer, width int) error {
	left := 0
	for _, r := range s.rows {
		left = max(left, utf8.RuneCountInString(r.name)+2)
	}
	room := max(width-left, leastText)
	var b strings.Builder
	for _, r := range s.rows {
		lines := []string{r.text}
		if utf8.RuneCountInString(r.text) > room {
			lines = spec.Wrap(r.text, room)
		}
		head := r.name
		for _, line := range lines {
			b.WriteString(head + strings.Repeat(" ", left-utf8.RuneCountInString(head)) + line + "\n")
			head = ""
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
