package planner

import (
	"strings"
	"time"

	"pleat/migrations"
	"pleat/spec"
)

// State is what is live, read once before planning. It is a value: nothing in
// it fetches, and the planner changes nothing in it. Its JSON form is what
// golden tests feed.
type State struct {
	// Now is the instant the plan is made for.
	Now time.Time `json:"now"`

	Databases     map[string]*Database     `json:"databases,omitempty"`     // by name in the spec
	Orchestrators map[string]*Orchestrator `json:"orchestrators,omitempty"` // by address
	Routers       map[string]*Router       `json:"routers,omitempty"`       // by address
	Journal       Journal                  `json:"journal"`
}

// Database is one database's live facts.
type Database struct {
	Identity string                         `json:"identity"` // "SYSTEM_IDENTIFIER/DATABASE_OID"
	Name     string                         `json:"name"`     // current_database()
	Catalog  *migrations.Catalog            `json:"catalog"`
	Sessions []Sessions                     `json:"sessions,omitempty"`
	Changes  map[string]migrations.Recorded `json:"changes,omitempty"` // by change name
	// Left are changes that nobody asked for and that are half way: a sync of
	// theirs runs, or what they hid is hidden still. They are no facts.
	Left []string `json:"left,omitempty"`
	// Circumstances surround the schema; nil where nobody looked.
	Circumstances *Circumstances `json:"circumstances,omitempty"`
	// Versions are what golang-migrate recorded, by the name of the directory
	// in the spec. One that is missing has no version yet.
	Versions map[string]Version `json:"versions,omitempty"`
	// Applied are the versions that pleat knows to be there, by directory, in
	// order.
	Applied map[string][]Applied `json:"applied,omitempty"`
	// Traces are what is there of the file at which a directory was left dirty.
	Traces map[string][]Trace `json:"traces,omitempty"`
}

// Applied is a version of a directory that is there.
type Applied struct {
	Version uint64 `json:"version"`
	SHA256  string `json:"sha256"` // of its up file
	// TakenOver says that pleat did not run it: it was there, and the digest is
	// of the file as pleat first saw it.
	TakenOver bool `json:"taken_over,omitempty"`
}

// Trace is one statement of a migration file, and whether its effect is there.
type Trace struct {
	Number int    `json:"number"` // from 1
	SQL    string `json:"sql"`    // its first line
	Found  Found  `json:"found,omitempty"`
}

// Found is what the catalog says of a statement's effect. The zero value:
// nothing.
type Found string

// What may be found.
const (
	There    Found = "there"
	NotThere Found = "not there"
	Invalid  Found = "invalid" // an index that an interrupted build left
)

// Version is what golang-migrate's table says.
type Version struct {
	Version uint64 `json:"version"`         // 0: none
	Dirty   bool   `json:"dirty,omitempty"` // a migration was begun and not finished
	// Halfway is the file that pleat has under way, which is why it is dirty;
	// nil: none, or somebody else's.
	Halfway *Halfway `json:"halfway,omitempty"`
}

// Halfway is how far a migration file has come that runs in more than one
// transaction.
type Halfway struct {
	From       uint64 `json:"from"`       // the version before; 0: none
	To         uint64 `json:"to"`         // the version that it leads to; 0: none
	Statements int    `json:"statements"` // that ran
	Through    string `json:"through"`    // their digest, migrations.Through
	// Doing is the number of a statement that was sent outside of a transaction
	// and of which no end is recorded; 0: none.
	Doing   int    `json:"doing,omitempty"`
	Problem string `json:"problem,omitempty"` // what the server said of the next one
}

// Sessions counts the database sessions whose application_name names one
// release: "SERVICE@RELEASE/PROCESS.N".
type Sessions struct {
	Service string `json:"service"`
	Release string `json:"release"`
	Count   int    `json:"count"`
}

// Orchestrator is one orchestrator's live facts.
type Orchestrator struct {
	Identity  string     `json:"identity"`
	Hosts     []string   `json:"hosts"` // sorted
	Instances []Instance `json:"instances,omitempty"`
	// Abilities are what it can do; nil: everything.
	Abilities []Ability `json:"abilities,omitempty"`
}

// InstanceState is where an instance is in its life.
type InstanceState string

// The states of an instance.
const (
	Pending  InstanceState = "pending"
	Starting InstanceState = "starting"
	Up       InstanceState = "up"
	Stopping InstanceState = "stopping"
	Down     InstanceState = "down"
)

// Instance is one running copy of a process of a release. Its name is
// "PROCESS.N" with N from 1, unique within service and release.
type Instance struct {
	Service string        `json:"service"`
	Release string        `json:"release"`
	Process string        `json:"process"`
	Name    string        `json:"name"`
	Host    string        `json:"host"`
	Digest  string        `json:"digest"` // SHA-256 of the artifact it runs
	State   InstanceState `json:"state"`
	Role    Role          `json:"role,omitempty"`    // in its cluster, as it says itself
	Address string        `json:"address,omitempty"` // host:port where it takes requests; "": its orchestrator does not say
	// Restarts is how often it was started again because it had ended by itself,
	// and has not been up for long since; Ended is how it did, the last time.
	Restarts int    `json:"restarts,omitempty"`
	Ended    string `json:"ended,omitempty"`
}

// Role is what an instance of a replicated process says it is, once it has
// caught up. Other words mean nothing.
type Role string

// The roles.
const (
	Primary Role = "primary" // takes the writes
	Sync    Role = "sync"    // has a write before it counts
	Async   Role = "async"   // has it a little later
)

// AnyRole is no word of an instance's: a stop that has it is of one that may have
// become the primary.
const AnyRole Role = "any"

// Router is one router's live facts.
type Router struct {
	Identity string    `json:"identity"`
	Backends []Backend `json:"backends,omitempty"`
	Split
	Limits spec.RouterLimits `json:"limits,omitzero"`
	// Abilities are what it can do; nil: everything.
	Abilities []Ability `json:"abilities,omitempty"`
}

// Backend is an instance that a router knows.
type Backend struct {
	Service  string `json:"service"`
	Release  string `json:"release"`
	Instance string `json:"instance"` // "PROCESS.N"
	Draining bool   `json:"draining,omitempty"`
}

// of tells whether the backend is that instance.
func (b Backend) of(i Instance) bool {
	return i.Service == b.Service && i.Release == b.Release && i.Name == b.Instance
}

// process is that of the instance.
func (b Backend) process() string {
	process, _, _ := strings.Cut(b.Instance, ".")
	return process
}

// Journal is what pleat recorded about releases and runs.
type Journal struct {
	Releases []Release `json:"releases,omitempty"`
	// Kept are releases whose instances were taken out of the router and left
	// running, by when that was.
	Kept []Kept `json:"kept,omitempty"`
	// Unheard are instances whose word, that they took over, a run was to wait for
	// and was given up before it had it.
	Unheard []Unheard `json:"unheard,omitempty"`
	Open    *Run      `json:"open,omitempty"` // a run that started and did not end
}

// Unheard is an instance that was started and has not been heard to say that it
// took over. Run is the run that started it, which is the one it says it for.
type Unheard struct {
	Service  string `json:"service"`
	Version  string `json:"version"`
	Instance string `json:"instance"`
	Run      string `json:"run"`
}

// Kept is a release that stays up without requests.
type Kept struct {
	Service string    `json:"service"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
}

// Release is what a release declared when pleat last deployed it: enough to
// judge and to start it again after it has left the spec.
type Release struct {
	Service        string              `json:"service"`
	Version        string              `json:"version"`
	Artifact       Artifact            `json:"artifact"`
	Ancestors      []string            `json:"ancestors,omitempty"`
	Knows          []string            `json:"knows,omitempty"` // changes, closed over `after`, sorted
	NeedsBackfill  []string            `json:"needs_backfill,omitempty"`
	Tolerates      []string            `json:"tolerates,omitempty"`
	Processes      []ProcessDefinition `json:"processes,omitempty"`
	Versions       []VersionRange      `json:"versions,omitempty"`
	MigrateOnStart bool                `json:"migrate_on_start,omitempty"`
	RequiredStop   bool                `json:"required_stop,omitempty"`
	Held           string              `json:"held,omitempty"` // why a rollback put it on hold; "" = it may be rolled out
}

// VersionRange is a spec.VersionRange, the directory by its name.
type VersionRange struct {
	Migrations string `json:"migrations"`
	Min        uint64 `json:"min,omitempty"`
	Max        uint64 `json:"max,omitempty"` // 0: open
	Ships      uint64 `json:"ships,omitempty"`
}

// Run is a run that the journal has.
type Run struct {
	ID          string `json:"id"`
	Kind        string `json:"kind"` // "apply", "rollback"
	Fingerprint string `json:"fingerprint"`
}

// Artifact is a file pinned by its digest. Path is relative to the spec.
type Artifact struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// ProcessDefinition is everything an orchestrator needs to run instances of
// one process of one release. Secrets in Env are references.
type ProcessDefinition struct {
	Process  string               `json:"process"`
	Count    int                  `json:"count"` // on each host where PerHost
	PerHost  bool                 `json:"per_host,omitempty"`
	Scaling  *spec.Scaling        `json:"scaling,omitempty"` // Count is the least in what was declared, what was wanted in what was deployed
	Command  []string             `json:"command"`
	Env      map[string]spec.Text `json:"env,omitempty"`
	Routed   bool                 `json:"routed,omitempty"`
	Protocol spec.Protocol        `json:"protocol,omitempty"` // that the router speaks with it; "" = HTTP/1.1
	Checks   []*spec.Check        `json:"checks,omitempty"`
	Drain    spec.Drain           `json:"drain"`
	spec.Confinement
}

// Identity is which system answers at a database's or an orchestrator's
// address; "" when it was not read.
func (s *State) Identity(a spec.Address) string {
	if name, ok := cutPrefix(a, "database."); ok {
		if d := s.Databases[name]; d != nil {
			return d.Identity
		}
	}
	if o := s.Orchestrators[string(a)]; o != nil {
		return o.Identity
	}
	return ""
}
