package spec

import "github.com/hashicorp/hcl/v2"

// AttachPartition makes a table that is there a partition of another one.
type AttachPartition struct {
	Table     Table
	Partition Partition
	Range     hcl.Range
}

// CreatePartition makes a table like a partitioned one, and has it hold the rows
// of a bound.
type CreatePartition struct {
	Table     Table
	Partition Partition
	Range     hcl.Range
}

// DetachPartition makes a partition a table of its own, with its rows. The bound
// is the one that it has, for the way back.
type DetachPartition struct {
	Table     Table
	Partition Partition
	Range     hcl.Range
}

// By is how the bound tells rows: "range", "list", "hash", or "" for what fits
// nowhere else.
func (p Partition) By() string {
	switch {
	case p.From != nil || p.To != nil:
		return "range"
	case p.In != nil:
		return "list"
	case p.Modulus > 0:
		return "hash"
	}
	return ""
}

func (o *AttachPartition) operation() {}
func (o *CreatePartition) operation() {}
func (o *DetachPartition) operation() {}

// Source is where the author wrote it.
func (o *AttachPartition) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *CreatePartition) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *DetachPartition) Source() hcl.Range { return o.Range }

// Names are both tables.
func (o *DetachPartition) Names() Names { return namingBoth(o.Table, o.Partition.Table) }

// Names are both tables.
func (o *AttachPartition) Names() Names { return namingBoth(o.Table, o.Partition.Table) }

// Names are both tables.
func (o *CreatePartition) Names() Names { return namingBoth(o.Table, o.Partition.Table) }

func namingBoth(a, b Table) Names { return Names{Tables: []TableNames{{Table: a}, {Table: b}}} }
