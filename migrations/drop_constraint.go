package migrations

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// dropConstraint takes away what refuses rows. The rows that it refused are
// what releases to come write, so a check or a foreign key goes in expand
// already; what releases may name in ON CONFLICT goes when they are gone.
type dropConstraint struct {
	plain
	*spec.DropConstraint
}

func (o dropConstraint) rank() int { return rankConstraint }

func (o dropConstraint) form() any { return []any{o.Table, o.Name, o.Definition} }

func (o dropConstraint) live(l *lowering) *Constraint {
	return l.live.Table(o.Table).Constraint(o.Name)
}

// expand has a unit that only a way back of its own goes through: the rows of
// the meantime are looked at while nobody waits. A run that fails has writers
// held to the constraint again, and leaves it at that.
func (o dropConstraint) expand(l *lowering) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || !o.check(l, t) || !o.checkWayBack(l, t) {
		return true
	}
	drop := o.unit(l, t, o.Definition)
	drop.takes, drop.other = true, o.misspelt(l, t)
	if !unvalidated(o.Definition) {
		l.program.Expand = append(l.program.Expand, wayBackOnly(o.validation(l)))
	}
	l.program.Expand = append(l.program.Expand, drop)
	t.removeConstraint(o.Name)
	return true
}

// contract ends with the drop. Until then nobody has done anything, so there is
// nothing to hide.
func (o dropConstraint) contract(l *lowering, _ int) bool {
	t := l.table(o.Table, o.Range)
	if t == nil || !o.check(l, t) || !o.checkNeeded(l, t) {
		return true
	}
	definition := o.Definition
	if live := o.live(l); live != nil {
		definition = live.Definition
	}
	drop := o.final(l, t, definition)
	drop.other = o.misspelt(l, t)
	l.program.Drop = append(l.program.Drop, drop)
	return true
}

// final is the unit of a contract. Where the constraint cannot be had again
// while others work, there is no way back, and the plan says what there is.
func (o dropConstraint) final(l *lowering, t *Table, definition string) Unit {
	u := o.unit(l, t, definition)
	switch {
	case definition == "":
		u.Undo = nil
	case kindOfDefinition(definition) == Unique && t.Partitioned == "":
		return o.rebuilt(u, t, definition)
	case kindOfDefinition(definition) == Unique:
		u.Undo = nil
		u.Does = []string{"no way back: Postgres makes no index of " + o.Table.String() + " a constraint; create_index with unique = true does the same"}
	case kindOfDefinition(definition) == Exclusion:
		u.Undo = nil
		u.Does = []string{"no way back: add_exclusion adds it again, while nobody reads or writes " + o.Table.String()}
	case o.lost(l, t, definition):
		u.Undo = nil
		u.Does = []string{"no way back: before PostgreSQL 18 it is added again only while nobody writes " + o.Table.String()}
	case !unvalidated(definition):
		u.Loses = "that rows of the meantime keep it, until it is validated"
	}
	return u
}

// rebuilt has the index of a unique constraint built concurrently before it is
// the constraint's again. Where rows of the meantime are alike it cannot be.
func (o dropConstraint) rebuilt(u Unit, t *Table, definition string) Unit {
	build, add := o.building(t, definition)
	u.Undo = nil
	if build == "" {
		u.Does = []string{"no way back: no index that was built before can become this constraint"}
		return u
	}
	u.Index = spec.Table{Schema: o.Table.Schema, Name: o.Name}
	u.Undo, u.UndoMode, u.UndoAlso = []string{build, add}, BuildIndex, nil
	u.UndoTitle = "build it again, where no rows are alike"
	return u
}

// building are the statements that build the index of a unique constraint and
// make it the constraint's; "" where no index can become it. As long as the index
// is there, it tells more than the definition: how it is stored.
func (o dropConstraint) building(t *Table, definition string) (build, add string) {
	tokens := lex(definition)
	r := &reader{tokens: tokens, at: 1}
	nulls := r.skip("nulls", "not", "distinct")
	columns := r.between(definition)
	include := ""
	if r.skip("include") {
		include = " INCLUDE " + r.between(definition)
	}
	rest := r.at
	r.any("not", "deferrable", "initially", "deferred", "immediate")
	if r.at < len(tokens) || columns == "" || slices.ContainsFunc(lex(columns), func(t token) bool { return t.kind == wordToken && t.text == "without" }) {
		return "", ""
	}
	add = "UNIQUE USING INDEX " + Ident(o.Name)
	if rest < len(tokens) {
		add += " " + definition[tokens[rest].start:]
	}
	add = addConstraintSQL(o.Table, o.Name, add)
	if i := t.index(o.Name); i != nil {
		return strings.Replace(i.Definition, "INDEX ", "INDEX CONCURRENTLY ", 1), add
	}
	build = fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY %s ON %s USING btree %s%s", Ident(o.Name), tableIdent(o.Table), columns, include)
	if nulls {
		build += " NULLS NOT DISTINCT"
	}
	return build, add
}

// unit drops the constraint, of which the definition is brought back.
func (o dropConstraint) unit(l *lowering, t *Table, definition string) Unit {
	u := Unit{
		ID: "drop.constraint." + o.Table.String() + "." + o.Name, Title: constraintTitle(o.Table, o.Name), Mode: InTransaction,
		Table: o.Table, Lock: AccessExclusive, UndoLock: AccessExclusive, Also: t.family(o.Table, AccessExclusive),
		Statements: []string{dropConstraintSQL(o.Table, o.Name)}, UndoTitle: "hold what is written to it again",
		Applied: o.live(l) == nil, Visible: true, Source: o.Range,
	}
	u.UndoAlso = u.Also
	referenced, qualified := qualifiedReference(definition)
	u.Undo = []string{addConstraintSQL(o.Table, o.Name, strings.TrimSuffix(qualified, " NOT VALID")+" NOT VALID")}
	if referenced != (spec.Table{}) && referenced != o.Table {
		// The referenced table comes first, as a delete of its rows locks them.
		u.Also = slices.Concat([]TableLock{{Table: referenced, Lock: AccessExclusive}}, l.next.Table(referenced).family(referenced, AccessExclusive), u.Also)
		u.UndoAlso = slices.Clone(u.Also)
	}
	if referenced != (spec.Table{}) {
		u.UndoLock = ShareRowExclusive
		for i := range u.UndoAlso {
			u.UndoAlso[i].Lock = ShareRowExclusive
		}
	}
	return missingUnless(u, "the table "+o.Table.String()+" without "+o.Name)
}

func (o dropConstraint) validation(l *lowering) Unit {
	return late{
		table: o.Table, at: o.Range, also: l.next.Table(o.Table).family(o.Table, AccessExclusive),
		constraint: Constraint{Name: o.Name, Kind: kindOfDefinition(o.Definition), Definition: o.Definition},
	}.validate(l)
}

// check is what expand and contract ask alike.
func (o dropConstraint) check(l *lowering, t *Table) bool {
	live := o.live(l)
	switch {
	case t.PrimaryKeyName == o.Name:
		l.problem(o.Range, "Primary key dropped", o.anotherKey())
		return false
	case live != nil && t.index(o.Name) != nil && t.index(o.Name).Identity:
		l.identifies(o.Range, o.Table, *t.index(o.Name))
		return false
	case o.Definition == "":
		return true
	}
	if err := checkDefinition(o.Definition); err != nil {
		l.problem(o.Range, "Invalid definition", fmt.Sprintf("%q cannot be used: %v.", o.Definition, err))
		return false
	}
	if kindOfDefinition(o.Definition) == "" {
		l.problem(o.Range, "Invalid definition", fmt.Sprintf("%q defines no constraint: it begins with CHECK, FOREIGN KEY, UNIQUE or EXCLUDE.", o.Definition))
		return false
	}
	if live != nil && live.Definition != "" && !sameDefinition(live.Definition, o.Definition) {
		l.problem(o.Range, "Constraint with another definition", fmt.Sprintf(
			"The %s is\n  %s\nand the definition here is\n  %s\nWrite it as it is there: it is what is brought back.", constraintTitle(o.Table, o.Name), live.Definition, o.Definition))
		return false
	}
	return true
}

// anotherKey says how a table never is without a primary key, which is what most
// who drop one are after.
func (o dropConstraint) anotherKey() string {
	return fmt.Sprintf(`%[2]s is the primary key of %[1]s. Without one, nobody updates or deletes rows of a table that is published, and batches have nothing to go along. `+
		`Another one takes its place in one statement, once its index is built and its columns are NOT NULL; foreign keys that refer to the old one are dropped in a change before.

  expand {
    create_index "NEW_KEY" {
      table   = %[3]q
      columns = ["COLUMN"]
      unique  = true
    }
    set_not_null %[3]q "COLUMN" {}
  }
  contract {
    sql "key" {
      up = "ALTER TABLE %[1]s DROP CONSTRAINT %[2]s, ADD CONSTRAINT NEW_KEY PRIMARY KEY USING INDEX NEW_KEY"
    }
  }

To have none at all, write the DROP CONSTRAINT alone.`, o.Table, o.Name, o.Table.String())
}

// checkWayBack is what expand asks besides, because everything in it can be
// taken back.
func (o dropConstraint) checkWayBack(l *lowering, t *Table) bool {
	live := o.live(l)
	switch {
	case o.Definition == "" && live != nil && live.Definition != "":
		l.problem(o.Range, "Missing definition", fmt.Sprintf(
			"Once %s is gone, no catalog tells what to bring back if this change is taken back. Say it here:\n  definition = %q", o.Name, live.Definition))
	case o.Definition == "":
		l.problem(o.Range, "Missing definition", fmt.Sprintf(
			"Once %s is gone, no catalog tells what to bring back if this change is taken back. Say it in definition, such as CHECK (amount > 0).", o.Name))
	case keyWord(o.Definition):
		l.problem(o.Range, "Key dropped inside expand", fmt.Sprintf(
			"Releases that still run may name what %s is about in ON CONFLICT, and fail without it. It belongs in contract:\n\n  contract {\n    drop_constraint %q %q {}\n  }",
			o.Name, o.Table, o.Name))
	case o.lost(l, t, o.Definition):
		l.problem(o.Range, "No way back", fmt.Sprintf(
			"Before PostgreSQL 18 a foreign key of a partitioned table is added again only while nobody writes it. Drop %s in contract.", o.Name))
	default:
		return true
	}
	return false
}

// lost tells a foreign key that the server adds only with a look at all rows.
func (o dropConstraint) lost(l *lowering, t *Table, definition string) bool {
	return t.Partitioned != "" && kindOfDefinition(definition) == Foreign && !l.live.atLeast(18)
}

// checkNeeded says at plan time what the server would say (2BP01).
func (o dropConstraint) checkNeeded(l *lowering, t *Table) bool {
	live := o.live(l)
	return live == nil || live.Kind != Unique || l.checkReferred(o.Range, t, o.Name, live.Columns)
}

func (o dropConstraint) unexpand(l *lowering) { o.restore(l) }

func (o dropConstraint) uncontract(l *lowering) { o.restore(l) }

// restore has the constraint there again, as far as it is known what it was.
func (o dropConstraint) restore(l *lowering) {
	t := l.next.Table(o.Table)
	if t == nil || t.named(o.Name) {
		return
	}
	c := Constraint{Name: o.Name, Kind: kindOfDefinition(o.Definition), Definition: o.Definition, Valid: !unvalidated(o.Definition)}
	if referenced, _ := qualifiedReference(o.Definition); referenced != (spec.Table{}) {
		c.References = referenced.String()
	}
	t.Constraints = append(t.Constraints, c)
}

func (o dropConstraint) takeAway(l *lowering, to Phase) {
	if to != Contracted {
		return
	}
	t := l.next.Table(o.Table)
	if i := t.index(o.Name); i != nil && i.Constraint == o.Name {
		t.removeIndex(o.Name)
	}
	t.removeConstraint(o.Name)
}

// checkDefinition lets nothing pass that would do more to the table than add
// the constraint.
func checkDefinition(definition string) error {
	if err := checkExpression(definition); err != nil {
		return err
	}
	depth := 0
	for _, t := range lex(definition) {
		switch {
		case t.kind == symbolToken && (t.text == "(" || t.text == "["):
			depth++
		case t.kind == symbolToken && (t.text == ")" || t.text == "]"):
			depth--
		case t.kind == symbolToken && t.text == "," && depth == 0:
			return errors.New("it defines more than one thing")
		}
	}
	return nil
}

func unvalidated(definition string) bool { return strings.HasSuffix(definition, " NOT VALID") }

// keyWord tells a definition of a constraint with an index.
func keyWord(definition string) bool {
	kind := kindOfDefinition(definition)
	return kind == Unique || kind == Exclusion
}

// kindOfDefinition goes by the first word; "" for what is no constraint that can
// be dropped.
func kindOfDefinition(definition string) ConstraintKind {
	tokens := lex(definition)
	if len(tokens) == 0 {
		return ""
	}
	return map[string]ConstraintKind{"check": Check, "foreign": Foreign, "unique": Unique, "exclude": Exclusion}[tokens[0].text]
}

// qualifiedReference gives the table that a foreign key refers to, and the
// definition with its full name; of another constraint, no table.
func qualifiedReference(definition string) (spec.Table, string) {
	tokens := lex(definition)
	at := slices.IndexFunc(tokens, func(t token) bool { return t.kind == wordToken && t.text == "references" })
	if at < 0 || kindOfDefinition(definition) != Foreign {
		return spec.Table{}, definition
	}
	r := &reader{tokens: tokens, at: at + 1}
	name := strings.ReplaceAll(r.name(), `"`, "")
	if name == "" {
		return spec.Table{}, definition
	}
	t := spec.ParseTable(name)
	return t, definition[:tokens[at+1].start] + tableIdent(t) + definition[tokens[r.at-1].end:]
}

func (l *lowering) unknownConstraint(at hcl.Range, name spec.Table, t *Table, constraint string) {
	l.diags = append(l.diags, unknown("constraint", noSuchConstraint(name, t, constraint), at))
}

// noSuchConstraint says what constraints a table has, and which may have been
// meant.
func noSuchConstraint(name spec.Table, t *Table, constraint string) string {
	have := t.constraintNames()
	return fmt.Sprintf("Table %s has no constraint %s.%s It has %s.", name, constraint, spec.DidYouMean(constraint, have), cmp.Or(strings.Join(have, ", "), "none"))
}

// constraintNames are of all constraints of a table, its primary key last.
func (t *Table) constraintNames() []string {
	var have []string
	for _, c := range t.Constraints {
		have = append(have, c.Name)
	}
	if t.PrimaryKeyName != "" {
		have = append(have, t.PrimaryKeyName)
	}
	return have
}
