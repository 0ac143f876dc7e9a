// Package spec is what the author wants: the types of a validated spec, and
// how a directory of *.pleat.hcl files becomes one. It owns the language and
// its diagnostics; it knows nothing of live state, and a Spec that Load
// returned without errors is complete: every default filled in, every
// reference resolved to the thing it names.
package spec

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Address names one thing across spec, state, plan and journal, as the author
// would write a reference to it: "service.users", "change.split_name",
// "database.main", "orchestrator.host.local", "router.proxy.edge".
type Address string

// Suffix is the ending of the file names that Load reads.
const Suffix = ".pleat.hcl"

// Spec is one directory's validated wish. Lists are sorted by name, except
// releases, which keep the order of the files. A Spec is never changed after
// Load returned it.
type Spec struct {
	// Dir is the directory given to Load. It is never part of a plan.
	Dir string
	// Sources holds the bytes of each file by its name relative to Dir, so
	// that later messages can quote the line they point at.
	Sources map[string][]byte

	State         *StateStore
	Databases     []*Database
	Orchestrators []*Orchestrator
	Routers       []*Router
	Services      []*Service
	Changes       []*Change
	Migrations    []*Migrations
	Strategies    []*Strategy
	Windows       []*Window
	Gates         []*Gate
	Analyses      []*Analysis
	Notifies      []*Notify
}

// StateStore is where runs, releases and leases are recorded. Without a
// `state` block it is the only database of the spec; it is nil when there is
// no database at all.
type StateStore struct {
	URL      Text
	Insecure bool // as of a database
	Range    hcl.Range
}

// Database is a Postgres database whose schema pleat changes.
type Database struct {
	Name string
	URL  Text // always sensitive
	Role string
	// Insecure allows sessions with another host in which nobody is certain that it
	// is the one meant, and that nobody between reads them.
	Insecure bool
	Lock     LockBudget
	// FreeDisk is a query for the bytes that are free on the server's disk; "":
	// they are known only where the server is on this machine.
	FreeDisk string
	Range    hcl.Range
}

// Address is "database.NAME".
func (d *Database) Address() Address { return Address("database." + d.Name) }

// LockBudget bounds what others may suffer from pleat's strong locks.
type LockBudget struct {
	Timeout  time.Duration // one attempt's wait in the lock queue; default 100ms
	Hold     time.Duration // longest time that a strong lock is held; default 500ms
	Patience time.Duration // attempts go on until then; default 5m
	Evict    *Eviction     // nil: no session is ever ended
}

// Eviction allows a step that waits for a strong lock to end sessions in its
// way: only those of Releases, and only while they do nothing in a transaction
// that they left open for Idle or longer.
type Eviction struct {
	Releases []*Release
	Idle     time.Duration // default 30s
	Range    hcl.Range
}

// Orchestrator keeps processes running. Kind is "host" or "exec".
type Orchestrator struct {
	Kind    string
	Name    string
	Agents  []string // "unix:///path" or "https://host:port", in the author's order
	Token   Text     // for agents over TCP; empty when none
	CA      string   // PEM file relative to Dir that signs the agents' certificates; "" = system roots
	Program *Program // (exec) never nil then, and otherwise nil
	Range   hcl.Range
}

// Address is "orchestrator.KIND.NAME".
func (o *Orchestrator) Address() Address {
	return Address("orchestrator." + o.Kind + "." + o.Name)
}

// Program is a program of the author's that does what an orchestrator or a
// router has to do, asked line by line.
type Program struct {
	Command  []string        // argv; a program with a slash is relative to Dir
	Settings map[string]Text // that it is told when it starts
	Timeout  time.Duration   // of an answer that waits for nothing; default 30s
}

// Router steers requests to instances. Kind is "proxy", the router embedded
// in the agent at Agent, or "exec".
type Router struct {
	Kind    string
	Name    string
	Listen  string     // host:port on which the agent accepts requests
	Agent   string     // the agent that listens; default: the first one of the first orchestrator that has agents
	TLS     *RouterTLS // nil: connections are not secured
	Limits  RouterLimits
	Program *Program // (exec) never nil then, and otherwise nil
	Range   hcl.Range
}

// Address is "router.KIND.NAME".
func (r *Router) Address() Address { return Address("router." + r.Kind + "." + r.Name) }

// RouterTLS is a certificate in PEM files of the host whose agent listens.
type RouterTLS struct {
	Certificate, Key string
}

// RouterLimits is what a router takes of requests. 0 is no limit but those that the
// router has by itself.
type RouterLimits struct {
	Header   int64 `json:"header_bytes,omitempty"` // of one request, its first line with it
	Body     int64 `json:"body_bytes,omitempty"`   // of one request
	Requests int   `json:"requests,omitempty"`     // at the same time
	// HeaderTimeout is for a header to arrive, IdleTimeout for the next request on a
	// connection that is kept.
	HeaderTimeout time.Duration `json:"header_timeout_ns,omitempty"`
	IdleTimeout   time.Duration `json:"idle_timeout_ns,omitempty"`
}

// String names those that there are: "header 64KiB, body 10MiB, 100 requests at once,
// header within 10s, idle for 1m".
func (l RouterLimits) String() string {
	var parts []string
	if l.Header > 0 {
		parts = append(parts, "header "+FormatMemory(l.Header))
	}
	if l.Body > 0 {
		parts = append(parts, "body "+FormatMemory(l.Body))
	}
	if l.Requests > 0 {
		parts = append(parts, fmt.Sprintf("%d requests at once", l.Requests))
	}
	if l.HeaderTimeout > 0 {
		parts = append(parts, "header within "+FormatDuration(l.HeaderTimeout))
	}
	if l.IdleTimeout > 0 {
		parts = append(parts, "idle for "+FormatDuration(l.IdleTimeout))
	}
	if len(parts) == 0 {
		return "no limits"
	}
	return strings.Join(parts, ", ")
}

// Service is a thing that is deployed.
type Service struct {
	Name         string
	Orchestrator *Orchestrator
	Router       *Router   // nil: no traffic to steer
	Database     *Database // nil: no database
	AlsoUses     []*Database
	After        []*Service    // rolled out to its release once these run theirs
	Strategy     *Strategy     // never nil
	Release      *Release      // the one that should be live
	Gates        []*Gate       // asked before each step of a rollout
	Window       *Window       // in which its steps run; nil: at any time
	KeepRollback time.Duration // nothing that the release before needs is taken away for this long after it left; default 0
	Processes    []*Process
	Tasks        []*Task  // in the order of the files
	Clustered    *Process // (primary_last) the replicated one
	Releases     []*Release
	Range        hcl.Range
	ReleaseRange hcl.Range // of the `release = "…"` attribute
}

// Address is "service.NAME".
func (s *Service) Address() Address { return Address("service." + s.Name) }

// Uses lists the databases of the service, the one of DATABASE_URL first.
func (s *Service) Uses() []*Database {
	if s.Database == nil {
		return s.AlsoUses
	}
	return append([]*Database{s.Database}, s.AlsoUses...)
}

// Lookup returns the release of that version, or nil.
func (s *Service) Lookup(version string) *Release {
	for _, r := range s.Releases {
		if r.Version == version {
			return r
		}
	}
	return nil
}

// Release is one immutable version of a service.
type Release struct {
	Service       *Service
	Version       string
	Artifact      Artifact
	Ancestors     []string  // versions this one's code contains; need not be in the spec
	Schema        []*Change // built for the schema after these and all before them
	NeedsBackfill []*Change
	Tolerates     []*Change
	// SchemaVersions are the versions of golang-migrate directories that it can
	// run against. Several of one directory are taken together; none of a
	// directory means that it has nothing to do with that one.
	SchemaVersions []VersionRange
	// MigrateOnStart says that it runs the migrations that it ships by itself
	// when it starts: it can start against no other version.
	MigrateOnStart bool
	// RequiredStop says that no service goes past this release: everything
	// between what is live and a later release stops here first, until the
	// changes that it knows are back-filled and verified.
	RequiredStop bool
	Env          map[string]Text
	Processes    []*Process // what this release runs: the service's, with this release's overrides
	Range        hcl.Range
}

// VersionRange is versions of one golang-migrate directory that a release can
// run against.
type VersionRange struct {
	Migrations *Migrations
	Min        uint64 // inclusive; 0 = from the first on
	Max        uint64 // inclusive; 0 = all later ones
	// Ships is the newest migration that the release was built with: it is
	// rolled out only once the database has come to it. Default Min.
	Ships uint64
	Range hcl.Range
}

// Artifact is what a release is made of, pinned by its digest.
type Artifact struct {
	Path   string // relative to Dir
	SHA256 string // 64 lower-case hex digits
	Range  hcl.Range
}

// Process is one kind of program in a service.
type Process struct {
	Name     string
	Count    int      // on each host where PerHost; the least where Scaling is set
	Scaling  *Scaling // nil: Count of them, no more and no fewer
	PerHost  bool     // it runs on every host
	Command  []string // argv; ${ARTIFACT}, ${ADDR}, ${PORT} … are expanded by the agent
	Env      map[string]Text
	Protocol Protocol // that the router speaks with it; "" = HTTP/1.1
	Routed   bool     // gets the router's requests; default: the process is named "web"
	Checks   []*Check
	Drain    Drain
	Confinement
	Range hcl.Range
}

// Scaling lets somebody else set how many instances of a process there are, such
// as an autoscaler. A plan takes the number that is live, within these bounds.
type Scaling struct {
	Min   int       `json:"min"`
	Max   int       `json:"max"`
	Range hcl.Range `json:"-"`
}

// Clamp is the number within the bounds that is nearest to n.
func (s *Scaling) Clamp(n int) int { return max(s.Min, min(n, s.Max)) }

// Confinement is what a process may use of its host, and who it is there. The
// zero value is the agent's own user, the directory / and no limit.
type Confinement struct {
	Limits           Limits `json:"limits,omitzero"`
	User             string `json:"user,omitempty"`              // a name of the host
	WorkingDirectory string `json:"working_directory,omitempty"` // absolute; "" = /
	// Secrets are the absolute paths of files on the host, by the variable that
	// has what is in one. Nobody but the host reads them.
	Secrets map[string]string `json:"secrets,omitempty"`
}

// Limits bound each instance of a process; 0 is no limit.
type Limits struct {
	Memory int64   `json:"memory_bytes,omitempty"` // one that needs more is killed
	CPU    float64 `json:"cpu,omitempty"`          // processors; one that wants more is slowed down
}

// Moment is where in a rollout a task is run.
type Moment string

// The moments of a task.
const (
	BeforeStart   Moment = "before_start"
	BeforeTraffic Moment = "before_traffic"
	AtCanary      Moment = "canary"
	AfterRollout  Moment = "after"
)

// Task is a program that is run to its end in a rollout.
type Task struct {
	Name    string
	Run     Moment
	Each    bool   // for each instance of the process; otherwise once a rollout
	Process string // whose environment it has; a release without it does not run the task
	Command []string
	Undo    []string      // nil: what it did stays
	Timeout time.Duration // default 10m
	Range   hcl.Range     `json:"-"`
}

// Protocol is what a router speaks with a process.
type Protocol string

// HTTP2 is HTTP/2 without TLS, as gRPC's servers speak it.
const HTTP2 Protocol = "h2c"

// CheckKind is how a check asks.
type CheckKind string

// The kinds of check.
const (
	CheckHTTP CheckKind = "http"
	CheckTCP  CheckKind = "tcp"
	CheckExec CheckKind = "exec"
	CheckGRPC CheckKind = "grpc"
)

// Check asks an instance whether it can serve. An instance is up once every
// check passed without interruption for HealthyAfter.
type Check struct {
	Kind         CheckKind     `json:"kind"`
	Path         string        `json:"path,omitempty"`    // http; default /
	Port         int           `json:"port,omitempty"`    // http, tcp, grpc; 0 = the instance's own PORT
	Service      string        `json:"service,omitempty"` // grpc; "" = the whole server
	Command      []string      `json:"command,omitempty"` // exec
	Interval     time.Duration `json:"interval_ns"`       // default 1s
	Timeout      time.Duration `json:"timeout_ns"`        // of one question; default 1s
	Threshold    int           `json:"threshold"`         // failures in a row after which an instance that was up is down; default 3
	HealthyAfter time.Duration `json:"healthy_after_ns"`  // default 0s: the first pass counts
	StartTimeout time.Duration `json:"start_timeout_ns"`  // not up by then is a failed start; default 30s
	Range        hcl.Range     `json:"-"`
}

// Drain is how an instance leaves: no new requests, then at most Timeout for
// those in flight, then Signal, then SIGKILL after KillAfter.
type Drain struct {
	Timeout   time.Duration `json:"timeout_ns"`    // default 30s
	Signal    string        `json:"signal"`        // default TERM
	KillAfter time.Duration `json:"kill_after_ns"` // default 10s
}

// StrategyKind is how a service moves from one release to the next.
type StrategyKind string

// The strategies.
const (
	AllAtOnce StrategyKind = "all_at_once"
	Rolling   StrategyKind = "rolling"
	// Canary gives the new release a growing share of the requests, beside all
	// instances of the old one.
	Canary StrategyKind = "canary"
	// BlueGreen brings the whole new release up beside the old one and, once it
	// is approved of, gives it all requests at once.
	BlueGreen StrategyKind = "blue_green"
	// Cycle keeps a second set of instances up without requests: the new release
	// takes its place, is tried there, and then the sets change their roles.
	Cycle StrategyKind = "cycle"
	// Handover is rolling, one by one, and each new instance says that it took
	// over before an old one goes.
	Handover StrategyKind = "handover"
	// PrimaryLast is for a replicated process: one new instance up and one old one
	// down at a time, first those that lag behind, then the synchronous one, then
	// the primary, whose place a new one takes.
	PrimaryLast StrategyKind = "primary_last"
	// Offline stops all, changes the schema, starts one instance of each
	// process, and then the rest: the way across releases that cannot share a
	// schema.
	Offline StrategyKind = "offline"
)

// Order of a rolling unit.
type Order string

// The orders of a rolling unit.
const (
	StartFirst Order = "start_first" // new up, then old down; the default
	StopFirst  Order = "stop_first"  // old down, then new up
)

// Strategy is a named way to roll out. A service that names none has a
// rolling one with the defaults below and an empty Name.
type Strategy struct {
	Name             string
	Kind             StrategyKind
	Batch            Batch
	Order            Order
	Surge            *Batch        // (rolling, start first) how many more than the count may be up at once; nil: a batch
	MaxStartFailures int           // starts of one step that may fail before the step does; default 0
	StepTimeout      time.Duration // default 120s, for each step
	ProgressDeadline time.Duration // of a start: for so long none more may come up; 0: only StepTimeout
	// KeepPrevious is how long the instances of the release before that got
	// requests stay up without any, so that they can be given them back.
	KeepPrevious time.Duration
	// HoldTraffic is how long the router keeps requests waiting while nothing of a
	// service is up (offline, stop_first); 0: they are refused at once.
	HoldTraffic time.Duration
	Steps       []*TrafficStep // (canary) in order, at least one; (blue_green) the one before all requests
	Sticky      *Sticky        // (canary) who comes back stays where he was; nil: each request is on its own
	Smokes      []*Check       // asked of each new instance, before it gets requests
	Cluster     *Cluster       // (primary_last) never nil then
	// SameVersion (offline) demands that all services that are down together
	// come back with the same version.
	SameVersion bool
	Range       hcl.Range
}

// TrafficStep is a share of the requests for the new release, and what must hold
// before it gets more.
type TrafficStep struct {
	Weight    int           // percent of the requests, 1 to 99, more than the step before; (blue_green) 0
	Instances Batch         // of the new release that are up; zero: the same share of the count, all for none
	Matches   []*Match      // requests that it gets besides, by any of them; nil: those of the step before
	Hold      time.Duration // that the share stays before questions are asked
	Verifies  []*Question   // asked after the hold
	Approve   *Approval     // asked after the verifies; nil: nobody is
	Range     hcl.Range     `json:"-"`
}

// Match is requests, by a header or a cookie.
type Match struct {
	Header string
	Cookie string
	Value  string // "": any, but it must be there
}

// Sticky is what tells one who comes back: a header, or a cookie that the router
// gives those who have none.
type Sticky struct {
	Header string
	Cookie string
}

// Approval is a person's word that is waited for.
type Approval struct {
	Timeout time.Duration // default 4h
	Defer   bool          // silence puts the rest off, instead of failing
	From    []string      // database roles whose word counts; none: anybody's
	Range   hcl.Range     `json:"-"`
}

// Question is a verify of a change, as others refer to it, or an analysis.
type Question struct {
	Change *Change
	*Verify
	Analysis *Analysis // nil for a verify
}

// MarshalText is the reference, "change.NAME.VERIFY" or "analysis.NAME".
func (q *Question) MarshalText() ([]byte, error) {
	if q.Analysis != nil {
		return []byte(q.Analysis.Address()), nil
	}
	return []byte(string(q.Change.Address()) + "." + q.Name), nil
}

// Address is "strategy.NAME", or "" for the default.
func (s *Strategy) Address() Address {
	if s.Name == "" {
		return ""
	}
	return Address("strategy." + s.Name)
}

// Cluster is a replicated process of a service that is rolled out primary_last.
type Cluster struct {
	Process string        // "": the one that a task is for without saying so
	Promote []string      // makes a primary of the synchronous instance that it is run beside; nil: they see to it themselves
	Timeout time.Duration // of Promote; default 1m
	Range   hcl.Range     `json:"-"`
}

// Batch is the size of a rolling unit: Count instances, or Percent of the
// process's count, rounded up. Both zero means as many as there are hosts.
type Batch struct {
	Count   int
	Percent int
}

// Change is one schema change in phases.
type Change struct {
	Name           string
	Database       *Database
	After          []*Change
	Gates          []*Gate    // asked before each step
	Window         *Window    // in which its steps run; nil: at any time
	RequiresAbsent []*Release // expand waits until no instance and no session of these is left
	Expand         []Operation
	Backfills      []*Backfill
	Verifies       []*Verify
	Contract       *Contract // nil: nothing to take away
	Serving        []*Change // those that come before this one, near or far, and serve a table by a view
	Range          hcl.Range
}

// Address is "change.NAME".
func (c *Change) Address() Address { return Address("change." + c.Name) }

// Migrations is a golang-migrate directory, taken as it is.
type Migrations struct {
	Name     string
	Database *Database
	Source   string        // directory relative to Dir
	Table    Table         // where golang-migrate records the version; default schema_migrations
	Version  uint64        // that should be live: up to and including; default the last of Files
	Files    []Migration   // the whole directory, by version
	Allow    []string      // codes of the hazards that its files may have
	Hold     time.Duration // of a strong lock by one of its files; 0 = the database's
	Window   *Window       // in which its files run; nil: at any time
	Range    hcl.Range
	// VersionRange is of the `version` argument, or of the header without one.
	VersionRange hcl.Range
}

// Address is "migrations.NAME".
func (m *Migrations) Address() Address { return Address("migrations." + m.Name) }

// Migration is one version of a directory.
type Migration struct {
	Version uint64
	Name    string // "add_interval"
	File    string // of the up migration, relative to Dir
	Up      string // SQL
	Down    string // SQL; "" where there is no down file or nothing in it
}

// Operations are those of expand, followed by those of contract.
func (c *Change) Operations() []Operation {
	if c.Contract == nil {
		return c.Expand
	}
	return append(c.Expand[:len(c.Expand):len(c.Expand)], c.Contract.Operations...)
}

// Backfill fills the new shape of Table from the old one. Set is by column;
// where the author gave none, it is the forward side of the sync on Table.
type Backfill struct {
	Table    Table
	Set      map[string]string
	Batch    int  // rows; default 1000
	Workers  int  // that fill at the same time; default 1
	Lossy    bool // what the way back loses is accepted
	Throttle Throttle
	Window   *Window // beside the change's; nil: none of its own
	// Kept says that no release makes rows that have to be filled: it need not
	// wait until those are gone that do not know the change.
	Kept bool
	// Fills says that there is one shape: it puts a value where there is none, and
	// what releases of either side write the other finds.
	Fills bool
	Range hcl.Range
	At    Places
}

// Throttle says when a back-fill holds. The zero value of each part is never;
// what cannot be told counts as over the limit.
type Throttle struct {
	ReplicaLag      time.Duration `json:"replica_lag_ns,omitempty"`
	LockWaiters     int           `json:"lock_waiters,omitempty"` // sessions that may wait for locks of the table
	Autovacuum      string        `json:"autovacuum,omitempty"`   // "wraparound", "any", "off"
	WALRate         int64         `json:"wal_rate_bytes,omitempty"`
	Latency         time.Duration `json:"latency_ns,omitempty"`        // of a small write
	ArchiverBacklog int           `json:"archiver_backlog,omitempty"`  // segments that wait to be archived
	DeadRows        int           `json:"dead_rows_percent,omitempty"` // of the living ones
	SQL             string        `json:"sql,omitempty"`
	RowsPerSecond   int           `json:"rows_per_second,omitempty"`
}

// Verify is a question to the data: rows that break a promise.
type Verify struct {
	Name  string
	SQL   string
	Max   int // this many rows are tolerated
	Range hcl.Range
	At    Places
}

// Contract takes the old shape away.
type Contract struct {
	Operations []Operation
	Soak       time.Duration // quiet time after the last old instance, session and old-shape write
	Quiets     []*Quiet
	// Statements says that statements which use what goes are looked for in
	// pg_stat_statements, where that is there.
	Statements bool
	Window     *Window // beside the change's; nil: none of its own
	Range      hcl.Range
}

// Quiet is a question that only the author can ask: when something that needs
// the old shape was last seen. SQL gives that time.
type Quiet struct {
	Name     string
	Database *Database // that is asked; default: the change's
	SQL      string
	Soak     time.Duration // for this long it must not have been seen; default: the contract's
	Range    hcl.Range
}

// Table is a table's name. Its text form is "schema.name", and plain "name"
// means the schema public.
type Table struct {
	Schema string
	Name   string
}

// DefaultDrain is how an instance leaves when the author said nothing.
func DefaultDrain() Drain {
	return Drain{Timeout: 30 * time.Second, Signal: "TERM", KillAfter: 10 * time.Second}
}
