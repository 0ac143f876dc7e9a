package spec

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// RenameColumns gives a SQL expression over a row with other names for its
// columns, quoted. A name before "(" is a function's, one after "::" a type's,
// and one after "." belongs to something else unless that is a name of the row:
// those stay as they are. What is in quotes of any kind but a name's is left
// alone.
func RenameColumns(sql string, names map[string]string) string {
	var b strings.Builder
	last := byte(0) // the last byte before this place that is not white space
	ofType := false // what the last byte is of is a type's name
	for i := 0; i < len(sql); {
		n := span(sql[i:])
		piece := sql[i : i+n]
		by := names[nameIn(piece)]
		typed := last == ':' || last == '.' && ofType
		if by == "" || typed || strings.HasPrefix(sql[i+n:], "(") && piece[0] != '"' {
			b.WriteString(piece)
		} else {
			b.WriteString(quotedName(by))
		}
		if strings.TrimSpace(piece) != "" {
			last, ofType = piece[n-1], typed || ofType && piece == "."
		}
		i += n
	}
	return b.String()
}

// nameIn is the column name that a piece can be; "" for none.
func nameIn(piece string) string {
	r, _ := utf8.DecodeRuneInString(piece)
	switch {
	case r == '"' && len(piece) > 1:
		return strings.ReplaceAll(piece[1:len(piece)-1], `""`, `"`)
	case r == '_' || unicode.IsLetter(r):
		return strings.ToLower(piece)
	}
	return ""
}

// span is the length of the piece that SQL begins with: a name, a number, a
// quoted text, a comment, or one byte of anything else.
func span(sql string) int {
	switch {
	case sql[0] == '\'' || sql[0] == '"':
		return quotedSpan(sql, sql[0], false)
	case len(sql) > 1 && strings.ContainsRune("eE", rune(sql[0])) && sql[1] == '\'':
		return 1 + quotedSpan(sql[1:], '\'', true)
	case strings.HasPrefix(sql, "--"):
		return through(sql, "\n")
	case strings.HasPrefix(sql, "/*"):
		return through(sql, "*/")
	case strings.HasPrefix(sql, "$"):
		if end := strings.IndexByte(sql[1:], '$'); end >= 0 && wordSpan(sql[1:]) == end {
			tag := sql[:end+2]
			return len(tag) + through(sql[len(tag):], tag)
		}
		return 1
	}
	return max(wordSpan(sql), 1)
}

func wordSpan(sql string) int {
	n := strings.IndexFunc(sql, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if n < 0 {
		return len(sql)
	}
	return n
}

func through(sql, end string) int {
	if i := strings.Index(sql, end); i >= 0 {
		return i + len(end)
	}
	return len(sql)
}

func quotedSpan(sql string, quote byte, backslash bool) int {
	for i := 1; i < len(sql); i++ {
		switch {
		case backslash && sql[i] == '\\':
			i++
		case sql[i] != quote:
		case i+1 < len(sql) && sql[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(sql)
}

func quotedName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
