package migrations

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// What is to be dropped and is not there looks as if it had been dropped. Where
// something with a name like it is there, it is not taken for that unless it is
// recorded, or the spec has it made.

// unmade tells that nothing of the spec makes what has the title and the name.
func (c *Catalog) unmade(title, name string) bool {
	return c != nil && !c.Named[title] && !spoken(c.Written, name)
}

// Named are the things that operations name, by their titles, but for those that
// they only take away.
func Named(ops []spec.Operation) map[string]bool {
	out := map[string]bool{}
	for _, op := range ops {
		switch op.(type) {
		case *spec.DropColumn, *spec.DropTable, *spec.DropIndex, *spec.DropConstraint:
			continue
		}
		names := op.Names()
		for _, t := range names.Tables {
			out["table "+t.Table.String()] = true
			for _, c := range t.Columns {
				out[columnTitle(t.Table, c)] = true
			}
			for _, c := range t.Constraints {
				out[constraintTitle(t.Table, c)] = true
			}
		}
		for _, i := range names.Indexes {
			out["index "+i.String()] = true
		}
	}
	return out
}

func columnTitle(t spec.Table, column string) string { return "column " + t.String() + "." + column }

func (l *lowering) misspeltColumn(d *spec.DropColumn) *hcl.Diagnostic {
	t := l.next.Table(d.Table)
	if t == nil || t.has(d.Column) || !l.live.unmade(columnTitle(d.Table, d.Column), d.Column) {
		return nil
	}
	var have []string
	for _, c := range t.Columns {
		have = append(have, c.Name)
	}
	if spec.Nearest(d.Column, have) == "" {
		return nil
	}
	return unknown("column", noSuchColumn(d.Table, t, d.Column), d.Range)
}

func (o dropConstraint) misspelt(l *lowering, t *Table) *hcl.Diagnostic {
	if t.whole() || t.named(o.Name) || !l.live.unmade(constraintTitle(o.Table, o.Name), o.Name) {
		return nil
	}
	if near := spec.Nearest(o.Name, t.constraintNames()); near == "" || numbered(o.Name, near) {
		return nil
	}
	return unknown("constraint", noSuchConstraint(o.Table, t, o.Name), o.Range)
}

// askDropped asks for the name of a table or an index that the unit is to drop,
// and the catalog does not have: only the server knows those of all others.
func (l *lowering) askDropped(u Unit, name spec.Table, kind string) {
	if !l.live.unmade(kind+" "+name.String(), name.Name) {
		return
	}
	i := inquiry{Reading: Reading{Schema: name.Schema, SQL: "SELECT FROM " + tableIdent(name), Index: kind == "index"}, unit: u.ID, found: true}
	if r, refused := l.live.refusal(i.Reading); refused && r.Code == noTable && r.Nearest != "" && !(i.Index && numbered(name.Name, r.Nearest)) {
		i.why = unknown(kind, fmt.Sprintf("There is no %s %s. Did you mean %s?", kind, name, spec.Table{Schema: name.Schema, Name: r.Nearest}), u.Source)
	}
	l.program.inquiries = append(l.program.inquiries, i)
}

// numbered tells whether one of two names is the other with the number that the server
// puts behind a name of its own where that is taken: there were two of them.
func numbered(a, b string) bool {
	without := func(name string) string { return strings.TrimRight(name, "0123456789") }
	return a != b && (without(a) == b || without(b) == a)
}

func unknown(kind, detail string, at hcl.Range) *hcl.Diagnostic {
	return refused(at, "Unknown "+kind, detail)
}
