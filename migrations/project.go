package migrations

import (
	"slices"
	"strings"

	"pleat/spec"
)

// Project gives the catalog as it will be when the change is in a phase, or
// as it was: what a contract dropped comes back with its name and no type,
// which is enough to lower the changes before this one. cat is not changed.
// What an author's SQL does is not in it.
func Project(cat *Catalog, p *Program, to Phase) *Catalog {
	l := &lowering{change: p.Change, live: cat, next: cat.clone(), program: &Program{Change: p.Change}}
	l.uncontract()
	if to == Absent {
		for _, op := range kindsOf(p.Change.Expand) {
			op.unexpand(l)
		}
		return l.next
	}
	for _, op := range expandOrder(p.Change.Expand) {
		op.expand(l)
	}
	l.resetTriggers(to)
	if to.AtLeast(Verified) {
		for _, op := range kindsOf(p.Change.Expand) {
			op.settle(l)
		}
	}
	if to.AtLeast(Hidden) && p.Change.Contract != nil {
		for _, op := range kindsOf(p.Change.Contract.Operations) {
			op.takeAway(l, to)
		}
	}
	return l.next
}

// uncontract shows everything that the contract takes away.
func (l *lowering) uncontract() {
	if l.change.Contract == nil {
		return
	}
	for _, op := range kindsOf(l.change.Contract.Operations) {
		op.uncontract(l)
	}
	l.live = l.next.clone()
}

func (t *Table) unhide(column string, by spec.Operation) {
	if t == nil || t.whole() || t.Column(column) != nil {
		return
	}
	if t.Column(HiddenName(column)) != nil {
		t.renameColumn(HiddenName(column), column)
		return
	}
	t.Columns = append(t.Columns, Column{Name: column, Former: by})
}

// renameColumn gives a column another name, also in what is made of it, as Postgres
// does.
func (t *Table) renameColumn(from, to string) {
	if c := t.Column(from); c != nil {
		c.Name = to
	}
	t.renameUses(from, to)
}

// renameUses has the indexes and constraints of the table name another column.
func (t *Table) renameUses(from, to string) {
	names := map[string]string{from: to}
	t.PrimaryKey = renamedColumns(t.PrimaryKey, names)
	for i := range t.Indexes {
		index := &t.Indexes[i]
		index.Key = renamedColumns(index.Key, names)
		if head, rest, ok := strings.Cut(index.Definition, " USING "); ok {
			index.Definition = head + " USING " + spec.RenameColumns(rest, names)
		}
	}
	for i := range t.Constraints {
		c := &t.Constraints[i]
		c.Columns = renamedColumns(c.Columns, names)
		if c.Kind == Foreign {
			c.Definition = spec.RenameForeignKey(c.Definition, names, nil)
			continue
		}
		c.Definition = spec.RenameColumns(c.Definition, names)
	}
}

func (c *Catalog) unhide(t spec.Table) {
	if c.Table(t) != nil {
		return
	}
	table := c.Table(hiddenTable(t))
	if table == nil {
		table = &Table{}
	}
	delete(c.Tables, hiddenTable(t).String())
	c.Tables[t.String()] = table
}

func (c *Catalog) restoreIndex(index spec.Table) {
	if c.Index(index) == nil {
		c.Former[index.String()] = true
	}
}

func (t *Table) remove(column string) {
	if t == nil {
		return
	}
	t.Columns = slices.DeleteFunc(t.Columns, func(c Column) bool { return c.Name == column })
}

func (t *Table) removeTrigger(name string) {
	if t == nil {
		return
	}
	t.Triggers = slices.DeleteFunc(t.Triggers, func(tr Trigger) bool { return tr.Name == name })
}

// resetTriggers has each sync as its phase wants it.
func (l *lowering) resetTriggers(to Phase) {
	for _, op := range l.change.Expand {
		o, ok := op.(*spec.Sync)
		if !ok || l.next.Table(o.Table) == nil {
			continue
		}
		t := l.next.Table(o.Table)
		t.removeTrigger(TriggerName(l.change.Name))
		switch {
		case to == Hidden:
			t.Triggers = append(t.Triggers, l.hiding(o).trigger())
		case to != Contracted:
			t.Triggers = append(t.Triggers, l.shapes(o).trigger())
		}
	}
}
