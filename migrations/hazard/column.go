package hazard

import (
	"cmp"
	"slices"

	"pleat/spec"
)

// addColumn is about a column of a table that is there.
func (s *scope) addColumn(t spec.Table, def node) {
	name, kind := def.text("colname"), typeOf(def.child("typeName"))
	has := constraintsOf(def)
	required := has["CONSTR_NOTNULL"] != nil || has["CONSTR_PRIMARY"] != nil
	if known := s.text.reader.tables[t]; known != nil {
		known[name] = column{kind: kind, null: !required}
	}
	s.columnType(def)
	for contype, c := range has {
		s.inline(t, name, contype, c, has["CONSTR_DEFAULT"] != nil)
	}
	if s.fresh(t) {
		return
	}
	s.find("column_added", "%s.%s", t, name)
	filled := s.filled(t, name, kind, has)
	if required && !filled {
		s.find("column_required", "%s.%s may not be null and has no default", t, name)
	}
	if s.text.reader.domains[kind] {
		s.rewrite(t)
		s.scan(t)
		s.find("domain_constraint", "%s.%s is of domain %s, whose constraint is checked for each row", t, name, kind)
	} else if !builtinType(kind) {
		// It may be a domain with a constraint, which only the catalog knows.
		s.rewrite(t)
		s.scan(t)
	}
}

// filled tells whether the rows that are there get a value, and says so where
// that writes each of them.
func (s *scope) filled(t spec.Table, name, kind string, has map[string]node) bool {
	switch {
	case slices.Contains(serials, kind), has["CONSTR_IDENTITY"] != nil:
		s.rewrite(t)
		s.scan(t)
		s.find("column_auto_increment", "each row of %s gets its %s while nobody reads or writes the table", t, name)
	case has["CONSTR_GENERATED"] != nil:
		s.rewrite(t)
		s.scan(t)
		s.find("column_generated_stored", "%s is computed for each row of %s while nobody reads or writes the table", name, t)
	case has["CONSTR_DEFAULT"] != nil:
		expression := has["CONSTR_DEFAULT"].item("raw_expr")
		if function := volatile(map[string]any(has["CONSTR_DEFAULT"])); function != "" {
			s.rewrite(t)
			s.scan(t)
			s.find("column_default_volatile", "%s() is computed for each row of %s while nobody reads or writes the table", function, t)
		}
		return expression.kind != "A_Const" || !expression.node.flag("isnull")
	default:
		return false
	}
	return true
}

// constraintsOf are the constraints of a column by their kind.
func constraintsOf(def node) map[string]node {
	has := map[string]node{}
	for _, c := range def.items("constraints") {
		has[c.node.text("contype")] = c.node
	}
	return has
}

// inline is about a constraint that is written with its column, which has no
// NOT VALID.
func (s *scope) inline(t spec.Table, name, contype string, c node, filled bool) {
	switch contype {
	case "CONSTR_CHECK":
		s.scan(t)
		if !s.fresh(t) {
			s.find("check_validates", "nobody reads or writes %s while its rows are checked", t)
		}
	case "CONSTR_UNIQUE", "CONSTR_PRIMARY":
		s.text.indexed[t] = append(s.text.indexed[t], []string{name})
		s.unique(t, contype, c)
	case "CONSTR_FOREIGN":
		// Without a default the rows that are there hold null, which needs no look.
		s.references(t, []string{name}, c, filled)
	}
}

func (s *scope) unique(t spec.Table, contype string, c node) {
	if s.fresh(t) {
		return
	}
	s.scan(t)
	if c.text("indexname") != "" {
		return
	}
	if contype == "CONSTR_PRIMARY" {
		s.find("primary_key_builds_index", "nobody reads or writes %s until the index is built", t)
		return
	}
	s.find("unique_builds_index", "nobody reads or writes %s until the index is built", t)
}

// references is about one foreign key of t.
func (s *scope) references(t spec.Table, columns []string, c node, scans bool) {
	other := tableOf(c.child("pktable"))
	s.lock(t, ShareRowExclusive)
	s.lock(other, ShareRowExclusive)
	s.compareTypes(t, other, columns, c.words("pk_attrs"))
	if s.fresh(t) {
		s.text.foreignKeys = append(s.text.foreignKeys, foreignKey{len(s.text.statements), t, columns})
		return
	}
	keys := s.text.transaction.keys
	keys[other] = true
	if len(keys) > 1 {
		s.find("several_foreign_keys", "the transaction stops the writers of %d referenced tables", len(keys))
	}
	if scans {
		s.scan(t)
		s.scan(other)
		s.find("foreign_key_validates", "nobody writes %s or %s while each row is looked up", t, other)
	}
}

func (s *scope) compareTypes(t, other spec.Table, columns, referenced []string) {
	if len(columns) != len(referenced) {
		return
	}
	for i := range columns {
		mine, theirs := s.text.reader.tables[t][columns[i]].kind, s.text.reader.tables[other][referenced[i]].kind
		if mine != "" && theirs != "" && unserial(mine) != unserial(theirs) {
			s.find("foreign_key_type_mismatch", "%s.%s is %s and %s.%s is %s", t, columns[i], mine, other, referenced[i], theirs)
		}
	}
}

// addConstraint is about a constraint on a table that is there.
func (s *scope) addConstraint(t spec.Table, c node) {
	name, proven := c.text("conname"), !c.flag("skip_validation")
	if !proven && !s.fresh(t) {
		s.text.transaction.unproven[t] = append(s.text.transaction.unproven[t], name)
	}
	if !s.fresh(t) {
		s.find("writes_restricted", "%s of %s holds for new rows from here on", cmp.Or(name, "the constraint"), t)
	}
	switch contype := c.text("contype"); contype {
	case "CONSTR_CHECK":
		s.remember(t, name, c, proven)
		if proven && !s.fresh(t) {
			s.scan(t)
			s.find("check_validates", "nobody reads or writes %s while its rows are checked", t)
		}
	case "CONSTR_FOREIGN":
		s.references(t, c.words("fk_attrs"), c, proven)
	case "CONSTR_UNIQUE", "CONSTR_PRIMARY":
		s.text.indexed[t] = append(s.text.indexed[t], c.words("keys"))
		s.unique(t, contype, c)
	case "CONSTR_EXCLUSION":
		if !s.fresh(t) {
			s.scan(t)
			s.find("exclusion_constraint", "nobody reads or writes %s until the index is built", t)
		}
	}
}

// remember keeps what a CHECK says about nulls.
func (s *scope) remember(t spec.Table, name string, c node, proven bool) {
	checks := s.text.reader.checks
	if checks[t] == nil {
		checks[t] = map[string]*check{}
	}
	checks[t][name] = &check{columns: notNulls(c.item("raw_expr")), validated: proven}
}

// notNulls are the columns of which a condition says that they are not null.
func notNulls(i item) []string {
	switch i.kind {
	case "NullTest":
		column := i.node.item("arg")
		if i.node.text("nulltesttype") == "IS_NOT_NULL" && column.kind == "ColumnRef" {
			return column.node.words("fields")
		}
	case "BoolExpr":
		if i.node.text("boolop") != "AND_EXPR" {
			return nil
		}
		var all []string
		for _, arg := range i.node.items("args") {
			all = append(all, notNulls(arg)...)
		}
		return all
	}
	return nil
}
