package migrations

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// provable is when fits has an answer.
const provable = "the table is partitioned by columns, and the bound is made of numbers and quoted texts; by hash, where the columns are numbers, times, booleans, uuid or bytea"

// fits is the condition that the rows of the bound meet, in the form in which
// Postgres can tell that it implies the bound. "" where there is no such form.
func (j joining) fits() string {
	_, key, _ := strings.Cut(j.parent.Partitioned, "(")
	names, _ := indexedColumns("(" + key)
	columns := make([]string, len(names))
	for i, name := range names {
		if name == "" {
			return ""
		}
		columns[i] = Ident(name)
	}
	switch p := j.partition; p.By() {
	case "range":
		return spelt(columns, p.From, p.To)
	case "list":
		values, ok := constants(p.In)
		if !ok || len(columns) != 1 {
			return ""
		}
		return known(columns) + " AND " + columns[0] + " IN (" + strings.Join(values, ", ") + ")"
	case "hash":
		return j.hashed(names, columns)
	}
	return ""
}

// collated says which column of a key by hash stands in the way; "" for none.
func (j joining) collated() string {
	if j.partition.By() != "hash" {
		return ""
	}
	_, key, _ := strings.Cut(j.parent.Partitioned, "(")
	names, _ := indexedColumns("(" + key)
	for _, name := range names {
		if c := j.parent.Column(name); c != nil && !slices.Contains(uncollated, strings.Split(c.Type, "(")[0]) {
			return fmt.Sprintf(" Here it is column %s, %s: with a collation Postgres does not take a check of the hash for the bound."+
				" Make an empty partition of that bound by create_partition, and insert the rows.", name, c.Type)
		}
	}
	return ""
}

// hashed calls what Postgres tells rows by. It takes two calls for the same only
// where they have no collation, as the one has none that it makes itself.
func (j joining) hashed(names, columns []string) string {
	for _, name := range names {
		if c := j.parent.Column(name); c == nil || !slices.Contains(uncollated, strings.Split(c.Type, "(")[0]) {
			return ""
		}
	}
	return fmt.Sprintf("pg_catalog.satisfies_hash_partition(%s::pg_catalog.regclass, %d, %d, %s)",
		Literal(tableIdent(j.table)), j.partition.Modulus, j.partition.Remainder, strings.Join(columns, ", "))
}

var uncollated = []string{
	"smallint", "integer", "bigint", "numeric", "uuid", "date", "boolean", "bytea",
	"timestamp without time zone", "timestamp with time zone",
}

// spelt is written as Postgres spells a bound by range for itself: what both ends
// have in common, and then each end column by column.
func spelt(columns, from, to []string) string {
	if len(from) != len(columns) || len(to) != len(columns) {
		return ""
	}
	all := []string{known(columns)}
	for len(columns) > 1 && sameConstant(from[0], to[0]) {
		value, ok := constant(from[0])
		if !ok {
			return ""
		}
		all = append(all, columns[0]+" = "+value)
		columns, from, to = columns[1:], from[1:], to[1:]
	}
	begins, ok := edge(columns, from, ">", "minvalue", ">=")
	ends, also := edge(columns, to, "<", "maxvalue", "<")
	if !ok || !also {
		return ""
	}
	return strings.Join(append(append(all, begins...), ends...), " AND ")
}

// edge is one end of a range, in at most one condition. beyond is the word for
// what is further than every value; last compares the last column.
func edge(columns, bound []string, compare, beyond, last string) (condition []string, ok bool) {
	var arms []string
	before := ""
	for i, column := range columns {
		if strings.EqualFold(bound[i], beyond) {
			break
		}
		value, ok := constant(bound[i])
		if !ok {
			return nil, false
		}
		operator := compare
		switch {
		case i == len(columns)-1:
			operator = last
		case strings.EqualFold(bound[i+1], beyond):
			operator = compare + "="
		}
		arms = append(arms, before+column+" "+operator+" "+value)
		before += column + " = " + value + " AND "
	}
	switch len(arms) {
	case 0:
		return nil, true
	case 1:
		return arms, true
	}
	return []string{"(" + strings.Join(arms, " OR ") + ")"}, true
}

func known(columns []string) string {
	return strings.Join(columns, " IS NOT NULL AND ") + " IS NOT NULL"
}

func constants(bound []string) ([]string, bool) {
	all := make([]string, len(bound))
	for i, text := range bound {
		value, ok := constant(text)
		if !ok {
			return nil, false
		}
		all[i] = value
	}
	return all, len(all) > 0
}

// constant is a literal that takes the type of the column that it is compared
// with.
func constant(text string) (string, bool) {
	tokens := lex(text)
	_, err := strconv.ParseFloat(text, 64)
	switch {
	case err == nil:
		return Literal(text), true
	case len(tokens) == 1 && tokens[0].kind == quotedToken && text[0] == '\'':
		return text, true
	}
	return "", false
}

func sameConstant(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, other := strconv.ParseFloat(b, 64)
	return a == b || err == nil && other == nil && x == y
}
