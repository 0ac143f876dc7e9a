package planner

import (
	"errors"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// Kind is what a step does, in the word that a person reads.
type Kind string

// The kinds of step.
const (
	KindExpand     Kind = "expand"
	KindSync       Kind = "sync"
	KindBackfill   Kind = "backfill"
	KindValidate   Kind = "validate"
	KindVerify     Kind = "verify"
	KindContract   Kind = "contract"
	KindRevert     Kind = "revert" // an expand that is taken back on request
	KindMigrate    Kind = "migrate"
	KindHold       Kind = "hold"
	KindApprove    Kind = "approve"
	KindSmoke      Kind = "smoke"
	KindAnalysis   Kind = "analysis"
	KindHandover   Kind = "handover"
	KindRelease    Kind = "release" // requests that were held
	KindLimit      Kind = "limit"   // of requests
	KindTask       Kind = "task"
	KindRoles      Kind = "roles"
	KindPromote    Kind = "promote"
	KindStart      Kind = "start"
	KindAttach     Kind = "attach"
	KindDrain      Kind = "drain"
	KindWeight     Kind = "weight"
	KindStop       Kind = "stop"
	KindCheckpoint Kind = "checkpoint"
)

// Safety is how a step's outcome is found out after a crash. The zero value is
// invalid.
type Safety string

// The kinds of safety.
const (
	Probed        Safety = "probed"         // the provider can tell whether it took effect
	Idempotent    Safety = "idempotent"     // it may simply be applied again
	NeedsOperator Safety = "needs_operator" // a person must look
)

// Step is one unit of a plan: one provider call.
type Step struct {
	ID      string       // stable: the same wish gives the same ID
	Address spec.Address // what it is about: change.split_name, service.users
	Kind    Kind
	Title   string // "users.first, users.last", "users 2.0.0 web 1 of 3"
	Cause   string // why it is in the plan; never empty
	Needs   []string
	Action  Action
	Undo    *Undo // nil: there is no way back
	Safety  Safety
	Guards  []Guard
	Limits  Limits
	Lock    migrations.Lock // the strongest lock
	Table   string          // on which it is taken
	Hazards []migrations.Hazard
	// Does is a line for what the title does not say: of each statement of SQL
	// that an author wrote what it locks, reads and writes as a whole, and loses;
	// of a start what its sessions are to find.
	Does []string
	// Drops are objects that are gone for good once the step is done: a person
	// must have named them.
	Drops  []string
	Waits  []string // what a person reads under "waits for"
	Source string   // file:line
	// Estimate is rows; it decides nothing and is in no fingerprint.
	Estimate int64
	// Together says that the step belongs to several that run whole or not at
	// all, because services are down between them: evidence that is not there in
	// time fails it, and takes the others back.
	Together bool
	// Cleanup says that the step takes away what nobody uses any more: where that
	// fails, what was done stands, and the next plan has it again.
	Cleanup bool
	// Section is the part of the plan that the step belongs to, with the reason
	// for it; "" in a plan of one part.
	Section string
	// Deferred says why the step does not run now; "" = it does.
	Deferred string
	// UntilSpec says of a deferred step that no time and no evidence lets it run,
	// only a spec that wants another release.
	UntilSpec bool
}

// deferral is why something does not run now, as a Step has it; nothing = it does.
type deferral struct {
	why       string
	untilSpec bool
}

func (s *Step) deferral() deferral { return deferral{s.Deferred, s.UntilSpec} }

func (s *Step) putOff(d deferral) { s.Deferred, s.UntilSpec = d.why, d.untilSpec }

// Undo takes a step back.
type Undo struct {
	Action Action
	Title  string // "drop columns", "stop it"
	Loses  string // "" = nothing
	// Bars says that the run cannot be taken back to before the step once it
	// is done: a release that ran then does not live with what stays.
	Bars bool
}

// Limits bound a step.
type Limits struct {
	LockWait time.Duration `json:"lock_wait_ns,omitempty"` // one attempt in the lock queue
	Hold     time.Duration `json:"hold_ns,omitempty"`      // of a strong lock
	Patience time.Duration `json:"patience_ns,omitempty"`  // for locks
	Run      time.Duration `json:"run_ns,omitempty"`       // of the whole step; 0 = none
	Progress time.Duration `json:"progress_ns,omitempty"`  // in which one more instance comes up; 0 = none
	Stay     time.Duration `json:"stay_ns,omitempty"`      // for which instances are up before a start is done
	// Evidence is how long the executor waits for guards that are not met
	// before it defers the step.
	Evidence time.Duration `json:"evidence_ns,omitempty"`
	// Evict says which sessions that keep a strong lock away may be ended; nil:
	// none.
	Evict *Eviction `json:"evict,omitempty"`
}

// Eviction is sessions that may be ended while they are idle in a transaction:
// those of Releases, "SERVICE@VERSION", that have done nothing for Idle.
type Eviction struct {
	Releases []string      `json:"releases"`
	Idle     time.Duration `json:"idle_in_transaction_ns"`
}

// Ticket names the attempt under which a step runs. Providers write it beside
// every effect, so that a later run can tell what an earlier one did.
type Ticket struct {
	Run   string // id of the run
	Lease string // name of the lease
	Fence int64  // of the lease; a holder with a lower one can write nothing
	// Authority tells the lease from those of the same name in other databases.
	Authority string
}

// Report is what a provider says while a step runs. The set is sealed.
type Report interface{ report() }

// Progress is how far a long step has come.
type Progress struct {
	Done, Total int64  // Total is an estimate; 0 = unknown
	Unit        string // "rows"
}

// Waiting says what a step waits for. An empty For ends the wait.
type Waiting struct{ For string }

// InstanceChange is an instance that changed its state.
type InstanceChange struct {
	Service, Release, Process, Instance, Host string
	State                                     InstanceState
	Error                                     string
}

// SessionEnded is a session that was ended because it kept a lock away, as the
// step's Limits allow.
type SessionEnded struct {
	PID              int
	Application      string
	Service, Release string
	Idle             time.Duration // in a transaction
	Table            string
}

// Output is a line that a program of the step wrote.
type Output struct {
	Service, Release string
	Source           string // whose line it is: a task's name
	Host             string
	Line             string
}

// Warning is something that a person should know and that stops nothing.
type Warning struct{ Text string }

func (Progress) report()       {}
func (Waiting) report()        {}
func (InstanceChange) report() {}
func (Warning) report()        {}
func (Output) report()         {}
func (SessionEnded) report()   {}

// Outcome is what is known of a step's effect. The zero value is the safe
// answer.
type Outcome int

// The outcomes.
const (
	Unknown Outcome = iota
	NotDone
	Done
)

// Answer is what a provider says to a guard.
type Answer struct {
	Met     bool
	Reason  string        // why not: "1 instance, 3 sessions of users 1.0.0"
	Recheck time.Duration // when it may be met at the earliest; 0 = any moment
	Again   time.Duration // not to be asked again before; 0 = any moment
	Closed  bool          // somebody has to open it: time alone will not
}

// ErrOutcomeUnknown is wrapped by a provider's error when the effect of a step
// may or may not have happened: the connection was lost after the last byte
// was sent. Whoever gets it probes, and never simply applies again.
var ErrOutcomeUnknown = migrations.ErrOutcomeUnknown

// ErrUnwell is in the error of a step that was refused, or failed, because what is
// to serve instead is not well. Then it is no matter of cleaning up.
var ErrUnwell = errors.New("what is to serve is not well")
