package spec

import "slices"

// byView tells whether a rename is served by a view instead of a copy.
func (s *shorthand) byView() bool { return s.str("serve") == "views" }

// view is the one that shows a table of the change under other names.
func (s *shorthand) view(t Table) *ServeView {
	for _, o := range s.change.Contract.Operations {
		if end, ok := o.(*EndView); ok && end.View.Table == t {
			end.Hide = max(end.Hide, s.duration("hide"))
			return end.View
		}
	}
	if t.Schema != "public" {
		s.node.problems.add(s.labelRange(0), "Table is not in the schema public",
			"Releases find a view by their search_path, and a table of the schema %s by its schema. Leave serve out.", t.Schema)
	}
	v := &ServeView{Table: t, Columns: map[string]string{}, Schema: "pleat_" + s.change.Name, Range: s.rng()}
	s.expand(v)
	s.contract(&EndView{View: v, Hide: s.duration("hide"), Range: s.rng()})
	return v
}

// serving tells each change which ones before it serve tables by views.
func (l *loader) serving(order *order[*Change]) {
	for _, v := range l.declaredChanges {
		if v.item.ViewSchema() == "" {
			continue
		}
		for _, d := range l.declaredChanges {
			if order.before(v.item, d.item) {
				d.item.Serving = append(d.item.Serving, v.item)
			}
		}
	}
}

// checkViews refuses what else a change does to a table that a view of it shows.
func (l *loader) checkViews(c *Change) {
	for _, o := range c.Operations() {
		for _, t := range o.Names().Tables {
			switch o.(type) {
			case *ServeView, *EndView:
			default:
				if c.serves(t.Table) {
					l.add(o.Source(), "Table is served by a view", "A view of %s shows the table %s as it is renamed. What else is to change there belongs into another change.", c.Address(), t.Table)
				}
			}
		}
	}
}

func (c *Change) serves(t Table) bool {
	return slices.ContainsFunc(c.Expand, func(o Operation) bool {
		v, ok := o.(*ServeView)
		return ok && (v.Table == t || v.Renamed() == t)
	})
}
