package migrations

import (
	"fmt"
	"slices"

	"pleat/spec"
)

// exactTypes are those of which values that are equal are the same, byte by byte.
// It is not so of others: 1.0 and 1.00, one month and 30 days, boxes of one area;
// and json and point have no equality at all.
var exactTypes = []string{
	"smallint", "integer", "bigint", "boolean", "text", "character varying", "uuid", "bytea", "date",
	"timestamp with time zone", "timestamp without time zone", "time with time zone", "time without time zone",
}

// equalIsSame tells whether a value of the column that is equal to another is that
// one. A collation of its own may find 'a' and 'A' equal.
func (c *Column) equalIsSame() bool {
	return c.Collation == "" && slices.Contains(exactTypes, baseType(c.Type))
}

// imagesOf tells whether a column that the sync is about must be compared by what is
// stored: where equality is all that is asked, a write of an equal value is lost.
func (l *lowering) imagesOf(o *spec.Sync, t *Table) bool {
	names := slices.Concat(shapes{sync: o}.forwardColumns(), shapes{sync: o}.backwardColumns())
	for _, name := range names {
		c := t.Column(name)
		if c == nil {
			c = t.Column(HiddenName(name))
		}
		if r := l.replacedBy(o.Table, name); c == nil && r != nil {
			c = t.Column(r.Final())
		}
		if c != nil && c.Type != "" && !c.equalIsSame() {
			return true
		}
	}
	return false
}

// differentImages tells whether what is stored differs, of any types. The cast has
// the server not take it for a comparison column by column.
func differentImages(a, b string) string {
	return fmt.Sprintf("row(%s)::record operator(pg_catalog.*<>) row(%s)", a, b)
}
