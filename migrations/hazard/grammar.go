//go:build cgo

package hazard

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	grammar "github.com/pganalyze/pg_query_go/v6/parser"
)

// grammarVersion is the major version of PostgreSQL whose grammar is linked in.
const grammarVersion = 17

// longest is the longest text that is parsed: a tree is some dozens of times
// as large as its text.
const longest = 4 << 20

// parsed is one statement of a text, with the tree that the grammar makes of
// it. start and end are bytes; problem says why there is no tree.
type parsed struct {
	start, end int
	statement  item
	problem    string
}

type tree struct {
	Statements []struct {
		Statement map[string]any `json:"stmt"`
		Location  int            `json:"stmt_location"`
		Length    int            `json:"stmt_len"`
	} `json:"stmts"`
}

// parse cuts a text into statements. One that the grammar refuses is there
// without a tree; an error is about a text whose statements cannot be told
// apart.
func parse(sql string) ([]parsed, error) {
	if err := readable(sql); err != nil {
		return nil, err
	}
	all, err := parseWhole(sql)
	if err == nil {
		return all, nil
	}
	return parsePieces(sql)
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
	return []parsed{{start: start, end: end, problem: "it begins with no word that begins a statement"}}
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
		return []parsed{{start: start, end: end, problem: err.Error()}}
	}
	for i := range inner {
		inner[i].start += start
		inner[i].end += start
	}
	return inner
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
