package migrations

import (
	"slices"
	"strings"

	"pleat/spec"
)

// alike tells whether the server writes two expressions over the rows of a table
// alike. It is asked for as long as the unit has not made what has the first.
func (l *lowering) alike(unit string, name spec.Table, a, b string) bool {
	first, second := l.wording(unit, name, a), l.wording(unit, name, b)
	return first != "" && first == second
}

// wording is how the server writes an expression, or a list of them; "" where it
// was not asked, or makes no sense of it. It has one way to write what means the
// same: without what it takes for granted, and with all types.
func (l *lowering) wording(unit string, name spec.Table, list string) string {
	rows, ok := l.rows(name, l.live.Table(name), list)
	if !ok || list == "" || checkExpression(list) != nil {
		return ""
	}
	i := inquiry{unit: unit, found: true, Reading: Reading{
		// Without OFFSET the server would see that all columns are null.
		Schema: name.Schema, SQL: "SELECT " + list + " FROM (SELECT * FROM " + rows + " OFFSET 0) AS " + Ident(name.Name), Write: true,
	}}
	l.program.inquiries = append(l.program.inquiries, i)
	return l.live.Wordings[i.Reading]
}

// sameParts tells whether two indexes of a table are the same by how the server
// writes their columns and conditions. Each is the definition from its method on.
func (l *lowering) sameParts(unit string, table spec.Table, a, b string) bool {
	columns, condition, rest := indexParts(a)
	columnsToo, conditionToo, restToo := indexParts(b)
	all := func(columns []string, condition string) string {
		var list []string
		for _, c := range columns {
			_, sql := leading(c)
			list = append(list, sql)
		}
		if condition != "" {
			list = append(list, condition)
		}
		return strings.Join(list, ", ")
	}
	behind := func(columns []string) string {
		var list []string
		for _, c := range columns {
			_, sql := leading(c)
			list = append(list, strings.TrimPrefix(c, sql))
		}
		return strings.Join(list, ", ")
	}
	return sameIndex(rest, restToo) && (condition == "") == (conditionToo == "") && sameIndex(behind(columns), behind(columnsToo)) &&
		l.alike(unit, table, all(columns, condition), all(columnsToo, conditionToo))
}

// indexParts are what an index is of, each with what stands behind it, its condition,
// "" without one, and what else its definition says from the method on.
func indexParts(definition string) (columns []string, condition, rest string) {
	r := reader{tokens: lex(definition)}
	method := r.name()
	columns = elements(r.between(definition))
	tail := r.tokens[r.at:]
	where := slices.IndexFunc(tail, func(t token) bool { return t.kind == wordToken && t.text == "where" })
	switch {
	case len(tail) == 0:
		return columns, "", method
	case where < 0:
		return columns, "", method + " " + definition[tail[0].start:]
	}
	return columns, strings.TrimSpace(definition[tail[where].end:]), method + " " + definition[tail[0].start:tail[where].start]
}

// condition is that of a check, in parentheses; "" of what is none.
func condition(definition string) string {
	r := reader{tokens: lex(definition)}
	if !r.skip("check") {
		return ""
	}
	return r.between(definition)
}

// elements are the parts of a list in parentheses.
func elements(list string) []string {
	var all []string
	depth, start := 0, 0
	for _, t := range lex(list) {
		switch t.text {
		case "(", "[":
			if depth++; depth == 1 {
				start = t.end
			}
		case ")", "]":
			depth--
		}
		if depth == 0 || depth == 1 && t.text == "," {
			all = append(all, list[start:t.start])
			start = t.end
		}
	}
	return all
}
