package hazard

import "strings"

// blank is how many bytes of white space and comments s begins with.
func blank(s string) int {
	pos := 0
	for pos < len(s) {
		rest := s[pos:]
		length := 0
		switch {
		case strings.HasPrefix(rest, "--"):
			length = lineLength(rest)
		case strings.HasPrefix(rest, "/*"):
			length = commentLength(rest)
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			length = 1
		}
		if length == 0 {
			return pos
		}
		pos += length
	}
	return pos
}

func lineLength(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i + 1
	}
	return len(s)
}

// commentLength is that of the comment that s begins with, which may nest; 0
// when it has no end.
func commentLength(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return 0
}
