package spec

import (
	"github.com/hashicorp/hcl/v2"
)

// shapes are the tables that the spec itself makes, with the changes that add
// each column. Tables that exist outside the spec are not in it.
type shapes struct {
	order  *order[*Change]
	place  map[*Change]int // in the order in which they are gone through
	tables map[tableKey]*shape
}

type tableKey struct {
	database *Database
	table    Table
}

type shape struct {
	creators []*Change
	columns  map[string][]*Change
}

// checkColumns compares the columns that operations name with those that the
// spec made before.
func (l *loader) checkColumns(order *order[*Change]) {
	s := &shapes{order: order, place: map[*Change]int{}, tables: map[tableKey]*shape{}}
	for i, c := range InOrder(sorted(l.changes, func(c *Change) string { return c.Name })) {
		s.place[c] = i
	}
	for _, d := range l.declaredChanges {
		s.collect(d.item)
	}
	for _, d := range l.declaredChanges {
		l.checkViews(d.item)
		for _, o := range d.item.Expand {
			l.checkExpand(s, d.item, o)
		}
		for _, b := range d.item.Backfills {
			l.checkBackfill(s, d.item, b)
		}
		if d.item.Contract != nil {
			l.checkContract(s, d.item)
		}
	}
}

func (s *shapes) of(c *Change, t Table) *shape {
	key := tableKey{c.Database, t}
	if s.tables[key] == nil {
		s.tables[key] = &shape{columns: map[string][]*Change{}}
	}
	return s.tables[key]
}

func (s *shapes) collect(c *Change) {
	for _, o := range c.Expand {
		switch o := o.(type) {
		case *CreateTable:
			t := s.of(c, o.Table)
			t.creators = append(t.creators, c)
			for _, column := range o.Columns {
				t.columns[column.Name] = append(t.columns[column.Name], c)
			}
		case *AddColumn:
			t := s.of(c, o.Table)
			t.columns[o.Column.Name] = append(t.columns[o.Column.Name], c)
		case *ServeView:
			t := s.of(c, o.Table)
			for _, name := range o.Columns {
				t.columns[name] = append(t.columns[name], c)
			}
		}
	}
}

// reached tells whether one of the changes is c or comes before it.
func (s *shapes) reached(c *Change, list []*Change) bool {
	for _, other := range list {
		if other == c || s.order.before(other, c) {
			return true
		}
	}
	return false
}

// names are the columns of a table that c can rely on.
func (s *shapes) names(c *Change, t *shape) []string {
	var names []string
	for _, name := range sortedKeys(t.columns) {
		if s.reached(c, t.columns[name]) {
			names = append(names, name)
		}
	}
	return names
}

func (l *loader) checkExpand(s *shapes, c *Change, o Operation) {
	n := l.operationNodes[o]
	l.checkConstraint(s, c, o)
	switch o := o.(type) {
	case *AddColumn:
		l.tableReached(s, c, o.Table, n.labelRange(0))
	case *CreateIndex:
		l.tableReached(s, c, o.Table, n.at("table"))
	case *ReplaceIndex:
		l.tableReached(s, c, o.Index.Table, n.at("table"))
	case *ServeView:
		if !l.tableReached(s, c, o.Table, n.labelRange(0)) {
			return
		}
		for _, column := range sortedKeys(o.Columns) {
			l.columnReached(s, c, o.Table, column, o.Range)
		}
	case *Sync:
		if !l.tableReached(s, c, o.Table, n.labelRange(0)) {
			return
		}
		l.columnsReached(s, c, o.Table, o.Forward, n, "forward")
		l.columnsReached(s, c, o.Table, o.Backward, n, "backward")
		l.checkDefaults(c, o)
	}
}

func (l *loader) checkBackfill(s *shapes, c *Change, b *Backfill) {
	n := l.backfillNodes[b]
	if l.tableReached(s, c, b.Table, n.labelRange(0)) && n.has("set") {
		l.columnsReached(s, c, b.Table, b.Set, n, "set")
	}
}

func (l *loader) checkContract(s *shapes, c *Change) {
	for _, o := range c.Contract.Operations {
		n := l.operationNodes[o]
		l.checkConstraint(s, c, o)
		switch o := o.(type) {
		case *DropColumn:
			if l.tableReached(s, c, o.Table, n.labelRange(0)) {
				l.columnReached(s, c, o.Table, o.Column, n.labelRange(1))
				l.columnFirst(s, c, o.Table, o.Column, n.labelRange(1))
			}
		case *ReplaceColumn:
			if l.tableReached(s, c, o.Table, n.labelRange(0)) {
				l.columnReached(s, c, o.Table, o.Column, n.labelRange(1))
			}
		case *DropTable:
			l.tableReached(s, c, o.Table, n.labelRange(0))
		}
	}
}

// checkConstraint looks at what constraints name, which may stand in either
// block.
func (l *loader) checkConstraint(s *shapes, c *Change, o Operation) {
	n := l.operationNodes[o]
	switch o := o.(type) {
	case *AddCheck:
		l.tableReached(s, c, o.Table, n.labelRange(0))
	case *AddForeignKey:
		l.listReached(s, c, o.Table, o.Columns, n.labelRange(0), n, "columns")
		l.listReached(s, c, o.References, o.To, n.at("references"), n, "to")
	case *AddUnique:
		l.listReached(s, c, o.Table, o.Columns, n.labelRange(0), n, "columns")
	case *AddPrimaryKey:
		l.listReached(s, c, o.Table, o.Columns, n.labelRange(0), n, "columns")
	}
}

// listReached looks at a table, which is named at rng, and at an argument that
// lists columns of it.
func (l *loader) listReached(s *shapes, c *Change, t Table, columns []string, rng hcl.Range, n *node, argument string) {
	if !l.tableReached(s, c, t, rng) {
		return
	}
	for i, name := range columns {
		l.columnReached(s, c, t, name, n.atElement(argument, i))
	}
}

// tableReached reports a table that the spec makes, but not before c.
func (l *loader) tableReached(s *shapes, c *Change, t Table, rng hcl.Range) bool {
	shape := s.of(c, t)
	if len(shape.creators) == 0 || s.reached(c, shape.creators) {
		return true
	}
	creator := shape.creators[0]
	l.addRelated(rng, Related{{creator.Range, "made here"}}, "Table made later",
		"The table %s is made by %s, which does not come before %s. Write in the latter: after = [%s]", t, creator.Address(), c.Address(), creator.Address())
	return false
}

func (l *loader) columnsReached(s *shapes, c *Change, t Table, columns map[string]string, n *node, argument string) {
	for _, name := range sortedKeys(columns) {
		l.columnReached(s, c, t, name, n.atKey(argument, name))
	}
}

// columnReached reports a column that a table made by the spec does not have.
func (l *loader) columnReached(s *shapes, c *Change, t Table, column string, rng hcl.Range) {
	shape := s.of(c, t)
	if len(shape.creators) == 0 || s.reached(c, shape.columns[column]) {
		return
	}
	names := s.names(c, shape)
	l.add(rng, "Unknown column", "Neither %s nor a change before it adds the column %s to the table %s.%s%s", c.Address(), quote(column), t, DidYouMean(column, names), existing(names))
}

// columnFirst reports a column that c takes away and that a change makes which by
// its name comes later: at c there is none, which looks as if it were gone.
func (l *loader) columnFirst(s *shapes, c *Change, t Table, column string, rng hcl.Range) {
	shape := s.of(c, t)
	makers := shape.columns[column]
	if len(shape.creators) > 0 || s.reached(c, makers) {
		return
	}
	for _, maker := range makers {
		if s.order.before(c, maker) || s.place[maker] < s.place[c] {
			continue
		}
		l.addRelated(rng, Related{{maker.Range, "made here"}}, "Column made later",
			"%s makes the column %s of %s, and neither comes before the other. Where it is that column which %s drops, write there: after = [%s]. Where it is one from before, write in the other: after = [%s]",
			maker.Address(), quote(column), t, c.Address(), maker.Address(), c.Address())
		return
	}
}

// checkDefaults refuses a default on a column that sync fills: a row that is
// written in the old shape would look as if it were written in the new one.
func (l *loader) checkDefaults(c *Change, s *Sync) {
	for _, o := range c.Expand {
		a, ok := o.(*AddColumn)
		if !ok || a.Table != s.Table || a.Column.Default == "" {
			continue
		}
		if _, synced := s.Forward[a.Column.Name]; synced {
			l.add(l.operationNodes[o].at("default"), "Default of a synced column", "The sync of %s tells by the columns of an INSERT which shape it was written in; a default of %s would make every row look new.", s.Table, quote(a.Column.Name))
		}
	}
}
