package migrations

import "strings"

// reader reads a statement from its start.
type reader struct {
	tokens []token
	at     int
}

// skip passes over the words if they come next, in that order.
func (r *reader) skip(list ...string) bool {
	for i, w := range list {
		if r.at+i >= len(r.tokens) || r.tokens[r.at+i].kind != wordToken || r.tokens[r.at+i].text != w {
			return false
		}
	}
	r.at += len(list)
	return true
}

// any passes over each of the words that comes next.
func (r *reader) any(list ...string) {
	for i := 0; i < len(list); i++ {
		if r.skip(list[i]) {
			i = -1
		}
	}
}

// parentheses passes over what is between them, if they come next.
func (r *reader) parentheses() {
	for depth := 0; r.at < len(r.tokens); r.at++ {
		switch r.tokens[r.at].text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 {
			if r.tokens[r.at].text == ")" {
				r.at++
			}
			return
		}
	}
}

// between is the text of what is in parentheses, with them, and passes over it;
// "" where none come.
func (r *reader) between(text string) string {
	start := r.at
	if r.parentheses(); r.at == start {
		return ""
	}
	return text[r.tokens[start].start:r.tokens[r.at-1].end]
}

// name reads a name, with its schema where it has one; "" where none comes.
func (r *reader) name() string {
	var parts []string
	for r.at < len(r.tokens) {
		t := r.tokens[r.at]
		if t.kind != wordToken && (t.kind != quotedToken || t.text[0] != '"') {
			break
		}
		parts = append(parts, t.text)
		r.at++
		if r.at >= len(r.tokens) || r.tokens[r.at].text != "." {
			break
		}
		r.at++
	}
	return strings.Join(parts, ".")
}
