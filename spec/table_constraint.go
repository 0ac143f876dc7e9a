package spec

const liveReleases = " In `expand`, live releases must keep it already: it holds for what is written from then on, and for all rows once they are filled. " +
	"In `contract`, it holds once the releases are gone that do not know the change."

var addCheckTable = &block{
	name: "add_check", labels: []string{"TABLE", "NAME"}, unique: true,
	doc: "Adds a check constraint without keeping anybody waiting while rows are looked at." + liveReleases,
	attributes: []attribute{
		{name: "check", kind: kindString, required: true, doc: "A SQL condition over a row, such as `age > 0`."},
	},
	later: []string{"no_inherit"},
}

var addForeignKeyTable = &block{
	name: "add_foreign_key", labels: []string{"TABLE", "NAME"}, optionalLabel: true, unique: true,
	doc: "Adds a foreign key without keeping anybody waiting while rows are looked at." + liveReleases +
		" Without NAME it is called as Postgres would call it: `TABLE_COLUMNS_fkey`.",
	attributes: append([]attribute{
		{name: "columns", kind: kindStrings, required: true, doc: "Columns of TABLE."},
		{name: "references", kind: kindString, required: true, doc: "The table that they refer to."},
		{name: "to", kind: kindStrings, doc: "Columns of that table, in the same order. Without it, its primary key."},
		{name: "on_delete", kind: kindString, fallback: "no action", oneOf: referentialActions, doc: "What becomes of rows whose referenced row is deleted."},
		{name: "on_update", kind: kindString, fallback: "no action", oneOf: referentialActions, doc: "What becomes of rows whose referenced row gets another key."},
		{name: "match", kind: kindString, fallback: "simple", oneOf: []string{"simple", "full"}, doc: "`full`: either all columns are null or none is."},
	}, deferralArguments()...),
}

var referentialActions = []string{"no action", "restrict", "cascade", "set null", "set default"}

func deferralArguments() []attribute {
	return []attribute{
		{name: "deferrable", kind: kindBool, fallback: "false", doc: "A transaction may have it looked at when it ends."},
		{name: "initially_deferred", kind: kindBool, fallback: "false", doc: "It is looked at when the transaction ends, unless that says otherwise."},
	}
}

var addUniqueTable = &block{
	name: "add_unique", labels: []string{"TABLE", "NAME"}, optionalLabel: true, unique: true,
	doc: "Adds a unique constraint; its index is built first, without blocking writers. In `expand`, live releases must keep it already. " +
		"In `contract`, it holds once the releases are gone that do not know the change. Without NAME it is called as Postgres would call it: `TABLE_COLUMNS_key`.",
	attributes: append([]attribute{
		{name: "columns", kind: kindStrings, required: true, doc: "Columns that are unique together."},
		{name: "include", kind: kindStrings, doc: "Columns that are in the index, and not in its key."},
		{name: "nulls_not_distinct", kind: kindBool, fallback: "false", doc: "Two nulls are alike. From PostgreSQL 15 on."},
	}, deferralArguments()...),
}

var addPrimaryKeyTable = &block{
	name: "add_primary_key", labels: []string{"TABLE", "NAME"}, optionalLabel: true, unique: true,
	doc: "Gives a table a primary key once its rows are filled: the columns become NOT NULL by a check that is validated, the index is built without blocking writers. " +
		"Live releases must keep it already. Without NAME it is called as Postgres would call it: `TABLE_pkey`.",
	attributes: append([]attribute{
		{name: "columns", kind: kindStrings, required: true, doc: "Columns of the key."},
		{name: "include", kind: kindStrings, doc: "Columns that are in the index, and not in its key."},
	}, deferralArguments()...),
}

var addExclusionTable = &block{
	name: "add_exclusion", labels: []string{"TABLE", "NAME"}, unique: true,
	doc: "Adds an exclusion constraint: no two rows for which all comparisons are true. Postgres builds its index while nobody reads or writes the table, and has no other way: " +
		"on a table that is there it is the hazard `exclusion_constraint`, which must be allowed by name. A build that takes longer than `lock.hold` of the database is given up. " +
		"In `expand`, live releases must keep it already. In `contract`, it holds once the releases are gone that do not know the change.",
	attributes: append([]attribute{
		{name: "elements", kind: kindStrings, required: true, doc: "What is compared, and how: a column or an expression in parentheses, `WITH` and an operator, such as `during WITH &&`."},
		{name: "method", kind: kindString, fallback: "gist", oneOf: []string{"gist", "spgist", "btree", "hash"}, doc: "Access method of its index."},
		{name: "where", kind: kindString, doc: "SQL condition: other rows are not compared."},
		{name: "allow", kind: kindStrings, doc: "Hazards that it may have, by code: `[\"exclusion_constraint\"]`."},
	}, deferralArguments()...),
}

var dropConstraintTable = &block{
	name: "drop_constraint", labels: []string{"TABLE", "NAME"}, unique: true,
	doc: "Takes a constraint away. In `expand`, a check or a foreign key: releases to come write what it refuses, and live ones must be able to read that. " +
		"It comes back without keeping anybody waiting, and rows that break it by then are found when it is validated. " +
		"In `contract`, also a unique or an exclusion constraint, which releases may name in ON CONFLICT: its index goes with it. The index of a unique one is built again, without blocking writers, " +
		"before the constraint comes back, if no rows of the meantime are alike; an exclusion constraint has no way back.",
	attributes: []attribute{
		{name: "definition", kind: kindString, doc: "What it is, as `pg_get_constraintdef()` writes it, such as `CHECK (amount > 0)`. Required in `expand`: afterwards no catalog tells what to bring back."},
	},
}

var renameConstraintTable = &block{
	name: "rename_constraint", labels: []string{"TABLE", "NAME"}, unique: true,
	doc:        "Gives a constraint another name, and its index with it. Live releases must not use the old one, in `ON CONFLICT ON CONSTRAINT` or to tell errors apart.",
	attributes: []attribute{{name: "to", kind: kindString, required: true, doc: "The new name."}},
}

var renameIndexTable = &block{
	name: "rename_index", labels: []string{"NAME"}, unique: true,
	doc:        "Gives an index another name, and the constraint with it that it belongs to. Nobody waits for it.",
	attributes: []attribute{{name: "to", kind: kindString, required: true, doc: "The new name, in the same schema."}},
}
