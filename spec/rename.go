package spec

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// RenameColumns gives SQL over a row with other names for its columns, quoted:
// an expression, or what follows the name of a constraint or the table of an
// index; the names in a foreign key are of two tables, which RenameForeignKey
// tells apart. What is a column PostgreSQL's grammar says. It gives no places of
// the names in lists, such as the keys of an index; those are told by what stands
// around them: one before "(" is a function's, one after "::" a type's, and one
// after "." belongs to something else unless that is a name of the row. What is
// in quotes of any kind but a name's is left alone.
func RenameColumns(sql string, names map[string]string) string {
	return renameColumns(sql, func(name string) string { return names[name] })
}

// UsedColumns are the names that SQL over a row uses as those of columns, as
// RenameColumns tells them.
func UsedColumns(sql string) map[string]bool {
	used := map[string]bool{}
	renameColumns(sql, func(name string) string {
		used[name] = true
		return ""
	})
	return used
}

// renameColumns asks for the name of each column; "" leaves it as it is.
func renameColumns(sql string, renamed func(string) string) string {
	columns, read := columnsIn(sql)
	var b strings.Builder
	last := byte(0) // the last byte before this place that is not white space
	depth := 0
	ofType := false           // what the last byte is of is a type's name
	word, stored := "", false // the last one outside of parentheses; it says how an index is stored
	for i := 0; i < len(sql); {
		n := span(sql[i:])
		piece := sql[i : i+n]
		name, by := nameIn(piece), ""
		typed := last == ':' || last == '.' && ofType
		called := strings.HasPrefix(sql[i+n:], "(") && piece[0] != '"'
		column := !typed && !called
		if read {
			call := strings.HasPrefix(sql[i+n:], "(") // of a function in quotes, too, where it is called as a key word is
			column = columns.at[i] || columns.lists && depth == 1 && !stored && (last == '(' || last == ',') && !call
		}
		if name != "" && column {
			by = renamed(name)
		}
		if by == "" {
			b.WriteString(piece)
		} else {
			b.WriteString(quotedName(by))
		}
		switch piece {
		case "(":
			if depth == 0 {
				stored = word == "WITH"
			}
			depth++
		case ")":
			depth--
		}
		if depth == 0 && name != "" {
			word = piece
		}
		if strings.TrimSpace(piece) != "" {
			last, ofType = piece[n-1], typed || ofType && piece == "."
		}
		i += n
	}
	return b.String()
}

// RenameForeignKey gives the definition of a foreign key with other names for
// columns of the table that has it and of the one that it refers to, quoted. One
// that the grammar refuses stays as it is.
func RenameForeignKey(definition string, own, referenced map[string]string) string {
	lists := keyLists(definition, own, referenced)
	var b strings.Builder
	depth := 0
	for i := 0; i < len(definition); {
		piece := definition[i : i+span(definition[i:])]
		i += len(piece)
		switch {
		case piece == "(":
			depth++
		case piece == ")":
			depth--
			if len(lists) > 0 {
				lists = lists[1:]
			}
		case depth > 0 && len(lists) > 0 && lists[0][nameIn(piece)] != "":
			piece = quotedName(lists[0][nameIn(piece)])
		}
		b.WriteString(piece)
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
