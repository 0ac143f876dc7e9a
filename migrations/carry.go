package migrations

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// carriedName is what the copy of an index or constraint is called until it
// takes the name of the one that it is to replace.
func carriedName(name string) string { return shorten(newPrefix + name) }

// carrying makes for the new columns of a table what the old ones have: in the
// stage in which all rows are filled, so that nothing is built twice.
type carrying struct {
	*lowering
	table   spec.Table
	live    *Table            // as it is
	next    *Table            // as the units make it
	columns map[string]string // those that are replaced, to those that replace them, by their names now
	before  map[string]string // of the latter, their names until the swap
	types   map[string]string // other than built-in ones, to those of what replaces their columns
	source  hcl.Range
}

func (l *lowering) carry(t spec.Table, next *Table) {
	k := &carrying{lowering: l, table: t, live: l.live.Table(t), next: next, columns: l.replacing(t), before: map[string]string{}, types: map[string]string{}, source: l.replaced(t)[0].Range}
	for _, r := range l.replaced(t) {
		switch swapState(k.live, r) {
		case original:
			k.before[r.By] = r.By
			k.retype(r, r.Column, r.By)
		case hidden:
			k.before[r.Final()] = r.By
			k.retype(r, HiddenName(r.Column), r.Final())
		}
	}
	if len(k.columns) == 0 || k.live == nil {
		return
	}
	for _, i := range slices.Clone(next.Indexes) {
		k.index(i)
	}
	for _, c := range slices.Clone(next.Columns) {
		if by := k.columns[c.Name]; by != "" && c.NotNull {
			n := l.notNull(t, k.before[by], k.source)
			n.now = k.live.Column(by)
			l.program.Validate = append(l.program.Validate, n.units()...)
		}
	}
	for _, c := range slices.Clone(next.Constraints) {
		k.constraint(c)
	}
	for _, f := range slices.Clone(next.References) {
		k.incoming(f)
	}
	for _, s := range slices.Clone(next.Statistics) {
		k.statistics(s)
	}
}

// replacing are the columns of a table that the change replaces, to those that
// replace them, by their names now.
func (l *lowering) replacing(t spec.Table) map[string]string {
	columns := map[string]string{}
	for _, r := range l.replaced(t) {
		switch swapState(l.live.Table(t), r) {
		case original:
			columns[r.Column] = r.By
		case hidden:
			columns[HiddenName(r.Column)] = r.Final()
		}
	}
	return columns
}

// parents tells whether a foreign key goes with the table that it references:
// there the end is replaced. Where both ends are, that makes one copy of it, from
// the new to the new.
func (l *lowering) parents(c Constraint) bool {
	return c.Kind == Foreign && among(l.replacing(spec.ParseTable(c.References)), c.Referenced())
}

func among(columns map[string]string, names []string) bool {
	return slices.ContainsFunc(names, func(c string) bool { return columns[c] != "" })
}

// retype has constants of a type that is the database's own be of the new one.
// An index is built where no search path finds a name, so that has its schema.
func (k *carrying) retype(r *spec.ReplaceColumn, column, by string) {
	c, to := k.live.Column(column), r.Type
	if c == nil || c.Type == "" || to == "" || knownType(c.Type) {
		return
	}
	if enum := spec.ParseTable(to); k.lowering.next.Enum(enum) != nil {
		to = tableIdent(enum)
	} else if there := k.live.Column(by); there != nil {
		to = there.Type
	}
	k.types[c.Type] = to
}

// renamed is SQL of the table with what replaces columns, and their types.
func (k *carrying) renamed(sql string) string {
	sql = spec.RenameColumns(sql, k.columns)
	for _, from := range slices.Sorted(maps.Keys(k.types)) {
		sql = recast(sql, from, k.types[from])
	}
	return sql
}

// recast gives casts to a type, as the server writes them, another type. The
// grammar says where a type begins, not where it ends, and the server has one
// way to write it.
func recast(sql, from, to string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(sql, "::"+from)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if next, _ := utf8.DecodeRuneInString(after); next == '_' || next == '.' || next == '"' || unicode.IsLetter(next) || unicode.IsDigit(next) {
			b.WriteString("::" + from)
		} else {
			b.WriteString("::" + to)
		}
		sql = after
	}
}

// index is built for every index that has one of the columns, in its key, in
// an expression or in its condition.
func (k *carrying) index(i Index) {
	head, rest, ok := strings.Cut(i.Definition, " USING ")
	if !ok || !i.Valid || strings.HasPrefix(i.Name, carriedName("")) {
		return
	}
	renamed := k.renamed(rest)
	if renamed == rest {
		return
	}
	renamed = inTablespace(renamed, i.Tablespace)
	unique := ""
	if strings.HasPrefix(head, "CREATE UNIQUE ") {
		unique = "UNIQUE "
	}
	name := spec.Table{Schema: k.table.Schema, Name: carriedName(i.Name)}
	there := k.live.index(name.Name)
	sql := func(where string) string { return "CREATE " + unique + "INDEX " + where + " USING " + renamed }
	if there == nil {
		k.next.Indexes = append(k.next.Indexes, Index{Name: name.Name, Definition: sql(Ident(name.Name) + " ON " + tableIdent(k.table)), Unique: i.Unique, Valid: true})
	}
	if k.live.Partitioned != "" {
		units := k.parted(k.live, parted{k.table, name.Name, name.Name, sql, k.source})
		k.program.Validate = append(k.program.Validate, units...)
		k.indexAnew(units[len(units)-1].ID, i, renamed)
		return
	}
	u := Unit{
		ID: "index." + name.String(), Title: "index " + name.String() + " on " + k.table.String(), Mode: BuildIndex, Table: k.table,
		Lock: ShareUpdateExclusive, UndoLock: ShareUpdateExclusive, Index: name,
		Statements: []string{sql("CONCURRENTLY " + Ident(name.Name) + " ON " + tableIdent(k.table))},
		Undo:       []string{dropIndexSQL(name)}, UndoTitle: "drop index",
		Applied: there != nil && there.Valid, Visible: true, Source: k.source,
	}
	k.program.Validate = append(k.program.Validate, missingUnless(u, "index "+name.String()))
	k.indexAnew(u.ID, i, renamed)
}

// validLike has a copy be valid if what it is a copy of is by then: of one that is not,
// rows may be there that break it, or another change has yet to look at them.
func validLike(u Unit, t spec.Table, of, name string, there bool) Unit {
	u.Statements = []string{do(fmt.Sprintf(`
begin
  if (select k.convalidated from pg_catalog.pg_constraint k where k.conrelid = %[1]s::pg_catalog.regclass and k.conname = %[2]s) then
    alter table %[3]s validate constraint %[4]s;
  end if;
end
`, Literal(tableIdent(t)), Literal(of), tableIdent(t), Ident(name)))}
	u.Does = append(u.Does, "if "+of+" is valid by then")
	if there {
		u.Applied, u.missing = true, nil
	}
	return u
}

// inTablespace has an index be where another is, which its definition does not say.
func inTablespace(definition, tablespace string) string {
	if tablespace == "" {
		return definition
	}
	end, depth := len(definition), 0
	for _, t := range lex(definition) {
		switch {
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case depth == 0 && t.text == "where":
			end = t.start
		}
	}
	return strings.TrimSpace(strings.TrimSpace(definition[:end]) + " TABLESPACE " + Ident(tablespace) + " " + definition[end:])
}

func missingUnless(u Unit, object string) Unit {
	if !u.Applied {
		u.missing = []string{object}
	}
	return u
}

// constraint adds checks and foreign keys beside those that are there.
func (k *carrying) constraint(c Constraint) {
	if !among(k.columns, c.Columns) || k.parents(c) || strings.HasPrefix(c.Name, carriedName("")) {
		return
	}
	definition := notValid(c.Definition)
	switch c.Kind {
	case Check:
		definition = k.renamed(definition)
	case Foreign:
		definition = spec.RenameForeignKey(definition, k.columns, nil)
	default:
		return // its index is what was made
	}
	name := carriedName(c.Name)
	made, parent := Constraint{Name: name, Definition: definition, Kind: c.Kind}, spec.ParseTable(c.References)
	units := constraintUnits(k.table, parent, made, k.live.Constraint(name), k.source)
	switch {
	case k.live.Partitioned != "" && c.Kind == Foreign:
		units = partedKeyUnits(k.table, parent, k.live.Partitions, made, k.live.Constraint(name), k.source)
	case !c.Valid:
		units[1] = validLike(units[1], k.table, c.Name, name, k.live.Constraint(name) != nil)
	}
	k.program.Validate = append(k.program.Validate, units...)
	if c.Kind == Check {
		k.checkAnew(units[0].ID, c, definition)
	}
	if k.next.Constraint(name) == nil {
		k.next.Constraints = append(k.next.Constraints, Constraint{Name: name, Definition: definition, Kind: c.Kind, Columns: renamedColumns(c.Columns, k.columns), References: c.References, Valid: true})
	}
}

// beside is what the copy of extended statistics is called until it takes their name.
func (s Statistics) beside() spec.Table {
	name := spec.ParseTable(s.Name)
	return spec.Table{Schema: name.Schema, Name: carriedName(name.Name)}
}

func (t *Table) statistics(name string) *Statistics {
	for i := range t.Statistics {
		if t.Statistics[i].Name == name {
			return &t.Statistics[i]
		}
	}
	return nil
}

// statistics makes extended statistics of the new columns. The server fills them
// when it next analyzes the table.
func (k *carrying) statistics(s Statistics) {
	on := strings.LastIndex(s.Definition, " ON ")
	from := strings.LastIndex(s.Definition, " FROM ")
	name := spec.ParseTable(s.Name)
	if on < 0 || from < on || strings.HasPrefix(name.Name, carriedName("")) {
		return
	}
	renamed := k.renamed(s.Definition[on:from])
	if renamed == s.Definition[on:from] {
		return
	}
	beside := s.beside()
	kinds := ""
	if i := strings.Index(s.Definition[:on], " ("); i >= 0 {
		kinds = s.Definition[i:on]
	}
	there := k.live.statistics(beside.String())
	u := Unit{
		ID: "statistics." + beside.String(), Title: "statistics " + beside.String() + " of " + k.table.String(), Mode: InTransaction, Table: k.table,
		Lock: ShareUpdateExclusive, UndoLock: ShareUpdateExclusive,
		Statements: []string{fmt.Sprintf("CREATE STATISTICS %s%s%s FROM %s", tableIdent(beside), kinds, renamed, tableIdent(k.table)), sameStatistics(name, beside)},
		Undo:       []string{"DROP STATISTICS IF EXISTS " + tableIdent(beside)}, UndoTitle: "drop statistics",
		Applied: there != nil, Visible: true, Source: k.source,
	}
	k.program.Validate = append(k.program.Validate, missingUnless(u, u.Title))
	k.statisticsAnew(u.ID, s, strings.TrimPrefix(renamed, " ON "))
	if there == nil {
		k.next.Statistics = append(k.next.Statistics, Statistics{Name: beside.String(), Definition: u.Statements[0]})
	}
}

// sameStatistics gives extended statistics the owner and the target that others have,
// as far as pleat's role may.
func sameStatistics(from, to spec.Table) string {
	return do(fmt.Sprintf(`
declare
  has record;
begin
  select s.stxowner, pg_catalog.pg_get_userbyid(s.stxowner) as owner, coalesce((pg_catalog.to_jsonb(s) ->> 'stxstattarget')::int, -1) as target into has
  from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
  where n.nspname = %[1]s and s.stxname = %[2]s;
  if has.target >= 0 then
    execute %[3]s || ' set statistics ' || has.target;
  end if;
  if has.owner <> current_user and pg_catalog.pg_has_role(has.stxowner, 'member') then
    execute %[3]s || ' owner to ' || pg_catalog.quote_ident(has.owner);
  end if;
end
`, Literal(from.Schema), Literal(from.Name), Literal("alter statistics "+tableIdent(to))))
}

func renamedColumns(columns []string, names map[string]string) []string {
	renamed := slices.Clone(columns)
	for i, c := range renamed {
		if by := names[c]; by != "" {
			renamed[i] = by
		}
	}
	return renamed
}

// incoming adds a foreign key beside one that references the table, to the new
// column, and from the new one where that end is replaced too. It is the only one,
// under the name of the former, once that has ended.
func (k *carrying) incoming(f ForeignKey) {
	name, child := carriedName(f.Name), spec.ParseTable(f.Table)
	beside := k.keyBeside(f)
	ended := beside == nil && slices.ContainsFunc(f.Referenced, func(c string) bool { return k.before[c] != "" && k.before[c] != c })
	if strings.HasPrefix(f.Name, carriedName("")) || !ended && !among(k.columns, f.Referenced) {
		return
	}
	var there *Constraint
	switch {
	case ended:
		there = &Constraint{Valid: true}
	case beside != nil:
		there = &Constraint{Valid: beside.Valid}
	}
	own := k.replacing(child)
	c := Constraint{Name: name, Definition: spec.RenameForeignKey(notValid(f.Definition), own, k.columns), Kind: Foreign}
	units := constraintUnits(child, k.table, c, there, k.source)
	switch {
	case f.Partitioned:
		units = partedKeyUnits(child, k.table, f.Partitions, c, there, k.source)
	case k.live.Partitioned != "":
		units[0].Also = partedLocks(k.table, k.live.Partitions, ShareRowExclusive)
		units[0].UndoAlso = partedLocks(k.table, k.live.Partitions, AccessExclusive)
	}
	if !f.Valid && !f.Partitioned {
		units[1] = validLike(units[1], child, f.Name, name, there != nil)
	}
	k.program.Validate = append(k.program.Validate, units...)
	if there == nil {
		f.Columns, f.Referenced = renamedColumns(f.Columns, own), renamedColumns(f.Referenced, k.columns)
		f.Name, f.Definition = name, c.Definition
		k.next.References = append(k.next.References, f)
	}
}

// keyBeside is the copy of a foreign key that is there; nil for none.
func (k *carrying) keyBeside(f ForeignKey) *ForeignKey {
	for i, other := range k.live.References {
		if other.Table == f.Table && other.Name == carriedName(f.Name) {
			return &k.live.References[i]
		}
	}
	return nil
}

// constraintUnits hold new rows to a constraint in an instant, and then look at
// the old ones while nobody waits. parent is the table that a foreign key
// references; there is what the catalog has of that name.
func constraintUnits(t, parent spec.Table, c Constraint, there *Constraint, source hcl.Range) []Unit {
	at, what := tableIdent(t), "constraint "+c.Name+" of "+t.String()
	add := Unit{
		ID: "constraint." + t.String() + "." + c.Name, Title: what + ", new rows", Mode: InTransaction, Table: t,
		Lock: AccessExclusive, UndoLock: AccessExclusive,
		Statements: []string{fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", at, Ident(c.Name), c.Definition)},
		Undo:       []string{fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", at, Ident(c.Name))},
		UndoTitle:  "drop constraint", Applied: there != nil, Visible: true, Source: source,
	}
	if c.Kind == Foreign {
		add.Lock = ShareRowExclusive
		if parent != t {
			add.Also = []TableLock{{Table: parent, Lock: ShareRowExclusive}}
			add.UndoAlso = []TableLock{{Table: parent, Lock: AccessExclusive}}
		}
	}
	validate := Unit{
		ID: "validate." + t.String() + "." + c.Name, Title: what + ", all rows", Mode: InTransaction, Table: t, Lock: ShareUpdateExclusive,
		Statements: []string{fmt.Sprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", at, Ident(c.Name))},
		Undo:       []string{}, UndoTitle: "-", Applied: there != nil && there.Valid, Visible: true, Source: source,
	}
	return []Unit{missingUnless(add, what), missingUnless(validate, what)}
}
