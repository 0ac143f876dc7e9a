package spec

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// ReplaceIndex gives the name of an index to another one of the same table. It
// stands in expand, where that is built, and in contract, where the names change
// and the old one goes once it has been hidden for Hide.
type ReplaceIndex struct {
	Index *CreateIndex // as it is in the end
	Hide  time.Duration
	Range hcl.Range
}

// RenameIndex gives an index another name in its schema.
type RenameIndex struct {
	Schema string
	Name   string
	To     string
	Range  hcl.Range
}

func (o *RenameIndex) operation()  {}
func (o *ReplaceIndex) operation() {}

// Source is where the author wrote it.
func (o *RenameIndex) Source() hcl.Range { return o.Range }

// Names are both names.
func (o *RenameIndex) Names() Names {
	return Names{Indexes: []Table{{Schema: o.Schema, Name: o.Name}, {Schema: o.Schema, Name: o.To}}}
}

// Source is where the author wrote it.
func (o *ReplaceIndex) Source() hcl.Range { return o.Range }

// Names are the table and the index.
func (o *ReplaceIndex) Names() Names {
	n := naming(o.Index.Table)
	n.Indexes = []Table{{Schema: o.Index.Table.Schema, Name: o.Index.Name}}
	return n
}
