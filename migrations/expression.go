package migrations

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// expression is SQL over a row that a server is asked to make sense of.
type expression struct {
	unit  string // as in asked
	until Phase
	at    hcl.Range
	table spec.Table
	of    *Table // nil: it names no column
	what  string // as a person reads it: "the check positive"
	kind  string // what is wrong if it is: "check"
	sql   string
	as    string // the type of the column that it is assigned to; "" = what it has
	test  bool   // it is a condition
	// back is whose column the expression is the former value of.
	back *spec.ReplaceColumn
	// saying is what is said of a refusal; nil: the ordinary.
	saying func(Refusal) (summary, detail string)
}

// askExpression asks about an expression over columns as they will be. Where their
// types are not known yet, nothing can be said of it.
func (l *lowering) askExpression(e expression) {
	if l.live.promises(e.as) {
		e.as = "" // which says too little then, and nothing that is wrong
	}
	rows, ok := l.rows(e.table, e.of, e.sql)
	if !ok || checkExpression(e.sql) != nil {
		return
	}
	say := e.saying
	if say == nil {
		say = e.say
	}
	condition := parenthesized(e.sql)
	switch {
	case e.as != "":
		condition = "CAST(" + condition + " AS " + e.as + ") IS NULL AND " + assigned(condition, e.as)
	case !e.test:
		condition += " IS NULL"
	}
	l.ask(asked{unit: e.unit, until: e.until, at: e.at, table: e.table, codes: senseless, say: say}, "SELECT FROM "+rows+" WHERE "+condition)
}

// assigned has the server convert an expression as where it writes a column, for which
// not every cast will do. In a query there is one place for that: XMLTABLE.
func assigned(sql, kind string) string {
	return "EXISTS (SELECT FROM " + assigning + "('' PASSING CAST(NULL AS xml) COLUMNS c " + kind + " DEFAULT " + sql + ") AS t)"
}

const assigning = "XMLTABLE" // by which the server's message names the place

// rows is a query of the columns that an expression names, by their table's name:
// the server reads the expression over it as over the table. It is false for one
// that is about whole rows, and where a type is still to be made.
func (l *lowering) rows(name spec.Table, t *Table, sql string) (string, bool) {
	if t.whole() {
		return "", false
	}
	tokens := lex(sql)
	named := map[string]bool{}
	for i, token := range tokens {
		if token.kind != wordToken && token.text[0] != '"' {
			continue
		}
		named[strings.Trim(token.text, `"`)] = true
		field := i+2 < len(tokens) && tokens[i+1].text == "." && tokens[i+2].text != "*"
		if strings.Trim(token.text, `"`) == name.Name && !field {
			return "", false
		}
	}
	var columns []string
	if t != nil {
		for _, c := range t.Columns {
			if !named[c.Name] {
				continue
			}
			if c.Type == "" || l.live.promises(c.Type) {
				return "", false
			}
			columns = append(columns, "CAST(NULL AS "+c.Type+") AS "+Ident(c.Name))
		}
	}
	return "(SELECT " + strings.Join(columns, ", ") + ") AS " + Ident(name.Name), true
}

func (e expression) say(r Refusal) (summary, detail string) {
	switch {
	case r.Code == otherType && strings.Contains(r.Message, assigning) && e.back != nil:
		return "No way back from the new type", fmt.Sprintf(
			"Releases of before read %s.%s as %s, which Postgres does not make of %s by itself. Say how: back = \"CAST(%[2]s AS %[3]s)\", or another expression of the new value.",
			e.table, e.back.Column, e.as, e.back.Type)
	case r.Code == otherType && strings.Contains(r.Message, assigning):
		return "Value of another type", fmt.Sprintf("%s is %q, of which Postgres makes no %s by itself. Say how, such as: CAST(%[2]s AS %[3]s)", capital(e.what), e.sql, e.as)
	case r.Code == noColumn && e.of == nil:
		return "Invalid default", fmt.Sprintf("%s is %q, and a default names no column. A text has quotes in SQL: \"'%s'\"", capital(e.what), e.sql, bare(r.Name))
	case r.Code == noColumn:
		return "Unknown column", fmt.Sprintf("%s is %q. %s", capital(e.what), e.sql, noSuchColumn(e.table, e.of, bare(r.Name)))
	}
	return saying("Invalid "+e.kind, fmt.Sprintf("%s, %q", e.what, e.sql))(r)
}

// noSuchColumn says what columns a table has, and which may have been meant.
func noSuchColumn(name spec.Table, t *Table, column string) string {
	var have []string
	for _, c := range t.Columns {
		if !isBeside(c.Name) {
			have = append(have, c.Name)
		}
	}
	return fmt.Sprintf("Table %s has no column %s.%s It has %s.", name, column, spec.DidYouMean(column, have), strings.Join(have, ", "))
}

func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// askColumn asks about what is declared of a column that the unit makes. of has
// the other columns of its table.
func (l *lowering) askColumn(unit string, table spec.Table, of *Table, c spec.Column, at hcl.Range) {
	if !isSerial(c.Type) {
		l.askType(unit, table, c, at)
	}
	part := func(argument, kind, sql string, of *Table) {
		if sql != "" && !isSerial(c.Type) {
			l.askExpression(expression{
				unit: unit, at: c.At.Of(argument, at), table: table, of: of, sql: sql, as: c.Type, kind: kind,
				what: fmt.Sprintf("the %s of column %s of table %s", kind, c.Name, table),
			})
		}
	}
	part("default", "default", c.Default, nil)
	part("generated", "expression", c.Generated, of)
}

// askCheck asks about the condition of a check.
func (l *lowering) askCheck(unit string, t *Table, o *spec.AddCheck) {
	l.askExpression(expression{
		unit: unit, at: o.At.Of("check", o.Range), table: o.Table, of: t, what: "the check " + o.Name, kind: "check", sql: o.Expression, test: true,
	})
}

// askIndex asks about the parts of an index.
func (l *lowering) askIndex(unit string, t *Table, o *spec.CreateIndex) {
	e := expression{unit: unit, table: o.Table, of: t, kind: "index column"}
	for i, c := range o.Columns {
		e.at, e.what, e.sql = o.At.Of(spec.Element("columns", i), o.Range), "a column of index "+o.Name, c
		if strings.HasPrefix(strings.TrimSpace(c), "(") {
			l.askElement(e)
			continue
		}
		name, _ := spec.IndexColumn(c)
		l.needColumn(asked{unit: unit, at: e.at, table: o.Table}, t, name)
	}
	l.askClasses(unit, t, o)
	for i, c := range o.Include {
		l.needColumn(asked{unit: unit, at: o.At.Of(spec.Element("include", i), o.Range), table: o.Table}, t, c)
	}
	if o.Where != "" {
		e.at, e.what, e.kind, e.sql, e.test = o.At.Of("where", o.Range), "the condition of index "+o.Name, "index condition", o.Where, true
		l.askExpression(e)
	}
}

// askClasses asks whether an index can be made of the columns with their types.
func (l *lowering) askClasses(unit string, t *Table, o *spec.CreateIndex) {
	for i, c := range o.Columns {
		_, sql := leading(c)
		behind := strings.TrimPrefix(c, sql)
		if !strings.HasPrefix(strings.TrimSpace(c), "(") {
			var name string
			name, behind = spec.IndexColumn(c)
			sql = Ident(name)
		}
		l.askClass(expression{
			unit: unit, at: o.At.Of(spec.Element("columns", i), o.Range), table: o.Table, of: t, what: "a column of index " + o.Name, sql: sql,
		}, o.Method, behind)
	}
}

// askClass asks for the operator class of an element of an index: the one that is
// named behind it, or a default one for its type.
func (l *lowering) askClass(e expression, method, behind string) {
	rows, ok := l.rows(e.table, e.of, e.sql)
	if !ok || checkExpression(e.sql) != nil {
		return
	}
	say := e.saying
	if say == nil {
		say = func(r Refusal) (string, string) {
			return "No operator class", fmt.Sprintf("Postgres says of %s: %s. Have it of an expression or a type that there is one for, by another method, or with the name of a class behind it.", e.what, r.Message)
		}
	}
	l.askReading(asked{unit: e.unit, at: e.at, table: e.table, codes: []string{noObject, otherType}, say: say},
		Reading{SQL: "SELECT " + e.sql + " FROM " + rows, Method: cmp.Or(method, "btree"), Class: operatorClass(behind)})
}

// operatorClass is the name of the one that stands behind an element of an index; ""
// for none.
func operatorClass(behind string) string {
	r := reader{tokens: lex(behind)}
	if r.skip("collate") {
		r.name()
	}
	for _, word := range []string{"asc", "desc", "nulls", "with"} {
		if r.skip(word) {
			return ""
		}
	}
	return r.name()
}

// askElement asks about a column, a call or an expression in parentheses, with
// anything behind it.
func (l *lowering) askElement(e expression) {
	name, sql := leading(e.sql)
	if e.sql = sql; bare(sql) == bare(name) {
		l.needColumn(asked{unit: e.unit, until: e.until, at: e.at, table: e.table}, e.of, strings.Trim(name, `"`))
		return
	}
	l.askExpression(e)
}

// leading is the column, the call or the expression in parentheses that an element
// of a list begins with, and the name that this begins with.
func leading(element string) (name, sql string) {
	r := reader{tokens: lex(element)}
	name = r.name()
	if r.parentheses(); r.at > 0 {
		sql = element[:r.tokens[r.at-1].end]
	}
	return name, sql
}

// askAssigned asks about what columns are set to.
func (l *lowering) askAssigned(e expression, p spec.Places, argument string, set map[string]string) {
	otherwise := e.at
	for _, column := range slices.Sorted(maps.Keys(set)) {
		e.at, e.sql, e.as = p.Of(argument+"."+column, otherwise), set[column], ""
		if c := e.of.Column(column); c != nil {
			e.as = c.Type
		}
		e.back = l.assignedBack(e.table, column, set[column])
		e.what, e.kind = "what column "+column+" of table "+e.table.String()+" is set to", "expression"
		l.askExpression(e)
	}
}

// assignedBack is the replacement, if there is one, by which a column gets back the
// other one's value as it is.
func (l *lowering) assignedBack(t spec.Table, column, sql string) *spec.ReplaceColumn {
	for _, r := range l.replaced(t) {
		if r.Column == column && r.Type != "" && sql == Ident(r.By) {
			return r
		}
	}
	return nil
}

// askVerify asks about a question over tables as they are. Types may be others by
// then.
func (l *lowering) askVerify(v *spec.Verify) {
	question, err := Question(v.SQL)
	if err != nil {
		return
	}
	l.ask(asked{
		until: Verified, at: v.At.Of("sql", v.Range), now: true, codes: []string{noColumn, noTable, noFunction, "42601"},
		say: saying("Invalid verify", "the sql of verify "+v.Name),
	}, "SELECT FROM ("+question+"\n) AS broken")
}

// askType asks whether the type is there. What else the author may have written
// behind it is no part of a cast.
func (l *lowering) askType(unit string, table spec.Table, c spec.Column, at hcl.Range) {
	name := c.Name
	if r := l.replacedBy(table, name); r != nil {
		name = r.Final()
	}
	what := fmt.Sprintf("the type of column %s of table %s", name, table)
	a := asked{unit: unit, at: c.At.Of("type", at), table: table, codes: badTypes, say: saying("Unknown type", what)}
	l.ask(a, "SELECT CAST(NULL AS "+c.Type+")")
	if c.Collate != "" {
		a.at, a.say = c.At.Of("collate", at), saying("Unknown collation", "the collation of column "+c.Name+" of table "+table.String())
		l.ask(a, "SELECT CAST(NULL AS text) COLLATE "+c.Collate)
	}
}

// badTypes are the errors about a type: there is none, or no schema of it, or it
// takes no such modifier.
var badTypes = []string{noObject, "3F000", "22023"}
