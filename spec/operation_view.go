package spec

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// ServeView shows a table under names that it does not have yet: a view in a
// schema of the change, which comes first in the search_path of the releases
// that know the change. EndView gives the table those names.
type ServeView struct {
	Table   Table
	To      string            // the table's name in the view; "" = its own
	Columns map[string]string // the other names, by the names that columns have
	Schema  string            // of the view
	Range   hcl.Range
}

// EndView renames what the view of the same change shows by its new names, and
// drops the view after Hide.
type EndView struct {
	View  *ServeView
	Hide  time.Duration
	Range hcl.Range
}

// View is the view by its schema and name.
func (o *ServeView) View() Table { return Table{Schema: o.Schema, Name: o.Renamed().Name} }

// Renamed is the table by the name that it has in the end.
func (o *ServeView) Renamed() Table {
	return Table{Schema: o.Table.Schema, Name: cmp.Or(o.To, o.Table.Name)}
}

// Former are the columns that statements of the old shape are told by; none
// where the name of the table tells them.
func (o *ServeView) Former() []string {
	if o.To != "" {
		return nil
	}
	return sortedKeys(o.Columns)
}

func (o *ServeView) operation() {}
func (o *EndView) operation()   {}

// Source is where the author wrote it.
func (o *ServeView) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *EndView) Source() hcl.Range { return o.Range }

// Names are the table by both names, and both names of each column.
func (o *ServeView) Names() Names {
	n := naming(o.Table, slices.Concat(sortedKeys(o.Columns), slices.Sorted(maps.Values(o.Columns)))...)
	if o.To != "" {
		n.Tables = append(n.Tables, TableNames{Table: o.Renamed()})
	}
	return n
}

// Names are those of the view.
func (o *EndView) Names() Names { return o.View.Names() }

// ViewSchema is the schema of the change's views; "" where it has none.
func (c *Change) ViewSchema() string {
	for _, o := range c.Expand {
		if v, ok := o.(*ServeView); ok {
			return v.Schema
		}
	}
	return ""
}
