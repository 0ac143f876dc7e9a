package hazard

import "pleat/spec"

// Mode is a table lock mode (manual §13.3.1). Modes are compared: a stronger
// one is greater. The zero value is no lock.
type Mode int

// The modes, the weakest first.
const (
	AccessShare Mode = iota + 1
	RowShare
	RowExclusive
	ShareUpdateExclusive
	Share
	ShareRowExclusive
	Exclusive
	AccessExclusive
)

var modeNames = []string{
	"", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
	"SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
}

// String is the mode as the manual writes it; "" for none.
func (m Mode) String() string { return modeNames[m] }

// MarshalText is String.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// BlocksWrites tells whether those who write the table wait.
func (m Mode) BlocksWrites() bool { return m >= Share }

// BlocksReads tells whether those who read the table wait.
func (m Mode) BlocksReads() bool { return m == AccessExclusive }

// Lock is a lock that a statement takes until its transaction ends.
type Lock struct {
	// Table is a table, view, sequence or index. With Behind it is an index, and
	// the lock is on the table that it belongs to.
	Table  spec.Table `json:"table"`
	Behind bool       `json:"behind,omitempty"`
	Mode   Mode       `json:"mode"`
}

// Of is what the lock is on, as a person reads it.
func (l Lock) Of() string {
	if l.Behind {
		return "the table of " + l.Table.String()
	}
	return l.Table.String()
}
