package spec

import "slices"

func createTable(n *node) *CreateTable {
	t := &CreateTable{Table: n.tableLabel(0), PrimaryKey: n.strs("primary_key"), Comment: n.str("comment"), Range: n.rng()}
	var names []string
	for _, c := range n.blocks("column") {
		t.Columns = append(t.Columns, column(c, c.labels[0], 0))
		names = append(names, c.labels[0])
	}
	n.amongColumns("primary_key", t.PrimaryKey, names)
	for _, b := range n.blocks("unique") {
		u := addUnique(b.within(n))
		b.amongColumns("columns", u.Columns, names)
		t.Uniques = append(t.Uniques, u)
	}
	for _, b := range n.blocks("check") {
		t.Checks = append(t.Checks, addCheck(b.within(n)))
	}
	for _, b := range n.blocks("index") {
		i := createIndex(b)
		i.Table = t.Table
		t.Indexes = append(t.Indexes, i)
	}
	if b := n.block("partition"); b != nil {
		t.Partitioning = partitioning(b, t)
	}
	return t
}

// foreignKeys are operations of their own: each locks another table.
func (l *loader) foreignKeys(n *node) []Operation {
	var list []Operation
	for _, b := range n.blocks("foreign_key") {
		k := addForeignKey(b.within(n))
		l.operationNodes[k] = b
		list = append(list, k)
	}
	return list
}

// within is a block of create_table as the operation that it is like, of which
// the first label names the table.
func (n *node) within(table *node) *node {
	c := *n
	c.labels = append([]string{table.labels[0]}, n.labels...)
	return &c
}

// amongColumns reports names that are not among the table's columns.
func (n *node) amongColumns(argument string, columns, names []string) {
	for i, c := range columns {
		n.oneOfNames(n.atElement(argument, i), "column", c, names)
	}
}

func partitioning(n *node, t *CreateTable) *Partitioning {
	p := &Partitioning{By: n.str("by"), Columns: n.strs("columns")}
	for i, c := range p.Columns {
		if len(t.PrimaryKey) > 0 && !slices.Contains(t.PrimaryKey, c) {
			n.problems.add(n.atElement("columns", i), "Partitioned outside its key", "The primary key of a partitioned table has every column that tells the partition; %s is not in it.", quote(c))
		}
	}
	for _, b := range n.blocks("table") {
		p.Partitions = append(p.Partitions, partition(b, p.By))
	}
	return p
}

// bounds are the arguments that say which rows a partition has.
var bounds = map[string][]string{"range": {"from", "to"}, "list": {"in"}, "hash": {"modulus", "remainder"}}

func partition(n *node, by string) Partition {
	p := Partition{
		Table: n.tableLabel(0), From: n.strs("from"), To: n.strs("to"), In: n.strs("in"),
		Modulus: n.count("modulus"), Remainder: n.count("remainder"),
	}
	given := 0
	for _, kind := range sortedKeys(bounds) {
		for _, argument := range bounds[kind] {
			switch {
			case n.has(argument) && kind != by:
				n.problems.add(n.at(argument), "Bound of another kind", "The argument %s is for partitions by %s, and the table is partitioned by %s.", argument, kind, by)
			case n.has(argument):
				given++
			}
		}
	}
	if given != 0 && given != len(bounds[by]) || given == 0 && by == "hash" {
		n.problems.add(n.rng(), "Half a bound", "A partition by %s says %s.", by, among(bounds[by]))
	}
	return p
}
