package hazard

import (
	"fmt"
	"slices"
	"strings"

	"pleat/spec"
)

// text is one file or block on its way through.
type text struct {
	reader      *Reader
	sql         string
	statements  []Statement
	oneByOne    bool // each statement is a transaction of its own
	begun       int  // 1 + the statement that began an explicit transaction; 0 = none
	transaction *transaction
	fresh       map[spec.Table]bool // created by this text
	freshTypes  map[string]bool     // domains and types created by this text
	indexed     map[spec.Table][][]string
	foreignKeys []foreignKey
	timeouts    map[string]bool // settings that are in force: name → not 0
}

// transaction is what is kept until a transaction ends.
type transaction struct {
	strong   map[spec.Table]Mode // tables that others wait for
	altered  map[spec.Table]bool
	unproven map[spec.Table][]string // constraints added NOT VALID
	schema   bool                    // a table that others use was altered
	keys     map[spec.Table]bool     // tables that foreign keys were added to
	values   []string                // enum values added
	written  string                  // the table that rows were written to
}

// foreignKey is one of a table that this text creates.
type foreignKey struct {
	statement int
	table     spec.Table
	columns   []string
}

// column is what is known of one.
type column struct {
	kind string // canonical type: "int8", "varchar(20)"
	null bool
}

func newText(r *Reader, sql string, all []parsed) *text {
	t := &text{
		reader: r, sql: sql, fresh: map[spec.Table]bool{}, freshTypes: map[string]bool{},
		indexed: map[spec.Table][][]string{}, timeouts: map[string]bool{},
	}
	t.commit()
	for _, p := range all {
		if alone(p.statement) && !r.options.InTransaction {
			t.oneByOne = true
		}
	}
	return t
}

// commit forgets what a transaction held.
func (t *text) commit() {
	t.transaction = &transaction{
		strong: map[spec.Table]Mode{}, altered: map[spec.Table]bool{},
		unproven: map[spec.Table][]string{}, keys: map[spec.Table]bool{},
	}
}

func (t *text) read(p parsed) {
	s := &scope{text: t, at: p.start, base: p.base}
	s.Text = t.sql[p.start:p.end]
	s.Start, s.End = p.start, p.end
	s.Line = 1 + strings.Count(t.sql[:p.start], "\n")
	if p.problem != nil {
		s.Irreversible = true
		s.at = p.problem.start
		s.find("syntax_error", "%s", p.problem.text)
		s.Findings[0].End = p.problem.end
		t.statements = append(t.statements, s.Statement)
		return
	}
	s.Alone = alone(p.statement)
	s.versions(p.statement)
	s.statement(p.statement)
	s.together(p.statement)
	s.names(p.statement)
	t.statements = append(t.statements, s.Statement)
	if t.oneByOne && t.begun == 0 {
		t.commit()
	}
}

// end is what can be said only when all of a text was read.
func (t *text) end() {
	if t.begun > 0 {
		t.add(t.begun-1, "transaction_left_open", "BEGIN in line %d is never committed", t.statements[t.begun-1].Line)
	}
	for _, k := range t.foreignKeys {
		if !slices.ContainsFunc(t.indexed[k.table], func(columns []string) bool { return leads(columns, k.columns) }) {
			t.add(k.statement, "foreign_key_without_index", "no index of %s begins with %s", k.table, strings.Join(k.columns, ", "))
		}
	}
	t.allow()
	for i, s := range t.statements {
		slices.SortFunc(s.Locks, func(a, b Lock) int {
			return strings.Compare(fmt.Sprint(a.Of()), fmt.Sprint(b.Of()))
		})
		slices.SortStableFunc(t.statements[i].Findings, func(a, b Finding) int { return strings.Compare(a.Code, b.Code) })
	}
}

// leads tells whether an index begins with some columns, in any order.
func leads(index, columns []string) bool {
	if len(index) < len(columns) {
		return false
	}
	for _, c := range columns {
		if !slices.Contains(index[:len(columns)], c) {
			return false
		}
	}
	return true
}

func (t *text) add(statement int, code, format string, args ...any) {
	s := &t.statements[statement]
	s.Findings = append(s.Findings, finding(code, s.Start, format, args...))
}

func finding(code string, at int, format string, args ...any) Finding {
	return Finding{Code: code, Severity: Must(code).Severity, Text: fmt.Sprintf(format, args...), Start: at}
}

// scope is one statement on its way through. at is where in the source the
// part begins that is looked at, and base from where the grammar counts.
type scope struct {
	Statement
	text     *text
	at, base int
}

// find says something about the statement, once for each text.
func (s *scope) find(code, format string, args ...any) {
	f := finding(code, s.at, format, args...)
	for _, other := range s.Findings {
		if other.Code == f.Code && other.Text == f.Text {
			return
		}
	}
	s.Findings = append(s.Findings, f)
}

func (s *scope) found(code string) bool {
	return slices.ContainsFunc(s.Findings, func(f Finding) bool { return f.Code == code })
}

// near lets the findings that follow point at a node that knows its place.
func (s *scope) near(n node) {
	if at := n.number("location"); at > 0 {
		s.at = s.base + at
	}
}

func (s *scope) fresh(t spec.Table) bool { return s.text.fresh[t] }

func (s *scope) lock(t spec.Table, m Mode) { s.add(Lock{Table: t, Mode: m}) }

func (s *scope) add(l Lock) {
	if s.fresh(l.Table) || l.Table == (spec.Table{}) {
		return
	}
	for i, have := range s.Locks {
		if have.Table == l.Table && have.Behind == l.Behind {
			s.Locks[i].Mode = max(have.Mode, l.Mode)
			return
		}
	}
	s.Locks = append(s.Locks, l)
}

func (s *scope) scan(t spec.Table) {
	if !s.fresh(t) && !slices.Contains(s.Scans, t) {
		s.Scans = append(s.Scans, t)
	}
}

func (s *scope) rewrite(t spec.Table) {
	if !s.fresh(t) && !slices.Contains(s.Rewrites, t) {
		s.Rewrites = append(s.Rewrites, t)
	}
}

// lose names data that is gone afterwards.
func (s *scope) lose(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if s.Loses != "" {
		what = s.Loses + ", " + what
	}
	s.Loses, s.Irreversible = what, true
}

// tableOf is what a RangeVar names. Without a schema it is in public, as
// everywhere in pleat.
func tableOf(relation node) spec.Table {
	t := spec.Table{Schema: relation.text("schemaname"), Name: relation.text("relname")}
	if t.Schema == "" && t.Name != "" {
		t.Schema = "public"
	}
	return t
}

// tableNamed is what a list of words names.
func tableNamed(words []string) spec.Table {
	switch len(words) {
	case 0:
		return spec.Table{}
	case 1:
		return spec.Table{Schema: "public", Name: words[0]}
	}
	return spec.Table{Schema: words[len(words)-2], Name: words[len(words)-1]}
}
