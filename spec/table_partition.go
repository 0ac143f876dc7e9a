package spec

func boundArguments() []attribute {
	return []attribute{
		{name: "from", kind: kindStrings, doc: "By range: its rows begin here, a SQL expression for each column."},
		{name: "to", kind: kindStrings, doc: "By range: its rows end before."},
		{name: "in", kind: kindStrings, doc: "By list: SQL expressions that its rows have."},
		{name: "modulus", kind: kindCount, min: 1, max: 1 << 20, doc: "By hash: how many partitions there are."},
		{name: "remainder", kind: kindCount, min: 0, max: 1 << 20, doc: "By hash: which of them this is, from 0 on."},
	}
}

var attachPartitionTable = &block{
	name: "attach_partition", labels: []string{"TABLE", "PARTITION"}, unique: true,
	doc: "Makes the table PARTITION, with its rows, a partition of TABLE. A check that is validated first says that its rows fit, so that nobody waits while they are looked at; so does one of the default partition, that it has none of them. " +
		"It must have the columns, checks, foreign keys and indexes of TABLE already.",
	attributes: boundArguments(),
}

var detachPartitionTable = &block{
	name: "detach_partition", labels: []string{"TABLE", "PARTITION"}, unique: true,
	doc: "Makes a partition a table of its own, with its rows; nobody waits who reads or writes TABLE (PostgreSQL 14 and later, without a default partition). " +
		"The bound is the one that the partition has: a check of it, which goes at the end, lets it be attached again without a look at its rows. " +
		"A default partition gets a check that it has no such rows: until the end they are refused, as without a default partition, and go there afterwards.",
	attributes: boundArguments(),
}

var createPartitionTable = &block{
	name: "create_partition", labels: []string{"TABLE", "PARTITION"}, unique: true,
	doc:        "Makes a new partition of a table that is in use, without keeping anybody waiting. One that says nothing of its rows has those that fit nowhere else.",
	attributes: boundArguments(),
}
