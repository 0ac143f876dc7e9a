package spec

import (
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// AddCheck adds a check constraint: to rows that are written from then on, and
// to all rows once they are filled.
type AddCheck struct {
	Table      Table
	Name       string
	Expression string // SQL over a row
	Range      hcl.Range
}

// AddForeignKey adds a foreign key: to rows that are written from then on, and
// to all rows once they are filled.
type AddForeignKey struct {
	Table      Table
	Name       string
	Columns    []string
	References Table
	To         []string // columns of References, in the order of Columns; nil: its primary key
	OnDelete   string   // as SQL says it in lower case: "set null"; "" = no action
	OnUpdate   string
	MatchFull  bool
	Deferral   Deferral
	Range      hcl.Range
}

// Deferral is when a constraint is looked at.
type Deferral struct {
	Deferrable bool
	Deferred   bool // at the transaction's end, unless it says otherwise
}

func (o *AddCheck) operation()      {}
func (o *AddForeignKey) operation() {}

// Source is where the author wrote it.
func (o *AddCheck) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *AddForeignKey) Source() hcl.Range { return o.Range }

// Names are the table and the constraint.
func (o *AddCheck) Names() Names { return namingConstraint(o.Table, o.Name) }

// Names are both tables, their columns and the constraint.
func (o *AddForeignKey) Names() Names {
	n := namingConstraint(o.Table, o.Name, o.Columns...)
	n.Tables = append(n.Tables, TableNames{Table: o.References, Columns: o.To})
	return n
}

func namingConstraint(t Table, constraint string, columns ...string) Names {
	return Names{Tables: []TableNames{{Table: t, Columns: columns, Constraints: []string{constraint}}}}
}

// defaultConstraintName is what Postgres would call a constraint of these
// columns. Where that is longer than a name can be, it cuts the longer of table
// and columns.
func defaultConstraintName(t Table, columns []string, label string) string {
	table, rest := t.Name, strings.Join(columns, "_")
	room := maxIdentifier - len(label) - 1
	if rest != "" {
		room--
	}
	keep, keepRest := len(table), len(rest)
	for keep+keepRest > room {
		if keep > keepRest {
			keep--
		} else {
			keepRest--
		}
	}
	name := cutAt(table, keep)
	if rest != "" {
		name += "_" + cutAt(rest, keepRest)
	}
	return name + "_" + label
}

// cutAt keeps whole runes.
func cutAt(s string, n int) string {
	if n >= len(s) {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
