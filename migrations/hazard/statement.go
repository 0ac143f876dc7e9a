package hazard

import "strings"

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
		s.unknown(i.kind)
	}
}

// unknown is what is said of a kind of statement that nothing is known about.
func (s *scope) unknown(kind string) {
	s.Irreversible = true
	s.find("unclassified_sql", "pleat does not know what %s does", strings.TrimSuffix(kind, "Stmt"))
}

// quiet are kinds that take no lock on a table and touch nothing that is there.
var quiet = []string{
	"VariableShowStmt", "DeallocateStmt", "ListenStmt", "UnlistenStmt", "NotifyStmt", "ConstraintsSetStmt",
	"CreateSchemaStmt", "CreateEnumStmt", "CreateRangeStmt", "CompositeTypeStmt", "DefineStmt",
	"CreateCastStmt", "CreateConversionStmt", "CreateTransformStmt", "CreateOpClassStmt", "CreateOpFamilyStmt",
	"AlterOpFamilyStmt", "AlterOperatorStmt", "AlterTypeStmt", "AlterTSConfigurationStmt", "AlterTSDictionaryStmt",
	"AlterCollationStmt", "AlterFunctionStmt", "AlterDefaultPrivilegesStmt", "CreateFdwStmt", "AlterFdwStmt",
	"CreateForeignServerStmt", "AlterForeignServerStmt", "CreateUserMappingStmt", "AlterUserMappingStmt",
	"DropUserMappingStmt", "ImportForeignSchemaStmt", "CreateAmStmt", "DiscardStmt", "ClosePortalStmt", "AlterExtensionContentsStmt",
	"AlterObjectDependsStmt",
}
