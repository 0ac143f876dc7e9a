package migrations

import "pleat/spec"

// Catalog is what a database's catalog says of the objects that a spec names.
// It is a value: reading it again gives another one.
type Catalog struct {
	Tables map[string]*Table `json:"tables"` // by spec.Table's text form; a table that does not exist is absent

	// Former are indexes, by the text form of their name, that Project put back:
	// their drop does not say what table they were on.
	Former map[string]bool `json:"-"`
}

// Table is one table as the catalog has it.
type Table struct {
	Columns     []Column     `json:"columns"` // in attnum order
	PrimaryKey  []string     `json:"primary_key,omitempty"`
	Indexes     []Index      `json:"indexes,omitempty"`     // by name
	Triggers    []Trigger    `json:"triggers,omitempty"`    // by name; without internal ones
	Constraints []Constraint `json:"constraints,omitempty"` // by name; without the primary key
	Dependents  []Dependent  `json:"dependents,omitempty"`  // by object; what would stop a drop
	Comment     string       `json:"comment,omitempty"`

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
}

// Index is one index of a table.
type Index struct {
	Name       string `json:"name"`
	Definition string `json:"definition"` // pg_get_indexdef()
	Unique     bool   `json:"unique,omitempty"`
	Valid      bool   `json:"valid"`
}

// Trigger is one trigger of a table. Comment carries pleat's marker.
type Trigger struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`         // pg_get_triggerdef()
	Function   string `json:"function,omitempty"` // pg_get_functiondef(), of pleat's own
	BeforeRow  bool   `json:"before_row,omitempty"`
	Comment    string `json:"comment,omitempty"`
}

// Constraint is one constraint of a table.
type Constraint struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
	Valid      bool   `json:"valid"`
}

// Dependent is a thing outside a table that needs it or one of its columns: a
// view, or another table's foreign key.
type Dependent struct {
	Column string `json:"column,omitempty"` // "" = the table as a whole
	Object string `json:"object"`           // as Postgres describes it: "view users_view"
}

// Table gives the table of that name, or nil.
func (c *Catalog) Table(t spec.Table) *Table {
	if c == nil {
		return nil
	}
	return c.Tables[t.String()]
}

// Index gives the index of that name, whatever table of its schema it is on,
// or nil.
func (c *Catalog) Index(name spec.Table) *Index {
	_, t := c.tableOfIndex(name)
	return t.index(name.Name)
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
