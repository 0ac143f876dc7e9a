package migrations

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

// checkReplaced refuses what would be lost, or would go on reading the old
// column under the name that it is hidden by.
func (l *lowering) checkReplaced(table spec.Table, t *Table) bool {
	before := len(l.diags)
	for _, r := range l.replaced(table) {
		if l.syncOf(table) == nil || l.syncOf(table).Forward[r.By] == "" {
			l.problem(r.Range, "Replacement without a sync", fmt.Sprintf(
				"Column %s is to take over the name of %s.%s, and no sync of this change fills it.", r.By, table, r.Column))
			continue
		}
		if swapState(l.live.Table(table), r) == original {
			l.checkReplace(r, t)
		}
	}
	if len(l.droppedColumns(table)) > 0 {
		l.problem(l.replaced(table)[0].Range, "Two things at once", fmt.Sprintf(
			"This change drops columns of %s as well, which one swap of names cannot do. Make it a change of its own.", table))
	}
	return !l.diags[before:].HasErrors()
}

func (l *lowering) checkReplace(r *spec.ReplaceColumn, t *Table) {
	c := t.Column(r.Column)
	if c == nil {
		l.unknownColumn(r.Range, r.Table, t, r.Column)
		return
	}
	if l.dotted(r.Range, r.Table, t.madeAgain(c)) {
		return
	}
	l.checkDefault(r, c)
	l.checkEnds(r, t)
	const instead = "Make another table with the column as it is to be, keep it in step by a sync of the author's own (sql), and let the releases move to it."
	switch {
	case l.typed(r.Range, r.Table, t):
		return
	case t.PartitionOf != "":
		l.problem(r.Range, "Table is one of several", fmt.Sprintf(
			"%s is a partition of %s, and has the columns of that. Replace the column of %[2]s.", r.Table, t.PartitionOf))
		return
	case c.Inherited:
		l.inherited(r.Range, r.Table, r.Column)
		return
	case len(t.Children) > 0:
		l.problem(r.Range, "Table is one of several", fmt.Sprintf(
			"Tables inherit from %s, and their columns would have to be swapped at once. %s", r.Table, instead))
		return
	case mentions(t.Partitioned, r.Column):
		l.problem(r.Range, "Column tells partitions apart", fmt.Sprintf(
			"%s is partitioned by %s. PostgreSQL cannot partition it by another column, so each row would have to move to a partition of another table. %s", r.Table, t.Partitioned, instead))
		return
	}
	l.warnOfFunctions(r, t)
	if found := slices.Concat(viewsInTheWay(r, t), triggersInTheWay(r, t), inTheWay(t, c), partitionsInTheWay(t, c), keysInTheWay(t, c)); len(found) > 0 {
		l.problem(r.Range, "Something else needs the column as it is", fmt.Sprintf(
			"%s.%s cannot be replaced while there is: %s. Take it away in an sql block before, and make it again afterwards.",
			r.Table, r.Column, strings.Join(found, "; ")))
	}
}

// checkDefault refuses a type that could not have the default that the column has.
func (l *lowering) checkDefault(r *spec.ReplaceColumn, c *Column) {
	if r.Type == "" || r.Default != "" || c.Generated != "" {
		return
	}
	from, to := comparedAs(c.Type), comparedAs(r.Type)
	switch {
	case c.Identity != "" && to != "" && !slices.Contains([]string{"smallint", "integer", "bigint"}, baseType(r.Type)):
		l.problem(r.Range, "Identity column of another type", fmt.Sprintf(
			"%s.%s is an identity column, which %s cannot be. Give change_type a default.", r.Table, r.Column, r.Type))
	case c.Default == "":
	case !knownType(c.Type) && !sameType(c.Type, r.Type) && !elementsFit(c.Type, r.Type) && strings.Contains(c.Default, "::"+c.Type),
		from != "" && to != "" && to != "text" && from != to: // to text, everything is assigned
		l.problem(r.Range, "Default of the former type", fmt.Sprintf(
			"%s.%s has the default %s, which is no value of %s. Give change_type a default.", r.Table, r.Column, c.Default, r.Type))
	}
}

// elementsFit tells whether an array can be assigned to one of another type, as far as
// their elements are well known.
func elementsFit(from, to string) bool {
	from, array := strings.CutSuffix(baseType(from), "[]")
	to, both := strings.CutSuffix(baseType(to), "[]")
	a, b := comparedAs(from), comparedAs(to)
	return array && both && a != "" && b != "" && (a == b || b == "text")
}

// checkEnds refuses a type that the other end of a foreign key cannot be compared
// with, as far as both are well known: the copy of the key could not be made.
func (l *lowering) checkEnds(r *spec.ReplaceColumn, t *Table) {
	if r.Type == "" {
		return
	}
	check := func(key string, table spec.Table, own, others, types []string) {
		at := slices.Index(own, r.Column)
		if at < 0 || at >= len(others) || at >= len(types) {
			return
		}
		kind := types[at]
		for _, other := range l.replaced(table) {
			if other.Column == others[at] {
				kind = cmp.Or(other.Type, kind)
			}
		}
		if a, b := comparedAs(r.Type), comparedAs(kind); a == "" || b == "" || a == b {
			return
		}
		l.problem(r.Range, "The ends of a foreign key must compare", fmt.Sprintf(
			"The foreign key %s has %s.%s at its other end, which is %s and cannot be compared with %s. Change the type of that end in this change too.",
			key, table, others[at], kind, r.Type))
	}
	for _, c := range t.Constraints {
		if c.Kind == Foreign {
			check(c.Name, spec.ParseTable(c.References), c.Columns, c.Referenced(), c.OtherTypes)
		}
	}
	for _, k := range t.References {
		check(k.Name, spec.ParseTable(k.Table), k.Referenced, k.Columns, k.OtherTypes)
	}
}

// comparedAs is what the server can compare a well-known type with by an operator
// of its index; "" for a type that is not one.
func comparedAs(kind string) string {
	switch base := baseType(kind); base {
	case "smallint", "integer", "bigint", "numeric", "real", "double precision":
		return "number"
	case "text", "character varying", "character", "bpchar":
		return "text"
	case "date", "timestamp without time zone", "timestamp with time zone":
		return "time"
	case "uuid", "boolean", "bytea":
		return base
	}
	return ""
}

// viewsInTheWay are those that the swap cannot make again, each with the reason.
func viewsInTheWay(r *spec.ReplaceColumn, t *Table) []string {
	var found []string
	for _, v := range t.ShownBy([]string{r.Column}) {
		if why := v.stays([]string{r.Column}); len(why) > 0 {
			found = append(found, fmt.Sprintf("%s (%s)", v.Object, strings.Join(why, ", ")))
		}
	}
	return found
}

// triggersInTheWay are the author's triggers that the swap cannot make again.
func triggersInTheWay(r *spec.ReplaceColumn, t *Table) []string {
	var found []string
	for _, g := range t.naming(r.Column) {
		switch {
		case r.Keep && g.BeforeRow:
			found = append(found, "trigger "+g.Name+", which fires before a row has by one name what is written by the other")
		case r.Keep && slices.Contains(g.Says, r.Column):
			found = append(found, "trigger "+g.Name+", whose function says the former name")
		case g.Stays != "":
			found = append(found, "trigger "+g.Name+" ("+g.Stays+")")
		}
	}
	return found
}

// warnOfFunctions is about triggers that do not name a column which gets another name,
// and run what does: after the swap that would fail, and each write with it.
func (l *lowering) warnOfFunctions(r *spec.ReplaceColumn, t *Table) {
	for _, g := range t.Triggers {
		if r.Keep && g.isAuthors() && slices.Contains(g.Says, r.Column) && !slices.Contains(g.Names, r.Column) {
			l.warn(r.Range, "Trigger may read the column by its name", fmt.Sprintf(
				"What the trigger %s of %s runs has the word %s in it. If that is the column, writes fail once it is called %s only: have the function read it by either name before.", g.Name, r.Table, r.Column, r.Final()))
		}
	}
}

// mentions tells whether SQL of a table names a column.
func mentions(sql, column string) bool {
	return spec.RenameColumns(sql, map[string]string{column: column + "?"}) != sql
}

// inTheWay is what a swap of names does not carry over, apart from views and
// triggers.
func inTheWay(t *Table, c *Column) []string {
	var found []string
	for _, d := range t.Dependents {
		view := slices.ContainsFunc(t.Views, func(v View) bool { return v.Object == d.Object })
		// Keys are carried, and a sequence goes on with its name.
		carried := view || strings.HasPrefix(d.Object, "constraint ") || strings.HasPrefix(d.Object, "default value ")
		if d.Column == c.Name && !carried {
			found = append(found, d.Object)
		}
	}
	for _, other := range t.Columns {
		if other.Generated != "" && mentions(other.Default, c.Name) {
			found = append(found, "generated column "+other.Name)
		}
	}
	for _, i := range t.Indexes {
		if i.Identity && slices.Contains(i.Key, c.Name) {
			found = append(found, "index "+i.Name+", by which replication tells rows apart (REPLICA IDENTITY USING INDEX)")
		}
	}
	for _, k := range t.Constraints {
		if slices.Contains(k.Columns, c.Name) && (k.Kind == Exclusion || strings.Contains(k.Definition, " DEFERRABLE") && k.Kind == Unique) {
			found = append(found, "constraint "+k.Name+" ("+k.Definition+")")
		}
	}
	if t.DeferrableKey != "" && mentions(t.DeferrableKey, c.Name) {
		found = append(found, "constraint "+t.PrimaryKeyName+" ("+t.DeferrableKey+")")
	}
	if c.Generated != "" {
		found = append(found, "the expression that it is generated by")
	}
	return found
}
