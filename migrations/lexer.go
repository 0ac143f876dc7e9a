package migrations

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	wordToken tokenKind = iota + 1
	quotedToken
	symbolToken
	unfinishedToken
)

// token is a piece of SQL that matters for classifying it. Text of a word is
// in lower case. start and end are byte offsets.
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// lexer cuts SQL into words, quoted things and symbols, as the manual's §4.1
// says; white space and comments are skipped. It is there beside PostgreSQL's own
// grammar for what that does not read: pieces of definitions, the quotes and
// brackets of a lone expression, and files with statements that the server knows
// and the grammar that is linked in does not.
type lexer struct {
	src string
	pos int
}

func lex(sql string) []token {
	l := &lexer{src: sql}
	var tokens []token
	for {
		l.skipBlank()
		if l.pos >= len(l.src) {
			return tokens
		}
		tokens = append(tokens, l.next())
	}
}

func (l *lexer) skipBlank() {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case strings.HasPrefix(rest, "--"):
			l.skipTo("\n")
		case strings.HasPrefix(rest, "/*") && l.commentLength() > 0:
			l.pos += l.commentLength()
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.pos++
		default:
			return
		}
	}
}

// commentLength is that of the comment at pos, which may nest; 0 when it has
// no end.
func (l *lexer) commentLength() int {
	depth := 0
	rest := l.src[l.pos:]
	for i := 0; i+1 < len(rest); i++ {
		switch rest[i : i+2] {
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

func (l *lexer) skipTo(end string) {
	i := strings.Index(l.src[l.pos:], end)
	if i < 0 {
		l.pos = len(l.src)
		return
	}
	l.pos += i + len(end)
}

func (l *lexer) next() token {
	start := l.pos
	kind := l.advance()
	text := l.src[start:l.pos]
	if kind == wordToken {
		text = strings.ToLower(text)
	}
	return token{kind: kind, text: text, start: start, end: l.pos}
}

// advance moves pos behind the token that begins there.
func (l *lexer) advance() tokenKind {
	rest := l.src[l.pos:]
	if strings.HasPrefix(rest, "/*") {
		l.pos = len(l.src)
		return unfinishedToken
	}
	if len(rest) > 1 && strings.IndexByte("eE", rest[0]) >= 0 && rest[1] == '\'' {
		l.pos++
		return l.quoted('\'', true)
	}
	if rest[0] == '\'' || rest[0] == '"' {
		return l.quoted(rest[0], false)
	}
	if tag := dollarTag(rest); tag != "" {
		return l.dollarQuoted(tag)
	}
	r, size := utf8.DecodeRuneInString(rest)
	if !isWordStart(r) && !unicode.IsDigit(r) {
		l.pos += size
		return symbolToken
	}
	for l.pos < len(l.src) {
		r, size := utf8.DecodeRuneInString(l.src[l.pos:])
		if !isWordStart(r) && !unicode.IsDigit(r) && r != '$' {
			break
		}
		l.pos += size
	}
	return wordToken
}

func (l *lexer) quoted(quote byte, backslash bool) tokenKind {
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch {
		case backslash && l.src[l.pos] == '\\':
			l.pos++
		case l.src[l.pos] != quote:
		case l.pos+1 < len(l.src) && l.src[l.pos+1] == quote:
			l.pos++
		default:
			l.pos++
			return quotedToken
		}
	}
	l.pos = len(l.src)
	return unfinishedToken
}

func (l *lexer) dollarQuoted(tag string) tokenKind {
	end := strings.Index(l.src[l.pos+len(tag):], tag)
	if end < 0 {
		l.pos = len(l.src)
		return unfinishedToken
	}
	l.pos += end + 2*len(tag)
	return quotedToken
}

// dollarTag is "$$" or "$name$" at the start of s, or "".
func dollarTag(s string) string {
	if s[0] != '$' {
		return ""
	}
	end := strings.IndexByte(s[1:], '$')
	if end < 0 {
		return ""
	}
	tag := s[:end+2]
	for i, r := range tag[1 : len(tag)-1] {
		if !isWordStart(r) && (i == 0 || !unicode.IsDigit(r)) {
			return ""
		}
	}
	return tag
}

func isWordStart(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || r >= 0x80
}
