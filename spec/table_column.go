package spec

var setNotNullTable = &block{
	name: "set_not_null", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc: "Has a column refuse nulls, without a scan that keeps others waiting: a check for what is written, its validation for the rows that are there, then NOT NULL. In `expand` it holds at once, so no release that is live may write nulls; in `contract`, once those are gone that do not know the change.",
	attributes: []attribute{
		{name: "fill", kind: kindString, doc: "A SQL expression for the rows that have none yet. They are filled batch by batch."},
	},
}

var dropNotNullTable = &block{
	name: "drop_not_null", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc: "Lets a column be null. Releases that do not know the change must be able to read nulls.",
}

var formerDefaultArgument = attribute{
	name: "from", kind: kindString,
	doc: "The former default, as SQL: `NULL` where there was none. The run that changes it can take it back without; for a way back later it has to be told.",
}

var setDefaultTable = &block{
	name: "set_default", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc: "Gives a column another default, for rows to come.",
	attributes: []attribute{
		{name: "default", kind: kindString, required: true, doc: "A SQL expression."},
		formerDefaultArgument,
	},
}

var dropDefaultTable = &block{
	name: "drop_default", labels: []string{"TABLE", "COLUMN"}, unique: true,
	doc:        "Takes the default of a column away.",
	attributes: []attribute{formerDefaultArgument},
}

var commentOnTable = &block{
	name: "comment_on", labels: []string{"TABLE", "COLUMN"}, optionalLabel: true, unique: true,
	doc: "Describes a table or a column.",
	attributes: []attribute{
		{name: "comment", kind: kindString, doc: "The description. Without one, that which is there is taken away."},
	},
}
