package spec

func addCheck(n *node) *AddCheck {
	n.problems.identifierAt(n.labelRange(1), n.labels[1])
	return &AddCheck{Table: n.tableLabel(0), Name: n.labels[1], Expression: n.str("check"), Range: n.rng()}
}

func addForeignKey(n *node) *AddForeignKey {
	k := &AddForeignKey{
		Table: n.tableLabel(0), Columns: n.columnList("columns"), To: n.columnList("to"),
		OnDelete: n.action("on_delete"), OnUpdate: n.action("on_update"),
		MatchFull: n.str("match") == "full", Deferral: n.deferral(), Range: n.rng(),
	}
	k.Name = n.constraintName(k.Table, k.Columns, "fkey")
	if name := n.str("references"); n.has("references") {
		k.References = n.problems.parseTable(n.at("references"), name)
	}
	if k.To != nil && len(k.To) != len(k.Columns) {
		n.problems.add(n.at("to"), "Columns do not match", "%s has %d columns, and to names %d.", n.title(), len(k.Columns), len(k.To))
	}
	return k
}

func addUnique(n *node) *AddUnique {
	u := &AddUnique{
		Table: n.tableLabel(0), Columns: n.columnList("columns"), Include: n.columnList("include"),
		NullsNotDistinct: n.flag("nulls_not_distinct"), Deferral: n.deferral(), Range: n.rng(),
	}
	u.Name = n.constraintName(u.Table, u.Columns, "key")
	return u
}

func addPrimaryKey(n *node) *AddPrimaryKey {
	k := &AddPrimaryKey{
		Table: n.tableLabel(0), Columns: n.columnList("columns"), Include: n.columnList("include"),
		Deferral: n.deferral(), Range: n.rng(),
	}
	k.Name = n.constraintName(k.Table, nil, "pkey")
	return k
}

func (n *node) action(name string) string {
	action := n.str(name)
	if action == "no action" {
		return ""
	}
	return action
}

func (n *node) deferral() Deferral {
	d := Deferral{Deferrable: n.flag("deferrable"), Deferred: n.flag("initially_deferred")}
	if d.Deferred && !d.Deferrable {
		n.problems.add(n.at("initially_deferred"), "Deferred, not deferrable", "What is initially deferred is deferrable. Write: deferrable = true")
	}
	return d
}

// constraintName is that of the second label, or what Postgres would give.
func (n *node) constraintName(t Table, columns []string, label string) string {
	if len(n.labels) < 2 {
		return defaultConstraintName(t, columns, label)
	}
	n.problems.identifierAt(n.labelRange(1), n.labels[1])
	return n.labels[1]
}

// columnList is an argument that lists columns, each once; nil when it is not
// given.
func (n *node) columnList(name string) []string {
	list := n.strs(name)
	if list != nil && len(list) == 0 {
		n.problems.add(n.at(name), "No columns", "The argument %s of %s needs at least one column.", name, n.title())
	}
	seen := map[string]bool{}
	for i, c := range list {
		n.problems.identifierAt(n.atElement(name, i), c)
		if seen[c] {
			n.problems.add(n.atElement(name, i), "Column twice", "The argument %s of %s names %s twice.", name, n.title(), quote(c))
		}
		seen[c] = true
	}
	return list
}
