package spec

var renameColumnTable = &block{
	name: "rename_column", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc: "Gives a column another name while releases read and write it under both. Stands for a new column, a sync, a backfill, and an end of the old one in contract; " +
		"indexes, checks, keys in and out, NOT NULL, default, identity, sequence and comment go with it.",
	attributes: []attribute{
		{name: "to", kind: kindString, required: true, doc: "The new name."},
		{name: "serve", kind: kindString, fallback: "copy", oneOf: []string{"copy", "views"}, doc: "How releases have both names: by a copy of the column, or by a view in a schema of the change, " +
			"which comes first in the `search_path` of releases that know the change. With views no row is copied, and contract renames the column."},
		hideArgument,
	},
}

var splitColumnTable = &block{
	name: "split_column", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc: "Makes several columns of one, while releases read and write both shapes. Stands for the new columns, a sync, a backfill, and a drop of the old one in contract.",
	attributes: []attribute{
		{name: "back", kind: kindString, required: true, doc: "The old column as a SQL expression of the new ones."},
		hideArgument,
	},
	blocks: []*block{{
		name: "into", labels: []string{"COLUMN"}, unique: true, required: true,
		doc: "One of the new columns.",
		attributes: []attribute{
			{name: "type", kind: kindString, required: true, doc: "A Postgres type."},
			{name: "using", kind: kindString, required: true, doc: "Its value as a SQL expression of the old row."},
			{name: "null", kind: kindBool, fallback: "true", doc: "May be null. Otherwise NOT NULL holds once every row is filled."},
			{name: "collate", kind: kindString, doc: "A collation, such as `\"C\"`."},
			{name: "comment", kind: kindString, doc: "What the column is."},
		},
	}},
}

var mergeColumnsTable = &block{
	name: "merge_columns", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc: "Makes COLUMN of several others, while releases read and write both shapes. Stands for the new column, a sync, a backfill, and a drop of the old ones in contract.",
	attributes: []attribute{
		{name: "type", kind: kindString, required: true, doc: "A Postgres type."},
		{name: "using", kind: kindString, required: true, doc: "The new column as a SQL expression of the old ones."},
		{name: "back", kind: kindStringMap, required: true, doc: "The old columns, as SQL expressions of the new one."},
		{name: "null", kind: kindBool, fallback: "true", doc: "May be null. Otherwise NOT NULL holds once every row is filled."},
		{name: "collate", kind: kindString, doc: "A collation, such as `\"C\"`."},
		{name: "comment", kind: kindString, doc: "What the column is."},
		hideArgument,
	},
}

var replaceIndexTable = &block{
	name: "replace_index", labels: []string{"NAME"}, unique: true,
	doc: "Gives the name of an index to another one of the same table, with other columns, another condition or method, unique or not. The other one is built first, without blocking writers; " +
		"in contract the two change names in one transaction, and the old one is dropped without blocking writers. Until then both are there, and both refuse what a unique one refuses.",
	attributes: append(indexArguments(),
		attribute{name: "hide", kind: kindDuration, fallback: "0s", longest: 365 * day, doc: "The old one stays that long under another name, and can have its own back at once. It costs each write what it did before."}),
}

var renameTableTable = &block{
	name: "rename_table", labels: []string{"TABLE"}, unique: true,
	doc: "Gives a table another name in its schema. In the same moment a view takes the old one, with the same rights, through which rows are read and written as before; it ends in contract. " +
		"COPY into the view, TRUNCATE and LOCK do not go through it.",
	attributes: []attribute{
		{name: "to", kind: kindString, required: true, doc: "The new name, without a schema."},
		{name: "serve", kind: kindString, fallback: "former", oneOf: []string{"former", "views"}, doc: "Who goes through a view: releases that know the former name, or, with `views`, those that know the change, " +
			"in whose `search_path` a schema of the change comes first. With views the table is renamed in contract."},
		hideArgument,
	},
}
