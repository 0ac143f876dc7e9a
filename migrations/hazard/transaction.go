package hazard

import (
	"slices"
	"strconv"
	"strings"
)

// alone tells whether a statement cannot run inside a transaction (manual:
// "cannot be executed inside a transaction block").
func alone(i item) bool {
	n := i.node
	switch i.kind {
	case "IndexStmt":
		return n.flag("concurrent")
	case "DropStmt":
		return n.flag("concurrent")
	case "ReindexStmt":
		kind := n.text("kind")
		return option(n.items("params"), "concurrently") || kind != "REINDEX_OBJECT_INDEX" && kind != "REINDEX_OBJECT_TABLE"
	case "VacuumStmt":
		return n.flag("is_vacuumcmd")
	case "ClusterStmt":
		return n.child("relation") == nil
	case "CreatedbStmt", "DropdbStmt", "AlterSystemStmt", "CreateTableSpaceStmt", "DropTableSpaceStmt",
		"CreateSubscriptionStmt", "DropSubscriptionStmt", "AlterSubscriptionStmt":
		return true
	case "AlterDatabaseStmt":
		return slices.ContainsFunc(n.items("options"), func(o item) bool { return o.node.text("defname") == "tablespace" })
	case "AlterTableStmt":
		return slices.ContainsFunc(n.items("cmds"), func(c item) bool { return detachesConcurrently(c.node) })
	case "DiscardStmt":
		return n.text("target") == "DISCARD_ALL"
	}
	return false
}

func detachesConcurrently(cmd node) bool {
	return cmd.text("subtype") == "AT_DetachPartition" && cmd.item("def").node.flag("concurrent")
}

// option tells whether a list of options has one that is not turned off.
func option(options []item, name string) bool {
	for _, o := range options {
		if o.node.text("defname") != name {
			continue
		}
		arg := o.node.item("arg").node
		return !slices.Contains([]string{"false", "off", "0"}, strings.ToLower(arg.text("sval")))
	}
	return false
}

// control is about BEGIN, COMMIT and their like.
func (s *scope) control(n node) {
	s.EndsTransaction = true
	t := s.text
	if t.reader.options.InTransaction {
		s.find("transaction_control", "it would end the transaction that records what was done")
		return
	}
	switch n.text("kind") {
	case "TRANS_STMT_BEGIN", "TRANS_STMT_START":
		if t.begun > 0 {
			s.find("transaction_nested", "a transaction was begun in line %d", t.statements[t.begun-1].Line)
			return
		}
		t.commit()
		t.begun = len(t.statements) + 1
	case "TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE":
		if t.begun == 0 {
			s.find("transaction_nested", "no transaction was begun")
		}
		t.begun = 0
		t.commit()
	case "TRANS_STMT_COMMIT_PREPARED", "TRANS_STMT_ROLLBACK_PREPARED":
		s.find("unclassified_sql", "what was prepared is not seen")
	}
}

// together is about a statement among the others of its transaction.
func (s *scope) together(i item) {
	t := s.text
	if s.Alone && (t.reader.options.InTransaction || t.begun > 0) {
		s.find("not_in_transaction", "PostgreSQL refuses it between BEGIN and COMMIT")
	}
	s.underLocks()
	s.limits()
	s.again(i)
	for _, l := range s.Locks {
		if l.Mode.BlocksWrites() && !l.Behind {
			t.transaction.strong[l.Table] = max(l.Mode, t.transaction.strong[l.Table])
		}
	}
	s.indexAfterValue()
}

// underLocks is about what is done while an earlier statement's lock is kept.
func (s *scope) underLocks() {
	held := s.text.transaction.strong
	if len(held) == 0 || s.EndsTransaction {
		return
	}
	slow := append(slices.Clone(s.Scans), s.Rewrites...)
	if len(slow) > 0 && !s.found("truncate") && !s.found("validate_in_same_transaction") && !s.found("data_and_schema") {
		s.find("slow_work_under_strong_lock", "%s is read or written as a whole while others wait for %s", slow[0], s.text.held())
	}
	for _, l := range s.Locks {
		if _, have := held[l.Table]; !have && l.Mode.BlocksWrites() {
			s.find("strong_locks_on_several_tables", "it waits for %s while others wait for %s", l.Of(), s.text.held())
			return
		}
	}
}

// limits is about statements that take strong locks without a timeout.
func (s *scope) limits() {
	strongest := s.Strongest()
	if !strongest.Mode.BlocksWrites() {
		if s.Alone && s.text.timeouts["lock_timeout"] && s.builds() {
			s.find("index_build_lock_timeout", "a lock_timeout is set, which ends its wait for older transactions")
		}
		return
	}
	for name, code := range map[string]string{"lock_timeout": "no_lock_timeout", "statement_timeout": "no_statement_timeout"} {
		if !s.text.timeouts[name] {
			s.find(code, "%s is taken on %s, and nothing sets %s", strongest.Mode, strongest.Of(), name)
		}
	}
}

func (s *scope) builds() bool {
	return len(s.Locks) > 0 && s.Strongest().Mode == ShareUpdateExclusive
}

// again is about a file that may stop between two statements.
func (s *scope) again(i item) {
	t := s.text
	if t.begun > 0 || !t.oneByOne {
		return
	}
	if what := notRepeatable(i); what != "" {
		s.find("not_idempotent", "%s stops here when the file is run again", what)
	}
}

func notRepeatable(i item) string {
	n := i.node
	switch i.kind {
	case "CreateStmt", "CreateSeqStmt", "CreateSchemaStmt", "CreateExtensionStmt":
		if !n.flag("if_not_exists") {
			return "CREATE without IF NOT EXISTS"
		}
	case "IndexStmt":
		if !n.flag("if_not_exists") && !n.flag("concurrent") {
			return "CREATE INDEX without IF NOT EXISTS"
		}
	case "DropStmt":
		if !n.flag("missing_ok") {
			return "DROP without IF EXISTS"
		}
	case "AlterTableStmt":
		for _, c := range n.items("cmds") {
			switch c.node.text("subtype") {
			case "AT_AddColumn", "AT_DropColumn", "AT_DropConstraint":
				if !c.node.flag("missing_ok") {
					return "ALTER TABLE without IF [NOT] EXISTS"
				}
			}
		}
	}
	return ""
}

// set is about settings that decide how long others wait.
func (s *scope) set(n node) {
	name := n.text("name")
	value, given := settingOf(n)
	switch name {
	case "lock_timeout":
		if !given || value <= 0 || value > 10_000 {
			s.find("lock_timeout_too_long", "statements after it wait for locks, and everybody behind them, for %s", waits(value, given))
		}
		s.text.timeouts[name] = given && value > 0
	case "statement_timeout":
		s.text.timeouts[name] = given && value > 0
	case "session_replication_role":
		if given || n.text("kind") == "VAR_SET_VALUE" {
			s.find("trigger_disabled", "session_replication_role turns triggers and foreign keys off for what follows")
		}
	}
}

func waits(value int, given bool) string {
	if given && value > 0 {
		return (strconv.Itoa(value/1000) + " seconds")
	}
	return "ever"
}

// settingOf is a timeout in milliseconds; not given means the server's default
// or a text that is no time.
func settingOf(n node) (int, bool) {
	args := n.items("args")
	if n.text("kind") != "VAR_SET_VALUE" || len(args) != 1 {
		return 0, false
	}
	constant := args[0].node
	if constant.has("ival") {
		return constant.child("ival").number("ival"), true
	}
	return milliseconds(constant.child("sval").text("sval"))
}

// units are those of a setting of time (manual §20.1.1), the longest first.
var units = []struct {
	name  string
	milli float64
}{{"min", 60_000}, {"us", 0.001}, {"ms", 1}, {"s", 1000}, {"h", 3_600_000}, {"d", 86_400_000}, {"", 1}}

func milliseconds(text string) (int, bool) {
	text = strings.TrimSpace(text)
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		return int(f * u.milli), err == nil
	}
	return 0, false
}

// indexAfterValue is about an enum value in the transaction that added it.
func (s *scope) indexAfterValue() {
	for _, v := range s.text.transaction.values {
		if strings.Contains(s.Text, "'"+v+"'") && !strings.Contains(strings.ToUpper(s.Text), "ADD VALUE") {
			s.find("enum_value_in_transaction", "'%s' was added in the same transaction and cannot be used yet", v)
		}
	}
}
