package spec

import "strings"

// ParseTable reads "name" or "schema.name".
func ParseTable(s string) Table {
	if schema, name, ok := strings.Cut(s, "."); ok {
		return Table{Schema: schema, Name: name}
	}
	return Table{Schema: "public", Name: s}
}

// String is "name" in the schema public, else "schema.name".
func (t Table) String() string {
	if t.Schema == "public" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// MarshalText is String.
func (t Table) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is ParseTable.
func (t *Table) UnmarshalText(b []byte) error {
	*t = ParseTable(string(b))
	return nil
}
