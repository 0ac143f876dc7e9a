package hazard

import "pleat/spec"

// define is about statements that create.
func (s *scope) define(i item) bool {
	n := i.node
	switch i.kind {
	case "CreateStmt":
		s.createTable(n)
	case "CreateForeignTableStmt":
		s.createTable(n.child("base"))
	case "CreateTableAsStmt":
		s.statement(n.item("query"))
		s.create(n.child("into").child("rel"), n.flag("if_not_exists"))
	case "ViewStmt":
		s.relations(n)
		s.replaced(tableOf(n.child("view")), n.flag("replace"))
		s.text.fresh[tableOf(n.child("view"))] = !n.flag("replace")
	case "CreateSeqStmt":
		s.create(n.child("sequence"), n.flag("if_not_exists"))
		s.Related = true
	case "AlterSeqStmt":
		sequence := tableOf(n.child("sequence"))
		s.lock(sequence, ShareRowExclusive)
		s.Related = true
		if values, _ := sequenceOptions(n.items("options")); values && !s.fresh(sequence) {
			s.find("sequence_values", "%s gives other values from here on", sequence)
		}
	case "CreateFunctionStmt":
		s.Related = true
		s.relations(node{"body": n["sql_body"]})
		if n.flag("replace") {
			s.find("object_replaced", "%s is another one from here on", joined(n.words("funcname")))
		}
	case "CreateTrigStmt":
		s.createTrigger(n)
	case "RuleStmt":
		s.relations(n)
		s.replaced(tableOf(n.child("relation")), true)
	case "CreatePolicyStmt", "AlterPolicyStmt":
		s.policy(n)
	case "CreateStatsStmt":
		s.Related = true
		for _, r := range n.items("relations") {
			s.lock(tableOf(r.node), ShareUpdateExclusive)
		}
	case "AlterStatsStmt":
		s.Related = true
	case "CreateDomainStmt":
		s.createDomain(n)
	case "AlterDomainStmt":
		s.alterDomain(n)
	case "CompositeTypeStmt":
		s.text.freshTypes[tableOf(n.child("typevar")).String()] = true
		s.text.fresh[tableOf(n.child("typevar"))] = true
	case "CreateEnumStmt":
		s.text.freshTypes[tableNamed(n.words("typeName")).String()] = true
		s.find("type_enum", "%s is an enum", joined(n.words("typeName")))
	case "AlterEnumStmt":
		s.alterEnum(n)
	default:
		return false
	}
	return true
}

// create is about a table or its like that this text makes. With IF NOT EXISTS
// it may be there already, and in use.
func (s *scope) create(relation node, ifNotExists bool) {
	t := tableOf(relation)
	if !ifNotExists || relation.text("relpersistence") == "t" {
		s.text.fresh[t] = true
	}
}

func (s *scope) replaced(t spec.Table, replace bool) {
	if !replace || s.fresh(t) {
		return
	}
	s.lock(t, AccessExclusive)
	s.find("object_replaced", "every release gets the new %s at once", t)
}

func (s *scope) createTable(n node) {
	relation := n.child("relation")
	t := tableOf(relation)
	s.create(relation, n.flag("if_not_exists"))
	columns := map[string]column{}
	s.text.reader.tables[t] = columns
	var kinds, names []string
	created := s.text.fresh[t]
	s.text.fresh[t] = true // what its own definition says concerns nobody else
	for _, e := range n.items("tableElts") {
		s.near(e.node)
		switch e.kind {
		case "ColumnDef":
			kind := s.tableColumn(t, e.node, columns)
			kinds, names = append(kinds, kind), append(names, e.node.text("colname"))
		case "Constraint":
			s.tableConstraint(t, e.node, columns)
		case "TableLikeClause":
			s.lock(tableOf(e.node.child("relation")), AccessShare)
		}
	}
	s.text.fresh[t] = created
	s.at = s.Start
	s.repeated(names)
	if waste, least := padding(kinds); waste >= least+4 {
		s.find("column_padding", "%d bytes of each row lie between columns; another order needs %d", waste, least)
	}
	s.parents(n)
}

func (s *scope) tableColumn(t spec.Table, def node, columns map[string]column) string {
	name, kind := def.text("colname"), typeOf(def.child("typeName"))
	has := constraintsOf(def)
	columns[name] = column{kind: kind, null: has["CONSTR_NOTNULL"] == nil && has["CONSTR_PRIMARY"] == nil}
	for contype, c := range has {
		s.inline(t, name, contype, c, false)
	}
	if has["CONSTR_PRIMARY"] == nil || !s.shortKey(t, name, kind) {
		s.columnType(def)
	}
	return kind
}

// shortKey tells whether a primary key ends before bigint does.
func (s *scope) shortKey(t spec.Table, name, kind string) bool {
	switch unserial(kind) {
	case "int4", "int2":
		s.find("primary_key_int", "%s.%s is %s", t, name, kind)
		return true
	}
	return false
}

func (s *scope) tableConstraint(t spec.Table, c node, columns map[string]column) {
	switch c.text("contype") {
	case "CONSTR_PRIMARY":
		s.text.indexed[t] = append(s.text.indexed[t], c.words("keys"))
		for _, key := range c.words("keys") {
			s.shortKey(t, key, columns[key].kind)
		}
	case "CONSTR_UNIQUE":
		s.text.indexed[t] = append(s.text.indexed[t], c.words("keys"))
	case "CONSTR_FOREIGN":
		s.references(t, c.words("fk_attrs"), c, false)
	case "CONSTR_CHECK":
		s.remember(t, c.text("conname"), c, true)
	}
}

// parents are tables that a new one inherits from or is a partition of.
func (s *scope) parents(n node) {
	for _, r := range n.items("inhRelations") {
		parent := tableOf(r.node)
		s.Related = true
		if !n.has("partbound") {
			s.lock(parent, ShareUpdateExclusive)
			continue
		}
		s.lock(parent, AccessExclusive)
		if !s.fresh(parent) {
			s.find("partition_of_blocks", "nobody reads or writes %s for a moment", parent)
		}
	}
}

// triggerBefore is the server's TRIGGER_TYPE_BEFORE.
const triggerBefore = 2

func (s *scope) createTrigger(n node) {
	t := tableOf(n.child("relation"))
	s.lock(t, ShareRowExclusive)
	s.Related = true
	if s.fresh(t) {
		return
	}
	if n.flag("row") && n.number("timing") == triggerBefore {
		s.find("trigger_interplay", "%s fires before each row of %s", n.text("trigname"), t)
	}
	if n.flag("replace") {
		s.find("object_replaced", "trigger %s of %s is another one from here on", n.text("trigname"), t)
	}
}

func (s *scope) policy(n node) {
	t := tableOf(n.child("table"))
	s.relations(n)
	s.lock(t, AccessExclusive)
	if !s.fresh(t) {
		s.find("row_security", "other rows of %s are visible where row security is on", t)
	}
}

func (s *scope) createDomain(n node) {
	name := tableNamed(n.words("domainname"))
	s.text.freshTypes[name.String()] = true
	for _, c := range n.items("constraints") {
		switch c.node.text("contype") {
		case "CONSTR_CHECK", "CONSTR_NOTNULL":
			s.text.reader.domains[joined(n.words("domainname"))] = true
			s.find("domain_constraint", "changing it later reads every table that uses %s", name)
		}
	}
}

func (s *scope) alterDomain(n node) {
	name := tableNamed(n.words("typeName"))
	s.Related = true
	if s.text.freshTypes[name.String()] {
		return
	}
	switch n.text("subtype") {
	case "C", "O", "V": // ADD CONSTRAINT, SET NOT NULL, VALIDATE CONSTRAINT
		s.text.reader.domains[joined(n.words("typeName"))] = true
		if n.item("def").node.flag("skip_validation") {
			return
		}
		s.find("domain_constraint", "every table that uses %s is read while nobody writes it", name)
	case "X":
		s.find("drop_constraint", "%s of domain %s is not kept any more", n.text("name"), name)
	}
}

func (s *scope) alterEnum(n node) {
	name := joined(n.words("typeName"))
	s.Irreversible = true
	if n.text("oldVal") != "" {
		s.Irreversible = false
		s.find("rename_enum_value", "'%s' of %s becomes '%s'", n.text("oldVal"), name, n.text("newVal"))
		return
	}
	if !s.text.freshTypes[tableNamed(n.words("typeName")).String()] {
		s.find("enum_value_added", "'%s' of %s", n.text("newVal"), name)
	}
	if n.text("newValNeighbor") == "" {
		s.find("enum_value_unordered", "'%s' goes to the end of %s", n.text("newVal"), name)
	}
	if !s.text.oneByOne || s.text.begun > 0 {
		s.text.transaction.values = append(s.text.transaction.values, n.text("newVal"))
	}
}
