package spec

func addCheck(n *node) *AddCheck {
	n.problems.identifierAt(n.labelRange(1), n.labels[1])
	return &AddCheck{Table: n.tableLabel(0), Name: n.labels[1], Expression: n.str("check"), Range: n.rng(), At: n.places("check")}
}

func addForeignKey(n *node) *AddForeignKey {
	k := &AddForeignKey{
		Table: n.tableLabel(0), Columns: n.columnList("columns"), To: n.columnList("to"),
		OnDelete: n.action("on_delete"), OnUpdate: n.action("on_update"),
		MatchFull: n.str("match") == "full", Deferral: n.deferral(), Range: n.rng(),
	}
	k.Name = n.constraintName(k.Table, k.Columns, "fkey")
	k.At = n.places("references").list(n, "columns", k.Columns).list(n, "to", k.To)
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
	u.At = n.places().list(n, "columns", u.Columns).list(n, "include", u.Include)
	return u
}

func addPrimaryKey(n *node) *AddPrimaryKey {
	k := &AddPrimaryKey{
		Table: n.tableLabel(0), Columns: n.columnList("columns"), Include: n.columnList("include"),
		Deferral: n.deferral(), Range: n.rng(),
	}
	k.Name = n.constraintName(k.Table, nil, "pkey")
	k.At = n.places().list(n, "columns", k.Columns).list(n, "include", k.Include)
	return k
}

func addExclusion(n *node) *AddExclusion {
	n.problems.identifierAt(n.labelRange(1), n.labels[1])
	e := &AddExclusion{
		Table: n.tableLabel(0), Name: n.labels[1], Method: n.str("method"), Elements: n.strs("elements"), Where: n.str("where"),
		Deferral: n.deferral(), Allow: n.strs("allow"), Range: n.rng(),
	}
	e.At = n.places("where").list(n, "elements", e.Elements)
	if e.Elements != nil && len(e.Elements) == 0 {
		n.problems.add(n.at("elements"), "Nothing to compare", "%s needs at least one element, such as \"during WITH &&\".", n.title())
	}
	return e
}

func dropConstraint(n *node) *DropConstraint {
	n.problems.identifierAt(n.labelRange(1), n.labels[1])
	return &DropConstraint{Table: n.tableLabel(0), Name: n.labels[1], Definition: n.str("definition"), Range: n.rng()}
}

func renameConstraint(n *node) *RenameConstraint {
	n.problems.identifierAt(n.labelRange(1), n.labels[1])
	return &RenameConstraint{Table: n.tableLabel(0), Name: n.labels[1], To: n.newName(n.labels[1]), Range: n.rng()}
}

func renameIndex(n *node) *RenameIndex {
	t := n.tableLabel(0)
	return &RenameIndex{Schema: t.Schema, Name: t.Name, To: n.newName(t.Name), Range: n.rng()}
}

// newName is the argument `to`, which is a name and another one than before.
func (n *node) newName(before string) string {
	to := n.str("to")
	if to == "" {
		return "" // which is said elsewhere
	}
	n.problems.identifierAt(n.at("to"), to)
	if to == before {
		n.problems.add(n.at("to"), "Same name", "%s is called that already.", n.title())
	}
	return to
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
