package spec

import "github.com/hashicorp/hcl/v2"

// CreateEnum makes an enum type.
type CreateEnum struct {
	Enum   Table    // schema and name of the type
	Values []string // in their order
	Range  hcl.Range
}

// AddEnumValue adds a value to an enum type, before or after another one or,
// where neither is given, at the end. Postgres has no way to take it away again.
type AddEnumValue struct {
	Enum   Table
	Value  string
	Before string // "" = not given
	After  string // "" = not given
	Range  hcl.Range
}

// RenameEnumValue gives a value another name in all rows at once. Whoever says
// the old one afterwards is refused.
type RenameEnumValue struct {
	Enum  Table
	Value string
	To    string
	Range hcl.Range
}

// DropEnum takes an enum type away that nothing uses.
type DropEnum struct {
	Enum  Table
	Range hcl.Range
}

func (o *CreateEnum) operation()      {}
func (o *AddEnumValue) operation()    {}
func (o *RenameEnumValue) operation() {}
func (o *DropEnum) operation()        {}

// Source is where the author wrote it.
func (o *CreateEnum) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *AddEnumValue) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *RenameEnumValue) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *DropEnum) Source() hcl.Range { return o.Range }

// Names is the type.
func (o *CreateEnum) Names() Names { return namingType(o.Enum) }

// Names is the type.
func (o *AddEnumValue) Names() Names { return namingType(o.Enum) }

// Names is the type.
func (o *RenameEnumValue) Names() Names { return namingType(o.Enum) }

// Names is the type.
func (o *DropEnum) Names() Names { return namingType(o.Enum) }

func namingType(t Table) Names { return Names{Types: []Table{t}} }
