package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pleat/migrations/hazard"
	"pleat/spec"
)

// Piece is what of a migration file reaches the server at once: statements
// that commit together, or one that allows no transaction.
type Piece struct {
	Text       string // as it is sent; as long as what the file has there
	Start      int    // byte offset of Text in the file
	Alone      bool
	Statements []FileStatement // at least one
}

// First is the number of the piece's first statement, Last that of its last.
func (p Piece) First() int { return p.Statements[0].Number }

// Last is the number of the piece's last statement.
func (p Piece) Last() int { return p.Statements[len(p.Statements)-1].Number }

// Locks are the locks that the piece takes on tables which were there before
// it, one for each, as far as its text tells.
func (p Piece) Locks() []NamedLock {
	var locks []NamedLock
	for _, s := range p.does() {
		for _, l := range s.Locks {
			i := slices.IndexFunc(locks, func(n NamedLock) bool { return n.Table == named(l.Table) })
			switch {
			case i < 0:
				locks = append(locks, NamedLock{named(l.Table), Lock(l.Mode.String())})
			case l.Mode > modes[locks[i].Lock]:
				locks[i].Lock = Lock(l.Mode.String())
			}
		}
	}
	return locks
}

// Strong is the place among the piece's statements of the first one that keeps
// writers away from a table which was there before the piece; their number where
// none does. A piece that cannot be told apart is strong from the beginning.
func (p Piece) Strong() int {
	if p.Alone {
		return len(p.Statements)
	}
	all := p.does()
	if len(all) != len(p.Statements) {
		return 0
	}
	i := slices.IndexFunc(all, func(s hazard.Statement) bool {
		return slices.ContainsFunc(s.Locks, func(l hazard.Lock) bool { return l.Mode >= hazard.Share })
	})
	if i < 0 {
		return len(p.Statements)
	}
	return i
}

// LocksOf are Piece.Locks of an author's statements in one transaction.
func LocksOf(statements []string) []NamedLock {
	return Piece{Text: strings.Join(statements, ";\n")}.Locks()
}

// does is what the grammar says of the piece; nothing where it refuses it, as
// the server will.
func (p Piece) does() []hazard.Statement {
	all, err := hazard.Read(p.Text, hazard.Options{InTransaction: !p.Alone})
	if err != nil {
		return nil
	}
	return all
}

// named is a table as a statement may name it. A name without a schema is in
// whichever schema of the search path has it, which the text does not tell.
func named(t spec.Table) string {
	if t.Schema == "public" {
		return Ident(t.Name)
	}
	return Ident(t.Schema, t.Name)
}

var modes = map[Lock]hazard.Mode{
	"ACCESS SHARE": hazard.AccessShare, "ROW SHARE": hazard.RowShare, RowExclusive: hazard.RowExclusive,
	ShareUpdateExclusive: hazard.ShareUpdateExclusive, Share: hazard.Share, ShareRowExclusive: hazard.ShareRowExclusive,
	Exclusive: hazard.Exclusive, AccessExclusive: hazard.AccessExclusive,
}

// FileStatement is one statement of a migration file, without what follows it.
// BEGIN and COMMIT around others are none: they say what commits together.
type FileStatement struct {
	Number  int // from 1
	Text    string
	Start   int // byte offset in the file
	Effect  hazard.Effect
	Session bool // it sets something for the statements after it, such as search_path
}

// AloneStatement is SQL of one statement that allows no transaction.
func AloneStatement(sql string) (FileStatement, error) {
	all, err := statements(sql)
	if err != nil {
		return FileStatement{}, err
	}
	if len(all) != 1 {
		return FileStatement{}, fmt.Errorf("%d statements where one is to run alone", len(all))
	}
	return FileStatement{Number: 1, Text: all[0].text, Effect: hazard.EffectOf(all[0].text)}, nil
}

// NamedLock is a lock on a table by its name in SQL, perhaps without a schema.
type NamedLock struct {
	Table string
	Lock  Lock
}

// limitSettings are the budgets, which are the step's and no file's.
var limitSettings = []string{"lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"}

// Pieces cuts a migration file into what commits together. A file of which
// everything may be in one transaction is one piece. Otherwise each statement
// is one, and so is what the file has between BEGIN and COMMIT. Statements that
// set lock and time limits are left out. The error says what of the file pleat
// cannot carry out.
func Pieces(sql string) ([]Piece, error) {
	all, err := statements(sql)
	if err != nil {
		return nil, fmt.Errorf("its statements cannot be told apart: %w", err)
	}
	c := &cutting{sql: sql}
	for i, s := range all {
		if err := c.take(s, usesAfterwards(s, all[i+1:])); err != nil {
			return nil, err
		}
	}
	if c.open {
		return nil, errors.New("its BEGIN has no COMMIT")
	}
	if !c.split {
		return c.whole(), nil
	}
	return c.pieces, nil
}

// cutting is a file of which some statements were taken.
type cutting struct {
	sql      string
	number   int
	pieces   []Piece
	limits   [][2]int // where statements are that set limits
	open     bool     // between BEGIN and COMMIT
	begun    bool     // the open block has a piece
	blocks   int
	outside  int  // statements outside of blocks
	split    bool // some statement allows no transaction, or needs one before it
	controls [][2]int
}

func (c *cutting) take(s statement, committed bool) error {
	at := [2]int{s.tokens[0].start, s.tokens[len(s.tokens)-1].end}
	switch {
	case s.opens():
		if c.open {
			return fmt.Errorf("%.40q comes within another transaction of the file", s.text)
		}
		c.open, c.begun = true, false
		c.controls = append(c.controls, at)
		return nil
	case s.closes():
		if !c.open {
			return fmt.Errorf("%.40q ends a transaction that the file did not begin", s.text)
		}
		c.open = false
		c.blocks++
		c.controls = append(c.controls, at)
		c.split = c.split || c.blocks > 1
		return nil
	case s.setsLimits():
		c.limits = append(c.limits, at)
		return nil
	case s.endsTransaction() && !s.savepoint():
		return fmt.Errorf("%.40q would end the transaction that also records the version", s.text)
	}
	alone := s.outsideTransaction() != "" && !s.addsValue()
	if alone && c.open {
		return fmt.Errorf("%s cannot be between BEGIN and COMMIT", s.outsideTransaction())
	}
	c.add(s, at, alone)
	c.split = c.split || alone && len(c.pieces) > 0 || committed && !c.open
	return nil
}

// add puts a statement into the block that is open, or makes it a piece.
func (c *cutting) add(s statement, at [2]int, alone bool) {
	c.number++
	f := FileStatement{Number: c.number, Text: s.text, Start: at[0], Effect: hazard.EffectOf(s.text), Session: s.setsSession()}
	if !c.open {
		c.outside++
	}
	if c.open && c.begun {
		last := &c.pieces[len(c.pieces)-1]
		last.Statements = append(last.Statements, f)
		last.Text = c.text(last.Start, at[1])
		return
	}
	c.begun = c.open
	c.pieces = append(c.pieces, Piece{Text: c.text(at[0], at[1]), Start: at[0], Alone: alone, Statements: []FileStatement{f}})
	// What follows a block, or comes before one, is not committed with it.
	c.split = c.split || c.blocks > 0 && c.outside > 0 || c.open && c.outside > 0
}

// whole is the file as one transaction.
func (c *cutting) whole() []Piece {
	if len(c.pieces) == 0 {
		return nil
	}
	first, last := c.pieces[0], c.pieces[len(c.pieces)-1]
	one := Piece{Start: first.Start}
	for _, p := range c.pieces {
		one.Statements = append(one.Statements, p.Statements...)
	}
	one.Text = c.text(first.Start, last.Start+len(last.Text))
	return []Piece{one}
}

// text is a part of the file with blanks where it would begin or end a
// transaction or set a limit: what the server says of a place stays right.
func (c *cutting) text(from, to int) string {
	b := []byte(c.sql[from:to])
	for _, at := range append(slices.Clone(c.controls), c.limits...) {
		for i := max(at[0], from); i < min(at[1], to); i++ {
			if b[i-from] != '\n' {
				b[i-from] = ' '
			}
		}
	}
	return string(b)
}

func (s statement) opens() bool {
	plain := s.starts("begin") || s.starts("start", "transaction")
	for _, w := range s.words {
		plain = plain && (w == "begin" || w == "start" || w == "transaction" || w == "work")
	}
	return plain
}

func (s statement) closes() bool {
	plain := s.starts("commit") || s.starts("end")
	for _, w := range s.words {
		plain = plain && (w == "commit" || w == "end" || w == "transaction" || w == "work")
	}
	return plain
}

func (s statement) savepoint() bool {
	return s.starts("savepoint") || s.starts("release") || s.starts("rollback", "to") ||
		s.starts("rollback", "work", "to") || s.starts("rollback", "transaction", "to")
}

// setting is the parameter that a SET or RESET is about; "" for anything else.
func (s statement) setting() string {
	words := s.words
	if len(words) < 2 || words[0] != "set" && words[0] != "reset" {
		return ""
	}
	if len(words) > 2 && (words[1] == "session" || words[1] == "local") && words[2] != "authorization" && words[2] != "characteristics" {
		return words[2]
	}
	return words[1]
}

func (s statement) setsLimits() bool { return slices.Contains(limitSettings, s.setting()) }

// setsSession tells whether statements after it depend on it although they are
// in other transactions.
func (s statement) setsSession() bool {
	name := s.setting()
	return name != "" && name != "transaction" && name != "constraints" && !s.starts("set", "local") ||
		s.starts("select", "pg_catalog", "set_config") || s.starts("select", "set_config")
}

func (s statement) addsValue() bool {
	return s.starts("alter", "type") && s.has("add") && s.has("value")
}

// usesAfterwards tells whether a statement adds a value to an enum that a later
// one names: it cannot be used before the commit (55P04).
func usesAfterwards(s statement, later []statement) bool {
	if !s.addsValue() {
		return false
	}
	i := slices.IndexFunc(s.tokens, func(t token) bool { return t.kind == quotedToken && t.text[0] == '\'' })
	if i < 0 {
		return len(later) > 0
	}
	value := s.tokens[i].text
	return slices.ContainsFunc(later, func(l statement) bool {
		return !l.addsValue() && strings.Contains(l.text, value[1:len(value)-1])
	})
}

// Through is the digest of the first statements of a file: what ran of it.
func Through(pieces []Piece, statements int) string {
	h := sha256.New()
	for _, p := range pieces {
		for _, s := range p.Statements {
			if s.Number <= statements {
				fmt.Fprintf(h, "%d:%s\n", len(s.Text), s.Text)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Rest are the pieces of a file that come after its first statements, which
// ran when their digest was through. The error says why the file cannot be gone
// on with.
func Rest(pieces []Piece, statements int, through string) ([]Piece, error) {
	count := 0
	for _, p := range pieces {
		count += len(p.Statements)
	}
	if count < statements || Through(pieces, statements) != through {
		return nil, fmt.Errorf("its first %d statements are not those that ran", statements)
	}
	i := slices.IndexFunc(pieces, func(p Piece) bool { return p.Last() > statements })
	if i < 0 {
		return nil, nil
	}
	if pieces[i].First() <= statements {
		return nil, fmt.Errorf("its statement %d is in a transaction with one that ran", statements+1)
	}
	return pieces[i:], nil
}

// Statements counts those of all pieces.
func Statements(pieces []Piece) int {
	if len(pieces) == 0 {
		return 0
	}
	return pieces[len(pieces)-1].Last()
}
