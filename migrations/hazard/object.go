package hazard

import (
	"slices"
	"strings"

	"pleat/spec"
)

func joined(words []string) string { return strings.Join(words, ".") }

// object is about statements that concern objects which are no tables, and
// what is said about objects.
func (s *scope) object(i item) bool {
	n := i.node
	switch i.kind {
	case "CommentStmt", "SecLabelStmt":
		s.comment(n)
	case "GrantStmt":
		if s.text.reader.options.Version >= 180000 { // older servers lock nothing
			for _, o := range n.items("objects") {
				if o.kind == "RangeVar" {
					s.lock(tableOf(o.node), AccessShare)
				}
			}
		}
		if !n.flag("is_grant") {
			s.find("privilege_removed", "privileges on %s", targets(n.items("objects")))
		}
	case "GrantRoleStmt":
		if !n.flag("is_grant") {
			s.find("privilege_removed", "membership in roles")
		}
	case "AlterFunctionStmt":
		s.find("function_options", "%s runs otherwise from here on", joined(n.child("func").words("objname")))
	case "CreateExtensionStmt":
		s.Related = true
	case "AlterExtensionStmt":
		s.Related, s.Irreversible = true, true
		s.find("extension_updated", "%s", n.text("extname"))
	case "CreatePublicationStmt", "AlterPublicationStmt":
		s.publication(n)
	case "DropOwnedStmt":
		s.lose("what the roles own")
		s.find("drop_cascade", "what the roles own depends on the database")
		s.find("unclassified_sql", "what is dropped depends on the database")
	default:
		if !slices.Contains(quiet, i.kind) {
			return false
		}
		if n.flag("replace") {
			s.find("object_replaced", "it is another one from here on")
		}
	}
	return true
}

func targets(items []item) string {
	var names []string
	for _, i := range items {
		if i.kind == "RangeVar" {
			names = append(names, tableOf(i.node).String())
			continue
		}
		names = append(names, i.name())
	}
	return strings.Join(names, ", ")
}

// comment locks what it is about as little as it can.
func (s *scope) comment(n node) {
	words, mode := wordsOf(n.item("object").node.items("items")), ShareUpdateExclusive
	switch n.text("objtype") {
	case "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE":
		words, mode = words[:max(0, len(words)-1)], AccessShare
	case "OBJECT_COLUMN":
		words = words[:max(0, len(words)-1)]
	case "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE":
	default:
		return
	}
	s.lock(tableNamed(words), mode)
	s.Related = true
}

func (s *scope) publication(n node) {
	s.find("replication_changed", "publication %s", n.text("pubname"))
	for _, o := range n.items("pubobjects") {
		if relation := o.node.child("pubtable").child("relation"); relation != nil {
			s.lock(tableOf(relation), ShareUpdateExclusive)
			s.Related = true
		}
	}
	if n.flag("for_all_tables") {
		s.Related = true
	}
}

// relationKinds are objects that have rows, or an index of some.
var relationKinds = map[string]string{
	"OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized view", "OBJECT_SEQUENCE": "sequence",
	"OBJECT_FOREIGN_TABLE": "foreign table", "OBJECT_INDEX": "index",
}

func (s *scope) drop(n node) {
	kind := n.text("removeType")
	for _, o := range n.items("objects") {
		s.dropOne(kind, o, n)
	}
	if n.text("behavior") == "DROP_CASCADE" && len(s.Findings) > 0 {
		s.find("drop_cascade", "what depends on it goes too")
	}
}

func (s *scope) dropOne(kind string, o item, n node) {
	words := o.node.words("items")
	if _, ok := relationKinds[kind]; ok {
		s.dropRelation(kind, tableNamed(words), n)
		return
	}
	name := o.name()
	s.Related = true
	switch kind {
	case "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE":
		t := tableNamed(words[:max(0, len(words)-1)])
		s.lock(t, AccessExclusive)
		if s.fresh(t) {
			return
		}
	case "OBJECT_SCHEMA":
		if n.text("behavior") == "DROP_CASCADE" {
			s.lose("everything in schema %s", name)
			s.find("unclassified_sql", "which tables are in schema %s depends on the database", name)
		}
		s.find("drop_schema", "schema %s", name)
		return
	case "OBJECT_EXTENSION":
		s.Irreversible = true
		s.find("extension_updated", "%s is dropped", name)
		return
	case "OBJECT_TYPE", "OBJECT_DOMAIN":
		if s.text.freshTypes[tableNamed(strings.Split(name, ".")).String()] {
			return
		}
		if n.text("behavior") == "DROP_CASCADE" {
			s.lose("columns of type %s", name)
			s.find("unclassified_sql", "which columns are of type %s depends on the database", name)
		}
		if kind == "OBJECT_TYPE" {
			s.lock(tableNamed(strings.Split(name, ".")), AccessExclusive) // a composite type has a relation
		}
	case "OBJECT_STATISTIC_EXT":
		s.add(Lock{Table: tableNamed(words), Behind: true, Mode: ShareUpdateExclusive})
	case "OBJECT_PUBLICATION":
		s.find("replication_changed", "publication %s is dropped", name)
		return
	}
	s.find("drop_object", "%s %s", strings.ToLower(strings.TrimPrefix(kind, "OBJECT_")), name)
}

func (s *scope) dropRelation(kind string, t spec.Table, n node) {
	if s.fresh(t) {
		return
	}
	s.Related = true
	if kind == "OBJECT_INDEX" {
		s.dropIndex(t, n.flag("concurrent"))
		return
	}
	s.lock(t, AccessExclusive)
	switch kind {
	case "OBJECT_TABLE":
		s.lose("the rows of %s", t)
		s.find("drop_table", "%s and its rows", t)
		s.text.transaction.schema = true
	case "OBJECT_SEQUENCE":
		s.lose("the position of %s", t)
		s.find("drop_object", "sequence %s", t)
	default:
		s.find("drop_object", "%s %s", relationKinds[kind], t)
	}
}

func (s *scope) dropIndex(index spec.Table, concurrent bool) {
	mode := AccessExclusive
	if concurrent {
		mode = ShareUpdateExclusive
	}
	s.lock(index, mode)
	s.add(Lock{Table: index, Behind: true, Mode: mode})
	if !concurrent {
		s.find("index_drop_blocks", "nobody reads or writes the table of %s for a moment", index)
	}
}

func (s *scope) rename(n node) {
	t := tableOf(n.child("relation"))
	if t != (spec.Table{}) {
		s.renameIn(t, n)
		return
	}
	name := n.item("object").name()
	if name == "" {
		name = n.text("subname")
	}
	switch n.text("renameType") {
	case "OBJECT_SCHEMA":
		s.find("rename_schema", "%s becomes %s", n.text("subname"), n.text("newname"))
	case "OBJECT_DATABASE", "OBJECT_ROLE", "OBJECT_TABLESPACE":
		s.find("server_wide", "%s becomes %s", n.text("subname"), n.text("newname"))
	case "OBJECT_DOMCONSTRAINT":
	default:
		if !s.text.freshTypes[tableNamed(strings.Split(name, ".")).String()] {
			s.find("rename_object", "%s becomes %s", name, n.text("newname"))
		}
	}
}

// renameIn is about a table, or something of one.
func (s *scope) renameIn(t spec.Table, n node) {
	to := n.text("newname")
	s.Related = true
	kind := n.text("renameType")
	if kind == "OBJECT_INDEX" {
		s.lock(t, ShareUpdateExclusive)
		return
	}
	s.lock(t, AccessExclusive)
	if s.fresh(t) {
		s.text.fresh[spec.Table{Schema: t.Schema, Name: to}] = kind == "OBJECT_TABLE" || s.fresh(spec.Table{Schema: t.Schema, Name: to})
		return
	}
	switch kind {
	case "OBJECT_TABLE":
		s.find("rename_table", "%s becomes %s", t, to)
	case "OBJECT_COLUMN":
		s.find("rename_column", "%s.%s becomes %s", t, n.text("subname"), to)
	case "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE":
		s.find("rename_object", "%s becomes %s", t, to)
	case "OBJECT_ATTRIBUTE":
		s.find("type_altered", "attribute %s of %s becomes %s", n.text("subname"), t, to)
	}
}

func (s *scope) moveSchema(n node) {
	t := tableOf(n.child("relation"))
	s.Related = true
	if t == (spec.Table{}) {
		s.find("rename_object", "%s moves to schema %s", n.item("object").name(), n.text("newschema"))
		return
	}
	s.lock(t, AccessExclusive)
	if !s.fresh(t) {
		s.find("rename_table", "%s moves to schema %s", t, n.text("newschema"))
	}
}

// server is about what does not belong to the database alone.
func (s *scope) server(i item) bool {
	n := i.node
	switch i.kind {
	case "DropdbStmt":
		s.lose("database %s", n.text("dbname"))
		s.find("drop_database", "%s", n.text("dbname"))
	case "CreatedbStmt", "AlterDatabaseStmt", "AlterDatabaseSetStmt", "AlterDatabaseRefreshCollStmt", "AlterSystemStmt",
		"CreateTableSpaceStmt", "DropTableSpaceStmt", "AlterTableSpaceOptionsStmt", "CreateRoleStmt", "AlterRoleStmt",
		"AlterRoleSetStmt", "DropRoleStmt", "ReassignOwnedStmt", "CreateSubscriptionStmt", "AlterSubscriptionStmt",
		"DropSubscriptionStmt", "CreateEventTrigStmt", "AlterEventTrigStmt", "CheckPointStmt", "LoadStmt", "CreatePLangStmt":
		s.find("server_wide", "%s", s.command())
	default:
		return false
	}
	return true
}
