package migrations

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// lowering is one change on its way to a Program. live is what the catalog
// says; next is live with what the units so far will have added.
type lowering struct {
	change  *spec.Change
	live    *Catalog
	next    *Catalog
	program *Program
	diags   hcl.Diagnostics
}

// Lower turns a change into units of SQL against a catalog. The catalog is
// the one that the change meets: with the effects of the changes before it,
// and without those of the changes after it (Project makes both). Errors are
// about what the author wrote; the Program is usable only without them.
func Lower(c *spec.Change, cat *Catalog) (*Program, hcl.Diagnostics) {
	l := &lowering{
		change:  c,
		live:    cat,
		next:    cat.clone(),
		program: &Program{Change: c, Digest: Digest(c)},
	}
	for _, op := range expandOrder(c.Expand) {
		l.expand(op)
	}
	for _, b := range c.Backfills {
		l.backfill(b)
	}
	for _, v := range c.Verifies {
		if _, err := Question(v.SQL); err != nil {
			l.problem(v.Range, "Invalid verify", fmt.Sprintf("The sql of verify %s cannot be asked: %v.", v.Name, err))
		}
	}
	l.contract()
	return l.program, l.diags
}

// expandOrder brings columns before the triggers that use them and indexes
// last. An author's SQL stays where it is: what it needs is not known.
func expandOrder(ops []spec.Operation) []spec.Operation {
	ordered := slices.Clone(ops)
	start := 0
	for i := 0; i <= len(ordered); i++ {
		if i < len(ordered) && rankOf(ordered[i]) != 0 {
			continue
		}
		slices.SortStableFunc(ordered[start:i], func(a, b spec.Operation) int { return rankOf(a) - rankOf(b) })
		start = i + 1
	}
	return ordered
}

func rankOf(op spec.Operation) int {
	switch op.(type) {
	case *spec.SQL:
		return 0
	case *spec.Sync:
		return 2
	case *spec.CreateIndex, *spec.DropIndex:
		return 3
	}
	return 1
}

func (l *lowering) expand(op spec.Operation) {
	switch o := op.(type) {
	case *spec.CreateTable:
		l.createTable(o)
	case *spec.AddColumn:
		l.addColumn(o)
	case *spec.Sync:
		l.sync(o)
	case *spec.CreateIndex:
		l.createIndex(o)
	case *spec.DropIndex:
		l.program.Expand = append(l.program.Expand, l.dropIndex(o))
	case *spec.SQL:
		l.program.Expand = append(l.program.Expand, l.sql("expand", o))
	default:
		l.problem(op.Source(), "Operation belongs in contract",
			"What takes something away belongs in the contract block, after the releases that use it are gone.")
	}
}

func (l *lowering) problem(at hcl.Range, summary, detail string) {
	l.diags = append(l.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at.Ptr(),
	})
}

func (l *lowering) warn(at hcl.Range, summary, detail string) {
	l.diags = append(l.diags, &hcl.Diagnostic{
		Severity: hcl.DiagWarning, Summary: summary, Detail: detail, Subject: at.Ptr(),
	})
}

// table finds the table as it will be, and says so where there is none.
func (l *lowering) table(t spec.Table, at hcl.Range) *Table {
	if found := l.next.Table(t); found != nil {
		return found
	}
	l.problem(at, "Unknown table", "Table "+t.String()+" does not exist, and no change before "+
		l.change.Name+" creates it. Create it in this change, or name the change that does in `after`.")
	return nil
}
