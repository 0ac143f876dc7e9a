package hazard

import (
	"strings"

	"pleat/spec"
)

// Effect is what of a statement a catalog shows. The zero value: nothing.
type Effect struct {
	Kind  EffectKind
	Table string // as SQL names it, with the schema that the statement gives it; "" where it does not
	Name  string // of the object, as SQL names it
}

// EffectKind is the kind of an effect.
type EffectKind string

// The kinds of effect.
const (
	MakesTable        EffectKind = "create_table"
	TakesTable        EffectKind = "drop_table"
	MakesColumn       EffectKind = "add_column"
	TakesColumn       EffectKind = "drop_column"
	MakesIndex        EffectKind = "create_index"
	TakesIndex        EffectKind = "drop_index"
	MakesType         EffectKind = "create_type"
	MakesConstraint   EffectKind = "add_constraint"
	RemakesIndex      EffectKind = "reindex_index"
	RemakesIndexes    EffectKind = "reindex_table"
	DetachesPartition EffectKind = "detach_partition" // Table: the parent, Name: the partition
	// Repeatable is a statement of which a second time does no harm.
	Repeatable EffectKind = "repeatable"
)

// Settles tells whether the catalog says what became of a statement that was
// sent, or it may be sent again in any case.
func (e Effect) Settles() bool {
	switch e.Kind {
	case MakesIndex, TakesIndex, RemakesIndex, RemakesIndexes, DetachesPartition:
		return e.Name != ""
	case Repeatable:
		return true
	}
	return false
}

// EffectOf tells what the catalog shows of a statement, by the first object
// that it names. Of what the grammar refuses nothing is known.
func EffectOf(statement string) Effect {
	i := only(statement)
	n := i.node
	switch i.kind {
	case "CreateStmt", "CreateTableAsStmt":
		return made(n)
	case "CreateEnumStmt", "CreateRangeStmt":
		return Effect{Kind: MakesType, Name: sqlName(n.words("typeName")...)}
	case "CompositeTypeStmt":
		return Effect{Kind: MakesType, Name: relation(n.child("typevar"))}
	case "DefineStmt":
		if n.text("kind") == "OBJECT_TYPE" {
			return Effect{Kind: MakesType, Name: sqlName(n.words("defnames")...)}
		}
	case "IndexStmt":
		return Effect{Kind: MakesIndex, Table: relation(n.child("relation")), Name: sqlName(n.text("idxname"))}
	case "DropStmt":
		return taken(n)
	case "AlterTableStmt":
		return altered(n)
	case "ReindexStmt":
		return remade(n)
	case "VacuumStmt", "CheckPointStmt", "ClusterStmt", "AlterSystemStmt", "RefreshMatViewStmt":
		return Effect{Kind: Repeatable}
	}
	return Effect{}
}

// RenamedIndex is the index that an ALTER INDEX … RENAME gives another name, as
// SQL names it; "" for any other statement.
func RenamedIndex(statement string) string {
	i := only(statement)
	if i.kind != "RenameStmt" || i.node.text("renameType") != "OBJECT_INDEX" {
		return ""
	}
	return relation(i.node.child("relation"))
}

// only is the one statement of a text; the zero item where it has another
// number of them, or the grammar refuses it.
func only(sql string) item {
	if readable(sql) != nil {
		return item{}
	}
	all, err := parseWhole(sql)
	if err != nil || len(all) != 1 {
		return item{}
	}
	return all[0].statement
}

func made(n node) Effect {
	switch {
	case n.has("relation"):
		return Effect{Kind: MakesTable, Name: relation(n.child("relation"))}
	case n.text("objtype") == "OBJECT_TABLE":
		return Effect{Kind: MakesTable, Name: relation(n.child("into").child("rel"))}
	}
	return Effect{} // a materialized view
}

func taken(n node) Effect {
	objects := n.items("objects")
	kind, ok := map[string]EffectKind{"OBJECT_INDEX": TakesIndex, "OBJECT_TABLE": TakesTable}[n.text("removeType")]
	if !ok || len(objects) == 0 {
		return Effect{}
	}
	return Effect{Kind: kind, Name: sqlName(objects[0].node.words("items")...)}
}

func altered(n node) Effect {
	e := Effect{Table: relation(n.child("relation"))}
	commands := n.items("cmds")
	if n.text("objtype") != "OBJECT_TABLE" || len(commands) == 0 {
		return Effect{}
	}
	c := commands[0].node
	switch c.text("subtype") {
	case "AT_DetachPartition":
		e.Kind, e.Name = DetachesPartition, relation(c.item("def").node.child("name"))
	case "AT_AddConstraint":
		if name := c.item("def").node.text("conname"); name != "" {
			e.Kind, e.Name = MakesConstraint, sqlName(name)
		}
	case "AT_AddColumn":
		e.Kind, e.Name = MakesColumn, sqlName(c.item("def").node.text("colname"))
	case "AT_DropColumn":
		e.Kind, e.Name = TakesColumn, sqlName(c.text("name"))
	}
	return e
}

func remade(n node) Effect {
	switch n.text("kind") {
	case "REINDEX_OBJECT_INDEX":
		return Effect{Kind: RemakesIndex, Name: relation(n.child("relation"))}
	case "REINDEX_OBJECT_TABLE":
		return Effect{Kind: RemakesIndexes, Name: relation(n.child("relation"))}
	}
	return Effect{Kind: Repeatable}
}

func relation(n node) string { return sqlName(n.text("schemaname"), n.text("relname")) }

var plainName = spec.Pattern(`^[a-z_][a-z0-9_$]*$`)

// sqlName is a name with quotes where SQL would read another without them.
func sqlName(parts ...string) string {
	var quoted []string
	for _, p := range parts {
		if p == "" {
			continue
		}
		if !plainName().MatchString(p) {
			p = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
		}
		quoted = append(quoted, p)
	}
	return strings.Join(quoted, ".")
}
