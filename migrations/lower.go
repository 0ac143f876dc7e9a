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

	// unknown are names of types that were said not to exist.
	unknown []string

	// types go at the end of contract, when nothing that it takes uses them.
	types []Unit
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
		l.lowered(op, func() {
			if !op.expand(l) {
				l.problem(op.Source(), "Operation belongs in contract",
					"What takes something away belongs in the contract block, after the releases that use it are gone.")
			}
		})
	}
	l.showAll()
	for _, b := range c.Backfills {
		l.backfill(b)
	}
	for _, v := range c.Verifies {
		if _, err := Question(v.SQL); err != nil {
			l.problem(v.Range, "Invalid verify", fmt.Sprintf("The sql of verify %s cannot be asked: %v.", v.Name, err))
		}
		l.beside(v.SQL, v.Range, Hidden) // it is asked again before the contract
		l.askVerify(v)
	}
	l.contract()
	return l.program, l.diags
}

// expandOrder brings types before the columns that use them, those before
// triggers, and indexes last. An author's SQL stays where it is: what it needs is not known.
func expandOrder(ops []spec.Operation) []operation {
	ordered := kindsOf(ops)
	start := 0
	for i := 0; i <= len(ordered); i++ {
		if i < len(ordered) && ordered[i].rank() != rankAuthor {
			continue
		}
		slices.SortStableFunc(ordered[start:i], func(a, b operation) int { return a.rank() - b.rank() })
		start = i + 1
	}
	return ordered
}

func (l *lowering) problem(at hcl.Range, summary, detail string) {
	l.diags = append(l.diags, refused(at, summary, detail))
}

func refused(at hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at.Ptr()}
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

// columnsThere tells whether the table has all columns of an argument, and says
// which it has not.
func (l *lowering) columnsThere(at hcl.Range, p spec.Places, argument string, name spec.Table, t *Table, columns []string) bool {
	before := len(l.diags)
	for i, c := range columns {
		if !t.has(c) {
			l.unknownColumn(p.Of(spec.Element(argument, i), at), name, t, c)
		}
	}
	return len(l.diags) == before
}
