package spec

import (
	"fmt"
	"time"
)

var changeTable = &block{
	name: "change", labels: []string{"NAME"}, forEach: true,
	doc: "One schema change, in phases. With `for_each` the name is `LABEL_KEY`, and `change.LABEL[\"KEY\"]` refers to it as well.",
	attributes: []attribute{
		{name: "database", kind: kindRef, target: "database.NAME", doc: "Where. Without it, the only database."},
		{name: "after", kind: kindRefs, target: "change.NAME", doc: "Changes that come before this one."},
		{name: "gates", kind: kindRefs, target: "gate.NAME", doc: "Asked before anything of a run is done, which waits for `--wait` at most while one is closed, and again before each step of the change."},
		windowArgument("Its steps run"),
		{name: "requires_absent", kind: kindRefs, target: `service.NAME.release["VERSION"]`, doc: "Expand waits until no instance and no session of these releases is left."},
	},
	blocks: []*block{expandTable, changeTypeTable, renameColumnTable, splitColumnTable, mergeColumnsTable, renameTableTable, replaceIndexTable, backfillTable, verifyTable, contractTable},
	later:  []string{"approve", "analysis", "notify", "environment", "task", "lock"},
}

var expandTable = &block{
	name: "expand", single: true,
	doc: "What is added. The operations run in the order of the file.",
	blocks: []*block{
		createEnumTable, addEnumValueTable,
		createTableTable, addColumnTable, createIndexTable, syncTable,
		setNotNullTable, dropNotNullTable, setDefaultTable, dropDefaultTable, commentOnTable,
		addCheckTable, addForeignKeyTable, addUniqueTable, addPrimaryKeyTable, addExclusionTable,
		dropConstraintTable, renameConstraintTable, renameIndexTable,
		attachPartitionTable, createPartitionTable, sqlTable,
	},
	later: []string{
		"serve", "expose",
		"create_view",
		"create_function", "create_trigger", "create_extension", "create_sequence", "window", "gate",
	},
	misplaced: []misplaced{
		{"drop_column", "Column dropped inside expand", dropColumnSkeleton},
		{"drop_table", "Table dropped inside expand", dropTableSkeleton},
		{"drop_index", "Index dropped inside expand", dropIndexSkeleton},
		{"detach_partition", "Partition detached inside expand", detachPartitionSkeleton},
		{"drop_enum", "Enum dropped inside expand", dropEnumSkeleton},
		{"rename_enum_value", "Value renamed inside expand", renameEnumValueSkeleton},
		{"change_type", "Shorthand inside expand", shorthandDetail},
		{"rename_column", "Shorthand inside expand", shorthandDetail},
		{"split_column", "Shorthand inside expand", shorthandDetail},
		{"merge_columns", "Shorthand inside expand", shorthandDetail},
		{"rename_table", "Shorthand inside expand", shorthandDetail},
		{"replace_index", "Shorthand inside expand", shorthandDetail},
	},
}

const dropReason = "While a change is expanded, releases that were built for the old shape still run and need it. What they use goes away in contract, once nothing of them is left:\n\n"

func dropColumnSkeleton(labels []string) string {
	table, column := labelOr(labels, 0, "TABLE"), labelOr(labels, 1, "COLUMN")
	return dropReason + fmt.Sprintf(`  expand {
    add_column %[1]q "NEW" {
      type = "TYPE"
    }
    sync %[1]q {
      forward  = { NEW = "EXPRESSION OF %[2]s" }
      backward = { %[2]s = "EXPRESSION OF NEW" }
    }
  }
  backfill %[1]q {}
  contract {
    drop_column %[1]q %[2]q {
      hide = "7d"
    }
  }`, table, column)
}

func shorthandDetail([]string) string {
	return "It stands for operations of several phases. Write it into the change itself, beside expand."
}

func dropTableSkeleton(labels []string) string {
	return dropReason + fmt.Sprintf("  contract {\n    drop_table %q {\n      hide = \"7d\"\n    }\n  }", labelOr(labels, 0, "TABLE"))
}

func dropIndexSkeleton(labels []string) string {
	return dropReason + fmt.Sprintf("  contract {\n    drop_index %q {}\n  }", labelOr(labels, 0, "INDEX"))
}

func detachPartitionSkeleton(labels []string) string {
	return dropReason + fmt.Sprintf("  contract {\n    detach_partition %q %q {\n      from = [\"…\"]\n      to   = [\"…\"]\n    }\n  }",
		labelOr(labels, 0, "TABLE"), labelOr(labels, 1, "PARTITION"))
}

func dropEnumSkeleton(labels []string) string {
	return dropReason + fmt.Sprintf("  contract {\n    drop_enum %q {}\n  }", labelOr(labels, 0, "ENUM"))
}

func renameEnumValueSkeleton(labels []string) string {
	return "While a change is expanded, releases still run that send the old word, which Postgres would refuse from then on. It is renamed in contract, once they are gone:\n\n" +
		fmt.Sprintf("  contract {\n    rename_enum_value %q %q {\n      to = \"NEW\"\n    }\n  }", labelOr(labels, 0, "ENUM"), labelOr(labels, 1, "VALUE"))
}

func labelOr(labels []string, i int, fallback string) string {
	if i < len(labels) {
		return labels[i]
	}
	return fallback
}

var changeTypeTable = &block{
	name: "change_type", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc: "Gives a column another type while releases read and write it. Stands for a new column, a sync, a backfill, and a swap of names in contract; " +
		"indexes, checks, keys in and out, NOT NULL, default, identity and sequence go with it. A release that knows the change must live with both types.",
	attributes: []attribute{
		{name: "type", kind: kindString, required: true, doc: "The new Postgres type."},
		{name: "using", kind: kindString, doc: "The new value as a SQL expression of the old row. Without it, a cast."},
		{name: "back", kind: kindString, doc: "The old value as a SQL expression, in which the column has its new type. Without it, the new value as it is, which Postgres has to make the former type of by itself."},
		{name: "default", kind: kindString, doc: "A SQL expression. Without it, the default that the column has."},
		hideArgument,
	},
}

func columnArguments() []attribute {
	return []attribute{
		{name: "type", kind: kindString, required: true, doc: "A Postgres type."},
		{name: "null", kind: kindBool, fallback: "true", doc: "May be null."},
		{name: "default", kind: kindString, doc: "A SQL expression, such as `now()` or `'open'`."},
		{name: "identity", kind: kindBool, fallback: "false", doc: "`GENERATED BY DEFAULT AS IDENTITY`."},
		{name: "generated", kind: kindString, doc: "A SQL expression of other columns that the column is computed by."},
		{name: "stored", kind: kindBool, fallback: "true", doc: "A generated column is stored. Otherwise it is computed when it is read, which servers can from 18 on."},
		{name: "collate", kind: kindString, doc: "A collation, such as `\"C\"`."},
		{name: "comment", kind: kindString, doc: "What the column is."},
	}
}

var addColumnTable = &block{
	name: "add_column", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc:        "Adds a column. On a table with rows, a default that may differ from row to row is set for rows to come, and the rows that are there are filled batch by batch; numbers of an identity column likewise. `null = false` without a default needs a sync that fills the column: it holds once every row is filled.",
	attributes: columnArguments(),
	later:      []string{"unique", "check", "references"},
}

var createIndexTable = &block{
	name: "create_index", labels: []string{"NAME"}, unique: true,
	doc:        "Builds an index without blocking writers.",
	attributes: indexArguments(),
}

func indexArguments() []attribute {
	return []attribute{
		{name: "table", kind: kindString, required: true, doc: "Table."},
		{name: "columns", kind: kindStrings, required: true, doc: "Columns, or expressions in parentheses such as `(lower(email))`. Either may be followed by a collation, operator class and order: `name text_pattern_ops`, `seen DESC NULLS LAST`."},
		{name: "unique", kind: kindBool, fallback: "false", doc: "No two rows alike."},
		{name: "where", kind: kindString, doc: "SQL condition of a partial index."},
		{name: "method", kind: kindString, fallback: "btree", oneOf: []string{"btree", "hash", "gin", "gist", "spgist", "brin"}, doc: "Access method."},
		{name: "include", kind: kindStrings, doc: "Columns that are in the index, and not in its key."},
		{name: "nulls_not_distinct", kind: kindBool, fallback: "false", doc: "Two nulls are alike to a unique index. From PostgreSQL 15 on."},
		{name: "with", kind: kindStringMap, doc: "Storage parameters, such as `{ fillfactor = 70 }`."},
		{name: "tablespace", kind: kindString, doc: "Where it is kept."},
	}
}

var syncTable = &block{
	name: "sync", labels: []string{"TABLE"}, unique: true,
	doc: "One trigger that keeps both shapes of a table in step. The direction of a write is which of the columns it changed.",
	attributes: []attribute{
		{name: "forward", kind: kindStringMap, required: true, doc: "New columns, as SQL expressions of the old ones."},
		{name: "backward", kind: kindStringMap, required: true, doc: "Old columns, as SQL expressions of the new ones."},
	},
	later: []string{"lossless", "when"},
}

var sqlTable = &block{
	name: "sql", labels: []string{"NAME"}, optionalLabel: true, unique: true,
	doc: "Your own statements, for what no operation says. They share a transaction; one that allows none, such as `VACUUM`, has a block of its own.",
	attributes: []attribute{
		{name: "up", kind: kindString, required: true, doc: "SQL."},
		{name: "down", kind: kindString, doc: "SQL that takes it back. Without it, there is no way back."},
		{name: "allow", kind: kindStrings, doc: "Hazards that it may have, by code: `[\"drop_table\"]`. `pleat explain` lists the codes."},
		windowArgument("It runs"),
	},
	later: []string{"lock", "transaction"},
}

var backfillTable = &block{
	name: "backfill", labels: []string{"TABLE"}, unique: true,
	doc: "Fills the new shape of a table from the old one, batch by batch.",
	attributes: []attribute{
		{name: "batch", kind: kindCount, fallback: "1000", min: 1, max: 1_000_000, doc: "Rows of the first transaction. Those that follow are sized by the time they take: up to ten times that many rows, and no longer than half of `lock.timeout` of the database."},
		{name: "workers", kind: kindCount, fallback: "1", min: 1, max: 32, doc: "How many fill at the same time, each a part of the table, over a connection of its own."},
		{name: "set", kind: kindStringMap, doc: "Columns as SQL expressions. Without it, the forward side of the sync on this table."},
		{name: "lossy", kind: kindBool, fallback: "false", doc: "Accepts that a row's old shape is not what `backward` makes of its new one. Without it, a sample of rows that shows such a loss stops the step before anything is written."},
		{name: "window", kind: kindRef, target: "window.NAME", doc: "It fills at these times only: when they are over it stops where it is, and a later apply goes on from there."},
	},
	blocks: []*block{{
		name: "throttle", single: true,
		doc: "When to hold. What cannot be found out counts as over the limit.",
		attributes: []attribute{
			{name: "replica_lag", kind: kindDuration, shortest: 10 * time.Millisecond, longest: day, doc: "It holds while a replica is further behind."},
			{name: "lock_waiters", kind: kindCount, fallback: "10", min: 0, max: 10000, doc: "It holds while more sessions wait for locks on the table or of the back-fill. 0: it does not look."},
			{name: "autovacuum", kind: kindString, fallback: "wraparound", oneOf: []string{"wraparound", "any", "off"}, doc: "It holds while the table is vacuumed to prevent wraparound, or at all."},
			{name: "wal_rate", kind: kindString, doc: "It holds while the server writes more WAL a second, over the last 10: a size such as `64MB`."},
			{name: "latency", kind: kindDuration, shortest: time.Millisecond, longest: time.Minute, doc: "It holds while a small write of its own to the same server takes longer."},
			{name: "archiver_backlog", kind: kindCount, min: 1, max: 1_000_000, doc: "It holds while more WAL segments wait to be archived."},
			{name: "dead_rows", kind: kindCount, min: 1, max: 1000, doc: "It holds while more dead rows wait for a vacuum of the table, in percent of the living ones. Autovacuum comes at 20 percent unless the table says otherwise (`autovacuum_vacuum_scale_factor`): with a lower limit, somebody has to vacuum."},
			{name: "sql", kind: kindString, doc: "A query for one value. It holds while that is true, a number above 0, or a text, which is then the reason."},
			{name: "rows_per_second", kind: kindCount, min: 1, max: 100_000_000, doc: "It goes no faster, all workers together."},
		},
		later: []string{"load", "active", "http", "slots"},
	}},
	later: []string{"where", "gate", "chunk_time"},
}

var verifyTable = &block{
	name: "verify", labels: []string{"NAME"}, unique: true,
	doc: "A question to the data, asked after the backfill and before contract: rows that break a promise.",
	attributes: []attribute{
		{name: "sql", kind: kindString, required: true, doc: "A query for offending rows. Five of them are shown; where a column `written_by` has the `application_name` of the session that wrote the row, the releases are counted."},
		{name: "max", kind: kindCount, fallback: "0", min: 0, max: 1 << 31, doc: "That many are tolerated."},
	},
	later: []string{"window", "sample", "timeout"},
}

var contractTable = &block{
	name: "contract", single: true,
	doc: "What is taken away, on evidence that nobody needs it, and what is enforced from then on.",
	attributes: []attribute{
		{name: "soak", kind: kindDuration, fallback: "24h", longest: 365 * day, doc: "Quiet time after the last old instance, session and write in the old shape."},
		{name: "statements", kind: kindBool, fallback: "true", doc: "Where the extension pg_stat_statements is there, the quiet time is one without a statement that uses what goes. `false`: such statements do not matter."},
		windowArgument("Its steps run"),
	},
	blocks: []*block{
		{name: "drop_column", labels: []string{"TABLE", "COLUMN"}, unique: true,
			doc: "Takes a column away.", attributes: []attribute{hideArgument}},
		{name: "drop_table", labels: []string{"TABLE"}, unique: true,
			doc: "Takes a table away.", attributes: []attribute{hideArgument}},
		{name: "drop_index", labels: []string{"NAME"}, unique: true,
			doc: "Takes an index away without blocking writers."},
		renameEnumValueTable, dropEnumTable, detachPartitionTable,
		addCheckTable, addForeignKeyTable, addUniqueTable, addExclusionTable, dropConstraintTable,
		setNotNullTable, setDefaultTable, dropDefaultTable, sqlTable,
		quietTable,
	},
	later: []string{"gate", "approve", "drop_view", "drop_function", "drop_type"},
	misplaced: []misplaced{
		{"create_table", "Addition inside contract", additionDetail},
		{"add_column", "Addition inside contract", additionDetail},
		{"create_index", "Addition inside contract", additionDetail},
		{"create_enum", "Addition inside contract", additionDetail},
		{"add_enum_value", "Addition inside contract", additionDetail},
		{"attach_partition", "Addition inside contract", additionDetail},
		{"create_partition", "Addition inside contract", additionDetail},
		{"sync", "Addition inside contract", additionDetail},
	},
}

var quietTable = &block{
	name: "quiet", labels: []string{"NAME"}, unique: true,
	doc: "A question that only you can ask: when clients that need the old shape were last seen. Nothing is taken away before that is long enough ago.",
	attributes: []attribute{
		{name: "sql", kind: kindString, required: true, doc: "A query for one time, such as `select max(at) from access_log where path like '/v1/%'`. Without a row, with null or an error there is no answer, and nothing is taken away; `'-infinity'` says never."},
		{name: "soak", kind: kindDuration, longest: 365 * day, doc: "For that long. Without it, the contract's `soak`."},
		{name: "database", kind: kindRef, target: "database.NAME", doc: "Which is asked. Without it, the change's."},
	},
	later: []string{"http", "command", "prometheus"},
}

var hideArgument = attribute{
	name: "hide", kind: kindDuration, fallback: "7d", longest: 365 * day,
	doc: "It is renamed out of sight first, and dropped after that time.",
}

func additionDetail([]string) string {
	return "Contract only takes away. What is added belongs into the expand block of this change, or of one that comes after it."
}
