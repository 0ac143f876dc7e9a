// Package hazard reads SQL with PostgreSQL's own grammar and says of each
// statement what it does to those who work meanwhile: which locks it takes on
// which tables, whether it scans or rewrites them, what data it loses, whether
// it can run in a transaction, and which hazards it has. It owns the codes of
// hazards and what is said about them. It knows only the text: it never asks a
// server, and where the text does not tell, it says the worse.
//
// A lock, a scan or a rewrite that a statement has is declared, or the
// statement is unclassified_sql. What is declared need not happen.
package hazard

import (
	"fmt"
	"strings"

	"pleat/spec"
)

// Options are what is known about where SQL will run.
type Options struct {
	// Version is the server's, as server_version_num has it: 150004. 0 is any
	// version that pleat supports.
	Version int
	// InTransaction says that the caller has begun a transaction, in which all of
	// it runs.
	InTransaction bool
}

// Statement is one statement and what it does.
type Statement struct {
	Text       string `json:"text"`
	Start, End int    `json:"-"` // bytes of the source
	Line       int    `json:"line"`
	// Locks are on what was there before the text: one for each table, view,
	// sequence or index, the strongest. What the text itself creates nobody else
	// can wait for.
	Locks []Lock `json:"locks,omitempty"`
	// Related says that tables which the text does not name are locked too, none
	// of them more strongly than the strongest of Locks: partitions, tables that
	// reference or are referenced, what a view is made of, what CASCADE finds.
	Related         bool         `json:"related,omitempty"`
	Rewrites        []spec.Table `json:"rewrites,omitempty"` // written anew as a whole
	Scans           []spec.Table `json:"scans,omitempty"`    // read as a whole under a lock of Locks
	Loses           string       `json:"loses,omitempty"`    // data that is gone afterwards; "" = none
	Alone           bool         `json:"alone,omitempty"`    // cannot run inside a transaction
	EndsTransaction bool         `json:"ends_transaction,omitempty"`
	Irreversible    bool         `json:"irreversible,omitempty"` // no statement takes it back
	Findings        []Finding    `json:"findings,omitempty"`
}

// Finding is one thing that a person should know about a statement.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`              // about this statement, with its tables
	Start    int      `json:"-"`                 // byte of the source where what it is about begins
	End      int      `json:"-"`                 // and ends; 0 = with the statement
	Allowed  bool     `json:"allowed,omitempty"` // by a comment before the statement: -- pleat:allow CODE reason
	Reason   string   `json:"reason,omitempty"`  // that the comment gives
}

// Strongest is the strongest lock of a statement; the zero Lock when it takes
// none.
func (s Statement) Strongest() Lock {
	var strongest Lock
	for _, l := range s.Locks {
		if l.Mode > strongest.Mode {
			strongest = l
		}
	}
	return strongest
}

// Risks are the findings that must be allowed by name, without those that a
// comment of the source allows.
func (s Statement) Risks() []Finding {
	var risks []Finding
	for _, f := range s.Findings {
		if f.Severity == Risk && !f.Allowed {
			risks = append(risks, f)
		}
	}
	return risks
}

// Read is what one text does on its own; see Reader.
func Read(sql string, o Options) ([]Statement, error) { return NewReader(o).Read(sql) }

// Reader reads texts that run one after the other, such as the files of a
// directory: it remembers which columns and constraints the earlier ones made.
// It is not safe for use by several goroutines at once.
type Reader struct {
	options Options
	// tables are columns by the table that an earlier text has created.
	tables map[spec.Table]map[string]column
	// checks are the columns that a CHECK keeps from being null.
	checks map[spec.Table]map[string]*check
	// domains are those with a constraint.
	domains map[string]bool
}

// check is a constraint that says of columns that they are not null.
type check struct {
	columns   []string
	validated bool
}

// NewReader reads for a server.
func NewReader(o Options) *Reader {
	return &Reader{
		options: o,
		tables:  map[spec.Table]map[string]column{},
		checks:  map[spec.Table]map[string]*check{},
		domains: map[string]bool{},
	}
}

// Read takes the next text. It runs as one transaction unless it has a
// statement that cannot be in one, or begins and ends its own. An error says
// why it is no text; a statement that the grammar refuses is none: it is a
// syntax_error.
func (r *Reader) Read(sql string) ([]Statement, error) {
	all, err := parse(sql)
	if err != nil {
		return nil, fmt.Errorf("reading SQL: %w", err)
	}
	f := newText(r, sql, all)
	for _, p := range all {
		f.read(p)
	}
	f.end()
	return f.statements, nil
}

// Single tells why a text cannot be put between parentheses as one SQL
// expression; nil where it can, whatever comment it ends with.
func Single(expression string) error {
	if strings.TrimSpace(expression) == "" {
		return fmt.Errorf("it is empty")
	}
	if err := readable(expression); err != nil {
		return err
	}
	all, err := parseWhole("SELECT (" + expression + "\n)")
	if err != nil {
		return err
	}
	if len(all) != 1 || !onlyTarget(all[0].statement) {
		return fmt.Errorf("it is not one expression")
	}
	return nil
}

// onlyTarget tells whether a statement is SELECT with one expression and
// nothing else.
func onlyTarget(i item) bool {
	if i.kind != "SelectStmt" || len(i.node.items("targetList")) != 1 {
		return false
	}
	for field := range i.node {
		switch field {
		case "targetList", "limitOption", "op":
		default:
			return false
		}
	}
	target := i.node.items("targetList")[0]
	return !target.node.has("name")
}

// Volatile names a function in an expression that may give another value for
// each row, or of which that is not known; "" where there is none.
func Volatile(expression string) string {
	t, err := treeOf("SELECT (" + expression + "\n)")
	if err != nil || len(t.Statements) == 0 {
		return ""
	}
	return volatile(t.Statements[0].Statement)
}
