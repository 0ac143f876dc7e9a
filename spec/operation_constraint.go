package spec

import (
	"slices"
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
	At         Places `json:"-"`
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
	At         Places `json:"-"`
}

// AddUnique adds a unique constraint by an index that is built concurrently.
type AddUnique struct {
	Table            Table
	Name             string
	Columns          []string
	Include          []string
	NullsNotDistinct bool
	Deferral         Deferral
	Range            hcl.Range
	At               Places `json:"-"`
}

// AddPrimaryKey gives a table a primary key once its rows are filled.
type AddPrimaryKey struct {
	Table    Table
	Name     string
	Columns  []string
	Include  []string
	Deferral Deferral
	Range    hcl.Range
	At       Places `json:"-"`
}

// AddExclusion adds an exclusion constraint: no two rows for which all
// comparisons are true. Postgres has no way to add one in steps.
type AddExclusion struct {
	Table    Table
	Name     string
	Method   string
	Elements []string // SQL: "during WITH &&"
	Where    string   // SQL over a row; "" = all rows
	Deferral Deferral
	Allow    []string // codes of the hazards that it may have
	Range    hcl.Range
	At       Places `json:"-"`
}

// DropConstraint takes a constraint away.
type DropConstraint struct {
	Table      Table
	Name       string
	Definition string // SQL of what it was; "" = what the catalog says while it is there
	Range      hcl.Range
}

// RenameConstraint gives a constraint another name.
type RenameConstraint struct {
	Table Table
	Name  string
	To    string
	Range hcl.Range
}

// Deferral is when a constraint is looked at.
type Deferral struct {
	Deferrable bool
	Deferred   bool // at the transaction's end, unless it says otherwise
}

func (o *AddCheck) operation()      {}
func (o *AddForeignKey) operation() {}
func (o *AddUnique) operation()     {}
func (o *AddPrimaryKey) operation() {}

func (o *AddExclusion) operation()     {}
func (o *DropConstraint) operation()   {}
func (o *RenameConstraint) operation() {}

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

// Source is where the author wrote it.
func (o *AddUnique) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *AddPrimaryKey) Source() hcl.Range { return o.Range }

// Names are the table, its columns, the constraint and its index.
func (o *AddUnique) Names() Names { return namingKey(o.Table, o.Name, o.Columns, o.Include) }

// Names are the table, its columns, the constraint and its index.
func (o *AddPrimaryKey) Names() Names { return namingKey(o.Table, o.Name, o.Columns, o.Include) }

// Source is where the author wrote it.
func (o *AddExclusion) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *DropConstraint) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *RenameConstraint) Source() hcl.Range { return o.Range }

// Names are the table, the constraint and its index.
func (o *AddExclusion) Names() Names { return namingKey(o.Table, o.Name) }

// Names are the table and the constraint.
func (o *DropConstraint) Names() Names { return namingConstraint(o.Table, o.Name) }

// Names are the table and both names.
func (o *RenameConstraint) Names() Names {
	return Names{Tables: []TableNames{{Table: o.Table, Constraints: []string{o.Name, o.To}}}}
}

func namingKey(t Table, name string, lists ...[]string) Names {
	n := namingConstraint(t, name, slices.Concat(lists...)...)
	n.Indexes = []Table{{Schema: t.Schema, Name: name}}
	return n
}

// IndexColumn reads a column of an index: its name, and the collation, operator
// class and order that may follow it. A name with blanks in it is a name unless
// such words follow.
func IndexColumn(text string) (name, order string) {
	name, order, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok || !orderWords().MatchString(order) {
		return text, ""
	}
	return name, order
}

var orderWords = Pattern(`(?i)^(collate\s+["\w.]+|[\w.]+_ops|asc|desc|nulls\s+(first|last)|\s)+$`)

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
