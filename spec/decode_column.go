package spec

import "maps"

func column(n *node, name string, label int) Column {
	n.problems.identifierAt(n.labelRange(label), name)
	c := Column{
		Name: name, Type: n.str("type"), NotNull: !n.flag("null"), Default: n.str("default"), Identity: n.flag("identity"),
		Generated: n.str("generated"), Collate: n.str("collate"), Comment: n.str("comment"),
		At: n.places("type", "default", "generated", "collate"),
	}
	c.Virtual = c.Generated != "" && !n.flag("stored")
	if c.Identity && c.Default != "" {
		n.problems.add(n.at("default"), "Default of an identity column", "An identity column gets its values from a sequence and has no default.")
	}
	if c.Generated != "" && (c.Default != "" || c.Identity) {
		n.problems.add(n.at("generated"), "Two sources of one column", "A generated column is computed from others; it has neither a default nor numbers of its own.")
	}
	if n.has("stored") && c.Generated == "" {
		n.problems.add(n.at("stored"), "Nothing to store", "Only a generated column is stored or computed when it is read. Write what it is: generated = \"lower(name)\"")
	}
	return c
}

// columnLabels is the table and column that the labels of an operation name.
func (n *node) columnLabels() (Table, string) {
	n.problems.identifierAt(n.labelRange(1), n.labels[1])
	return n.tableLabel(0), n.labels[1]
}

func addColumn(n *node) *AddColumn {
	return &AddColumn{Table: n.tableLabel(0), Column: column(n, n.labels[1], 1), Range: n.rng()}
}

func dropColumn(n *node) *DropColumn {
	table, column := n.columnLabels()
	return &DropColumn{Table: table, Column: column, Hide: n.duration("hide"), Range: n.rng()}
}

func setNotNull(n *node) *SetNotNull {
	table, column := n.columnLabels()
	return &SetNotNull{Table: table, Column: column, Fill: n.str("fill"), Range: n.rng()}
}

func dropNotNull(n *node) *DropNotNull {
	table, column := n.columnLabels()
	return &DropNotNull{Table: table, Column: column, Range: n.rng()}
}

func setDefault(n *node) *SetDefault {
	table, column := n.columnLabels()
	return &SetDefault{Table: table, Column: column, Default: n.str("default"), From: n.str("from"), Range: n.rng(), At: n.places("default")}
}

func dropDefault(n *node) *DropDefault {
	table, column := n.columnLabels()
	return &DropDefault{Table: table, Column: column, From: n.str("from"), Range: n.rng()}
}

func commentOn(n *node) *CommentOn {
	c := &CommentOn{Table: n.tableLabel(0), Comment: n.str("comment"), Range: n.rng()}
	if len(n.labels) > 1 {
		_, c.Column = n.columnLabels()
	}
	return c
}

// fills adds to a change the back-fills that operations of a block ask for.
// Kept says that nobody writes nulls any more once the block is applied.
func (l *loader) fills(c *Change, ops []Operation, kept bool) {
	for _, op := range ops {
		if o, ok := op.(*SetNotNull); ok && l.operationNodes[o].has("fill") {
			l.fill(c, o, kept)
		}
	}
}

// fill gives rows that have no value in a column one. Those that have one are
// right already.
func (l *loader) fill(c *Change, o *SetNotNull, kept bool) {
	n, expression := l.operationNodes[o], o.Filled()
	for _, b := range c.Backfills {
		if b.Table == o.Table {
			b.Set = maps.Clone(b.Set)
			b.Set[o.Column] = expression
			b.At["set."+o.Column] = n.at("fill")
			return
		}
	}
	b := DefaultBackfill(o.Table)
	b.Set, b.Kept, b.Fills, b.Range, b.At = map[string]string{o.Column: expression}, kept, true, n.rng(), Places{"set." + o.Column: n.at("fill")}
	l.backfillNodes[b] = n
	c.Backfills = append(c.Backfills, b)
}
