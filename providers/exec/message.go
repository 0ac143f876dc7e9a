package exec

import "encoding/json"

// Version is the protocol's. It rises when a program that speaks it could be
// misunderstood.
const Version = 1

// Method is what a request asks for.
type Method string

// The methods.
const (
	MethodHello    Method = "hello"    // the first request of each process
	MethodObserve  Method = "observe"  // what is live
	MethodAnnounce Method = "announce" // who may change something from here on
	MethodAsk      Method = "ask"      // whether something holds
	MethodProbe    Method = "probe"    // whether the effect of a step is there
	MethodApply    Method = "apply"    // make the effect of a step
	MethodCancel   Method = "cancel"   // stop what is under way; it has no answer of its own
)

// Request is a line that pleat writes.
type Request struct {
	// Rises by one with each request to a process.
	ID     int64  `json:"id"`
	Method Method `json:"method"`
	// How long pleat waits for the answer before it ends the process; 0 is no
	// limit.
	TimeoutMS int64           `json:"timeout_ms,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
}

// Line is a line that the program writes: exactly one of report, result and
// error. A result or an error is the answer to the request; there is one.
type Line struct {
	// The request's.
	ID     int64           `json:"id"`
	Report *Report         `json:"report,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Hello is what a process is told first.
type Hello struct {
	// The version that pleat speaks.
	Protocol int `json:"protocol"`
	// `orchestrator` or `router`.
	Kind string `json:"kind"`
	// Of the block in the spec.
	Name string `json:"name"`
	// As in the block, secrets in clear.
	Settings map[string]string `json:"settings,omitempty"`
}

// Welcome is what the program says of itself.
type Welcome struct {
	// The version that it speaks, which has to be pleat's.
	Protocol int `json:"protocol"`
	// Its name and version, for messages.
	Program string `json:"program"`
	// What it can do, in the words below. Words that pleat does not know count for
	// nothing.
	Abilities []string `json:"abilities"`
}

// ErrorKind tells what an error leaves behind.
type ErrorKind string

// The kinds of error. Any other word is taken as unknown.
const (
	Failed    ErrorKind = "failed"    // the effect is not there; what is half there goes with the step's undo
	Unknown   ErrorKind = "unknown"   // the effect may be there: pleat asks by probe
	Unwell    ErrorKind = "unwell"    // as failed, because what is to serve instead is not well: the rollout goes back
	Fenced    ErrorKind = "fenced"    // nothing was done, because a holder with a higher fence is known
	Cancelled ErrorKind = "cancelled" // nothing was done, because pleat asked to stop
)

// Error is an answer that says why there is no result.
type Error struct {
	Kind ErrorKind `json:"kind"`
	// One line for a person.
	Message string `json:"message"`
	// More lines, such as what an instance wrote last.
	Detail string `json:"detail,omitempty"`
}

// ReportKind is what a report is about.
type ReportKind string

// The kinds of report.
const (
	InstanceReport ReportKind = "instance" // instance, state, and in text why it is down
	WaitingReport  ReportKind = "waiting"  // what is waited for; no text ends the wait
	WarningReport  ReportKind = "warning"  // what a person should know
	OutputReport   ReportKind = "output"   // a line that a task wrote, and for which instance
)

// Report is something that a person may want to see while a step is applied. It
// decides nothing.
type Report struct {
	Kind     ReportKind `json:"kind"`
	Instance string     `json:"instance,omitempty"`
	// `pending`, `starting`, `up`, `stopping` or `down`.
	State string `json:"state,omitempty"`
	Text  string `json:"text,omitempty"`
}

// Ticket says for whom something is done.
type Ticket struct {
	// The run, the same for all its steps, also when it is gone on with.
	Run string `json:"run"`
	// The name of the lease, and which database has it: fences of the same lease
	// and authority can be compared.
	Lease     string `json:"lease"`
	Authority string `json:"authority"`
	// Whoever comes with a lower one than is known has lost the lease, and is
	// refused with the error `fenced`.
	Fence int64 `json:"fence"`
}

// Announcement is the params of announce. Its result is an empty object, once the
// fence is remembered.
type Announcement struct {
	Ticket Ticket `json:"ticket"`
}

// Step is the params of apply and probe.
type Step struct {
	Ticket Ticket `json:"ticket"`
	// Its name in the run.
	Step string `json:"step"`
	// (apply) How long the step may wait for what it starts or stops; 0 is no limit.
	LimitMS int64 `json:"limit_ms,omitempty"`
	// (apply, start) How long the step may wait for one more instance to come up; 0 is no limit.
	ProgressMS int64 `json:"progress_ms,omitempty"`
	// (apply, start) For how long all are to be up before the step is done: it fails
	// where one ends meanwhile.
	StayMS int64 `json:"stay_ms,omitempty"`
	// Which of the actions below.
	Kind   string          `json:"kind"`
	Action json.RawMessage `json:"action"`
}

// OutcomeWord is what is known of a step's effect.
type OutcomeWord string

// The outcomes. A result of apply is always done: anything else is an error.
const (
	Done           OutcomeWord = "done"     // it is there, all of it
	NotDone        OutcomeWord = "not_done" // it is not, or not all of it
	OutcomeUnknown OutcomeWord = "unknown"  // that cannot be told
)

// Outcome is the result of apply and probe.
type Outcome struct {
	Outcome OutcomeWord `json:"outcome"`
}

// Question is the params of ask.
type Question struct {
	// Which of the questions below.
	Kind     string          `json:"kind"`
	Question json.RawMessage `json:"question"`
}

// Answer is the result of ask.
type Answer struct {
	Met bool `json:"met"`
	// Why not, for a person.
	Reason string `json:"reason,omitempty"`
}
