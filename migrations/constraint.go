package migrations

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// late is a constraint that is added without a look at the rows, and validated
// once they are filled. New rows are held to it from the first moment.
type late struct {
	table      spec.Table
	constraint Constraint  // as the catalog will have it once it is valid
	lock       Lock        // of ADD; the undo needs ACCESS EXCLUSIVE
	also       []TableLock // that ADD takes besides
	loose      bool        // the text may differ from the server's and mean the same
	at         hcl.Range
}

func (c late) name() string { return c.constraint.Name }

func (c late) title() string { return constraintTitle(c.table, c.name()) }

func constraintTitle(t spec.Table, name string) string {
	return "constraint " + name + " on " + t.String()
}

// id has the definition in it: what is recorded under it was made by pleat,
// and means this.
func (c late) id(what string) string {
	return fmt.Sprintf("%s.%s.%s.%s", what, c.table, c.name(), mark(c.constraint.Definition)[:8])
}

// enforce is the unit that holds writers to the constraint.
func (c late) enforce(l *lowering) Unit {
	live := l.live.Table(c.table).Constraint(c.name())
	u := Unit{
		ID: c.id("constraint"), Title: c.title(), Mode: InTransaction,
		Table: c.table, Lock: c.lock, Also: c.also,
		UndoLock: AccessExclusive, UndoAlso: strongest(c.also),
		Statements: []string{addConstraintSQL(c.table, c.name(), c.constraint.Definition+" NOT VALID")},
		Undo:       []string{dropConstraintSQL(c.table, c.name())},
		UndoTitle:  "drop constraint",
		Applied:    live != nil || c.went(l),
		Visible:    true,
		Source:     c.at,
	}
	if u.Applied && live == nil {
		return u
	}
	if live == nil {
		u.missing = []string{c.title()}
		return u
	}
	if live.Definition != "" && !sameDefinition(c.formerly(l, *live), c.constraint.Definition) && !c.alike(l, u.ID, *live) {
		u.unlike, u.like = live.Definition, c.constraint.Definition
		if !c.loose {
			l.anotherDefinition(u)
		}
	}
	return u
}

func (c late) went(l *lowering) bool { return l.live.Table(c.table).went(c.constraint.Columns) }

// formerly is the definition of a foreign key by the names that the referenced
// columns had before a later change, which was taken back from the catalog, gave
// them others; of another constraint, its definition.
func (c late) formerly(l *lowering, live Constraint) string {
	parent, names := l.live.Table(spec.ParseTable(live.References)), map[string]string{}
	wanted := c.constraint.Referenced()
	for i, column := range live.Referenced() {
		if i < len(wanted) && parent != nil && !parent.whole() && parent.Column(column) == nil {
			names[column] = wanted[i]
		}
	}
	if live.Kind != Foreign || len(names) == 0 {
		return live.Definition
	}
	return spec.RenameForeignKey(live.Definition, nil, names)
}

// alike tells of a check whether the server writes both conditions alike.
func (c late) alike(l *lowering, unit string, live Constraint) bool {
	return c.constraint.Kind == Check && live.Kind == Check && l.alike(unit, c.table, condition(live.Definition), condition(c.constraint.Definition))
}

func strongest(locks []TableLock) []TableLock {
	all := slices.Clone(locks)
	for i := range all {
		all[i].Lock = AccessExclusive
	}
	return all
}

// validate is the unit after which it holds for all rows.
func (c late) validate(l *lowering) Unit {
	live := l.live.Table(c.table).Constraint(c.name())
	u := Unit{
		ID: c.id("validate"), Title: c.title(), Mode: InTransaction,
		Table: c.table, Lock: ShareUpdateExclusive, Also: c.scanned(),
		Statements: []string{validateSQL(c.table, c.name())},
		Undo:       []string{},
		UndoTitle:  "-",
		Applied:    live != nil && live.Valid || live == nil && c.went(l),
		Visible:    true,
		Source:     c.at,
	}
	if !u.Applied {
		u.missing = []string{c.title()}
	}
	return u
}

// scanned are the tables that VALIDATE locks besides, as weakly as its own: a
// referenced one it keeps nobody from using.
func (c late) scanned() []TableLock {
	var all []TableLock
	for _, l := range c.also {
		if c.constraint.Kind == Check {
			all = append(all, TableLock{Table: l.Table, Lock: ShareUpdateExclusive})
		}
	}
	return all
}

// expand holds live releases to the constraint, which their author says they
// keep.
func (c late) expand(l *lowering) {
	l.program.Expand = append(l.program.Expand, c.enforce(l))
	l.program.Validate = append(l.program.Validate, c.validate(l))
	c.appear(l)
}

// contract holds writers to the constraint once the releases are gone that do
// not know it.
func (c late) contract(l *lowering) {
	enforce, validate := c.enforce(l), c.validate(l)
	enforce.Verb, validate.Verb = "enforce", "validate"
	l.program.Hide = append(l.program.Hide, enforce)
	l.program.Drop = append(l.program.Drop, validate)
}

// appear shows the constraint in the catalog to come.
func (c late) appear(l *lowering) {
	t := l.next.Table(c.table)
	if t == nil || t.Constraint(c.name()) != nil {
		return
	}
	added := c.constraint
	added.Valid = false
	t.Constraints = append(t.Constraints, added)
	if parent := l.next.Table(spec.ParseTable(added.References)); parent != nil && added.Kind == Foreign {
		parent.References = append(parent.References, ForeignKey{
			Name: added.Name, Table: c.table.String(), Columns: added.Columns, Referenced: added.Referenced(),
			OtherTypes: t.typesOf(added.Columns), Definition: added.Definition,
		})
	}
}

// disappear takes the constraint out of the catalog to come.
func (c late) disappear(l *lowering) {
	l.next.Table(c.table).removeConstraint(c.name())
	if parent := l.next.Table(spec.ParseTable(c.constraint.References)); parent != nil && c.constraint.Kind == Foreign {
		parent.References = slices.DeleteFunc(parent.References, c.isKey)
	}
}

// typesOf are the types of columns, "" for one that is not known.
func (t *Table) typesOf(columns []string) []string {
	types := make([]string, len(columns))
	for i, name := range columns {
		if c := t.Column(name); c != nil {
			types[i] = c.Type
		}
	}
	return types
}

// isKey tells the constraint as the referenced table has it.
func (c late) isKey(k ForeignKey) bool { return k.Name == c.name() && k.Table == c.table.String() }

func (c late) settle(l *lowering) {
	if found := l.next.Table(c.table).Constraint(c.name()); found != nil {
		found.Valid = true
	}
	if parent := l.next.Table(spec.ParseTable(c.constraint.References)); parent != nil && c.constraint.Kind == Foreign {
		if i := slices.IndexFunc(parent.References, c.isKey); i >= 0 {
			parent.References[i].Valid = true
		}
	}
}

func (c late) takeAway(l *lowering, to Phase) {
	c.appear(l)
	if to == Contracted {
		c.settle(l)
	}
}

func addConstraintSQL(t spec.Table, name, definition string) string {
	return fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s", tableIdent(t), Ident(name), definition)
}

func validateSQL(t spec.Table, name string) string {
	return fmt.Sprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", tableIdent(t), Ident(name))
}

func dropConstraintSQL(t spec.Table, name string) string {
	return fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", tableIdent(t), Ident(name))
}

func (l *lowering) anotherDefinition(u Unit) {
	l.diags = append(l.diags, anotherDefinition(u))
}

func anotherDefinition(u Unit) *hcl.Diagnostic {
	return refused(u.Source, "Constraint with another definition", fmt.Sprintf(
		"There is a %s already:\n  %s\nThis change would make:\n  %s\nGive it another name, or write it as it is there.",
		u.Title, u.unlike, u.like))
}

// Conflicts are about what stands in the way of units that did not run: objects
// of a name that the change wants to make, of which the text does not say that
// they are the same, and names that a change before gives to something else.
func (p *Program) Conflicts(rec Recorded) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, u := range slices.Concat(p.Expand, p.Validate, p.Hide, p.Drop) {
		if u.refused != nil && !u.done(rec) {
			diags = append(diags, u.refused)
		}
	}
	phase := p.derive(rec)
	for _, r := range p.refused {
		if !phase.AtLeast(r.until) {
			diags = append(diags, r.why)
		}
	}
	for _, i := range p.open(rec) {
		if i.why != nil {
			diags = append(diags, i.why)
		}
	}
	for _, u := range slices.Concat(p.Expand, p.Hide, p.Drop) {
		if u.other != nil && !p.made(rec, u.ID) {
			diags = append(diags, u.other)
		}
	}
	for _, u := range slices.Concat(p.Expand, p.Hide) {
		if u.unlike != "" && !rec.Units[u.ID] && !p.made(rec, u.ID) {
			diags = append(diags, anotherDefinition(u))
		}
	}
	return diags
}

// made tells whether what a unit found may be what it made: by the record, the
// change has run as it is written.
func (p *Program) made(rec Recorded, unit string) bool {
	return rec.Digest == p.Digest && (rec.Phase.AtLeast(Expanded) || rec.Units[unit])
}

// family is a table with the partitions and children that a lock on it, or a
// change of its constraints, also locks; nil without any. The table comes first,
// as in every statement of a client.
func (t *Table) family(name spec.Table, lock Lock) []TableLock {
	if t == nil || len(t.Partitions)+len(t.Children) == 0 {
		return nil
	}
	all := []TableLock{{Table: name, Lock: lock}}
	for _, p := range t.Partitions {
		all = append(all, TableLock{Table: spec.ParseTable(p.Table), Lock: lock})
	}
	for _, c := range t.Children {
		all = append(all, TableLock{Table: spec.ParseTable(c), Lock: lock})
	}
	return all
}
