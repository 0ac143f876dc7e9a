package hazard

import (
	"errors"
	"slices"
)

// Target is a table, or columns of it, whose use is looked for.
type Target struct {
	Schema, Table string
	Columns       []string // none: the table as a whole

	named bool // what stands for all columns without a name is none of them
}

// Uses tells whether a text reads or writes rows through the target. It goes by
// the grammar, and where that cannot tell it says yes: a column without its
// table's name may be of any table of the statement, a star and an INSERT without
// a list are every column, and a table without its schema may be this one. What
// only changes the schema uses nothing. An error is a text that cannot be read.
func Uses(sql string, t Target) (bool, error) {
	all, err := parse(sql)
	if err != nil {
		return false, err
	}
	for _, p := range all {
		if p.problem != nil {
			return false, errors.New(p.problem.text)
		}
		if slices.Contains(rowKinds, p.statement.kind) && t.usedIn(p.statement.node) {
			return true, nil
		}
	}
	return false, nil
}

// Names tells whether a text that reads or writes rows has the target's name in
// it. It goes by the grammar as Uses does, but a star, a whole row and an INSERT
// without a list name no column.
func Names(sql string, t Target) (bool, error) {
	t.named = true
	return Uses(sql, t)
}

// rowKinds are the statements that read or write rows.
var rowKinds = []string{
	"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CopyStmt", "DeclareCursorStmt", "ExplainStmt",
	"CreateTableAsStmt", "PrepareStmt", "TruncateStmt", "RefreshMatViewStmt",
}

func (t Target) usedIn(statement node) bool {
	names := t.names(statement)
	if len(names) == 0 {
		return false
	}
	if len(t.Columns) == 0 {
		return true
	}
	found := false
	walk(statement, func(kind string, n node) bool {
		found = found || t.reads(kind, n, names) || t.writes(n)
		return !found
	})
	return found || t.writes(statement)
}

// names are those by which the statement knows the table: its own and its
// aliases.
func (t Target) names(statement node) map[string]bool {
	names := map[string]bool{}
	look := func(n node) {
		if !t.is(n) {
			return
		}
		names[n.text("relname")] = true
		if alias := n.child("alias").text("aliasname"); alias != "" {
			names[alias] = true
		}
	}
	walk(statement, func(_ string, n node) bool { look(n); return true })
	return names
}

// is tells whether a node is the table in a statement.
func (t Target) is(n node) bool {
	schema := n.text("schemaname")
	return n.text("relname") == t.Table && (schema == "" || schema == t.Schema)
}

func (t Target) reads(kind string, n node, names map[string]bool) bool {
	switch kind {
	case "ColumnRef":
		return t.column(n.items("fields"), names)
	case "JoinExpr":
		return n.flag("isNatural") || t.any(n.words("usingClause"))
	case "IndexElem":
		return t.any([]string{n.text("name")})
	}
	return false
}

func (t Target) any(columns []string) bool {
	return slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(t.Columns, c) })
}

// column judges a reference such as name, u.name, public.users.name, u.* or,
// for the whole row, u.
func (t Target) column(fields []item, names map[string]bool) bool {
	if len(fields) == 0 {
		return false
	}
	last, qualifier := fields[len(fields)-1], ""
	if len(fields) > 1 {
		qualifier = fields[len(fields)-2].node.text("sval")
	}
	of := qualifier == "" || names[qualifier]
	if last.kind == "A_Star" {
		return of && !t.named
	}
	name := last.node.text("sval")
	return of && slices.Contains(t.Columns, name) || !t.named && qualifier == "" && names[name]
}

// writes judges what an INSERT, UPDATE, MERGE or COPY of the table assigns.
func (t Target) writes(n node) bool {
	if t.is(n.child("relation")) {
		switch {
		case n.has("cols"):
			return t.assigns(n, "cols") || t.assigns(n.child("onConflictClause"), "targetList")
		case n.has("attlist"):
			return t.any(n.words("attlist"))
		case n.has("selectStmt"), n.has("is_from"), n.has("filename"): // INSERT or COPY of every column
			return !t.named
		}
		return t.assigns(n, "targetList") || t.assigns(n.child("onConflictClause"), "targetList") || t.assigns(n, "mergeWhenClauses")
	}
	return false
}

// assigns looks at the names of the targets in a list, and below it.
func (t Target) assigns(n node, field string) bool {
	found := false
	walk(n[field], func(kind string, r node) bool {
		found = found || kind == "ResTarget" && t.any([]string{r.text("name")})
		return true
	})
	return found
}
