package spec

import "slices"

var createTableTable = &block{
	name: "create_table", labels: []string{"TABLE"}, unique: true,
	doc: "Makes a table. Foreign keys are added to it in steps of their own, a referenced table at a time.",
	attributes: []attribute{
		{name: "primary_key", kind: kindStrings, doc: "Columns of the primary key."},
		{name: "comment", kind: kindString, doc: "What the table is."},
	},
	blocks: []*block{
		{
			name: "column", labels: []string{"NAME"}, unique: true, required: true,
			doc:        "A column; they are made in the order of the file.",
			attributes: columnArguments(),
			later:      []string{"unique", "check", "references"},
		},
		inTable(addUniqueTable, "unique", "A unique constraint."),
		inTable(addCheckTable, "check", "A check constraint."),
		inTable(addForeignKeyTable, "foreign_key", "A foreign key."),
		tableIndexTable,
		partitionTable,
	},
	later: []string{"like"},
}

// inTable is the table of an operation as a block of create_table, which needs
// no label for the table.
func inTable(operation *block, name, doc string) *block {
	b := *operation
	b.name, b.doc, b.labels = name, doc, operation.labels[1:]
	return &b
}

var tableIndexTable = &block{
	name: "index", labels: []string{"NAME"}, unique: true,
	doc:        "An index. On a new table nobody waits for its build.",
	attributes: slices.DeleteFunc(slices.Clone(createIndexTable.attributes), func(a attribute) bool { return a.name == "table" }),
}

var partitionTable = &block{
	name: "partition", single: true,
	doc: "The table has its rows in partitions.",
	attributes: []attribute{
		{name: "by", kind: kindString, required: true, oneOf: []string{"range", "list", "hash"}, doc: "What tells the partition of a row."},
		{name: "columns", kind: kindStrings, required: true, doc: "Columns, or expressions in parentheses, that tell it. They are part of every key of the table."},
	},
	blocks: []*block{{
		name: "table", labels: []string{"NAME"}, unique: true,
		doc:        "A partition. One that says nothing of its rows has those that fit nowhere else.",
		attributes: boundArguments(),
	}},
}
