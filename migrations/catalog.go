package migrations

import "pleat/spec"

// Catalog is what a database's catalog says of the objects that a spec names.
// It is a value: reading it again gives another one.
type Catalog struct {
	// Version is the server's first number: 15. 0 is one that is not known, and
	// is taken for the youngest that pleat knows.
	Version int `json:"version,omitempty"`

	Tables map[string]*Table `json:"tables"` // by spec.Table's text form; a table that does not exist is absent

	// Others are relations that have the name of a table or an index which the spec names and are
	// none, by the same form, as Postgres describes them: "view people".
	Others map[string]string `json:"-"`

	// Dotted are relations and extended statistics with a dot in their names or in that of
	// their schema, by the same form, which names something else then.
	Dotted map[string]bool `json:"-"`

	// Enums are the labels of enum types, in their order, by spec.Table's text
	// form; one that does not exist is absent.
	Enums map[string][]string `json:"enums,omitempty"`

	// TypeUses are what would stop a drop of those types, by the same form.
	TypeUses map[string][]TypeUse `json:"type_uses,omitempty"`

	// Functions are the volatility (pg_proc.provolatile) of functions that
	// defaults call, by name; of several that have one name, the worst. One that
	// does not exist is absent.
	Functions map[string]string `json:"functions,omitempty"`

	// Former are indexes, by the text form of their name, that Project put back:
	// their drop does not say what table they were on.
	Former map[string]bool `json:"-"`

	// Refusals are of the Readings that the server can make no sense of; none where
	// it was not asked.
	Refusals map[Reading]Refusal `json:"-"`

	// Wordings are how the server writes what Readings select, of those that want it
	// and that it made sense of.
	Wordings map[Reading]string `json:"-"`

	// Remade are indexes, by the text form of their name, that a change replaces:
	// until it is known how far that has come they may be what it makes.
	Remade map[string]bool `json:"-"`

	// Named are the things that changes name, as Named gives them.
	Named map[string]bool `json:"-"`

	// Endless are changes without a contract, whose syncs nothing ends.
	Endless map[string]bool `json:"-"`

	// Promised is what has not run yet, and may make things that no catalog shows.
	Promised []Promise `json:"-"`

	// Written is the SQL of authors, whether it has run or not.
	Written []Promise `json:"-"`
}

// Table is one table as the catalog has it.
type Table struct {
	Columns     []Column     `json:"columns"` // in attnum order
	PrimaryKey  []string     `json:"primary_key,omitempty"`
	Indexes     []Index      `json:"indexes,omitempty"`     // by name
	Triggers    []Trigger    `json:"triggers,omitempty"`    // by name; without internal ones
	Constraints []Constraint `json:"constraints,omitempty"` // by name; without the primary key
	Dependents  []Dependent  `json:"dependents,omitempty"`  // by object; what would stop a drop
	Views       []View       `json:"views,omitempty"`       // by name
	Statistics  []Statistics `json:"statistics,omitempty"`  // extended, by name
	Comment     string       `json:"comment,omitempty"`

	PrimaryKeyName string       `json:"primary_key_name,omitempty"`
	DeferrableKey  string       `json:"deferrable_key,omitempty"` // pg_get_constraintdef() of a primary key that is deferrable
	References     []ForeignKey `json:"references,omitempty"`     // of other tables, and its own, to this one
	Partitioned    string       `json:"partitioned,omitempty"`    // pg_get_partkeydef(); "" = it has no partitions
	Partitions     []Partition  `json:"partitions,omitempty"`     // by name
	PartitionOf    string       `json:"partition_of,omitempty"`   // as spec.Table's text
	Typed          string       `json:"typed,omitempty"`          // the type that it is a table OF, from which it has its columns
	Children       []string     `json:"children,omitempty"`       // that inherit from it and are no partitions
	Publications   []string     `json:"publications,omitempty"`   // by name
	RowSecurity    bool         `json:"row_security,omitempty"`

	// Aside are triggers of changes that Project took back: they are there, and fire.
	Aside []Trigger `json:"-"`

	// KeyToCome is the primary key that a change makes once all rows are filled, in a
	// catalog that is projected to a phase before that.
	KeyToCome *KeyToCome `json:"-"`

	// Used is how many columns it has had, dropped ones among them, where that is near
	// what a table can have; 0 = it is not.
	Used int `json:"-"`

	// Rows and Bytes are estimates; they decide nothing and are in no read set.
	Rows  int64 `json:"rows,omitempty"`
	Bytes int64 `json:"bytes,omitempty"`
}

// Column is one column of a table.
type Column struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // format_type()
	NotNull bool   `json:"not_null,omitempty"`
	Default string `json:"default,omitempty"` // pg_get_expr()
	Comment string `json:"comment,omitempty"`

	Identity  string `json:"identity,omitempty"`  // "ALWAYS" or "BY DEFAULT"
	Generated string `json:"generated,omitempty"` // "STORED" or "VIRTUAL"; Default is then what it is computed by
	Collation string `json:"collation,omitempty"` // qualified and quoted; "" = the type's own
	Sequence  string `json:"sequence,omitempty"`  // owned by the column; as spec.Table's text
	Settings  bool   `json:"settings,omitempty"`  // it has rights, a statistics target, options, storage or compression of its own
	Inherited bool   `json:"inherited,omitempty"` // from a table of which this one is no partition

	// Former is the operation that took the column away, where Project put it back.
	Former spec.Operation `json:"-"`
}

// Index is one index of a table.
type Index struct {
	Name       string `json:"name"`
	Definition string `json:"definition"` // pg_get_indexdef()
	Unique     bool   `json:"unique,omitempty"`
	Valid      bool   `json:"valid"`
	Constraint string `json:"constraint,omitempty"` // the constraint that it is the index of
	Parent     string `json:"parent,omitempty"`     // the partitioned index that it is attached to
	Identity   bool   `json:"identity,omitempty"`   // REPLICA IDENTITY USING INDEX
	Comment    string `json:"comment,omitempty"`    // of the constraint, where it is one's
	Tablespace string `json:"tablespace,omitempty"` // "" = the database's
	Settings   bool   `json:"settings,omitempty"`   // its table is clustered by it, or it has statistics targets of its own

	// Key is the columns of a unique index that puts all rows in order: one
	// without condition, expressions and nulls. nil for any other.
	Key []string `json:"key,omitempty"`
}

// Statistics is one object of extended statistics.
type Statistics struct {
	Name       string `json:"name"`       // as spec.Table's text
	Definition string `json:"definition"` // pg_get_statisticsobjdef()
	Comment    string `json:"comment,omitempty"`
}

// Trigger is one trigger of a table. Comment carries pleat's marker.
type Trigger struct {
	Name       string   `json:"name"`
	Definition string   `json:"definition"`         // pg_get_triggerdef()
	Function   string   `json:"function,omitempty"` // pg_get_functiondef(), of pleat's own
	BeforeRow  bool     `json:"before_row,omitempty"`
	Comment    string   `json:"comment,omitempty"`
	Columns    []string `json:"columns,omitempty"` // of UPDATE OF; none where it fires on any
	Names      []string `json:"names,omitempty"`   // columns of the table that it names: of UPDATE OF, and in WHEN
	Says       []string `json:"says,omitempty"`    // columns of the table whose names are words of its function's source, or of what that is called with
	Stays      string   `json:"stays,omitempty"`   // why it cannot be made again; "" = it can
	Off        bool     `json:"off,omitempty"`     // it does not fire for what sessions of clients write
}

// Constraint is one constraint of a table.
type Constraint struct {
	Name       string         `json:"name"`
	Definition string         `json:"definition"` // pg_get_constraintdef()
	Valid      bool           `json:"valid"`
	Kind       ConstraintKind `json:"kind,omitempty"`
	Columns    []string       `json:"columns,omitempty"`     // in the order of the constraint
	References string         `json:"references,omitempty"`  // the table of a foreign key, as spec.Table's text
	OtherTypes []string       `json:"other_types,omitempty"` // of the columns that a foreign key references
	Comment    string         `json:"comment,omitempty"`
}

// ConstraintKind is what a constraint is.
type ConstraintKind string

// The kinds of constraint.
const (
	Check     ConstraintKind = "check"
	Foreign   ConstraintKind = "foreign_key"
	Unique    ConstraintKind = "unique"
	Exclusion ConstraintKind = "exclusion"
)

// ForeignKey is a foreign key as the table sees it that it references.
type ForeignKey struct {
	Name       string   `json:"name"`
	Table      string   `json:"table"` // that has it, as spec.Table's text
	Columns    []string `json:"columns"`
	Referenced []string `json:"referenced"`
	OtherTypes []string `json:"other_types,omitempty"` // of Columns
	Comment    string   `json:"comment,omitempty"`
	Definition string   `json:"definition"`
	Valid      bool     `json:"valid"`

	Partitioned bool        `json:"partitioned,omitempty"` // Table is
	Partitions  []Partition `json:"partitions,omitempty"`  // of Table, by name
}

// Partition is one partition of a partitioned table.
type Partition struct {
	Table     string `json:"table"`               // as spec.Table's text
	Bound     string `json:"bound"`               // "FOR VALUES …" or "DEFAULT"
	Detaching bool   `json:"detaching,omitempty"` // a DETACH … CONCURRENTLY was cut short
	Unlike    string `json:"unlike,omitempty"`    // why it is no plain table of this server; "" = it is one

	// Own is what hangs on a column of the partition and not on that of its table.
	Own []Dependent `json:"own,omitempty"`

	// Keys are its foreign keys that are not its table's, as far as their name and
	// whether they are valid.
	Keys []Constraint `json:"keys,omitempty"`
}

// Dependent is a thing outside a table that needs it or one of its columns: a
// view, or another table's foreign key.
type Dependent struct {
	Column string `json:"column,omitempty"` // "" = the table as a whole
	Object string `json:"object"`           // as Postgres describes it: "view users_view"
}

// View is a view that shows a table, itself or through other views. So is a
// materialized one, and a table whose rule reads the other.
type View struct {
	Name    string   `json:"name"`              // as spec.Table's text
	Object  string   `json:"object"`            // as Postgres describes it
	Columns []string `json:"columns,omitempty"` // of the table that it names itself
	Reads   []string `json:"reads,omitempty"`   // those of the table's views that it names
	Groups  []string `json:"groups,omitempty"`  // columns of the table's keys without which its GROUP BY would say too little
	Stays   []string `json:"stays,omitempty"`   // why it cannot be taken down and made again; none where it can

	Materialized bool `json:"materialized,omitempty"`
	Filled       bool `json:"filled,omitempty"` // it is materialized, and can be read
}

// TypeUse is a thing that needs a type. It goes away with its Table, or with
// any of the Columns.
type TypeUse struct {
	Table   string   `json:"table,omitempty"` // as spec.Table's text; "" = it is no part of a table
	Columns []string `json:"columns,omitempty"`
	Object  string   `json:"object"` // as Postgres describes it: "column status of table orders"
}

// atLeast tells whether the server has what came with a version; also on a nil
// catalog.
func (c *Catalog) atLeast(version int) bool {
	return c == nil || c.Version == 0 || c.Version >= version
}

// Table gives the table of that name, or nil.
func (c *Catalog) Table(t spec.Table) *Table {
	if c == nil {
		return nil
	}
	return c.Tables[t.String()]
}

// Enum gives the labels of an enum type, in their order; nil where there is no
// such type.
func (c *Catalog) Enum(t spec.Table) []string {
	if c == nil {
		return nil
	}
	return c.Enums[t.String()]
}

// Volatility gives that of the functions of a name; "" where there is none, or
// nobody asked.
func (c *Catalog) Volatility(function string) string {
	if c == nil {
		return ""
	}
	return c.Functions[function]
}

func (c *Catalog) remade(index spec.Table) bool { return c != nil && c.Remade[index.String()] }

// Index gives the index of that name, whatever table of its schema it is on,
// or nil.
func (c *Catalog) Index(name spec.Table) *Index {
	_, t := c.tableOfIndex(name)
	return t.index(name.Name)
}

// Constraint gives the table's constraint of that name, or nil; also on a nil
// table.
func (t *Table) Constraint(name string) *Constraint {
	if t == nil {
		return nil
	}
	for i := range t.Constraints {
		if t.Constraints[i].Name == name {
			return &t.Constraints[i]
		}
	}
	return nil
}

// Column gives the column of that name, or nil; also on a nil table.
func (t *Table) Column(name string) *Column {
	if t == nil {
		return nil
	}
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}
