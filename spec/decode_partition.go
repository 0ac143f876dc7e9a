package spec

func attachPartition(n *node) *AttachPartition {
	return &AttachPartition{Table: n.tableLabel(0), Partition: n.withRows(), Range: n.rng()}
}

func detachPartition(n *node) *DetachPartition {
	return &DetachPartition{Table: n.tableLabel(0), Partition: n.withRows(), Range: n.rng()}
}

// withRows is a partition that has rows, and so a bound that says which.
func (n *node) withRows() Partition {
	p := n.bounded()
	if p.By() == "" {
		n.problems.add(n.rng(), "No bound", "%s says which rows the partition has: from and to, or in, or modulus and remainder.", n.title())
	}
	return p
}

func createPartition(n *node) *CreatePartition {
	return &CreatePartition{Table: n.tableLabel(0), Partition: n.bounded(), Range: n.rng()}
}

// bounded is the partition that the second label names, with its bound.
func (n *node) bounded() Partition {
	p := Partition{Table: n.tableLabel(1), From: n.strs("from"), To: n.strs("to"), In: n.strs("in")}
	kinds := []string{}
	if n.has("from") || n.has("to") {
		kinds = append(kinds, "range")
	}
	if n.has("in") {
		kinds = append(kinds, "list")
	}
	if n.has("modulus") || n.has("remainder") {
		p.Modulus, p.Remainder = n.count("modulus"), n.count("remainder")
		kinds = append(kinds, "hash")
	}
	switch {
	case len(kinds) > 1:
		n.problems.add(n.rng(), "Bound of two kinds", "A bound is from and to, or in, or modulus and remainder.")
	case n.has("from") != n.has("to"), len(kinds) == 1 && kinds[0] == "hash" && !(n.has("modulus") && n.has("remainder")):
		n.problems.add(n.rng(), "Half a bound", "A partition by %s says %s.", kinds[0], among(bounds[kinds[0]]))
	case len(p.From) != len(p.To):
		n.problems.add(n.at("to"), "Half a bound", "from has %d values, and to has %d.", len(p.From), len(p.To))
	}
	return p
}
