package migrations

import (
	"fmt"
	"slices"
	"strings"
)

// anew is a question about what is made of the new columns as it was of the former
// ones: whether it means something where their types are others.
func (k *carrying) anew(unit, kind, name, definition, remedy string) expression {
	e := expression{unit: unit, at: k.source, table: k.table, of: k.next}
	columns := usedColumns(definition)
	for _, replaced := range k.lowering.replaced(k.table) {
		if slices.Contains(columns, replaced.Column) {
			e.at = replaced.Range
		}
	}
	e.saying = func(r Refusal) (string, string) {
		return capital(kind) + " of the former type", fmt.Sprintf(
			"The %s %s of %s is made anew for the column of the new type, and Postgres says of it there: %s.\n  %s\nTake it away by %s as it is to be.",
			kind, name, k.table, r.Message, definition, remedy)
	}
	return e
}

func (k *carrying) checkAnew(unit string, c Constraint, definition string) {
	e := k.anew(unit, "check", c.Name, c.Definition, "drop_constraint in a change before this one, and add it by add_check")
	e.sql, e.test = condition(definition), true
	k.askExpression(e)
}

// indexAnew asks about the parts of an index, of which rebuilt is what follows USING.
func (k *carrying) indexAnew(unit string, i Index, rebuilt string) {
	e := k.anew(unit, "index", i.Name, i.Definition, "drop_index in a change before this one, and make it by create_index")
	list, condition, rest := indexParts(rebuilt)
	method, _, _ := strings.Cut(rest, " ")
	for _, element := range list {
		e.sql = element
		k.askElement(e)
		_, e.sql = leading(element)
		k.askClass(e, method, strings.TrimPrefix(element, e.sql))
	}
	if condition != "" {
		e.sql, e.test = condition, true
		k.askExpression(e)
	}
}

// statisticsAnew asks about what extended statistics are of.
func (k *carrying) statisticsAnew(unit string, s Statistics, of string) {
	e := k.anew(unit, "statistics object", s.Name, s.Definition, "an sql block in a change before this one, and make it by another one")
	for _, e.sql = range elements("(" + of + ")") {
		k.askElement(e)
	}
}
