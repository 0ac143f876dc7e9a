package hazard

import (
	"strings"
	"unicode"
)

// statement says what one does, by its kind in the grammar. A kind that is not
// here is unclassified.
func (s *scope) statement(i item) {
	if s.data(i) || s.define(i) || s.object(i) || s.server(i) {
		return
	}
	n := i.node
	switch i.kind {
	case "AlterTableStmt":
		s.alterTable(n)
	case "AlterTableMoveAllStmt":
		s.find("unclassified_sql", "which tables are moved depends on the database")
	case "RenameStmt":
		s.rename(n)
	case "AlterObjectSchemaStmt":
		s.moveSchema(n)
	case "AlterOwnerStmt":
		s.find("owner_changed", "%s changes its owner", n.item("object").name())
	case "DropStmt":
		s.drop(n)
	case "TruncateStmt":
		s.truncate(n)
	case "IndexStmt":
		s.createIndex(n)
	case "ReindexStmt":
		s.reindex(n)
	case "ClusterStmt":
		s.cluster(n)
	case "VacuumStmt":
		s.vacuum(n)
	case "RefreshMatViewStmt":
		s.refresh(n)
	case "LockStmt":
		s.lockTable(n)
	case "TransactionStmt":
		s.control(n)
	case "VariableSetStmt":
		s.set(n)
	default:
		s.unknown()
	}
}

// unknown is what is said of a kind of statement that nothing is known about.
func (s *scope) unknown() {
	s.Irreversible = true
	s.find("unclassified_sql", "pleat does not know what %s does", s.command())
}

// command is what the manual calls the statement: "ALTER SYSTEM", "LOAD".
func (s *scope) command() string {
	first, rest := word(s.Text)
	switch first {
	case "CREATE", "ALTER", "DROP", "REASSIGN":
		second, _ := word(rest)
		return first + " " + second
	}
	return first
}

// word is the one that a text begins with, and what comes after it.
func word(s string) (first, rest string) {
	s = s[blank(s):]
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		end = len(s)
	}
	return strings.ToUpper(s[:end]), s[end:]
}

// quiet are kinds that take no lock on a table and touch nothing that is there.
var quiet = []string{
	"VariableShowStmt", "DeallocateStmt", "ListenStmt", "UnlistenStmt", "NotifyStmt", "ConstraintsSetStmt",
	"CreateSchemaStmt", "CreateEnumStmt", "CreateRangeStmt", "CompositeTypeStmt", "DefineStmt",
	"CreateCastStmt", "CreateConversionStmt", "CreateTransformStmt", "CreateOpClassStmt", "CreateOpFamilyStmt",
	"AlterOpFamilyStmt", "AlterOperatorStmt", "AlterTypeStmt", "AlterTSConfigurationStmt", "AlterTSDictionaryStmt",
	"AlterCollationStmt", "AlterDefaultPrivilegesStmt", "CreateFdwStmt", "AlterFdwStmt",
	"CreateForeignServerStmt", "AlterForeignServerStmt", "CreateUserMappingStmt", "AlterUserMappingStmt",
	"DropUserMappingStmt", "ImportForeignSchemaStmt", "CreateAmStmt", "DiscardStmt", "ClosePortalStmt", "AlterExtensionContentsStmt",
	"AlterObjectDependsStmt",
}
