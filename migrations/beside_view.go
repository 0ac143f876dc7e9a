package migrations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations/hazard"
	"pleat/spec"
)

// view is one that a change serves releases by.
type view struct {
	*spec.ServeView
	of *spec.Change
}

func viewsOf(c *spec.Change) []view {
	var all []view
	for _, op := range c.Expand {
		if v, ok := op.(*spec.ServeView); ok {
			all = append(all, view{v, c})
		}
	}
	return all
}

// viewsBefore are those of the changes that come before.
func viewsBefore(c *spec.Change) []view {
	var all []view
	for _, before := range c.Serving {
		all = append(all, viewsOf(before)...)
	}
	return all
}

// besideViews says why an author's SQL cannot run beside the views of its own
// change and of those before it; nil where it can.
func (l *lowering) besideViews(o *spec.SQL, contract bool) *hcl.Diagnostic {
	for _, v := range append(viewsOf(l.change), viewsBefore(l.change)...) {
		d := l.changesServed(v, o)
		if d == nil {
			d = l.namesRenamed(v, namedIn(o.Up, o.Down), contract)
		}
		if d != nil {
			d.Severity, d.Subject = hcl.DiagError, o.Range.Ptr()
			return d
		}
	}
	return nil
}

// refusal is why what the change does to data, or asks of it, cannot be done as
// things are.
type refusal struct {
	why   *hcl.Diagnostic
	until Phase // then it is not done any more
}

// beside notes why SQL about data cannot run beside the views of its own change
// and of those before it.
func (l *lowering) beside(sql string, at hcl.Range, until Phase) {
	for _, v := range append(viewsOf(l.change), viewsBefore(l.change)...) {
		if d := l.namesRenamed(v, namedIn(sql), false); d != nil {
			d.Severity, d.Subject = hcl.DiagError, at.Ptr()
			l.program.refused = append(l.program.refused, refusal{d, until})
			return
		}
	}
}

// changesServed refuses SQL that changes a table which the view shows as it was:
// in the contract of its change too, which the view outlives.
func (l *lowering) changesServed(v view, o *spec.SQL) *hcl.Diagnostic {
	instead := "Put it into a change that comes after, once this one is contracted."
	if v.of != l.change {
		if !l.live.Table(v.Table).hasView(v.View()) && !l.live.Table(v.Renamed()).hasView(v.View()) {
			return nil
		}
		instead = "Run it once that change is contracted."
		if v.To == "" {
			instead += " Before, add_column and drop_column have the view go along, and create_index needs nothing of it."
		}
	}
	for _, lock := range LocksOf([]string{o.Up, o.Down}) {
		t := spec.ParseTable(strings.ReplaceAll(lock.Table, `"`, ""))
		if t != v.Table && t != v.Renamed() || slices.Contains([]Lock{"", "ACCESS SHARE", "ROW SHARE", RowExclusive}, lock.Lock) {
			continue
		}
		return &hcl.Diagnostic{Summary: "Table is served by a view", Detail: fmt.Sprintf(
			"A view of %s shows %s as it is renamed, and would not know what the sql does to it (%s). %s", l.whose(v), t, lock.Lock, instead)}
	}
	return nil
}

// whose names the change of a view.
func (l *lowering) whose(v view) string {
	if v.of == l.change {
		return "this change"
	}
	return string(v.of.Address())
}

// renaming is a table or a column that a view shows by another name.
type renaming struct {
	what, to      string          // as a person reads them
	former, later []hazard.Target // by its names in SQL
	is, was       bool            // whether there is something of the later name, of the former one
}

// pending tells that the former name is the one that there is.
func (r renaming) pending() bool { return r.was && !r.is }

// settled tells that the later name is the one that there is.
func (r renaming) settled() bool { return r.is && !r.was }

func (v view) renamings(l *lowering) []renaming {
	var all []renaming
	before, after := l.live.Table(v.Table), l.live.Table(v.Renamed())
	names := []spec.Table{v.Table}
	if v.To != "" {
		names = append(names, v.Renamed())
		all = append(all, renaming{
			what: "the table " + v.Table.String(), to: v.Renamed().String(), was: before != nil, is: after != nil,
			former: targets(names[:1], ""), later: targets(names[1:], ""),
		})
	}
	t := before
	if t == nil {
		t = after
	}
	for _, from := range slices.Sorted(maps.Keys(v.Columns)) {
		to := v.Columns[from]
		all = append(all, renaming{
			what: "the column " + from + " of " + v.Table.String(), to: to, was: t.Column(from) != nil, is: t.Column(to) != nil,
			former: targets(names, from), later: targets(names, to),
		})
	}
	return all
}

func targets(tables []spec.Table, column string) []hazard.Target {
	var all []hazard.Target
	for _, t := range tables {
		target := hazard.Target{Schema: t.Schema, Table: t.Name}
		if column != "" {
			target.Columns = []string{column}
		}
		all = append(all, target)
	}
	return all
}

// namesRenamed refuses a name that is not there when the SQL runs. What expands
// runs before anything is contracted; of two contracts that of the view's change
// may be the later one.
func (l *lowering) namesRenamed(v view, named func(hazard.Target) bool, contract bool) *hcl.Diagnostic {
	own := v.of == l.change
	for _, r := range v.renamings(l) {
		former, later := slices.ContainsFunc(r.former, named), slices.ContainsFunc(r.later, named)
		switch {
		case own && contract && former, !own && r.settled() && former:
			return l.gone(v, r)
		case !r.pending():
		case !contract && later:
			return &hcl.Diagnostic{Summary: "Name that is not there yet", Detail: fmt.Sprintf(
				"The sql runs before %s calls %s %s, which it does in its contract. Write the former name.", l.whose(v), r.what, r.to)}
		case contract && !own && (former || later):
			return &hcl.Diagnostic{Summary: "Name in the middle of another change", Detail: fmt.Sprintf(
				"%s calls %s %s in its contract, which may come before this one or after it. Leave the sql out until that is contracted, and write the new name then.",
				l.whose(v), r.what, r.to)}
		}
	}
	return nil
}

func namedIn(sql ...string) func(hazard.Target) bool {
	return func(t hazard.Target) bool {
		return slices.ContainsFunc(sql, func(text string) bool {
			named, _ := hazard.Names(text, t) // of what cannot be read the server says why
			return named
		})
	}
}

func (l *lowering) gone(v view, r renaming) *hcl.Diagnostic {
	return &hcl.Diagnostic{Summary: "Name that is gone", Detail: fmt.Sprintf("When it runs, %s has called %s %s. Write that.", l.whose(v), r.what, r.to)}
}

// lowered lowers an operation, and says so where a change before gives what it
// names another name: by its former one it would be unknown from then on, and by
// the new one it is until then. What is there already is left alone.
func (l *lowering) lowered(op operation, lower func()) {
	diags, p := len(l.diags), *l.program
	lower()
	d := l.renames(op)
	if d == nil {
		return
	}
	if len(l.diags) > diags {
		l.diags = append(l.diags[:diags], d)
		return
	}
	for _, made := range [][]Unit{l.program.Expand[len(p.Expand):], l.program.Validate[len(p.Validate):], l.program.Hide[len(p.Hide):], l.program.Drop[len(p.Drop):]} {
		for i := range made {
			made[i].refused = d
		}
	}
}

// renames says why an operation has to wait for the change that renames what it
// names, or has to name it otherwise; nil where neither is so.
func (l *lowering) renames(op spec.Operation) *hcl.Diagnostic {
	for _, v := range viewsBefore(l.change) {
		for _, r := range v.renamings(l) {
			former, later := slices.ContainsFunc(r.former, namedBy(op)), slices.ContainsFunc(r.later, namedBy(op))
			var d *hcl.Diagnostic
			switch {
			case r.settled() && former:
				d = l.gone(v, r)
			case r.pending() && (former || later):
				d = &hcl.Diagnostic{Summary: "Name in the middle of another change", Detail: fmt.Sprintf(
					"%s calls %s %s in its contract, and a view shows it to releases until then. Do this once that is contracted, by the new name.", l.whose(v), r.what, r.to)}
			default:
				continue
			}
			d.Severity, d.Subject = hcl.DiagError, op.Source().Ptr()
			return d
		}
	}
	return nil
}

func namedBy(op spec.Operation) func(hazard.Target) bool {
	return func(t hazard.Target) bool {
		return slices.ContainsFunc(op.Names().Tables, func(n spec.TableNames) bool {
			return n.Table == spec.Table{Schema: t.Schema, Name: t.Table} &&
				(len(t.Columns) == 0 || slices.Contains(n.Columns, t.Columns[0]))
		})
	}
}
