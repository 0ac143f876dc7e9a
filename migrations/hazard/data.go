package hazard

import (
	"slices"
	"strings"

	"pleat/spec"
)

// data is about statements that read and write rows.
func (s *scope) data(i item) bool {
	n := i.node
	switch i.kind {
	case "SelectStmt":
		s.query(n)
		if into := n.child("intoClause"); into != nil {
			s.text.fresh[tableOf(into.child("rel"))] = true
		}
	case "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt":
		s.query(node{i.kind: map[string]any(n)})
	case "CopyStmt":
		s.copy(n)
	case "ExplainStmt":
		s.statement(n.item("query"))
	case "PrepareStmt":
		s.find("unclassified_sql", "what it is executed with is not seen")
		s.query(n)
	case "ExecuteStmt":
		s.find("unclassified_sql", "what %s was prepared from is not seen", n.text("name"))
		s.Irreversible = true
	case "DeclareCursorStmt":
		s.query(n)
	case "FetchStmt":
	case "DoStmt":
		s.find("unclassified_sql", "the code of a DO block is not read")
		s.Irreversible = true
	case "CallStmt":
		name, _ := function(n.child("funccall"))
		s.find("unclassified_sql", "the code of procedure %s is not read", name)
		s.Irreversible = true
	default:
		return false
	}
	return true
}

// query is about whatever is read and written anywhere within a statement.
func (s *scope) query(n node) {
	s.relations(n)
	s.sequences(n)
	if name := opaque(n); name != "" {
		s.find("unclassified_sql", "%s() may do anything: its code is not read", name)
		s.Irreversible = true
	}
}

// relations locks the tables of a query.
func (s *scope) relations(n node) {
	named := withNames(n)
	mode := AccessShare
	walk(n, func(kind string, inner node) bool {
		switch kind {
		case "LockingClause":
			mode = RowShare
			return false
		case "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt":
			s.write(kind, inner)
		}
		return true
	})
	walk(n, func(kind string, inner node) bool {
		if kind == "LockingClause" {
			return false
		}
		if kind == "RangeVar" && !(inner.text("schemaname") == "" && slices.Contains(named, inner.text("relname"))) {
			s.lock(tableOf(inner), mode)
			s.Related = true
		}
		return true
	})
}

// sequences locks what nextval() and setval() are called with.
func (s *scope) sequences(n node) {
	walk(n, func(kind string, call node) bool {
		if kind != "FuncCall" {
			return true
		}
		name, _ := function(call)
		if args := call.items("args"); len(args) > 0 && (name == "nextval" || name == "setval") {
			constant := args[0]
			if constant.kind == "TypeCast" {
				constant = constant.node.item("arg")
			}
			if sequence := constant.node.child("sval").text("sval"); sequence != "" {
				s.lock(tableNamed(strings.Split(sequence, ".")), RowExclusive)
			}
		}
		return true
	})
}

// withNames are the names that WITH gives.
func withNames(n node) []string {
	var names []string
	walk(n, func(kind string, inner node) bool {
		if kind == "CommonTableExpr" {
			names = append(names, inner.text("ctename"))
		}
		return true
	})
	return names
}

// write is about one INSERT, UPDATE, DELETE or MERGE.
func (s *scope) write(kind string, n node) {
	t := tableOf(n.child("relation"))
	s.lock(t, RowExclusive)
	s.Related = true
	s.twice(kind, n)
	if s.fresh(t) {
		return
	}
	bulk := kind != "InsertStmt" || len(n.item("selectStmt").node.items("fromClause")) > 0
	if kind == "UpdateStmt" || kind == "DeleteStmt" {
		s.rows(kind, t, n)
	}
	if kind == "MergeStmt" {
		s.lose("what rows of %s held", t)
		if always(n.item("joinCondition")) && slices.ContainsFunc(n.items("mergeWhenClauses"), rewrites) {
			s.find("whole_table_write", "MERGE that matches always locks every row of %s until it ends", t)
		}
	}
	if bulk {
		s.bulk(t)
	}
}

// rewrites tells whether a WHEN of a MERGE is about rows that are there.
func rewrites(when item) bool {
	command := when.node.text("commandType")
	return command == "CMD_UPDATE" || command == "CMD_DELETE"
}

func (s *scope) rows(kind string, t spec.Table, n node) {
	verb := "UPDATE"
	if kind == "DeleteStmt" {
		verb = "DELETE"
		s.lose("rows of %s", t)
	} else {
		s.lose("what rows of %s held", t)
	}
	if where := n.item("whereClause"); where.kind == "" || always(where) {
		s.find("whole_table_write", "%s without a WHERE locks every row of %s until it ends", verb, t)
	}
}

// always tells whether a condition is TRUE as it stands.
func always(i item) bool {
	if i.kind != "A_Const" {
		return false
	}
	return i.node.child("boolval").flag("boolval")
}

// bulk is about rows that are written while a lock of the same transaction
// stops others.
func (s *scope) bulk(t spec.Table) {
	s.text.transaction.written = t.String()
	if s.text.transaction.schema {
		s.find("data_and_schema", "rows of %s are written while %s is locked for a schema change", t, s.text.held())
	}
}

// twice is about a column that is named more than once.
func (s *scope) twice(kind string, n node) {
	var names []string
	list := n.items("targetList")
	if kind == "InsertStmt" {
		list = n.items("cols")
	}
	for _, target := range list {
		if target.kind != "ResTarget" || target.node.has("indirection") {
			continue
		}
		names = append(names, target.node.text("name"))
	}
	s.repeated(names)
}

func (s *scope) repeated(names []string) {
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] && names[i] != "" {
			s.find("column_assigned_twice", "column %s is named twice", names[i])
		}
	}
}

func (s *scope) copy(n node) {
	if n.flag("is_program") || n.text("filename") != "" {
		s.find("unclassified_sql", "COPY reads or writes a file of the server, or runs a program there")
		s.Irreversible = true
	}
	if n.flag("is_from") && n.text("filename") == "" && !n.flag("is_program") {
		s.find("copy_from_stdin", "COPY %s takes rows that are no SQL", tableOf(n.child("relation")))
	}
	if query := n.item("query"); query.kind != "" {
		s.statement(query)
		return
	}
	t := tableOf(n.child("relation"))
	if !n.flag("is_from") {
		s.lock(t, AccessShare)
		s.Related = true
		return
	}
	s.lock(t, RowExclusive)
	s.Related = true
	if !s.fresh(t) {
		s.bulk(t)
	}
}

func (s *scope) truncate(n node) {
	for _, r := range n.items("relations") {
		t := tableOf(r.node)
		s.lock(t, AccessExclusive)
		s.Related = true
		if s.fresh(t) {
			continue
		}
		s.rewrite(t)
		s.lose("all rows of %s", t)
		s.find("truncate", "every row of %s is removed", t)
		if n.text("behavior") == "DROP_CASCADE" {
			s.find("truncate_cascade", "so is every row of whatever references %s", t)
		}
	}
}

// held names the tables that others wait for until the transaction ends.
func (t *text) held() string {
	var names []string
	for table := range t.transaction.strong {
		names = append(names, table.String())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
