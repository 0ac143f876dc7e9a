// Package migrations is schema changes: it lowers the typed operations of a
// change to units of SQL with their lock, their undo and what the undo loses,
// and says from the catalog how far a change has come. It owns the SQL that
// pleat runs against applications' tables; it does no I/O.
package migrations

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/hcl/v2"

	"pleat/migrations/hazard"
	"pleat/spec"
)

// ErrOutcomeUnknown is wrapped by an error after which a change may or may not
// have happened: its last byte was sent and no answer came. Whoever gets it
// looks, and never simply sends it again.
var ErrOutcomeUnknown = errors.New("outcome unknown")

// Phase is how far a change has come. The order is part of the contract:
// phases are compared by rank, and a change goes through them one by one.
type Phase string

// The phases of a change.
const (
	Absent     Phase = "absent"
	Expanded   Phase = "expanded"
	Backfilled Phase = "backfilled"
	Verified   Phase = "verified"
	Hidden     Phase = "hidden"
	Contracted Phase = "contracted"
)

var ranks = map[Phase]int{Absent: 0, Expanded: 1, Backfilled: 2, Verified: 3, Hidden: 4, Contracted: 5}

// AtLeast tells whether p is q or later.
func (p Phase) AtLeast(q Phase) bool { return ranks[p] >= ranks[q] }

// Lock is a Postgres table lock mode as the manual writes it (§13.3), "" for
// none that anybody could wait for.
type Lock string

// The lock modes that pleat's statements take.
const (
	AccessExclusive      Lock = "ACCESS EXCLUSIVE"
	Exclusive            Lock = "EXCLUSIVE"
	ShareRowExclusive    Lock = "SHARE ROW EXCLUSIVE"
	Share                Lock = "SHARE"
	ShareUpdateExclusive Lock = "SHARE UPDATE EXCLUSIVE"
	RowExclusive         Lock = "ROW EXCLUSIVE"
)

// Mode is how a unit's statements reach the server.
type Mode string

// The modes.
const (
	InTransaction Mode = "transaction"  // all statements in one transaction, with the step's mark
	BuildIndex    Mode = "build_index"  // CREATE INDEX CONCURRENTLY
	RemoveIndex   Mode = "remove_index" // DROP INDEX CONCURRENTLY
	Alone         Mode = "alone"        // one statement that allows no transaction
)

// Hazard is a risk that must be allowed by name. Codes are stable.
type Hazard struct {
	Code string `json:"code"` // such as "unclassified_sql"
	Text string `json:"text"`
}

// NewHazard is one of a code that pleat explains.
func NewHazard(code, format string, args ...any) Hazard {
	return Hazard{Code: hazard.Must(code).Code, Text: fmt.Sprintf(format, args...)}
}

// Unit is one step's worth of SQL.
type Unit struct {
	ID       string     // stable within its change: "expand.users", "sync.users", "hide.users.name"
	Title    string     // what a person reads: "users.first, users.last"
	Mode     Mode       //
	Table    spec.Table // the one table that Lock is taken on; zero for raw SQL
	Lock     Lock       //
	UndoLock Lock       // that Undo takes on Table
	// Also are other tables that the statements lock, UndoAlso those that Undo
	// does. All are locked before the first statement, in this order and before
	// Table.
	Also       []TableLock
	UndoAlso   []TableLock
	Index      spec.Table // the index that BuildIndex and RemoveIndex are about
	Statements []string   //
	Undo       []string   // nil: there is no way back; empty: nothing needs to be taken back
	UndoMode   Mode       // how Undo reaches the server, where that is not the reverse of Mode
	UndoTitle  string     // "drop columns"
	Stays      bool       // nothing takes it back, and nothing has to: Undo is empty
	Loses      string     // what the undo loses: "what was written to users.first, users.last"; "" = nothing
	Hazards    []Hazard   //
	Does       []string   // what a person should read that the title does not say
	Fill       *Backfill  // rows that have to be filled before it; nil: none
	// UndoHazards are those of Undo, where it is an author's.
	UndoHazards []Hazard
	// Author is what Statements do, where an author wrote them.
	Author  AuthorSQL
	Applied bool // the catalog shows the effect
	// Restored says of a unit that only a way back goes through that what it
	// makes is there.
	Restored bool
	// ByRecord is the unit that the record must show as done before a person's
	// wish takes this one back: what it makes is a property of something that
	// may have had it before. "" = the catalog alone tells.
	ByRecord string
	Visible  bool // the catalog can show the effect; false for raw SQL, where only the journal knows
	HideFor  time.Duration
	Drops    []string // what is gone for good afterwards: "users.name"; a person must name it first
	Verb     string   // what a contract's unit does, where it is not to hide or to drop: "enforce"
	Source   hcl.Range

	takes   bool            // it takes away, already in expand, what an earlier change may have made
	passing bool            // nothing is missing once the change is contracted: what it makes has gone on by then
	missing []string        // the objects that an Applied unit would show
	all     *reverse        // takes back also what was there before; nil: the undo does
	columns []string        // that it adds to its table
	fresh   []string        // those of them that are not there
	unlike  string          // definition that was found under the unit's name, and may be another
	like    string          // definition that the unit would make
	other   *hcl.Diagnostic // why what was found under the unit's name is not what it would make, unless it did
	refused *hcl.Diagnostic // why it cannot run as things are; nil: it can
	waits   Wait            // what it cannot run before, of a change that comes to its end
}

// reverse is a way back.
type reverse struct {
	statements []string
	loses      string
}

// TableLock is a lock on a table.
type TableLock struct {
	Table spec.Table `json:"table"`
	Lock  Lock       `json:"lock"`
	Only  bool       `json:"only,omitempty"` // and on none of its partitions, nor on what a view shows
	View  bool       `json:"view,omitempty"` // it may be a view, and is locked with what it shows
}

// Whole is the unit with an undo that takes all of it away, also what was
// there before its statements ran: what is asked for when a change is to be
// taken back. A run that fails must not take away what it did not make.
func (u Unit) Whole() Unit {
	if u.all != nil {
		u.Undo, u.Loses = u.all.statements, u.all.loses
	}
	return u
}

// ReverseMode is how Undo reaches the server. Where that builds an index, what
// comes after its first statement runs in one transaction under UndoLock.
func (u Unit) ReverseMode() Mode {
	switch {
	case u.UndoMode != "":
		return u.UndoMode
	case u.Mode == BuildIndex:
		return RemoveIndex
	case u.Mode == RemoveIndex:
		return BuildIndex
	}
	return u.Mode
}

// Backfill is a backfill with everything known that a run of it needs.
type Backfill struct {
	ID       string // "backfill.users"
	Table    spec.Table
	Key      []string // the columns that order it: the primary key, or those of another unique index; nil: it goes along the pages
	Set      []Assignment
	Where    string       // which rows are not right yet; rows that it leaves out are never written
	Backward []Assignment // the old columns as the sync computes them from the new ones; nil without a sync
	Lossy    bool         // what Backward loses is accepted
	Batch    int
	Workers  int
	Throttle spec.Throttle
	Rows     int64  // estimate; 0 = unknown
	Digest   string // of table, key and expressions: a cursor of another digest is not resumed
	Source   hcl.Range
}

// Lock is the strongest that a backfill takes on its table: batches need less
// than the statistics that it ends with.
func (Backfill) Lock() Lock { return ShareUpdateExclusive }

// Assignment sets one column to a SQL expression over the row.
type Assignment struct {
	Column     string `json:"column"`
	Expression string `json:"expression"`
}

// Program is a change lowered against a catalog.
type Program struct {
	Change    *spec.Change
	Digest    string // of the change as written, without positions
	Expand    []Unit // in order: tables and columns, then sync, then indexes, then raw SQL where the author put it
	Backfills []Backfill
	Validate  []Unit // in order, once all rows are filled and before verifies: constraints come to hold for all rows
	Hide      []Unit // in order; their effect can be undone without loss
	Drop      []Unit // in order; what HideFor asks is waited for first

	refused   []refusal // of backfills and verifies
	inquiries []inquiry
}

// Recorded is what pleat's tables say of a change. The zero value: nothing.
type Recorded struct {
	Phase      Phase           `json:"phase,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Units      map[string]bool `json:"units,omitempty"`       // units done, by ID, for what no catalog shows
	QuietSince *time.Time      `json:"quiet_since,omitempty"` // since when no old instance, session or write was seen
	HiddenAt   *time.Time      `json:"hidden_at,omitempty"`
	OldWrites  int64           `json:"old_writes,omitempty"` // counter of old-shape writes when QuietSince was set
	Updated    *time.Time      `json:"updated,omitempty"`    // when something was recorded last
}
