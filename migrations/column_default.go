package migrations

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// defaultChange is a column's default on its way to another one; "" is none.
type defaultChange struct {
	table  spec.Table
	column string
	to     string
	from   string // what the author says that it was; "" = nothing
	source hcl.Range
	at     hcl.Range // of to
}

func (d defaultChange) statement(expression string) string {
	action := "DROP DEFAULT"
	if expression != "" {
		action = "SET DEFAULT " + parenthesized(expression)
	}
	return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s %s", tableIdent(d.table), Ident(d.column), action)
}

// unit believes the catalog where it is certain: servers write expressions in
// their own way, and then the record decides.
func (d defaultChange) unit(l *lowering) (Unit, bool) {
	for _, expression := range []string{d.to, d.from} {
		if err := checkExpression(expression); expression != "" && err != nil {
			l.problem(d.source, "Invalid default", fmt.Sprintf("The default of column %s cannot be used: %v.", d.column, err))
			return Unit{}, false
		}
	}
	if l.column(d.table, d.column, d.source) == nil {
		return Unit{}, false
	}
	live := l.live.Table(d.table).Column(d.column)
	former := ""
	if live != nil {
		former = live.Default
	}
	u := Unit{
		ID: "default." + d.table.String() + "." + d.column, Title: "default of " + d.table.String() + "." + d.column, Mode: InTransaction,
		Table: d.table, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{d.statement(d.to)}, Undo: []string{d.statement(former)}, UndoTitle: "put the former default back",
		Applied: sameDefinition(former, d.to), Source: d.source,
	}
	u.Visible = u.Applied || former == "" || d.to == ""
	u.all = &reverse{}
	if d.from != "" {
		u.all.statements = []string{d.statement(d.from)}
	}
	if u.Applied {
		u.ByRecord = u.ID
	}
	if !u.Applied {
		u.missing = []string{u.Title}
	}
	d.ask(l, u.ID)
	return u, true
}

func (d defaultChange) ask(l *lowering, unit string) {
	c := l.next.Table(d.table).Column(d.column)
	if d.to == "" || c == nil {
		return
	}
	l.askExpression(expression{
		unit: unit, at: d.at, table: d.table, sql: d.to, as: c.Type, kind: "default",
		what: fmt.Sprintf("the default of column %s of table %s", d.column, d.table),
	})
}

func (d defaultChange) expand(l *lowering) bool {
	if u, ok := d.unit(l); ok {
		l.program.Expand = append(l.program.Expand, u)
		d.put(l, d.to)
	}
	return true
}

func (d defaultChange) contract(l *lowering, verb string) bool {
	if u, ok := d.unit(l); ok {
		u.Verb = verb
		l.program.Drop = append(l.program.Drop, u)
	}
	return true
}

func (d defaultChange) put(l *lowering, expression string) {
	if c := l.next.Table(d.table).Column(d.column); c != nil {
		c.Default = expression
	}
}

type setDefault struct {
	plain
	*spec.SetDefault
}

func (o setDefault) form() any { return []any{o.Table, o.Column, o.Default} }

func (o setDefault) change() defaultChange {
	return defaultChange{table: o.Table, column: o.Column, to: o.Default, from: o.From, source: o.Range, at: o.At.Of("default", o.Range)}
}

func (o setDefault) expand(l *lowering) bool { return o.change().expand(l) }

func (o setDefault) unexpand(l *lowering) { o.change().put(l, o.From) }

func (o setDefault) contract(l *lowering, _ int) bool { return o.change().contract(l, "set") }

func (o setDefault) uncontract(l *lowering) { o.change().put(l, o.From) }

func (o setDefault) takeAway(l *lowering, to Phase) {
	if to == Contracted {
		o.change().put(l, o.Default)
	}
}

type dropDefault struct {
	plain
	*spec.DropDefault
}

func (o dropDefault) form() any { return []any{o.Table, o.Column} }

func (o dropDefault) change() defaultChange {
	return defaultChange{table: o.Table, column: o.Column, from: o.From, source: o.Range}
}

func (o dropDefault) expand(l *lowering) bool { return o.change().expand(l) }

func (o dropDefault) unexpand(l *lowering) { o.change().put(l, o.former()) }

func (o dropDefault) contract(l *lowering, _ int) bool { return o.change().contract(l, "drop") }

func (o dropDefault) uncontract(l *lowering) { o.change().put(l, o.former()) }

func (o dropDefault) takeAway(l *lowering, to Phase) {
	if to == Contracted {
		o.change().put(l, "")
	}
}

// former is a default that there was, even where nobody tells which.
func (o dropDefault) former() string {
	if o.From == "" {
		return "NULL"
	}
	return o.From
}
