package spec

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// RenameTable gives a table another name in its schema. A view has the old one
// from the same moment on, through which rows can be read and written.
type RenameTable struct {
	Table Table
	To    string
	Range hcl.Range
}

// RetireName ends the view that has the former name of a table: hidden first,
// dropped after Hide.
type RetireName struct {
	Table Table // as the view is called
	Of    Table
	Hide  time.Duration
	Range hcl.Range
}

// Renamed is the table by its new name.
func (o *RenameTable) Renamed() Table { return Table{Schema: o.Table.Schema, Name: o.To} }

func (o *RenameTable) operation() {}
func (o *RetireName) operation()  {}

// Source is where the author wrote it.
func (o *RenameTable) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *RetireName) Source() hcl.Range { return o.Range }

// Names are both names.
func (o *RenameTable) Names() Names {
	return Names{Tables: []TableNames{{Table: o.Table}, {Table: o.Renamed()}}}
}

// Names are both names.
func (o *RetireName) Names() Names {
	return Names{Tables: []TableNames{{Table: o.Table}, {Table: o.Of}}}
}
