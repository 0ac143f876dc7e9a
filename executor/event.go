package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pleat/executor/journal"
	"pleat/planner"
	"pleat/spec"
)

// Event is one thing that happened in a run. The set is sealed: RunChanged,
// GatesAsked, StepChanged, InstanceChanged, SessionEnded, Wrote, Warned, Forced,
// Overrode and Progressed, which alone is not kept in the journal.
type Event interface{ kind() string }

// Status is where a run is.
type Status string

// The statuses of a run.
const (
	Pending     Status = "pending"
	Running     Status = "running"
	Complete    Status = "complete"
	Noop        Status = "noop"
	Failed      Status = "failed" // stopped where it stands: a person must look
	RollingBack Status = "rolling_back"
	RolledBack  Status = "rolled_back"
	Deferred    Status = "deferred" // done as far as it goes now
	Blocked     Status = "blocked"  // a gate was closed before the first step: nothing was done
	Interrupted Status = "interrupted"
	Abandoned   Status = "abandoned" // cut short, and the spec then wanted something else
)

// RunChanged is a run's new status. The last one of a run carries its summary.
type RunChanged struct {
	Status      Status   `json:"status"`
	Kind        string   `json:"run_kind,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Steps       int      `json:"steps,omitempty"`
	Error       string   `json:"error,omitempty"`
	Summary     *Summary `json:"summary,omitempty"`
}

// StepStatus is what happened to a step.
type StepStatus string

// The statuses of a step.
const (
	StepStarted  StepStatus = "started"
	StepWaiting  StepStatus = "waiting"
	StepDone     StepStatus = "done"
	StepFailed   StepStatus = "failed"
	StepSettled  StepStatus = "settled"  // an attempt had done it that nobody heard from, or that failed after its effect: of this run, or of one that was cut short
	StepDeferred StepStatus = "deferred" // not now, for the reason in Detail
	StepUndoing  StepStatus = "undoing"
	StepUndone   StepStatus = "undone"
)

// StepChanged is a step's new status.
type StepChanged struct {
	Step    string       `json:"step"`
	Number  int          `json:"number,omitempty"` // as the plan shows it
	Address spec.Address `json:"address,omitempty"`
	Kind    planner.Kind `json:"kind,omitempty"`
	Title   string       `json:"title,omitempty"`
	Status  StepStatus   `json:"status"`
	Detail  string       `json:"detail,omitempty"`
	Error   string       `json:"error,omitempty"`
	Took    float64      `json:"took_s,omitempty"`
}

// InstanceChanged is an instance's new state.
type InstanceChanged struct {
	Step     string                `json:"step,omitempty"`
	Service  string                `json:"service"`
	Release  string                `json:"release"`
	Process  string                `json:"process"`
	Instance string                `json:"instance"`
	Host     string                `json:"host,omitempty"`
	State    planner.InstanceState `json:"state"`
	Error    string                `json:"error,omitempty"`
}

// SessionEnded is a database session that pleat ended, because it kept a lock
// from the step and the plan allows it.
type SessionEnded struct {
	Step        string  `json:"step"`
	PID         int     `json:"pid"`
	Application string  `json:"application"`
	Service     string  `json:"service"`
	Release     string  `json:"release"`
	Idle        float64 `json:"idle_in_transaction_s"`
	Table       string  `json:"table"`
}

// Warned is something to know that stops nothing.
type Warned struct {
	Step string `json:"step,omitempty"`
	Text string `json:"text"`
}

// Wrote is a line that a program of a step wrote.
type Wrote struct {
	Step    string `json:"step"`
	Service string `json:"service"`
	Release string `json:"release"`
	Source  string `json:"source"` // a task's name
	Host    string `json:"host,omitempty"`
	Line    string `json:"line"`
}

// Forced is what a person said is there of a golang-migrate directory: nothing
// was run. It is of no run of the journal, and its Run is that of the command.
type Forced struct {
	Directory spec.Address `json:"directory"`
	Database  string       `json:"database"`
	From      string       `json:"from"`
	To        string       `json:"to"`
	Who       string       `json:"who"`
	Host      string       `json:"host"`
	Reason    string       `json:"reason,omitempty"`
}

// Overrode is that a run does not keep to a window.
type Overrode struct {
	planner.Override
}

// Progressed is how far a step has come.
type Progressed struct {
	Step  string `json:"step"`
	Title string `json:"title"`
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	Unit  string `json:"unit"`
}

func (RunChanged) kind() string      { return "run" }
func (StepChanged) kind() string     { return "step" }
func (InstanceChanged) kind() string { return "instance" }
func (SessionEnded) kind() string    { return "session" }
func (Wrote) kind() string           { return "output" }
func (Warned) kind() string          { return "warning" }
func (Forced) kind() string          { return "forced" }
func (Overrode) kind() string        { return "override" }
func (Progressed) kind() string      { return "progress" }

// Note keeps an event that belongs to no run: that of a person's word about
// what is there. It is durable once it returns.
func Note(ctx context.Context, j *journal.Journal, t planner.Ticket, e Event) error {
	b, err := body(e)
	if err != nil {
		return err
	}
	_, err = j.Emit(ctx, t, b)
	return err
}

// Record is an event with its place in the stream. Its JSON form is one flat
// object: {"seq", "at", "run", "type", …}.
type Record struct {
	Seq   int64
	At    time.Time
	Run   string
	Event Event
}

type envelope struct {
	Seq  int64     `json:"seq,omitempty"`
	At   time.Time `json:"at"`
	Run  string    `json:"run"`
	Type string    `json:"type"`
}

// MarshalJSON writes the flat form.
func (r Record) MarshalJSON() ([]byte, error) {
	head, err := json.Marshal(envelope{r.Seq, r.At.UTC(), r.Run, r.Event.kind()})
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(r.Event)
	if err != nil {
		return nil, err
	}
	if len(body) == len("{}") {
		return head, nil
	}
	return append(append(head[:len(head)-1], ','), body[1:]...), nil
}

// body is an event as the journal keeps it.
func body(e Event) (json.RawMessage, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	typed := append([]byte(fmt.Sprintf(`{"type":%q`, e.kind())), ',')
	if len(b) == len("{}") {
		return append(typed[:len(typed)-1], '}'), nil
	}
	return append(typed, b[1:]...), nil
}

// ReadEvent reads an event from the form that the journal keeps.
func ReadEvent(b json.RawMessage) (Event, error) {
	var head struct{ Type string }
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("reading an event: %w", err)
	}
	switch head.Type {
	case "run":
		return decode[RunChanged](b)
	case "gates":
		return decode[GatesAsked](b)
	case "step":
		return decode[StepChanged](b)
	case "instance":
		return decode[InstanceChanged](b)
	case "session":
		return decode[SessionEnded](b)
	case "output":
		return decode[Wrote](b)
	case "warning":
		return decode[Warned](b)
	case "forced":
		return decode[Forced](b)
	case "override":
		return decode[Overrode](b)
	}
	return nil, fmt.Errorf("reading an event: unknown type %q", head.Type)
}

func decode[E Event](b json.RawMessage) (Event, error) {
	var e E
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("reading an event: %w", err)
	}
	return e, nil
}

// Summary is what came of a run.
type Summary struct {
	Status     Status   `json:"status"`
	Done       []string `json:"done,omitempty"` // "3 start users 2.0.0 web 1 of 3"
	Failed     string   `json:"failed,omitempty"`
	Unfinished string   `json:"unfinished,omitempty"` // begun; what goes on finds out how far it came, a rollback had nothing to undo
	Undone     []string `json:"undone,omitempty"`
	NotStarted []string `json:"not_started,omitempty"`
	Deferred   []PutOff `json:"deferred,omitempty"`
	UntilSpec  bool     `json:"until_spec,omitempty"` // all of that waits for a spec that wants another release
	Blocked    bool     `json:"blocked,omitempty"`    // a gate or a window is closed, or an approval is missing
	// Gates are what kept a run from its first step; none where it began.
	Gates   []GateAnswer `json:"gates,omitempty"`
	Seconds float64      `json:"seconds"`
}

// PutOff is a step that a run did not get to, and why.
type PutOff struct {
	ID     string `json:"id,omitempty"` // of the step
	Step   string `json:"step"`         // as Done names it
	Reason string `json:"reason"`
}

// UnmarshalJSON also reads one line of text, which is what journals have of runs before
// PutOff was: "3 start users 2.0.0 web 1 of 3: not yet".
func (p *PutOff) UnmarshalJSON(b []byte) error {
	var line string
	if json.Unmarshal(b, &line) == nil {
		p.Step, p.Reason, _ = strings.Cut(line, ": ")
		return nil
	}
	type plain PutOff
	return json.Unmarshal(b, (*plain)(p))
}
