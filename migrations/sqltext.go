package migrations

import (
	"errors"
	"fmt"
	"strings"
)

// checkExpression tells why a text cannot be put between parentheses as one
// SQL expression, or nil. It knows brackets and quotes, not grammar: that is
// the server's part.
func checkExpression(sql string) error {
	tokens := lex(sql)
	if len(tokens) == 0 {
		return errors.New("it is empty")
	}
	var open []string
	for _, t := range tokens {
		var err error
		open, err = checkToken(t, open)
		if err != nil {
			return err
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%q is not closed", open[len(open)-1])
	}
	return nil
}

var closes = map[string]string{")": "(", "]": "["}

func checkToken(t token, open []string) ([]string, error) {
	if t.kind == unfinishedToken {
		return nil, fmt.Errorf("%.20q does not end", t.text)
	}
	if t.kind != symbolToken {
		return open, nil
	}
	switch t.text {
	case ";":
		return nil, errors.New(`";" is not part of an expression`)
	case "(", "[":
		return append(open, t.text), nil
	case ")", "]":
		if len(open) == 0 || open[len(open)-1] != closes[t.text] {
			return nil, fmt.Errorf("%q closes nothing", t.text)
		}
		return open[:len(open)-1], nil
	}
	return open, nil
}

// parenthesized is safe after a comment that ends with its line.
func parenthesized(sql string) string {
	sql = strings.TrimSpace(sql)
	if strings.Contains(sql, "--") {
		sql += "\n"
	}
	return "(" + sql + ")"
}

// statement is one statement of an author's SQL with its words in order.
type statement struct {
	text   string
	words  []string
	tokens []token // with the offsets that they have in the SQL
}

// statements cuts SQL at the semicolons outside quotes, comments and the
// bodies of SQL-standard functions: of a file that the grammar refuses too, so that
// what ran of it is told in the same way on any server.
func statements(sql string) ([]statement, error) {
	var all []statement
	var words []string
	var tokens []token
	start, end, depth := -1, 0, 0
	flush := func() {
		if start >= 0 {
			all = append(all, statement{text: sql[start:end], words: words, tokens: tokens})
		}
		start, words, tokens = -1, nil, nil
	}
	for _, t := range lex(sql) {
		if t.kind == unfinishedToken {
			return nil, fmt.Errorf("%.20q does not end", t.text)
		}
		if t.text == ";" && depth == 0 {
			flush()
			continue
		}
		if start < 0 {
			start = t.start
		}
		end = t.end
		tokens = append(tokens, t)
		if t.kind == wordToken {
			depth = atomicDepth(t.text, words, depth)
			words = append(words, t.text)
		}
	}
	flush()
	return all, nil
}

// Question gives the one statement in an author's text, without what follows
// it, so that it can stand in parentheses.
func Question(sql string) (string, error) {
	all, err := statements(sql)
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("it has %d statements, not one", len(all))
	}
	return all[0].text, nil
}

// atomicDepth follows BEGIN ATOMIC … END and the CASE … END inside it.
func atomicDepth(word string, before []string, depth int) int {
	switch {
	case word == "atomic" && len(before) > 0 && before[len(before)-1] == "begin":
		return depth + 1
	case depth > 0 && word == "case":
		return depth + 1
	case depth > 0 && word == "end":
		return depth - 1
	}
	return depth
}

func (s statement) starts(words ...string) bool {
	if len(s.words) < len(words) {
		return false
	}
	for i, w := range words {
		if s.words[i] != w {
			return false
		}
	}
	return true
}

func (s statement) has(word string) bool {
	for _, w := range s.words {
		if w == word {
			return true
		}
	}
	return false
}

// outsideTransaction says what in a statement cannot be in a transaction of
// ours, or "". Manual: "cannot be executed inside a transaction block".
func (s statement) outsideTransaction() string {
	for _, first := range [][]string{
		{"vacuum"}, {"create", "database"}, {"drop", "database"}, {"alter", "system"},
		{"create", "tablespace"}, {"drop", "tablespace"}, {"create", "subscription"},
		{"drop", "subscription"}, {"reindex", "database"}, {"reindex", "system"}, {"reindex", "schema"},
	} {
		if s.starts(first...) {
			return strings.ToUpper(strings.Join(first, " "))
		}
	}
	if s.starts("cluster") && len(s.words) == 1 {
		return "CLUSTER"
	}
	if s.has("concurrently") && !s.starts("refresh") {
		return "CONCURRENTLY"
	}
	// It is allowed in a transaction, but the value cannot be used before the
	// commit (55P04), which makes the rest of the unit a gamble.
	if s.starts("alter", "type") && s.has("add") && s.has("value") {
		return "ALTER TYPE … ADD VALUE"
	}
	return ""
}

// endsTransaction tells whether the statement would end the transaction that
// commits the step's mark.
func (s statement) endsTransaction() bool {
	if len(s.words) == 0 {
		return false
	}
	switch s.words[0] {
	case "begin", "commit", "rollback", "end", "abort", "savepoint", "release":
		return true
	}
	return s.starts("start", "transaction") || s.starts("prepare", "transaction")
}
