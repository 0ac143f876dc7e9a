package supervisor

// What the white-box tests see.
var (
	Allowed     = allowed
	Expand      = expand
	FreePort    = freePort
	Prune       = prune
	SignalNamed = signalNamed
)

// OutputFile is an output for tests.
type OutputFile struct{ output }

// NewOutputFile is the output at path.
func NewOutputFile(path string) OutputFile { return OutputFile{output{path}} }

// Rotate is rotate.
func (o OutputFile) Rotate(limit int64) error { return o.rotate(limit) }

// Last is last.
func (o OutputFile) Last(lines int, from int64) ([]string, error) { return o.last(lines, from) }
