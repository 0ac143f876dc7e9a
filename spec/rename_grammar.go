//go:build cgo

package spec

import (
	"encoding/json"
	"strings"

	grammar "github.com/pganalyze/pg_query_go/v6/parser"
)

// references are the places in SQL where a column's name begins.
type references struct {
	at    map[int]bool
	lists bool // names in lists are columns too, and not in at
}

// frames are statements in which a piece of SQL can stand: an expression, a
// constraint, an index. Only the last has lists.
var frames = []struct {
	before, after     string
	constraint, lists bool
}{
	{before: "SELECT (", after: "\n)"},
	{before: "ALTER TABLE t ADD ", constraint: true},
	{before: "CREATE INDEX ON t USING ", lists: true},
}

// columnsIn tells which columns a piece of SQL refers to, where it can be read:
// an expression, a check, or the definition of an index.
func columnsIn(sql string) (references, bool) {
	for _, f := range frames {
		text, err := grammar.ParseToJSON(f.before + sql + f.after)
		var tree any
		if err != nil || json.Unmarshal([]byte(text), &tree) != nil {
			continue
		}
		r := references{at: map[int]bool{}, lists: f.lists}
		known := !f.constraint
		visit(tree, func(kind string, fields map[string]any) {
			switch kind {
			case "ColumnRef":
				place, _ := fields["location"].(float64)
				parts, _ := fields["fields"].([]any)
				r.at[lastPart(sql, int(place)-len(f.before), len(parts))] = true
			case "Constraint":
				known = fields["contype"] == "CONSTR_CHECK"
			}
		})
		if known {
			return r, true
		}
	}
	return references{}, false
}

// keyLists are the names for the columns in each list of a foreign key, in the
// order of the lists: those that it is of, those that it refers to, if it says so,
// and those that ON DELETE sets. None where the grammar reads no foreign key.
func keyLists(definition string, own, referenced map[string]string) []map[string]string {
	text, err := grammar.ParseToJSON("ALTER TABLE t ADD " + definition)
	var tree any
	if err != nil || json.Unmarshal([]byte(text), &tree) != nil {
		return nil
	}
	var lists []map[string]string
	visit(tree, func(kind string, fields map[string]any) {
		if kind != "Constraint" || fields["contype"] != "CONSTR_FOREIGN" {
			return
		}
		lists = append(lists, own)
		if fields["pk_attrs"] != nil {
			lists = append(lists, referenced)
		}
		if fields["fk_del_set_cols"] != nil {
			lists = append(lists, own)
		}
	})
	return lists
}

// visit goes through every node of a tree with what kind it is.
func visit(tree any, see func(kind string, fields map[string]any)) {
	switch t := tree.(type) {
	case []any:
		for _, e := range t {
			visit(e, see)
		}
	case map[string]any:
		for kind, e := range t {
			if fields, ok := e.(map[string]any); ok {
				see(kind, fields)
			}
			visit(e, see)
		}
	}
}

// lastPart is where the last of the parts of a name begins that starts at i.
func lastPart(sql string, i, parts int) int {
	for i < len(sql) {
		piece := sql[i : i+span(sql[i:])]
		blank := strings.TrimSpace(piece) == "" || strings.HasPrefix(piece, "--") || strings.HasPrefix(piece, "/*")
		switch {
		case piece == ".":
			parts--
		case parts <= 1 && !blank:
			return i
		}
		i += len(piece)
	}
	return i
}
