package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// checkColumn looks at the SQL in a declaration before it is spliced.
func (l *lowering) checkColumn(c spec.Column, at hcl.Range) bool {
	if err := checkExpression(c.Type); err != nil {
		l.problem(at, "Invalid type", fmt.Sprintf("The type of column %s cannot be used: %v.", c.Name, err))
		return false
	}
	return l.checkPart("default", c.Default, c, at) && l.checkPart("expression", c.Generated, c, at) && l.checkPart("collation", c.Collate, c, at)
}

func (l *lowering) checkPart(what, sql string, c spec.Column, at hcl.Range) bool {
	err := checkExpression(sql)
	if sql == "" || err == nil {
		return true
	}
	l.problem(at, "Invalid "+what, fmt.Sprintf("The %s of column %s cannot be used: %v.", what, c.Name, err))
	return false
}

// checkRoom refuses one more column than a table can have.
func (l *lowering) checkRoom(at hcl.Range, name spec.Table) {
	const most = 1600
	t := l.next.Table(name)
	if t.Used == 0 {
		return
	}
	if t.Used++; t.Used > most {
		l.problem(at, "No room for a column", fmt.Sprintf(
			"A table can have %d columns, and those that were dropped count. %s has room for no more: have the column in another table, or copy the rows to a table of their own.", most, name))
	}
}

// checkAddable refuses what breaks the releases that write the table, or
// rewrites it under a lock that nobody can pass.
func (l *lowering) checkAddable(o *spec.AddColumn, a addition) {
	if !l.populated(o.Table) {
		return
	}
	c, table := o.Column, o.Table.String()
	if a.declared.NotNull && c.Default == "" && c.Generated == "" {
		l.problem(o.Range, "NOT NULL column without a default", fmt.Sprintf(
			"Rows that are there would make Postgres say: column %[1]q of relation %[2]q contains null values. "+
				"Releases that do not know the column could not insert any more: null value in column %[1]q of relation %[2]q violates not-null constraint. "+
				"Give it a default, or a sync of %[2]s that fills it; or add it with null = true, fill it by a backfill, and set_not_null in contract.", c.Name, table))
	}
	if isSerial(c.Type) {
		l.problem(o.Range, "Column needs a rewrite of the table", fmt.Sprintf(
			"A serial column gives each row of %s a number while nobody can read the table. "+
				"Write type = \"bigint\" and identity = true: then the rows get their numbers batch by batch.", table))
	}
	if a.numbers != "" && !slices.Contains(integerTypes, canonicalType(c.Type)) {
		l.problem(o.Range, "Identity column of another type", "An identity column is a smallint, an integer or a bigint.")
	}
	if c.Generated != "" && !c.Virtual || strings.Contains(strings.Join(words(c.Type), " "), "generated always as") {
		l.problem(o.Range, "Generated column needs a rewrite of the table", fmt.Sprintf(
			"Postgres computes a stored column for each row of %s while nobody can read the table. "+
				"With stored = false it is computed when it is read (servers from 18 on). Otherwise add a plain column and have a sync compute it.", table))
	}
}

// isSerial tells a shorthand that is written where a type is.
func isSerial(sql string) bool { return serialTypes[canonicalType(sql)] != "" }

// serialTypes are what is no type, to the one that a column so declared has.
var serialTypes = map[string]string{
	"smallserial": "smallint", "serial2": "smallint", "serial": "integer", "serial4": "integer", "bigserial": "bigint", "serial8": "bigint",
}

// steady are the functions in defaults of which Postgres knows that they do
// not change within a statement, and keywords that look like a call. They count
// where the server was not asked; any other call is then volatile.
var steady = []string{
	"now", "transaction_timestamp", "statement_timestamp", "to_timestamp", "make_date", "make_interval",
	"date_trunc", "age", "lower", "upper", "md5", "concat_ws", "coalesce", "nullif", "abs", "round",
	"jsonb_build_object", "jsonb_build_array", "json_build_object", "json_build_array", "to_jsonb",
	"cast", "array", "row", "numeric", "decimal", "varchar", "char", "character", "bit", "varbit",
	"timestamp", "timestamptz", "time", "timetz", "interval", "varying", "and", "or", "not", "in",
	"current_timestamp", "current_time", "localtime", "localtimestamp", "current_setting", "length",
	"extract", "substring", "trim", "position", "greatest", "least", "int4range", "tstzrange", "daterange",
}

// Calls are the names of the functions that an expression calls, as the author
// writes them, in lower case unless quoted. Some keywords are among them.
func Calls(expression string) []string {
	tokens := lex(expression)
	var names []string
	for i := 1; i < len(tokens); i++ {
		if tokens[i].text != "(" || tokens[i].kind != symbolToken {
			continue
		}
		before := tokens[i-1]
		if before.kind == wordToken || strings.HasPrefix(before.text, `"`) {
			names = append(names, strings.Trim(before.text, `"`))
		}
	}
	return names
}

func words(sql string) []string {
	var all []string
	for _, t := range lex(sql) {
		if t.kind == wordToken {
			all = append(all, t.text)
		}
	}
	return all
}

// checkType only warns: a later change may have given the column another type
// on purpose.
func (l *lowering) checkType(o *spec.AddColumn) {
	live := l.live.Table(o.Table).Column(o.Column.Name)
	if live == nil || live.Type == "" || !knownType(o.Column.Type) || !knownType(live.Type) {
		return
	}
	if canonicalType(live.Type) != canonicalType(o.Column.Type) {
		l.warn(o.Range, "Column has another type", fmt.Sprintf(
			"Column %s.%s is there with type %s; this change says %s.", o.Table, o.Column.Name, live.Type, o.Column.Type))
	}
}
