// Package providertest is the conformance suite of orchestrators and routers: what
// the executor relies on, asked of any provider through its interface alone.
package providertest

import (
	"context"
	"slices"
	"testing"

	"pleat/planner"
	"pleat/spec"
)

// Applier is what every provider of steps offers.
type Applier interface {
	// Apply is executor.Applier's.
	Apply(ctx context.Context, t planner.Ticket, s planner.Step, report func(planner.Report)) error
	// Probe is executor.Applier's.
	Probe(ctx context.Context, t planner.Ticket, s planner.Step) (planner.Outcome, error)
	// Announce fences former holders of the ticket's lease off.
	Announce(ctx context.Context, t planner.Ticket) error
}

// Orchestrator keeps instances running.
type Orchestrator interface {
	Applier
	// Ask is executor.Asker's.
	Ask(ctx context.Context, t planner.Ticket, g planner.Guard) (planner.Answer, error)
	// Observe reads what is live. What cannot be read is an error.
	Observe(ctx context.Context) (*planner.Orchestrator, error)
}

// Router gives instances requests.
type Router interface {
	Applier
	// Observe reads the backends and how requests are spread.
	Observe(ctx context.Context) (*planner.Router, error)
}

// Behavior is how the program of a test's release behaves.
type Behavior int

// The behaviors.
const (
	Works   Behavior = iota // comes up and stays
	Fails                   // ends by itself before it is up
	Hangs                   // runs and never gets healthy
	Falters                 // ends by itself when it is started first, and works from then on
)

// Command makes the program of agenttest behave so. It writes to file that it
// has begun.
func (b Behavior) Command(argv []string, file string) []string {
	switch b {
	case Fails:
		return append(argv, "-exit", "3")
	case Hangs:
		return append(argv, "-ready", "/nowhere")
	case Falters:
		return append([]string{"sh", "-c", "[ -e '" + file + "' ] || { touch '" + file + "'; exit 3; }; exec \"$@\"", "sh"}, argv...)
	}
	return argv
}

// Harness is one provider under test and what is behind it, fresh for each test.
type Harness struct {
	Orchestrator Orchestrator
	// Router is nil where only the orchestrator is tested.
	Router        Router
	RouterAddress spec.Address
	// Start makes a step's action that starts n instances of a release, of the
	// service users and the process web. It starts nothing.
	Start func(release string, n int, b Behavior) *planner.Start
	// Crash makes an instance that is up end by itself. It stays down
	// for about a second, so that it is seen, and may then come back by itself.
	Crash func(a *planner.Start, i planner.Placement)
	// Incarnation tells one start of an instance that is up from the next, as a
	// pid does.
	Incarnation func(a *planner.Start, i planner.Placement) string
	// Restart ends what is behind the provider and starts it again, without its
	// instances.
	Restart func()
	// Smoke gives a check that a working instance passes, or one that it fails.
	Smoke func(passes bool) *spec.Check

	// Lacks are what the provider is without: cases about it are skipped. What
	// follows may be nil where it is about one of them.
	Lacks []Ability
	// Task makes a step's action that runs a program that works, fails or hangs,
	// and Ran says how often such a program has begun.
	Task func(release string, b Behavior) *planner.Task
	Ran  func() int
	// Say has an instance that is up say what it is in its cluster.
	Say func(a *planner.Start, i planner.Placement, r planner.Role)
	// TakeOver has an instance that is up say that it took over for a run.
	TakeOver func(a *planner.Start, i planner.Placement, run string)
	// Request has the router answer one. What is not a good answer is an error.
	Request func(ctx context.Context) error
	// Busy has an instance that alone is attached get a request, and returns
	// when it has it. The request is in flight until finish is called.
	Busy func(a *planner.Start, i planner.Placement) (finish func())
}

// Run asks everything of the provider that open makes.
func Run(t *testing.T, open func(t *testing.T) *Harness) { run(t, cases, open) }

// RunRouter asks what is about the router, in front of an orchestrator of another
// kind.
func RunRouter(t *testing.T, open func(t *testing.T) *Harness) {
	run(t, slices.DeleteFunc(slices.Clone(cases), func(c question) bool { return !c.routed }), open)
}

func run(t *testing.T, cases []question, open func(t *testing.T) *Harness) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			if c.routed && h.Router == nil {
				t.Skip("there is no router")
			}
			if c.about != "" && !h.has(t, c.about) {
				t.Skipf("its provider lacks %s", c.about)
			}
			c.ask(&suite{Harness: h, t: t})
		})
	}
}

// question is one thing that is asked of a provider.
type question struct {
	name   string
	routed bool
	about  Ability
	ask    func(*suite)
}

var cases = []question{
	{"start is idempotent", false, "", (*suite).start},
	{"start at the same time", false, "", (*suite).startTogether},
	{"stop is idempotent", false, "", (*suite).stop},
	{"stop at the same time", false, "", (*suite).stopTogether},
	{"a stop keeps its floor", false, "", (*suite).stopFloor},
	{"a wrong artifact starts nothing", false, "", (*suite).wrongArtifact},
	{"a program that ends fails its start", false, "", (*suite).failingStart},
	{"a program that hangs fails its start", false, "", (*suite).hangingStart},
	{"a start that is cancelled", false, "", (*suite).cancelledStart},
	{"a crash right after up", false, "", (*suite).crash},
	{"a crash while a start looks on", false, "", (*suite).crashInStart},
	{"a restart behind the provider", false, "", (*suite).restart},
	{"a former holder is refused", false, "", (*suite).fence},
	{"smoke", false, "", (*suite).smoke},
	{"handover that is never said", false, "", (*suite).handover},
	{"a step of another provider is refused", false, "", (*suite).foreign},
	{"attach and drain are idempotent", true, "", (*suite).attachAndDrain},
	{"attach and drain at the same time", true, "", (*suite).attachTogether},
	{"nothing is attached that is not up", true, "", (*suite).attachDown},
	{"requests are given back to those that are up", true, "", (*suite).attachAgain},
	{"a drain keeps its floor", true, "", (*suite).floor},
	{"weights are absolute and read back", true, "", (*suite).weigh},
	{"a former holder is refused by the router", true, "", (*suite).routerFence},
	{"instances are where they were placed", false, Hosts, (*suite).placed},
	{"starts that may fail", false, Faltering, (*suite).faltering},
	{"restarts are counted", false, Counting, (*suite).counted},
	{"a task runs once", false, Tasks, (*suite).task},
	{"a task that fails", false, Tasks, (*suite).failingTask},
	{"a task that is cancelled", false, Tasks, (*suite).cancelledTask},
	{"roles are waited for", false, Clusters, (*suite).roles},
	{"a cluster is led as planned", false, Clusters, (*suite).clusterStop},
	{"a way back leaves a cluster its copy", false, Clusters, (*suite).clusterBack},
	{"a task of one role", false, Clusters, (*suite).roleTask},
	{"a task of one role that fails", false, Clusters, (*suite).failedRoleTask},
	{"handover that is said", false, TakingOver, (*suite).handoverSaid},
	{"a drain waits for requests", true, Requests, (*suite).busyDrain},
	{"a drain that is cancelled", true, Requests, (*suite).cancelledDrain},
	{"requests are held", true, Holding, (*suite).holdTraffic},
}
