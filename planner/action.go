package planner

import (
	"cmp"
	"slices"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// Action is what a step asks of one provider. The set is sealed; each is plain
// data, absolute and idempotent: applied twice it leaves what it leaves once.
type Action interface {
	// Provider is the address of the provider that applies it: a database,
	// an orchestrator or a router; "" for the executor's own.
	Provider() spec.Address
	action()
}

// Transaction runs SQL in one transaction that also commits the step's mark
// and, where Record is set, the change's phase.
type Transaction struct {
	Database string          `json:"database"`
	Table    spec.Table      `json:"table"` // the one table that Lock is taken on; zero: none known
	Lock     migrations.Lock `json:"lock,omitempty"`
	// Also are other tables that the SQL locks. All are locked before it runs,
	// in this order and before Table.
	Also    []migrations.TableLock `json:"also,omitempty"`
	SQL     []string               `json:"sql"`
	Change  string                 `json:"change"`
	Unit    string                 `json:"unit"`              // recorded as done, or as not done where Reverse
	Reverse bool                   `json:"reverse,omitempty"` // this takes the unit back
	Phase   migrations.Phase       `json:"phase,omitempty"`   // recorded for the change; "" leaves it
	Digest  string                 `json:"digest"`            // of the change
	// Evidence is asked for again once the lock is had and before SQL runs: the
	// guards were met before the wait for it.
	Evidence []NoSessions `json:"evidence,omitempty"`
}

// BuildIndex builds an index concurrently: an invalid leftover is dropped and
// built again, a valid one of the same name is done.
type BuildIndex struct {
	Database string           `json:"database"`
	Table    spec.Table       `json:"table"`
	Index    spec.Table       `json:"index"`
	SQL      string           `json:"sql"`
	Change   string           `json:"change"`
	Unit     string           `json:"unit"`
	Reverse  bool             `json:"reverse,omitempty"` // this takes the unit back
	Phase    migrations.Phase `json:"phase,omitempty"`
	Digest   string           `json:"digest"`
	// Then runs in one transaction with what is recorded, under Lock, once the
	// index is valid.
	Lock migrations.Lock `json:"lock,omitempty"`
	Then []string        `json:"then,omitempty"`
}

// RunAlone runs an author's statement that allows no transaction. The catalog
// says what became of it, or a second time does no harm.
type RunAlone struct {
	Database string           `json:"database"`
	SQL      string           `json:"sql"`
	Change   string           `json:"change"`
	Unit     string           `json:"unit"`
	Reverse  bool             `json:"reverse,omitempty"` // this takes the unit back
	Phase    migrations.Phase `json:"phase,omitempty"`
	Digest   string           `json:"digest"`
}

// RemoveIndex drops an index of the table concurrently; where the table has
// none of that name it is done. An index of another table is never dropped.
type RemoveIndex struct {
	Database string           `json:"database"`
	Table    spec.Table       `json:"table"`
	Index    spec.Table       `json:"index"`
	SQL      string           `json:"sql"`
	Change   string           `json:"change"`
	Unit     string           `json:"unit"`
	Reverse  bool             `json:"reverse,omitempty"` // this takes the unit back
	Phase    migrations.Phase `json:"phase,omitempty"`
	Digest   string           `json:"digest"`
}

// Backfill fills columns batch by batch; its cursor commits with each batch.
// Rows that are right already are not written.
type Backfill struct {
	Database string                  `json:"database"`
	Change   string                  `json:"change"`
	Unit     string                  `json:"unit"`
	Table    spec.Table              `json:"table"`
	Key      []string                `json:"key"` // nil: it goes along the pages
	Set      []migrations.Assignment `json:"set"`
	Where    string                  `json:"where"` // of migrations.Backfill
	Batch    int                     `json:"batch"`
	Workers  int                     `json:"workers,omitempty"` // that fill at the same time; 0 is 1
	Throttle spec.Throttle           `json:"throttle"`
	// Sample asks for a look at some rows before the first is written: filling
	// them twice must be filling them once and, where there is Backward and not
	// Lossy, the way back must give them as they were.
	Sample   bool                    `json:"sample,omitempty"`
	Backward []migrations.Assignment `json:"backward,omitempty"` // of migrations.Backfill
	Lossy    bool                    `json:"lossy,omitempty"`
	Cursor   string                  `json:"cursor"` // digest that the stored cursor must have
	Phase    migrations.Phase        `json:"phase,omitempty"`
	Digest   string                  `json:"digest"`
}

// Verify asks for rows that break a promise; more than Max fail the step.
type Verify struct {
	Database string           `json:"database"`
	Change   string           `json:"change"`
	Name     string           `json:"name"`
	SQL      string           `json:"sql"`
	Max      int              `json:"max"`
	Phase    migrations.Phase `json:"phase,omitempty"` // recorded when it passes
	Digest   string           `json:"digest"`
}

// Migrate runs one file of a golang-migrate directory and records its version
// in golang-migrate's own table, in one transaction where the file allows that.
// A file that does not runs piece by piece (migrations.Pieces), each with a
// record of how far it came, and dirty is true until it is through. It fails
// where the live version is neither From nor To, and where somebody else left it
// dirty.
type Migrate struct {
	Database   string     `json:"database"`
	Migrations string     `json:"migrations"`
	Table      spec.Table `json:"table"` // golang-migrate's
	From       uint64     `json:"from"`  // 0: no version is recorded
	To         uint64     `json:"to"`    // 0: none is, afterwards
	SQL        string     `json:"sql"`
	// TakenOver are the versions up to From that nothing is recorded of: they
	// were there before pleat came.
	TakenOver []Applied `json:"taken_over,omitempty"`
}

// Pause waits for a time, from Since or, where that is not given, from when the
// step was started first: a run that was cut short goes on with what is left.
type Pause struct {
	For   time.Duration `json:"for_ns"`
	Since *time.Time    `json:"since,omitempty"`
	Why   string        `json:"why"` // "users 1.0.1 is kept"
}

// Analyze asks a question several times and comes to a verdict: pass, fail, or
// inconclusive, which is no pass either. What cannot be asked says nothing.
type Analyze struct {
	Analysis     string        `json:"analysis"`
	Inquiry      *spec.Inquiry `json:"inquiry"`
	Pass         string        `json:"pass,omitempty"` // expressions over one answer
	Fail         string        `json:"fail,omitempty"`
	Count        int           `json:"count"`
	Interval     time.Duration `json:"interval_ns"`
	Failures     int           `json:"failures,omitempty"`     // tolerated
	Inconclusive int           `json:"inconclusive,omitempty"` // tolerated
	MinSamples   int           `json:"min_samples,omitempty"`  // that one answer rests on; with fewer it says nothing
	DryRun       bool          `json:"dry_run,omitempty"`
	Service      string        `json:"service"`
	Release      string        `json:"release"`
	Old          string        `json:"old,omitempty"` // the release that it is compared with
}

// Smoke asks instances whether they work, each where it listens itself, without
// the router. It fails with what the first one that does not answered.
type Smoke struct {
	Orchestrator spec.Address  `json:"orchestrator"`
	Service      string        `json:"service"`
	Release      string        `json:"release"`
	Process      string        `json:"process"`
	Instances    []Placement   `json:"instances"`
	Checks       []*spec.Check `json:"checks"`
}

// Handover waits until instances say that they took over from those that are to
// go, for this run, or for that of the name Run, which started them.
type Handover struct {
	Orchestrator spec.Address `json:"orchestrator"`
	Service      string       `json:"service"`
	Release      string       `json:"release"`
	Process      string       `json:"process"`
	Instances    []Placement  `json:"instances"`
	Run          string       `json:"run,omitempty"`
}

// Of is the run that the word is for, where run is this one.
func (a *Handover) Of(run string) string { return cmp.Or(a.Run, run) }

// Task runs a program of a release to its end: once, or for each of several
// instances that are up.
type Task struct {
	Orchestrator spec.Address        `json:"orchestrator"`
	Service      string              `json:"service"`
	Release      string              `json:"release"`
	Task         string              `json:"task"` // its name
	Artifact     Artifact            `json:"artifact"`
	Definition   ProcessDefinition   `json:"definition"`          // with the task's own command
	Database     string              `json:"database,omitempty"`  // as of Start
	AlsoUses     []string            `json:"also_uses,omitempty"` // as of Start
	Views        map[string][]string `json:"views,omitempty"`     // as of Start
	Each         bool                `json:"each,omitempty"`      // for each instance; otherwise once
	Instances    []Placement         `json:"instances"`           // without Each one, named like the task
	// Of is the role of the one instance that it is for, whichever says at that
	// time that it has it; "" for all. Once begun it is for the same one, whatever
	// that says by then. Where it is not begun and one says that it is the primary
	// there is nothing to do: somebody else has seen to it.
	Of      Role          `json:"of,omitempty"`
	Timeout time.Duration `json:"timeout_ns"` // for each run of the program
}

// Running is a Start that finds the environment that the task is to have.
func (a *Task) Running() *Start {
	return &Start{
		Orchestrator: a.Orchestrator, Service: a.Service, Release: a.Release, Artifact: a.Artifact, Definition: a.Definition,
		Database: a.Database, AlsoUses: a.AlsoUses, Views: a.Views, Instances: a.Instances,
	}
}

// Roles waits until each of the instances has said what it is in its cluster,
// and for each role of Want one says that it is that.
type Roles struct {
	Orchestrator spec.Address `json:"orchestrator"`
	Service      string       `json:"service"`
	Release      string       `json:"release"`
	Process      string       `json:"process"`
	Instances    []Placement  `json:"instances"`
	Want         []Role       `json:"want"`
}

// Approve waits for a person's word, for at most Timeout. A no fails the step,
// and so does silence, unless Defer says that it puts off what comes after.
type Approve struct {
	Timeout time.Duration `json:"timeout_ns"`
	Defer   bool          `json:"defer,omitempty"`
	From    []string      `json:"from,omitempty"` // database roles whose word counts; none: anybody's
	Why     string        `json:"why"`            // "users 2.0.0 gets more than 50% of the requests"
}

// May tells whether the word of a database role counts.
func (a *Approve) May(role string) bool { return len(a.From) == 0 || slices.Contains(a.From, role) }

// Placement is an instance and the host it is on.
type Placement struct {
	Instance string `json:"instance"` // "PROCESS.N"
	Host     string `json:"host"`
}

// Start makes instances run and waits until each is up.
type Start struct {
	Orchestrator spec.Address      `json:"orchestrator"`
	Service      string            `json:"service"`
	Release      string            `json:"release"`
	Artifact     Artifact          `json:"artifact"`
	Definition   ProcessDefinition `json:"definition"`
	Database     string            `json:"database,omitempty"`  // whose URL the instances get as DATABASE_URL
	AlsoUses     []string          `json:"also_uses,omitempty"` // whose URLs they get as DATABASE_URL_NAME
	// Views are the schemas that come first in the search_path of the instances'
	// sessions, by database.
	Views            map[string][]string `json:"views,omitempty"`
	Instances        []Placement         `json:"instances"`
	MaxStartFailures int                 `json:"max_start_failures,omitempty"`
}

// Stop takes instances down: signal, then kill. Where Wait is false the step
// is done once every instance was told, and what does not end at once is left. Where it is true, instances that take
// longer than the step has are left to end by themselves, unless Exclusive says
// that nothing may run beside them. Where one of them is up, fewer than Floor
// others of the process are, and one of release By is not, or has ended by itself of
// late, it fails, and nothing is changed. It also fails when, once it is done, that is
// so of one that was up before. Without a Floor, which is a router's then, one of
// release By that has ended by itself of late is enough to fail, unless Back says that
// it is gone back to.
//
// Role is set for instances of a cluster: what they were when the stop was planned.
// Where one of them is up, one of the process has to say that it is the primary: one of
// them if Role is that, otherwise one that stays. With AnyRole it is either, and where
// it is one of them, one that stays has to say that it is the synchronous one. Else it
// fails, and nothing is changed.
type Stop struct {
	Orchestrator spec.Address `json:"orchestrator"`
	Service      string       `json:"service"`
	Release      string       `json:"release"`
	Process      string       `json:"process"`
	Drain        spec.Drain   `json:"drain"`
	Instances    []Placement  `json:"instances"`
	Wait         bool         `json:"wait"`
	Exclusive    bool         `json:"exclusive,omitempty"`
	Floor        int          `json:"floor,omitempty"`
	By           string       `json:"by,omitempty"`
	Back         bool         `json:"back,omitempty"`
	Role         Role         `json:"role,omitempty"`
}

// Attach lets instances get requests. It fails where one is not up, unless Again
// says that they had requests before and are given them back: then that one is
// left out, with a warning, for it went by itself.
type Attach struct {
	Router       spec.Address `json:"router"`
	Orchestrator spec.Address `json:"orchestrator"` // knows where the instances listen
	Service      string       `json:"service"`
	Release      string       `json:"release"`
	Process      string       `json:"process"`
	Instances    []Placement  `json:"instances"`
	HTTP2        bool         `json:"http2,omitempty"` // they speak HTTP/2 without TLS
	Again        bool         `json:"again,omitempty"`
}

// Drain takes instances out of the router: no request goes to them any more,
// and those in flight have at most Timeout to finish. Where one of them serves and
// fewer than Floor others of the service do, it fails, and nothing is changed.
type Drain struct {
	Router    spec.Address  `json:"router"`
	Service   string        `json:"service"`
	Release   string        `json:"release"`
	Process   string        `json:"process"`
	Instances []Placement   `json:"instances"`
	Timeout   time.Duration `json:"timeout_ns"`
	Floor     int           `json:"floor"`
}

// Weigh says how a router spreads requests over the releases of a service, as a
// whole. Where fewer serving instances would get requests than now, and fewer than
// Floor, it fails, and nothing is changed. So it does where Release would get more, and
// one of its instances has ended by itself of late, unless Back says that it is gone
// back to: whatever ails it, that was asked for because of another release.
type Weigh struct {
	Router  spec.Address `json:"router"`
	Service string       `json:"service"`
	Release string       `json:"release"` // that is rolled out
	Split
	Floor int  `json:"floor,omitempty"`
	Back  bool `json:"back,omitempty"`
}

// HoldTraffic has a router keep new requests of a service waiting, for at most For
// from when it is asked, however the run goes on; 0 lets go of them.
type HoldTraffic struct {
	Router  spec.Address  `json:"router"`
	Service string        `json:"service"`
	For     time.Duration `json:"for_ns"`
}

// Bound has a router take no more of a service's requests than Limits, from then on.
type Bound struct {
	Router  spec.Address      `json:"router"`
	Service string            `json:"service"`
	Limits  spec.RouterLimits `json:"limits"`
}

// Checkpoint is a place that a run can be rolled back to. The executor
// records it.
type Checkpoint struct {
	Name string `json:"name"` // "a", "b", …
	Back string `json:"back"` // "back to users 1.0.1, nothing lost"
	// NoReturn marks the point of no return: below it Back cannot be had.
	NoReturn bool `json:"no_return,omitempty"`
}

func databaseAddress(name string) spec.Address { return spec.Address("database." + name) }

// Provider is the database.
func (a *Transaction) Provider() spec.Address { return databaseAddress(a.Database) }

// Provider is the database.
func (a *BuildIndex) Provider() spec.Address { return databaseAddress(a.Database) }

// Provider is the database.
func (a *RemoveIndex) Provider() spec.Address { return databaseAddress(a.Database) }

// Provider is the database.
func (a *RunAlone) Provider() spec.Address { return databaseAddress(a.Database) }

// Provider is the database.
func (a *Backfill) Provider() spec.Address { return databaseAddress(a.Database) }

// Provider is the database.
func (a *Verify) Provider() spec.Address { return databaseAddress(a.Database) }

// Provider is the database.
func (a *Migrate) Provider() spec.Address { return databaseAddress(a.Database) }

// Provider is none: the executor waits.
func (a *Pause) Provider() spec.Address { return "" }

// Provider is the analysis.
func (a *Analyze) Provider() spec.Address { return spec.Address("analysis." + a.Analysis) }

// Provider is the orchestrator.
func (a *Handover) Provider() spec.Address { return a.Orchestrator }

// Provider is the orchestrator.
func (a *Smoke) Provider() spec.Address { return a.Orchestrator }

// Provider is the orchestrator.
func (a *Roles) Provider() spec.Address { return a.Orchestrator }

// Provider is the orchestrator.
func (a *Task) Provider() spec.Address { return a.Orchestrator }

// Provider is none: the executor waits.
func (a *Approve) Provider() spec.Address { return "" }

// Provider is the orchestrator.
func (a *Start) Provider() spec.Address { return a.Orchestrator }

// Provider is the orchestrator.
func (a *Stop) Provider() spec.Address { return a.Orchestrator }

// Provider is the router.
func (a *Attach) Provider() spec.Address { return a.Router }

// Provider is the router.
func (a *Drain) Provider() spec.Address { return a.Router }

// Provider is the router.
func (a *HoldTraffic) Provider() spec.Address { return a.Router }

// Provider is the router.
func (a *Weigh) Provider() spec.Address { return a.Router }

// Provider is the router.
func (a *Bound) Provider() spec.Address { return a.Router }

// Provider is none: the executor records it.
func (a *Checkpoint) Provider() spec.Address { return "" }

func (a *Transaction) action() {}
func (a *BuildIndex) action()  {}
func (a *RemoveIndex) action() {}
func (a *RunAlone) action()    {}
func (a *Backfill) action()    {}
func (a *Verify) action()      {}
func (a *Migrate) action()     {}
func (a *Pause) action()       {}
func (a *Approve) action()     {}
func (a *Smoke) action()       {}
func (a *Handover) action()    {}
func (a *Task) action()        {}
func (a *Roles) action()       {}
func (a *Analyze) action()     {}
func (a *Start) action()       {}
func (a *Stop) action()        {}
func (a *Attach) action()      {}
func (a *Drain) action()       {}
func (a *Weigh) action()       {}
func (a *HoldTraffic) action() {}
func (a *Bound) action()       {}
func (a *Checkpoint) action()  {}

// Guard is evidence that is asked for live, right before a step. The set is
// sealed.
type Guard interface {
	// Provider is the address of the provider that answers it.
	Provider() spec.Address
	guard()
}

// NoInstances asks that no instance of these releases lives, in any state but
// down. Versions empty means: of any release but those in Except.
type NoInstances struct {
	Orchestrator spec.Address `json:"orchestrator"`
	Service      string       `json:"service"`
	Versions     []string     `json:"versions,omitempty"`
	Except       []string     `json:"except,omitempty"`
}

// NoSessions asks that no database session of these releases is open.
// Versions and Except are as in NoInstances. Without a Service it asks of every
// service but Others, and Except has "SERVICE@VERSION". A session that is open
// stops the soak of Change, where it names one.
type NoSessions struct {
	Database string   `json:"database"`
	Service  string   `json:"service,omitempty"`
	Others   []string `json:"others,omitempty"`
	Versions []string `json:"versions,omitempty"`
	Except   []string `json:"except,omitempty"`
	Change   string   `json:"change,omitempty"`
}

// Soak asks that for this long no old instance, session or old-shape write
// was seen. Asking records what is seen now, so the clock survives the run.
type Soak struct {
	Database string        `json:"database"`
	Change   string        `json:"change"`
	For      time.Duration `json:"for_ns"`
	// Sequence counts old-shape writes; "" when the change has no sync.
	Sequence string `json:"sequence,omitempty"`
	// Digest and Phase are the change's as the plan found it: what is recorded
	// where nothing is.
	Digest string           `json:"digest"`
	Phase  migrations.Phase `json:"phase"`
	// Anew says that the quiet time begins in this run: what was recorded
	// before does not count.
	Anew bool `json:"anew,omitempty"`
}

// Quiet asks an author's question for when something old was last seen, and
// that this is For ago. Without an answer it is not met.
type Quiet struct {
	Database string        `json:"database"` // that is asked
	Name     string        `json:"name"`
	SQL      string        `json:"sql"`
	For      time.Duration `json:"for_ns"`
}

// NoStatements asks that no statement that uses any of this was run since the
// quiet time of the change began. One that was makes it begin anew.
type NoStatements struct {
	Database string `json:"database"`
	Change   string `json:"change"`
	Uses     []Use  `json:"uses"`
}

// HiddenFor asks that what the change hid has been out of sight this long.
type HiddenFor struct {
	Database string        `json:"database"`
	Change   string        `json:"change"`
	For      time.Duration `json:"for_ns"`
	Digest   string        `json:"digest"` // of the change
	// Found says that the plan found it hidden: where that is not recorded, the
	// time begins when this is asked first.
	Found bool `json:"found,omitempty"`
}

// Open asks an author's gate. Without an answer it is closed.
type Open struct {
	Gate    string        `json:"gate"`
	Inquiry *spec.Inquiry `json:"inquiry"`
	Expect  string        `json:"expect,omitempty"` // expression over the answer; "": any will do
	Service string        `json:"service,omitempty"`
	Release string        `json:"release,omitempty"`
}

// Provider is the gate.
func (g *Open) Provider() spec.Address { return spec.Address("gate." + g.Gate) }

// Provider is the orchestrator.
func (g *NoInstances) Provider() spec.Address { return g.Orchestrator }

// Provider is the database.
func (g *NoSessions) Provider() spec.Address { return databaseAddress(g.Database) }

// Provider is the database.
func (g *Soak) Provider() spec.Address { return databaseAddress(g.Database) }

// Provider is the database.
func (g *NoStatements) Provider() spec.Address { return databaseAddress(g.Database) }

// Provider is the database.
func (g *Quiet) Provider() spec.Address { return databaseAddress(g.Database) }

// Provider is the database.
func (g *HiddenFor) Provider() spec.Address { return databaseAddress(g.Database) }

// Within asks that a window is open, and long enough for what the step takes. The
// clock answers.
type Within struct {
	Window *spec.Window  `json:"window"`
	Takes  time.Duration `json:"takes_ns,omitempty"` // an estimate; 0 = unknown, or it can stop at any moment
}

// Provider is the window.
func (g *Within) Provider() spec.Address { return g.Window.Address() }

func (g *NoInstances) guard()  {}
func (g *NoSessions) guard()   {}
func (g *Soak) guard()         {}
func (g *NoStatements) guard() {}
func (g *Quiet) guard()        {}
func (g *HiddenFor) guard()    {}
func (g *Open) guard()         {}
func (g *Within) guard()       {}
