package migrations

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pleat/spec"
)

// shapes is one table's sync as it is at some moment: which physical column
// holds each column of the old shape, and which of them can still be written
// by releases of the old shape.
type shapes struct {
	change   string
	sync     *spec.Sync
	hidden   map[string]string // old column → the name it is hidden under
	swapped  map[string]string // new column → the name it has taken over, that of a hidden one
	columns  []string          // of the table, where some are swapped
	anyWrite bool              // fires on every UPDATE, not on a list of columns
	always   map[string]bool   // columns that no statement may set: GENERATED ALWAYS AS IDENTITY
	anew     bool              // the server cannot replace a trigger: PostgreSQL 13
	moves    bool              // rows may move to another partition, where they are inserted
	images   bool              // values that are equal may not be the same, so they are compared byte by byte
}

func (s shapes) forwardColumns() []string { return slices.Sorted(maps.Keys(s.sync.Forward)) }

func (s shapes) backwardColumns() []string { return slices.Sorted(maps.Keys(s.sync.Backward)) }

// writable is the old shape without what is hidden.
func (s shapes) writable() []string {
	return slices.DeleteFunc(s.backwardColumns(), func(c string) bool { return s.hidden[c] != "" })
}

func (s shapes) physical(column string) string {
	if h := s.hidden[column]; h != "" {
		return h
	}
	if n := s.swapped[column]; n != "" {
		return n
	}
	return column
}

func (s shapes) physicals(columns []string) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = s.physical(c)
	}
	return names
}

func (s shapes) function() string {
	return Ident("pleat", functionName(s.change, s.sync.Table))
}

// marker is the trigger's comment. It tells a trigger that does what this
// spec says from one that does what an earlier one said.
func (s shapes) marker() string {
	facts := []any{s.sync.Forward, s.sync.Backward, s.hidden, s.anyWrite}
	if len(s.swapped) > 0 {
		facts = append(facts, s.swapped)
	}
	if s.moves {
		facts = append(facts, "moves")
	}
	text := "pleat:" + s.change + ":" + mark(facts)
	if len(s.hidden) > 0 {
		text += ":hidden"
	}
	return text
}

// install puts function and trigger there, or in the place of what an earlier
// phase had.
func (s shapes) install() []string {
	comment := fmt.Sprintf("COMMENT ON TRIGGER %s ON %s IS %s",
		Ident(TriggerName(s.change)), tableIdent(s.sync.Table), Literal(s.marker()))
	return slices.Concat(
		[]string{s.createFunction()},
		putTrigger(s.sync.Table, TriggerName(s.change), s.triggerDefinition(), s.anew),
		[]string{comment})
}

// putTrigger puts a trigger there, or in the place of one of its name. Anew
// takes ACCESS EXCLUSIVE where there is one, and nothing more where there is
// none.
func putTrigger(t spec.Table, name, definition string, anew bool) []string {
	if anew {
		return []string{dropTrigger(t, name), "CREATE TRIGGER " + definition}
	}
	return []string{"CREATE OR REPLACE TRIGGER " + definition}
}

func dropTrigger(t spec.Table, name string) string {
	return fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", Ident(name), tableIdent(t))
}

func (s shapes) remove() []string {
	return []string{
		dropTrigger(s.sync.Table, TriggerName(s.change)),
		fmt.Sprintf("DROP FUNCTION IF EXISTS %s()", s.function()),
	}
}

// createSequence lets every role count: a trigger runs with the rights of
// whoever writes, and those have none in the schema pleat.
func createSequence(change string) []string {
	name := Ident("pleat", OldWritesSequence(change))
	return []string{
		"CREATE SEQUENCE IF NOT EXISTS " + name,
		"GRANT USAGE ON SEQUENCE " + name + " TO PUBLIC",
	}
}

func dropSequence(change string) string {
	return "DROP SEQUENCE IF EXISTS " + Ident("pleat", OldWritesSequence(change))
}

// check has the server look at the author's expressions against the live
// types before a trigger runs them; EXPLAIN executes nothing.
func (s shapes) check() []string {
	return []string{
		s.explain(s.forwardColumns(), s.sync.Forward),
		s.explain(s.backwardColumns(), s.sync.Backward),
	}
}

func (s shapes) explain(columns []string, expressions map[string]string) string {
	if slices.ContainsFunc(columns, func(c string) bool { return s.always[c] }) {
		return fmt.Sprintf("EXPLAIN SELECT %s FROM %s AS %s", expressionList(columns, expressions), tableIdent(s.sync.Table), Ident(s.sync.Table.Name))
	}
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = Ident(c) + " = " + parenthesized(expressions[c])
	}
	return fmt.Sprintf("EXPLAIN UPDATE %s AS %s SET %s",
		tableIdent(s.sync.Table), Ident(s.sync.Table.Name), strings.Join(sets, ", "))
}

// triggerDefinition names the columns where it can: then writes to others do not
// call the function at all. It cannot where another BEFORE trigger may change
// them, because the list is about the statement, not about the row.
func (s shapes) triggerDefinition() string {
	event := "UPDATE"
	if !s.anyWrite {
		event += " OF " + identList(s.physicals(append(s.writable(), s.forwardColumns()...)))
	}
	return fmt.Sprintf("%s BEFORE INSERT OR %s ON %s FOR EACH ROW"+
		" WHEN (pg_catalog.current_setting('pleat.sync', true) IS DISTINCT FROM 'off') EXECUTE FUNCTION %s()",
		Ident(TriggerName(s.change)), event, tableIdent(s.sync.Table), s.function())
}

func (s shapes) createFunction() string {
	body := s.body()
	quote := dollarQuote(body)
	return fmt.Sprintf("CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SET search_path = %s, pg_temp AS %s\n%s%s",
		s.function(), searchPath(s.sync.Table), quote, body, quote)
}

// searchPath is where unqualified names of a table's expressions are looked
// up, after pg_catalog, which is always first.
func searchPath(t spec.Table) string {
	if t.Schema == "public" || t.Schema == "" {
		return Ident("public")
	}
	return identList([]string{t.Schema, "public"})
}

func (s shapes) body() string {
	if len(s.writable()) == 0 {
		return s.bodyHidden()
	}
	return s.bodyBoth()
}

// bodyHidden has one direction left: the old shape cannot be written, and is
// kept right so that taking the hiding back loses nothing.
func (s shapes) bodyHidden() string {
	declare := ""
	if s.moves {
		declare = "declare\n  image record;\n"
	}
	return `#variable_conflict use_column
` + declare + `begin
  if tg_op = 'INSERT' then
` + s.leaveMoved() + `    ` + s.computeBackward() + `
  elsif ` + s.changed(s.physicals(s.forwardColumns())) + ` then
    ` + s.computeBackward() + `
  end if;
  return new;
end
`
}

// bodyBoth takes the direction from the columns that the write changed, never
// from the session. A write in the new shape to a row that is not filled is
// laid over the image of the old shape, so that the part it leaves out is not
// lost.
func (s shapes) bodyBoth() string {
	forward := s.forwardColumns()
	count := "perform pg_catalog.nextval(" + Literal(Ident("pleat", OldWritesSequence(s.change))) + ");"
	return `#variable_conflict use_column
declare
  image record;
begin
  if tg_op = 'INSERT' then
    if ` + anyNotNull("new", forward) + ` then
` + s.leaveMoved() + `      ` + s.computeBackward() + `
      return new;
    end if;
    if ` + anyNotNull("new", s.writable()) + ` then
      ` + count + `
    end if;
    ` + s.computeForward() + `
    return new;
  end if;
  if ` + s.changed(forward) + ` then
    if not (` + anyNotNull("old", forward) + `) then
` + s.overlay() + `    end if;
    ` + s.computeBackward() + `
  elsif ` + s.changed(s.writable()) + ` then
    ` + count + `
    ` + s.computeForward() + `
  end if;
  return new;
end
`
}

func (s shapes) computeForward() string {
	columns := s.forwardColumns()
	return fmt.Sprintf("select %s into %s from %s;",
		expressionList(columns, s.sync.Forward), fieldList("new", columns), s.row("new"))
}

func (s shapes) computeBackward() string {
	columns := s.backwardColumns()
	return fmt.Sprintf("select %s into %s from %s;",
		expressionList(columns, s.sync.Backward), fieldList("new", s.physicals(columns)), s.row("new"))
}

// leaveMoved leaves a row alone that comes with both shapes in step: an UPDATE that
// moves it to another partition inserts it there, and the way back may lose what the
// old shape says.
func (s shapes) leaveMoved() string {
	if !s.moves {
		return ""
	}
	columns := s.forwardColumns()
	physical := s.physicals(columns)
	return fmt.Sprintf(`      image := new;
      select %s into %s from %s;
      if not (%[4]s) then
        return new;
      end if;
      new := image;
`, expressionList(columns, s.sync.Forward), fieldList("new", physical), s.row("new"), s.differs("new", "image", physical))
}

func (s shapes) overlay() string {
	columns := s.forwardColumns()
	var b strings.Builder
	selected := make([]string, len(columns))
	for i, c := range columns {
		selected[i] = fmt.Sprintf("%s as c%d", parenthesized(s.sync.Forward[c]), i+1)
	}
	fmt.Fprintf(&b, "      select %s into image from %s;\n", strings.Join(selected, ", "), s.row("old"))
	for i, c := range columns {
		fmt.Fprintf(&b, "      if new.%s is null then new.%s := image.c%d; end if;\n", Ident(c), Ident(c), i+1)
	}
	return b.String()
}

// row makes the columns of new or old visible to expressions by their bare
// names, and by the table's, whatever is hidden.
func (s shapes) row(record string) string {
	if len(s.swapped) > 0 {
		return s.swappedRow(record)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "(select %s.*", record)
	for _, c := range slices.Sorted(maps.Keys(s.hidden)) {
		fmt.Fprintf(&b, ", %s.%s as %s", record, Ident(s.hidden[c]), Ident(c))
	}
	fmt.Fprintf(&b, ") as %s", Ident(s.sync.Table.Name))
	return b.String()
}

// swappedRow names the columns one by one, because of two that swapped names the
// record has each under the other's. It names no more than the expressions use:
// another change may take the rest away, or give it other names, meanwhile.
func (s shapes) swappedRow(record string) string {
	other := map[string]string{} // physical name → the name that expressions use
	for _, names := range []map[string]string{s.hidden, s.swapped} {
		for name, physical := range names {
			other[physical] = name
		}
	}
	uses := s.uses()
	var fields []string
	for _, c := range s.columns {
		if name := cmp.Or(other[c], c); uses(name) {
			fields = append(fields, record+"."+Ident(c)+" as "+Ident(name))
		}
	}
	return fmt.Sprintf("(select %s) as %s", strings.Join(fields, ", "), Ident(s.sync.Table.Name))
}

// uses tells of a column whether the expressions use it, which they all are where
// one is about the whole row.
func (s shapes) uses() func(column string) bool {
	used := map[string]bool{}
	for _, expressions := range []map[string]string{s.sync.Forward, s.sync.Backward} {
		for _, sql := range expressions {
			maps.Copy(used, spec.UsedColumns(sql))
			used[s.sync.Table.Name] = used[s.sync.Table.Name] || strings.Contains(sql, ".*")
		}
	}
	return func(column string) bool { return used[column] || used[s.sync.Table.Name] }
}

func (s shapes) changed(columns []string) string { return s.differs("new", "old", columns) }

func (s shapes) differs(record, other string, columns []string) string {
	a, b := fieldList(record, columns), fieldList(other, columns)
	if s.images {
		return differentImages(a, b)
	}
	return fmt.Sprintf("row(%s) is distinct from row(%s)", a, b)
}

func anyNotNull(record string, columns []string) string {
	tests := make([]string, len(columns))
	for i, c := range columns {
		tests[i] = record + "." + Ident(c) + " is not null"
	}
	return strings.Join(tests, " or ")
}

func fieldList(record string, columns []string) string {
	fields := make([]string, len(columns))
	for i, c := range columns {
		fields[i] = record + "." + Ident(c)
	}
	return strings.Join(fields, ", ")
}

func expressionList(columns []string, expressions map[string]string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = parenthesized(expressions[c])
	}
	return strings.Join(list, ", ")
}

func identList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = Ident(n)
	}
	return strings.Join(quoted, ", ")
}

// do has the server carry out a body in PL/pgSQL.
func do(body string) string {
	quote := dollarQuote(body)
	return "DO " + quote + body + quote
}

func dollarQuote(body string) string {
	tag := "$pleat$"
	for strings.Contains(body, tag) {
		tag = tag[:len(tag)-1] + "_$"
	}
	return tag
}
