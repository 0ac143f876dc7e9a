package spec

var createEnumTable = &block{
	name: "create_enum", labels: []string{"ENUM"}, unique: true,
	doc: "Makes an enum type, before the tables and columns of the same change.",
	attributes: []attribute{
		{name: "values", kind: kindStrings, required: true, doc: "Its values. Postgres compares them by this order."},
	},
}

var addEnumValueTable = &block{
	name: "add_enum_value", labels: []string{"ENUM", "VALUE"}, unique: true,
	doc: "Adds a value to an enum type, in a transaction of its own, so that the steps after it can use it. " +
		"Postgres cannot take a value away: after a way back it may stay, and nobody uses it. One that is there already is taken as it is. " +
		"Releases that do not know the change must be able to read it once others write it.",
	attributes: []attribute{
		{name: "before", kind: kindString, doc: "The value that comes after it."},
		{name: "after", kind: kindString, doc: "The value that comes before it. Without either, it is the last."},
	},
}

var renameEnumValueTable = &block{
	name: "rename_enum_value", labels: []string{"ENUM", "VALUE"}, unique: true,
	doc: "Gives a value another name, in all rows at once, when the releases are gone that do not know the change. " +
		"Postgres knows one name at a time: a release that knows the change must live with either, and so write neither.",
	attributes: []attribute{
		{name: "to", kind: kindString, required: true, doc: "The new name."},
	},
}

var dropEnumTable = &block{
	name: "drop_enum", labels: []string{"ENUM"}, unique: true,
	doc: "Takes an enum type away, after the columns that the same contract drops or gives another type. Refused with the list while anything else uses it.",
}
