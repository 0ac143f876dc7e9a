package migrations

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

type createTable struct {
	plain
	*spec.CreateTable
}

func (o createTable) form() any {
	c := *o.CreateTable
	c.Range = hcl.Range{}
	c.Uniques, c.Checks, c.Indexes = nil, nil, nil
	if parts := operationForms(o.parts()); len(parts) > 0 {
		return []any{c, parts}
	}
	return c
}

// parts are the constraints and indexes that are made with the table.
func (o createTable) parts() []spec.Operation {
	var all []spec.Operation
	for _, u := range o.Uniques {
		all = append(all, u)
	}
	for _, c := range o.Checks {
		all = append(all, c)
	}
	for _, i := range o.Indexes {
		all = append(all, i)
	}
	return all
}

func (o createTable) unexpand(l *lowering) {
	for _, t := range o.Names().Tables {
		delete(l.next.Tables, t.Table.String())
	}
}

func (o createTable) expand(l *lowering) bool {
	for _, c := range o.Columns {
		l.checkColumn(c, o.Range)
	}
	o.check(l)
	u := Unit{
		ID:         "create." + o.Table.String(),
		Title:      "table " + o.Table.String(),
		Mode:       InTransaction,
		Statements: o.statements(),
		Undo:       []string{"DROP TABLE IF EXISTS " + tableIdent(o.Table)},
		UndoLock:   AccessExclusive,
		UndoAlso:   o.locks(),
		UndoTitle:  "drop table",
		Loses:      "every row of " + o.Table.String(),
		Applied:    l.live.Table(o.Table) != nil,
		Visible:    true,
		Source:     o.Range,
	}
	if !u.Applied {
		u.missing = []string{u.Title}
	}
	u.other = o.another(l)
	l.nameFree(u, o.Table)
	l.program.Expand = append(l.program.Expand, u)
	if l.next.Table(o.Table) == nil {
		o.make(l.next)
	}
	for _, c := range o.Columns {
		l.askColumn(u.ID, o.Table, tableOf(o.CreateTable), c, o.Range)
	}
	for _, c := range o.Checks {
		l.askCheck(u.ID, tableOf(o.CreateTable), c)
	}
	for _, i := range o.Indexes {
		l.askIndex(u.ID, tableOf(o.CreateTable), i)
	}
	l.askClasses(u.ID, tableOf(o.CreateTable), &spec.CreateIndex{Name: o.Table.Name + "_pkey", Table: o.Table, Columns: o.PrimaryKey, Range: o.Range})
	for _, k := range o.Uniques {
		l.askClasses(u.ID, tableOf(o.CreateTable), &spec.CreateIndex{Name: k.Name, Table: o.Table, Columns: k.Columns, Range: k.Range, At: k.At})
	}
	return true
}

// another says that a table of that name is there which lacks columns of this one.
func (o createTable) another(l *lowering) *hcl.Diagnostic {
	t := l.live.Table(o.Table)
	if t == nil {
		return nil
	}
	var have, lacks []string
	for _, c := range t.Columns {
		if c.Former == nil {
			have = append(have, c.Name)
		}
	}
	for _, c := range o.Columns {
		if !t.has(c.Name) && !spoken(l.live.Written, c.Name) {
			lacks = append(lacks, c.Name)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return refused(o.Range, "Table with other columns", fmt.Sprintf(
		"There is a table %s already, without %s of this change: it has %s. Give this one another name, write it as it is there, or add to that by add_column in another change.",
		o.Table, strings.Join(lacks, ", "), strings.Join(have, ", ")))
}

// locks are those that dropping the table takes, its own before its partitions'.
func (o createTable) locks() []TableLock {
	var all []TableLock
	for _, t := range o.Names().Tables {
		all = append(all, TableLock{Table: t.Table, Lock: AccessExclusive})
	}
	return all
}

// check looks at the SQL in constraints, indexes and bounds before it is
// spliced.
func (o createTable) check(l *lowering) {
	var texts []string
	for _, c := range o.Checks {
		texts = append(texts, c.Expression)
	}
	if o.Partitioning != nil {
		for _, p := range o.Partitioning.Partitions {
			texts = append(append(append(texts, p.From...), p.To...), p.In...)
		}
		for _, c := range o.Partitioning.Columns {
			if indexColumn(c) == c {
				texts = append(texts, c)
			}
		}
	}
	for _, text := range texts {
		if err := checkExpression(text); err != nil {
			l.problem(o.Range, "Invalid expression", fmt.Sprintf("%q of table %s cannot be used: %v.", text, o.Table, err))
		}
	}
	for _, i := range o.Indexes {
		l.checkIndex(i)
	}
}

// statements make all of the table at once: nobody knows it before the commit.
func (o createTable) statements() []string {
	all := []string{createTableSQL(o.CreateTable)}
	if o.Partitioning != nil {
		for _, p := range o.Partitioning.Partitions {
			all = append(all, fmt.Sprintf("CREATE TABLE %s PARTITION OF %s %s", tableIdent(p.Table), tableIdent(o.Table), bound(o.Partitioning.By, p)))
		}
	}
	for _, i := range o.Indexes {
		all = append(all, indexOf(i).Definition)
	}
	if o.Comment != "" {
		all = append(all, fmt.Sprintf("COMMENT ON TABLE %s IS %s", tableIdent(o.Table), Literal(o.Comment)))
	}
	for _, c := range o.Columns {
		if c.Comment != "" {
			all = append(all, columnComment(o.Table, c.Name, c.Comment))
		}
	}
	return all
}

func createTableSQL(o *spec.CreateTable) string {
	parts := make([]string, 0, len(o.Columns)+1)
	for _, c := range o.Columns {
		parts = append(parts, columnSQL(c))
	}
	if len(o.PrimaryKey) > 0 {
		parts = append(parts, "PRIMARY KEY ("+identList(o.PrimaryKey)+")")
	}
	for _, u := range o.Uniques {
		parts = append(parts, "CONSTRAINT "+Ident(u.Name)+" "+addUnique{AddUnique: u}.definition())
	}
	for _, c := range o.Checks {
		parts = append(parts, "CONSTRAINT "+Ident(c.Name)+" CHECK "+parenthesized(c.Expression))
	}
	sql := fmt.Sprintf("CREATE TABLE %s (\n  %s\n)", tableIdent(o.Table), strings.Join(parts, ",\n  "))
	if o.Partitioning != nil {
		sql += " PARTITION BY " + partitionKey(o.Partitioning)
	}
	return sql
}

func partitionKey(p *spec.Partitioning) string {
	columns := make([]string, len(p.Columns))
	for i, c := range p.Columns {
		columns[i] = indexColumn(c)
	}
	return strings.ToUpper(p.By) + " (" + strings.Join(columns, ", ") + ")"
}

// bound says which rows a partition has.
func bound(by string, p spec.Partition) string {
	switch {
	case by == "range" && p.From != nil:
		return fmt.Sprintf("FOR VALUES FROM (%s) TO (%s)", strings.Join(p.From, ", "), strings.Join(p.To, ", "))
	case by == "list" && p.In != nil:
		return fmt.Sprintf("FOR VALUES IN (%s)", strings.Join(p.In, ", "))
	case by == "hash":
		return fmt.Sprintf("FOR VALUES WITH (MODULUS %d, REMAINDER %d)", p.Modulus, p.Remainder)
	}
	return "DEFAULT"
}

// make puts the table into a catalog, with its partitions.
func (o createTable) make(c *Catalog) {
	t := tableOf(o.CreateTable)
	t.Comment = o.Comment
	if len(o.PrimaryKey) > 0 {
		t.PrimaryKeyName = serverName(o.Table.Name, "_pkey")
		key := &spec.AddUnique{Table: o.Table, Name: t.PrimaryKeyName, Columns: o.PrimaryKey}
		t.Indexes = append(t.Indexes, addUnique{AddUnique: key}.ownIndex())
	}
	for _, u := range o.Uniques {
		t.Constraints = append(t.Constraints, Constraint{
			Name: u.Name, Definition: addUnique{AddUnique: u}.definition(), Valid: true, Kind: Unique, Columns: u.Columns,
		})
		t.Indexes = append(t.Indexes, addUnique{AddUnique: u}.ownIndex())
	}
	for _, k := range o.Checks {
		check := checkOf(k)
		check.Valid = true
		t.Constraints = append(t.Constraints, check)
	}
	for _, i := range o.Indexes {
		t.Indexes = append(t.Indexes, indexOf(i))
	}
	if o.Partitioning != nil {
		t.Partitioned = partitionKey(o.Partitioning)
		for _, p := range o.Partitioning.Partitions {
			t.Partitions = append(t.Partitions, Partition{Table: p.Table.String(), Bound: bound(o.Partitioning.By, p)})
			child := tableOf(o.CreateTable)
			child.PartitionOf = o.Table.String()
			c.Tables[p.Table.String()] = child
		}
	}
	c.Tables[o.Table.String()] = t
}
