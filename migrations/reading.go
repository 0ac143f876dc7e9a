package migrations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"pleat/spec"
)

// Reading is SQL that a server is asked to make sense of. It is read as a
// statement is that is prepared, and never executed.
type Reading struct {
	Schema string // in which names are looked for first
	SQL    string
	Index  bool // what it selects from is an index, if there is one of that name
	Write  bool // how the server writes what it selects is wanted; it is planned then, too

	// Method is an access method of which there must be an operator class for the type
	// of what it selects: Class, as SQL names it, or where that is "" a default one.
	Method, Class string
}

// Refusal is why a server can make no sense of a reading.
type Refusal struct {
	Code    string // SQLSTATE
	Message string
	Hint    string
	Name    string // what the message is about, as it stands in the SQL: a name, a constant; "" where that is neither
	Nearest string // the name of a type, function or relation that may have been meant; "" where none is near
}

// The errors by which a server says that it does not know a name.
const (
	noColumn   = "42703"
	noFunction = "42883" // or operator
	noObject   = "42704" // a type, a collation
	noTable    = "42P01"
	noLiteral  = "22P02" // a constant that is no value of its type
)

// otherType is the error of types that do not go together.
const otherType = "42804"

// senseless are the errors that an expression is refused for. Others may say that
// it was asked about otherwise than it will be used.
var senseless = []string{
	noColumn, noFunction, noObject, noLiteral,
	"42601", // syntax
	"42725", // more than one function
	otherType,
	"42846",                   // no cast
	"22003", "22007", "22008", // constants out of range, times
	"42803", "42P20", // aggregates, windows
}

// asked is a part of the change that a server is asked about.
type asked struct {
	unit  string // that needs it; it is asked about until that has run
	until Phase  // or, without one, until the change has come so far
	at    hcl.Range
	table spec.Table
	codes []string // that it is refused for
	// now says that it is read over tables as they are: of a function that there is
	// it is then not certain what it will be called with.
	now bool
	say func(Refusal) (summary, detail string)
}

// inquiry is a reading as the program has it. why is nil where nothing is known
// against it.
type inquiry struct {
	Reading
	unit  string
	until Phase
	why   *hcl.Diagnostic

	// found says that it is about what is there, or is not, as if the unit had run: it
	// is asked about where the unit has not.
	found bool
}

// ask has the server read SQL, and says what it had against it.
func (l *lowering) ask(a asked, sql string) { l.askReading(a, Reading{SQL: sql}) }

func (l *lowering) askReading(a asked, r Reading) {
	r.Schema = a.table.Schema
	i := inquiry{Reading: r, unit: a.unit, until: a.until}
	if r, known := l.live.refusal(i.Reading); known && slices.Contains(a.codes, r.Code) && !l.live.excuses(r) && !l.said(a, r) {
		summary, detail := a.say(r)
		i.why = refused(a.at, summary, detail)
	}
	l.program.inquiries = append(l.program.inquiries, i)
}

// said tells whether nothing is to be said of a refusal any more: one type that
// does not exist has many refused.
func (l *lowering) said(a asked, r Refusal) bool {
	if r.Code == noFunction && a.now {
		return r.Nearest == ""
	}
	if r.Code != noObject || r.Name == "" {
		return false
	}
	before := slices.Contains(l.unknown, r.Name)
	l.unknown = append(l.unknown, r.Name)
	return before
}

// needColumn says that a part of the change names a column that will not be
// there, as long as that part has not run. What SQL before it makes is not known.
func (l *lowering) needColumn(a asked, t *Table, column string) {
	if t == nil || t.has(column) || l.live.spokenOf(column) {
		return
	}
	l.program.inquiries = append(l.program.inquiries, inquiry{unit: a.unit, until: a.until, why: unknown("column", noSuchColumn(a.table, t, column), a.at)})
}

func (c *Catalog) refusal(q Reading) (Refusal, bool) {
	if c == nil {
		return Refusal{}, false
	}
	r, ok := c.Refusals[q]
	return r, ok
}

// excuses tells whether what a server does not know may be there once the
// statement runs. Of a qualified name it is not certain what it is of.
func (c *Catalog) excuses(r Refusal) bool {
	switch r.Code {
	case noColumn, noTable:
		return strings.Contains(r.Name, ".") || c.promises(r.Name)
	case noLiteral:
		return c.promises(r.Name)
	case noObject, noFunction:
		return c.promises(r.Name) || c.promises("extension")
	}
	return false
}

// Readings are what a server can tell of the change before any of it runs. What
// it has against them belongs into the catalog that the change is lowered
// against.
func (p *Program) Readings(rec Recorded) []Reading {
	var all []Reading
	for _, i := range p.open(rec) {
		if i.SQL != "" {
			all = append(all, i.Reading)
		}
	}
	return all
}

// open are the inquiries about what is to be done yet.
func (p *Program) open(rec Recorded) []inquiry {
	phase := p.derive(rec)
	if len(p.inquiries) == 0 {
		return nil
	}
	undone := map[string]bool{}
	for _, u := range slices.Concat(p.Expand, p.Validate, p.Hide, p.Drop) {
		if !u.done(rec) {
			undone[u.ID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(p.inquiries), func(i inquiry) bool {
		if i.found {
			return p.made(rec, i.unit)
		}
		return phase == Contracted || !undone[i.unit] && (i.unit != "" || phase.AtLeast(i.until))
	})
}

// saying is what a server says of a part: its message, and the name that may have
// been meant or, without one, its own hint.
func saying(summary, part string) func(Refusal) (string, string) {
	return func(r Refusal) (string, string) {
		hint := r.Hint
		if r.Nearest != "" {
			hint = "Did you mean " + r.Nearest + "?"
		}
		return summary, strings.TrimSpace(fmt.Sprintf("Postgres says of %s: %s. %s", part, r.Message, hint))
	}
}
