package migrations

import (
	"fmt"
	"slices"

	"pleat/spec"
)

// addition is how a column comes to its table: at once, or in parts of which
// none keeps anybody waiting.
type addition struct {
	of       *spec.AddColumn
	declared spec.Column // what ADD COLUMN says
	later    string      // the default of rows to come, computed for those that are there by a back-fill
	enforced bool        // NOT NULL comes once every row has a value
	numbers  string      // the sequence of an identity column until it is one
}

// addition looks at the default: one that may differ from row to row makes a
// server write the whole table anew.
func (l *lowering) addition(o *spec.AddColumn) addition {
	a := addition{of: o, declared: o.Column}
	if !l.populated(o.Table) {
		return a
	}
	if o.Column.Identity {
		a.numbers = Ident("pleat", suffixed(l.change.Name+"."+o.Table.String()+"."+o.Column.Name, "_numbers"))
		a.later = fmt.Sprintf("pg_catalog.nextval(%s::pg_catalog.regclass)", Literal(a.numbers))
		a.declared.Identity = false
	}
	if l.volatile(o.Column.Default) != "" {
		a.later, a.declared.Default = o.Column.Default, ""
	}
	if (o.Column.NotNull || o.Column.Identity) && (a.later != "" || l.syncs(o)) {
		a.enforced, a.declared.NotNull = true, false
	}
	return a
}

// populated tells whether a table may have rows that the change did not make.
func (l *lowering) populated(t spec.Table) bool {
	return l.live.Table(t) != nil && !slices.ContainsFunc(l.change.Expand, func(op spec.Operation) bool {
		o, ok := op.(*spec.CreateTable)
		return ok && o.Table == t
	})
}

// syncs tells whether a trigger gives the column its value, whoever writes.
func (l *lowering) syncs(o *spec.AddColumn) bool {
	s := l.syncOf(o.Table)
	if s == nil {
		return false
	}
	_, ok := s.Forward[o.Column.Name]
	return ok
}

func (a addition) actions() []string {
	actions := []string{"ADD COLUMN " + columnSQL(a.declared)}
	if a.later != "" {
		actions = append(actions, a.setDefault())
	}
	return actions
}

func (a addition) setDefault() string {
	return "ALTER COLUMN " + Ident(a.declared.Name) + " SET DEFAULT " + parenthesized(a.later)
}

func (a addition) comment() []string {
	if a.declared.Comment == "" {
		return nil
	}
	return []string{columnComment(a.of.Table, a.declared.Name, a.declared.Comment)}
}

// begin has a column that is there look as the expand leaves it.
func (a addition) begin(t *Table) {
	c := t.Column(a.declared.Name)
	if c == nil || !a.enforced {
		return
	}
	t.remember(c.Name, false)
	if a.numbers != "" {
		c.Default, c.Identity = a.later, ""
	}
}

// complete adds what follows the expand: the back-fill, and what then comes to
// hold for all rows.
func (a addition) complete(l *lowering) {
	if a.later != "" && !l.fills(a.of) {
		l.program.Backfills = append(l.program.Backfills, a.backfill(l))
	}
	if !a.enforced {
		return
	}
	n := l.notNull(a.of.Table, a.declared.Name, a.of.Range)
	if a.numbers != "" {
		c := n.live.Column(a.declared.Name)
		n.shown = c != nil && c.Identity != ""
		n.settled, n.unsettled = a.identity(), a.unidentity()
	}
	l.program.Validate = append(l.program.Validate, n.units()...)
}

// fills tells whether the author has a back-fill of the column.
func (l *lowering) fills(o *spec.AddColumn) bool {
	return slices.ContainsFunc(l.change.Backfills, func(b *spec.Backfill) bool {
		_, ok := b.Set[o.Column.Name]
		return ok && b.Table == o.Table
	})
}

// backfill leaves rows alone that have a value: a release that knows the
// column gave it to them.
func (a addition) backfill(l *lowering) Backfill {
	name := a.declared.Name
	set := map[string]string{name: fmt.Sprintf("coalesce(%s, %s)", Ident(name), parenthesized(a.later))}
	o := spec.DefaultBackfill(a.of.Table)
	o.Range = a.of.Range
	b := l.backfillOf(o, l.next.Table(a.of.Table), set, nil)
	b.ID += "." + name
	// Comparing would compute the default once more, which numbers may not be.
	b.Where = Ident(name) + " IS NULL"
	b.Digest = digestOf([]any{b.Table, b.Key, b.Set, b.Where})
	return b
}

// numbered is a unit of its own: the sequence is made before the column.
func (a addition) numbered(there bool) Unit {
	t, name := a.of.Table, a.declared.Name
	full := t.String() + "." + name
	u := Unit{
		ID: "expand." + full, Title: full, Mode: InTransaction, Table: t, Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: slices.Concat(a.createNumbers(), extended(extended(nil, t, a.actions()[0]), t, a.setDefault()), a.comment()),
		Undo: []string{
			fmt.Sprintf("ALTER TABLE %s DROP COLUMN IF EXISTS %s", tableIdent(t), Ident(name)),
			"DROP SEQUENCE IF EXISTS " + a.numbers,
		},
		UndoTitle: "drop columns", Loses: "what was written to " + full, Applied: there, Visible: true, Source: a.of.Range,
	}
	u.all = &reverse{statements: u.Undo, loses: u.Loses}
	if !there {
		u.missing = []string{"column " + full}
	}
	return u
}

// createNumbers lets every role that writes the table count, as the sequence of
// an identity column does.
func (a addition) createNumbers() []string {
	return []string{
		fmt.Sprintf("CREATE SEQUENCE IF NOT EXISTS %s AS %s", a.numbers, a.declared.Type),
		"GRANT USAGE ON SEQUENCE " + a.numbers + " TO PUBLIC",
	}
}

// identity hands the numbers over to a sequence that Postgres names and owns.
func (a addition) identity() []string {
	at := fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s ", tableIdent(a.of.Table), Ident(a.declared.Name))
	return []string{
		at + "DROP DEFAULT",
		at + "ADD GENERATED BY DEFAULT AS IDENTITY",
		fmt.Sprintf("SELECT pg_catalog.setval(%s::pg_catalog.regclass, last_value, is_called) FROM %s", a.owned(), a.numbers),
		"DROP SEQUENCE " + a.numbers,
	}
}

func (a addition) unidentity() []string {
	at := fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s ", tableIdent(a.of.Table), Ident(a.declared.Name))
	return slices.Concat(a.createNumbers(), []string{
		fmt.Sprintf("SELECT pg_catalog.setval(%s, pg_catalog.nextval(%s::pg_catalog.regclass), false)", Literal(a.numbers), a.owned()),
		at + "DROP IDENTITY IF EXISTS",
		at + "SET DEFAULT " + parenthesized(a.later),
	})
}

func (a addition) owned() string {
	return fmt.Sprintf("pg_catalog.pg_get_serial_sequence(%s, %s)", Literal(tableIdent(a.of.Table)), Literal(a.declared.Name))
}

// volatile names the first function in an expression that may give each row
// another value, or "".
func (l *lowering) volatile(expression string) string {
	for _, name := range Calls(expression) {
		switch l.live.Volatility(name) {
		case "v":
			return name
		case "":
			if !slices.Contains(steady, name) {
				return name
			}
		}
	}
	return ""
}

var integerTypes = []string{"smallint", "integer", "bigint"}
