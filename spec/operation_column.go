package spec

import "github.com/hashicorp/hcl/v2"

// SetNotNull has a column that is there refuse nulls. In expand it does so at
// once, in contract when nobody is left who may write them. Fill is the value of rows
// that have none; "" = there are none.
type SetNotNull struct {
	Table  Table
	Column string
	Fill   string `json:",omitempty"`
	Range  hcl.Range
}

// DropNotNull lets a column be null.
type DropNotNull struct {
	Table  Table
	Column string
	Range  hcl.Range
}

// SetDefault gives a column another default, which holds for rows to come. From
// is the former one, for the way back in a later run; "" = not told.
type SetDefault struct {
	Table   Table
	Column  string
	Default string
	From    string
	Range   hcl.Range
	At      Places `json:"-"`
}

// DropDefault takes a column's default away. From is as in SetDefault.
type DropDefault struct {
	Table  Table
	Column string
	From   string
	Range  hcl.Range
}

// CommentOn describes a table or, where Column is not "", a column. An empty
// Comment takes the description away.
type CommentOn struct {
	Table   Table
	Column  string
	Comment string
	Range   hcl.Range
}

// Filled is what the column is to have, which leaves alone what is there.
func (o *SetNotNull) Filled() string {
	return "coalesce(" + quotedName(o.Column) + ", (" + o.Fill + "))"
}

func (o *SetNotNull) operation()  {}
func (o *DropNotNull) operation() {}
func (o *SetDefault) operation()  {}
func (o *DropDefault) operation() {}
func (o *CommentOn) operation()   {}

// Source is where the author wrote it.
func (o *SetNotNull) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *DropNotNull) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *SetDefault) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *DropDefault) Source() hcl.Range { return o.Range }

// Source is where the author wrote it.
func (o *CommentOn) Source() hcl.Range { return o.Range }

// Names is the column.
func (o *SetNotNull) Names() Names { return naming(o.Table, o.Column) }

// Names is the column.
func (o *DropNotNull) Names() Names { return naming(o.Table, o.Column) }

// Names is the column.
func (o *SetDefault) Names() Names { return naming(o.Table, o.Column) }

// Names is the column.
func (o *DropDefault) Names() Names { return naming(o.Table, o.Column) }

// Names is the table or the column.
func (o *CommentOn) Names() Names {
	if o.Column == "" {
		return naming(o.Table)
	}
	return naming(o.Table, o.Column)
}
