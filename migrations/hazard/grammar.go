//go:build cgo

package hazard

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	grammar "github.com/pganalyze/pg_query_go/v6/parser"

	"pleat/spec"
)

// longest is the longest text that is parsed: a tree is some dozens of times
// as large as its text.
const longest = 4 << 20

// parsed is one statement of a text, with the tree that the grammar makes of
// it, or why there is none. start and end are bytes; base is where the text
// begins that the grammar was given, from which it counts the places of nodes.
type parsed struct {
	start, end, base int
	statement        item
	problem          *problem
}

// problem is what the grammar says of what it refuses, and the bytes at which it
// stopped.
type problem struct {
	text       string
	start, end int
}

type tree struct {
	Statements []struct {
		Statement map[string]any `json:"stmt"`
		Location  int            `json:"stmt_location"`
		Length    int            `json:"stmt_len"`
	} `json:"stmts"`
}

// parse cuts a text into statements. One that the grammar refuses is there
// without a tree, and the whole text is one where its statements cannot be told
// apart. An error is about what is no text at all.
func parse(sql string) ([]parsed, error) {
	if err := readable(sql); err != nil {
		return nil, err
	}
	sql = withoutRows(sql)
	all, err := parseWhole(sql)
	if err == nil {
		return all, nil
	}
	if pieces, err := parsePieces(sql); err == nil {
		return pieces, nil
	}
	return parsePiece(sql, 0, len(sql)), nil
}

// rowsFollow is a COPY FROM stdin at the end of its line, where psql takes the
// lines after it for rows, up to one that is \.
var rowsFollow = spec.Pattern(`(?im)^[ \t]*copy\b[^;]*\bfrom[ \t\r\n]+stdin\b[^;]*;[ \t]*\r?$`)

// withoutRows puts blanks for the rows after a COPY, so that all else stays
// where it is.
func withoutRows(sql string) string {
	at := 0
	for {
		copied := rowsFollow().FindStringIndex(sql[at:])
		if copied == nil {
			return sql
		}
		start := at + copied[1]
		end := strings.Index(sql[start:], "\n\\.")
		if end < 0 {
			return sql
		}
		at = start + end + len("\n\\.")
		sql = sql[:start] + blanked(sql[start:at]) + sql[at:]
	}
}

func blanked(rows string) string {
	b := []byte(rows)
	for i := range b {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

// parsePieces reads what the scanner takes for statements one by one. What it
// passes over without taking it for one is a statement too: a misspelled one
// may have no word that the scanner knows.
func parsePieces(sql string) ([]parsed, error) {
	pieces, err := grammar.SplitWithScanner(sql, true)
	if err != nil {
		return nil, err
	}
	var all []parsed
	at := 0
	for _, piece := range pieces {
		start := strings.Index(sql[at:], piece)
		if start < 0 {
			return nil, fmt.Errorf("%.40q is not where it should be", piece)
		}
		all = append(all, passedOver(sql, at, at+start)...)
		at += start
		all = append(all, parsePiece(sql, at, at+len(piece))...)
		at += len(piece)
	}
	return append(all, passedOver(sql, at, len(sql))...), nil
}

// passedOver is what lies between two statements, if it is more than blanks.
func passedOver(sql string, start, end int) []parsed {
	for skip := 1; skip > 0 && start < end; start += skip {
		skip = blank(sql[start:end])
		if skip == 0 && sql[start] == ';' {
			skip = 1
		}
	}
	end = start + len(strings.TrimRight(sql[start:end], "; \t\r\n\f\v"))
	if start >= end {
		return nil
	}
	return parsePiece(sql, start, end)
}

func readable(sql string) error {
	switch {
	case len(sql) > longest:
		return fmt.Errorf("it is longer than %d MiB", longest>>20)
	case strings.ContainsRune(sql, 0):
		return errors.New("it holds a NUL byte")
	case !utf8.ValidString(sql):
		return errors.New("it is not text in UTF-8")
	}
	return nil
}

// parsePiece reads what the scanner took for one statement.
func parsePiece(sql string, start, end int) []parsed {
	start += blank(sql[start:end])
	if start == end {
		return nil
	}
	inner, err := parseWhole(sql[start:end])
	if err != nil {
		return []parsed{{start: start, end: end, problem: problemOf(err, sql, start, end)}}
	}
	for i := range inner {
		inner[i].start += start
		inner[i].end += start
		inner[i].base = start
	}
	return inner
}

// problemOf finds the place of which an error speaks. The grammar counts
// characters, from 1.
func problemOf(err error, sql string, start, end int) *problem {
	p := &problem{text: err.Error(), start: start, end: end}
	var refused *grammar.Error
	if !errors.As(err, &refused) || refused.Cursorpos == 0 {
		return p
	}
	for range refused.Cursorpos - 1 {
		_, size := utf8.DecodeRuneInString(sql[p.start:end])
		p.start += size
	}
	if p.start >= end { // what is missing would stand after the last character
		_, size := utf8.DecodeLastRuneInString(sql[start:end])
		p.start = end - size
	}
	if _, token, ok := strings.Cut(p.text, "at or near \""); ok {
		p.end = min(end, p.start+max(1, len(token)-1))
	}
	return p
}

func parseWhole(sql string) ([]parsed, error) {
	t, err := treeOf(sql)
	if err != nil {
		return nil, err
	}
	all := make([]parsed, 0, len(t.Statements))
	for _, s := range t.Statements {
		end := s.Location + s.Length
		if s.Length == 0 {
			end = len(sql)
		}
		start := s.Location + blank(sql[s.Location:end])
		end = start + len(strings.TrimRight(sql[start:end], " \t\r\n\f\v"))
		all = append(all, parsed{start: start, end: end, statement: itemOf(s.Statement)})
	}
	return all, nil
}

func treeOf(sql string) (tree, error) {
	var t tree
	text, err := grammar.ParseToJSON(sql)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal([]byte(text), &t)
}
