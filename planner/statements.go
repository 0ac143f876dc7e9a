package planner

import (
	"fmt"
	"strings"

	"pleat/spec"
)

// StatementsView says whether statements that were run can be looked at.
type StatementsView string

// What there may be. The zero value: nobody looked.
const (
	StatementsCounted StatementsView = "counted" // pg_stat_statements is there
	StatementsMissing StatementsView = "missing"
)

// statements asks that nothing of what a change takes away was used by a
// statement since its quiet time began, where that can be known.
func (e *emitter) statements(c *spec.Change) []Guard {
	uses := usesOf(c)
	around := e.state.Databases[c.Database.Name]
	if len(uses) == 0 || around == nil || around.Circumstances == nil || !c.Contract.Statements {
		return nil
	}
	switch around.Circumstances.Statements {
	case StatementsCounted:
		return []Guard{&NoStatements{Database: c.Database.Name, Change: c.Name, Uses: uses}}
	case StatementsMissing:
		var what []string
		for _, u := range uses {
			what = append(what, u.String())
		}
		e.note(fmt.Sprintf("%s has no pg_stat_statements: statements that still use %s are not looked for", c.Database.Address(), some(what, ", ")))
	}
	return nil
}

// usesOf are the columns and tables that a contract takes out of sight.
func usesOf(c *spec.Change) []Use {
	var out []Use
	for _, op := range c.Contract.Operations {
		switch o := op.(type) {
		case *spec.DropColumn:
			out = append(out, Use{Table: o.Table, Columns: []string{o.Column}})
		case *spec.DropTable:
			out = append(out, Use{Table: o.Table})
		case *spec.EndView:
			out = append(out, Use{Table: o.View.Table, Columns: o.View.Former()})
		}
	}
	return out
}

// Use is a table, or columns of it, that a statement may use.
type Use struct {
	Table   spec.Table `json:"table"`
	Columns []string   `json:"columns,omitempty"` // none: the table as a whole
}

// String is "users.name" or "users".
func (u Use) String() string {
	if len(u.Columns) == 0 {
		return u.Table.String()
	}
	return u.Table.String() + "." + strings.Join(u.Columns, ", "+u.Table.String()+".")
}
