package spec

import "github.com/hashicorp/hcl/v2"

// RenameIndex gives an index another name in its schema.
type RenameIndex struct {
	Schema string
	Name   string
	To     string
	Range  hcl.Range
}

func (o *RenameIndex) operation() {}

// Source is where the author wrote it.
func (o *RenameIndex) Source() hcl.Range { return o.Range }

// Names are both names.
func (o *RenameIndex) Names() Names {
	return Names{Indexes: []Table{{Schema: o.Schema, Name: o.Name}, {Schema: o.Schema, Name: o.To}}}
}
