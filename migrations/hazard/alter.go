package hazard

import (
	"slices"

	"pleat/spec"
)

// alterModes are the locks of ALTER TABLE's actions that are not ACCESS
// EXCLUSIVE (manual, ALTER TABLE; §13.3.1).
var alterModes = map[string]Mode{
	"AT_ValidateConstraint": ShareUpdateExclusive, "AT_SetStatistics": ShareUpdateExclusive,
	"AT_SetOptions": ShareUpdateExclusive, "AT_ResetOptions": ShareUpdateExclusive,
	"AT_ClusterOn": ShareUpdateExclusive, "AT_DropCluster": ShareUpdateExclusive,
	"AT_SetRelOptions": ShareUpdateExclusive, "AT_ResetRelOptions": ShareUpdateExclusive,
	"AT_AttachPartition": ShareUpdateExclusive, "AT_DetachPartitionFinalize": ShareUpdateExclusive,
	"AT_EnableTrig": ShareRowExclusive, "AT_EnableAlwaysTrig": ShareRowExclusive, "AT_EnableReplicaTrig": ShareRowExclusive,
	"AT_EnableTrigAll": ShareRowExclusive, "AT_EnableTrigUser": ShareRowExclusive, "AT_DisableTrig": ShareRowExclusive,
	"AT_DisableTrigAll": ShareRowExclusive, "AT_DisableTrigUser": ShareRowExclusive,
}

// strongOptions are storage parameters that need ACCESS EXCLUSIVE.
var strongOptions = []string{"user_catalog_table", "security_barrier", "security_invoker", "check_option"}

func alterMode(cmd node) Mode {
	switch kind := cmd.text("subtype"); kind {
	case "AT_AddConstraint":
		if cmd.item("def").node.text("contype") == "CONSTR_FOREIGN" {
			return ShareRowExclusive
		}
	case "AT_DetachPartition":
		if detachesConcurrently(cmd) {
			return ShareUpdateExclusive
		}
	case "AT_SetRelOptions", "AT_ResetRelOptions":
		for _, o := range cmd.item("def").node.items("items") {
			if slices.Contains(strongOptions, o.node.text("defname")) {
				return AccessExclusive
			}
		}
		return ShareUpdateExclusive
	default:
		if mode, ok := alterModes[kind]; ok {
			return mode
		}
	}
	return AccessExclusive
}

func (s *scope) alterTable(n node) {
	t := tableOf(n.child("relation"))
	if n.text("objtype") == "OBJECT_TYPE" {
		s.alterType(t, n)
		return
	}
	s.Related = true
	if n.text("objtype") == "OBJECT_INDEX" {
		s.alterIndex(t, n)
		return
	}
	tr := s.text.transaction
	if tr.altered[t] && !s.fresh(t) {
		s.find("several_alters", "%s was altered by an earlier statement of the transaction", t)
	}
	tr.altered[t] = true
	for _, c := range n.items("cmds") {
		mode := alterMode(c.node)
		s.lock(t, mode)
		s.action(t, c.node)
		if n.text("objtype") == "OBJECT_VIEW" && !s.fresh(t) {
			s.viewOptions(t, c.node)
		}
		if mode == AccessExclusive && !s.fresh(t) {
			tr.schema = true
		}
	}
	if tr.schema && tr.written == t.String() && !s.fresh(t) {
		s.find("data_and_schema", "rows of %s were written earlier in the transaction", t)
	}
}

func (s *scope) alterType(t spec.Table, n node) {
	s.lock(t, AccessExclusive)
	s.Related = true
	if s.text.freshTypes[t.String()] {
		return
	}
	s.find("type_altered", "an attribute of %s changes", t)
	for _, c := range n.items("cmds") {
		if c.node.text("subtype") == "AT_DropColumn" {
			s.lose("attribute %s of %s", c.node.text("name"), t)
		}
	}
}

// action is one of an ALTER TABLE. What is not here changes the catalog and
// nothing else.
func (s *scope) action(t spec.Table, cmd node) {
	name, def := cmd.text("name"), cmd.item("def").node
	switch cmd.text("subtype") {
	case "AT_AddColumn":
		s.near(def)
		s.addColumn(t, def)
	case "AT_AddConstraint":
		s.near(def)
		s.addConstraint(t, def)
	case "AT_ValidateConstraint":
		s.validate(t, name)
	case "AT_AlterColumnType":
		s.changeType(t, name, def)
	case "AT_SetNotNull":
		s.setNotNull(t, name)
	case "AT_SetTableSpace", "AT_SetLogged", "AT_SetUnLogged", "AT_SetAccessMethod", "AT_SetExpression":
		s.rewrite(t)
		if !s.fresh(t) {
			s.find("table_rewrite", "nobody reads or writes %s until it is written anew", t)
		}
	case "AT_AttachPartition", "AT_DetachPartition", "AT_DetachPartitionFinalize", "AT_AddInherit", "AT_DropInherit":
		s.partition(t, cmd.text("subtype"), def)
	default:
		if !s.fresh(t) {
			s.taken(t, cmd, name)
			s.switched(t, cmd)
		}
	}
}

// taken is about actions that take something away.
func (s *scope) taken(t spec.Table, cmd node, name string) {
	if cmd.text("behavior") == "DROP_CASCADE" {
		s.find("drop_cascade", "what depends on %s of %s goes too", name, t)
	}
	switch cmd.text("subtype") {
	case "AT_DropColumn":
		s.lose("%s.%s", t, name)
		s.find("drop_column", "%s.%s and what is in it", t, name)
	case "AT_DropNotNull":
		s.find("not_null_dropped", "%s.%s may be null from here on", t, name)
	case "AT_ColumnDefault":
		s.find("default_changed", "new rows of %s get another %s", t, name)
	case "AT_DropConstraint":
		delete(s.text.reader.checks[t], name)
		s.find("drop_constraint", "%s is not kept any more", name)
	case "AT_DropExpression", "AT_DropIdentity":
		s.find("default_changed", "%s.%s has to be given from here on", t, name)
	case "AT_AddIdentity":
		s.find("identity_changed", "%s.%s", t, name)
	case "AT_SetIdentity":
		s.setIdentity(t, name, cmd.item("def").node)
	}
}

// switched is about actions that turn something on or off for everybody.
func (s *scope) switched(t spec.Table, cmd node) {
	switch cmd.text("subtype") {
	case "AT_EnableRowSecurity", "AT_DisableRowSecurity", "AT_ForceRowSecurity", "AT_NoForceRowSecurity":
		s.find("row_security", "other rows of %s are visible from here on", t)
	case "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser":
		s.find("trigger_disabled", "triggers of %s do not fire any more", t)
	case "AT_ReplicaIdentity":
		s.find("replication_changed", "subscribers see other keys of %s", t)
	case "AT_ChangeOwner":
		s.find("owner_changed", "%s gets another owner", t)
	}
}

func (s *scope) viewOptions(view spec.Table, cmd node) {
	switch cmd.text("subtype") {
	case "AT_SetRelOptions", "AT_ResetRelOptions":
		s.find("view_options", "%s has other options from here on", view)
	}
}

// valueOptions are those of a sequence that decide which values come next.
var valueOptions = []string{"as", "cycle", "increment", "maxvalue", "minvalue", "restart"}

// sequenceOptions tells whether any is about values, and whether one says when they
// are given.
func sequenceOptions(options []item) (values, generated bool) {
	for _, o := range options {
		name := o.node.text("defname")
		values, generated = values || slices.Contains(valueOptions, name), generated || name == "generated"
	}
	return values, generated
}

// setIdentity is about the options of an identity column and its sequence.
func (s *scope) setIdentity(t spec.Table, name string, def node) {
	values, generated := sequenceOptions(def.items("items"))
	if generated {
		s.find("identity_changed", "%s.%s", t, name)
	}
	if values {
		s.find("sequence_values", "new rows of %s get another %s", t, name)
	}
}

func (s *scope) setNotNull(t spec.Table, name string) {
	if s.fresh(t) {
		return
	}
	s.find("writes_restricted", "%s.%s may not be null from here on", t, name)
	for _, c := range s.text.reader.checks[t] {
		if c.validated && slices.Contains(c.columns, name) {
			return
		}
	}
	s.scan(t)
	s.find("not_null_scans", "nobody reads or writes %s while it is searched for nulls in %s", t, name)
}

func (s *scope) changeType(t spec.Table, name string, def node) {
	kind := typeOf(def.child("typeName"))
	was := s.text.reader.tables[t][name]
	if known := s.text.reader.tables[t]; known != nil {
		known[name] = column{kind: kind, null: was.null}
	}
	s.columnType(def)
	if s.fresh(t) || !def.has("raw_default") && keepsBytes(was.kind, kind) {
		return
	}
	s.rewrite(t)
	s.scan(t)
	s.find("column_type_change", "%s.%s becomes %s", t, name, kind)
}

func (s *scope) partition(t spec.Table, action string, def node) {
	other := tableOf(def.child("name"))
	if action == "AT_AddInherit" || action == "AT_DropInherit" {
		other = tableOf(def)
	}
	switch action {
	case "AT_AttachPartition":
		s.lock(other, AccessExclusive)
		if !s.fresh(other) {
			s.scan(other)
			if len(s.text.reader.checks[other]) == 0 {
				s.find("partition_attach_scans", "nobody reads or writes %s while its rows are checked", other)
			}
		}
	case "AT_DetachPartition":
		s.detached(t, other)
		if detachesConcurrently(node{"subtype": action, "def": map[string]any{"PartitionCmd": map[string]any(def)}}) {
			s.lock(other, AccessExclusive)
			return
		}
		s.lock(other, AccessExclusive)
		if !s.fresh(t) {
			s.find("partition_detach_blocks", "nobody reads or writes %s for a moment", t)
		}
	case "AT_DetachPartitionFinalize":
		s.lock(other, AccessExclusive)
	default:
		s.lock(other, ShareUpdateExclusive)
		if action == "AT_DropInherit" {
			s.detached(t, other)
		}
	}
}

// detached is about rows that are not found by the table that they were in.
func (s *scope) detached(t, other spec.Table) {
	if !s.fresh(t) {
		s.find("rows_detached", "%s and %s go apart", t, other)
	}
}

// alterIndex is about an index, whose table is not in the text.
func (s *scope) alterIndex(index spec.Table, n node) {
	for _, c := range n.items("cmds") {
		s.lock(index, alterMode(c.node))
		switch def := c.node.item("def").node; c.node.text("subtype") {
		case "AT_AttachPartition":
			s.lock(tableOf(def.child("name")), AccessExclusive)
		case "AT_SetTableSpace":
			s.rewrite(index)
			s.find("table_rewrite", "nobody uses %s until it is written anew", index)
		}
	}
}

// validate is about a constraint that was added NOT VALID.
func (s *scope) validate(t spec.Table, name string) {
	if s.fresh(t) {
		return
	}
	s.scan(t)
	if slices.Contains(s.text.transaction.unproven[t], name) {
		s.find("validate_in_same_transaction", "%s was added in the same transaction, whose lock on %s is still held", name, t)
	}
	if c := s.text.reader.checks[t][name]; c != nil {
		c.validated = true
	}
}
