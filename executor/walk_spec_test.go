package executor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pleat/planner"
	"pleat/providers/fake"
	"pleat/spec"
)

// shape is what a walk's spec may want at a time.
type shape struct {
	Release  int // 1 to 3
	Strategy string
	Step     string // what each share of a canary is held up by
	Web, Job int
	Batch    int // of rolling; 0: the default
	Keep     string
	Router   bool
	Gate     bool
	Task     string // when it runs; "": there is none
	Each     bool   // it is run for each instance
	Undo     bool   // it has one
	Smoke    bool
	Held     bool // requests wait while nothing is up
	Ledger   bool // there is another service, which comes after
	Promote  bool // of primary_last: there is a command for it
	Progress bool // instances have to keep coming
}

const (
	longestHold     = time.Minute      // for how long requests may wait
	longestProgress = 30 * time.Second // until one more instance came up
)

// setting is what stays the same on a walk.
type setting struct {
	Router  bool
	Ledger  bool
	Cluster bool // web is one
	Promote bool // which has a command for that
	Members int  // so many
}

func drawSetting(t *rapid.T) setting {
	s := setting{
		Router: rapid.IntRange(0, 3).Draw(t, "router") > 0, Ledger: rapid.IntRange(0, 2).Draw(t, "ledger") == 2,
		Cluster: rapid.IntRange(0, 5).Draw(t, "cluster") == 5,
	}
	if s.Cluster {
		s.Promote, s.Members = rapid.Bool().Draw(t, "promote"), rapid.IntRange(3, 4).Draw(t, "members")
	}
	return s
}

func drawShape(t *rapid.T, in setting) shape {
	router := in.Router
	s := shape{
		Release:  rapid.IntRange(1, 3).Draw(t, "release"),
		Strategy: rapid.SampledFrom([]string{"rolling", "all_at_once", "stop_first", "handover", "offline", "canary", "blue_green", "cycle"}).Draw(t, "strategy"),
		Web:      rapid.IntRange(1, 3).Draw(t, "web"),
		Job:      rapid.IntRange(0, 2).Draw(t, "job"),
		Router:   router,
		Gate:     rapid.IntRange(0, 3).Draw(t, "gate") == 3,
		Task:     rapid.SampledFrom([]string{"", "", "before_start", "before_traffic", "canary", "after"}).Draw(t, "task"),
		Smoke:    rapid.IntRange(0, 2).Draw(t, "smoke") == 2,
		Ledger:   in.Ledger,
		Progress: rapid.IntRange(0, 2).Draw(t, "progress") == 2,
	}
	if in.Cluster {
		s.Strategy, s.Promote, s.Web = "primary_last", in.Promote, in.Members
	}
	switch s.Strategy {
	case "canary", "blue_green", "cycle":
		if !router {
			s.Strategy = "rolling"
			break
		}
		if s.Strategy == "cycle" {
			break
		}
		s.Step = rapid.SampledFrom([]string{"", `hold = "5m"`, "verify = [analysis.errors]", "approve {\ntimeout = \"10m\"\n}", "approve {\ntimeout = \"10m\"\non_timeout = \"defer\"\n}"}).Draw(t, "step")
	case "rolling", "stop_first":
		s.Batch = rapid.IntRange(0, 2).Draw(t, "batch")
	}
	if router && s.Strategy != "offline" && s.Strategy != "stop_first" && s.Strategy != "primary_last" {
		s.Keep = rapid.SampledFrom([]string{"", "30m"}).Draw(t, "keep")
	}
	if router && (s.Strategy == "offline" || s.Strategy == "stop_first") {
		s.Held = rapid.Bool().Draw(t, "held")
	}
	if s.Task == "canary" && s.Strategy != "canary" && s.Strategy != "blue_green" {
		s.Task = "before_traffic"
	}
	if s.Task != "" {
		s.Undo, s.Each = rapid.Bool().Draw(t, "undo"), s.Task != "before_start" && rapid.Bool().Draw(t, "each")
	}
	return s
}

// version is the release that the shape wants.
func (s shape) version() string { return fmt.Sprintf("r%d", s.Release) }

// batch is how many instances go at a time.
func (s shape) batch() int {
	if s.Batch > 0 {
		return s.Batch
	}
	return len(hosts)
}

// floor is how many instances of a process keep serving, where so many are wanted and
// serve now.
func (s shape) floor(wanted, serving int) int {
	floor := min(serving, wanted)
	switch s.Strategy {
	case "stop_first":
		return min(floor, max(0, wanted-s.batch()))
	case "offline":
		return 0
	}
	return floor
}

func (s shape) strategy() string {
	switch s.Strategy {
	case "rolling", "stop_first":
		text := "rolling {\n"
		if s.Batch > 0 {
			text += fmt.Sprintf("batch = %d\n", s.Batch)
		}
		if s.Strategy == "stop_first" {
			text += "order = \"stop_first\"\n"
		}
		return text + "}\n"
	case "canary":
		return "canary {\nstep {\nweight = 10\n" + s.Step + "\n}\nstep {\nweight = 50\n" + s.Step + "\n}\n}\n"
	case "primary_last":
		text := "primary_last {\nprocess = \"web\"\n"
		if s.Promote {
			text += "promote {\ncommand = [\"promote\"]\n}\n"
		}
		return text + "}\n"
	case "blue_green":
		return "blue_green {\n" + s.Step + "\n}\n"
	}
	return s.Strategy + " {}\n"
}

func (s shape) text() string {
	var b strings.Builder
	b.WriteString("orchestrator \"host\" \"local\" {\nagents = [\"unix:///run/pleat/one.sock\"]\n}\n")
	b.WriteString("router \"proxy\" \"edge\" {\nlisten = \"127.0.0.1:8080\"\n}\n")
	b.WriteString("gate \"calm\" {\nfile {\npath = \"calm\"\n}\n}\n")
	b.WriteString("analysis \"errors\" {\npass = \"exit == 0\"\ncommand {\ncommand = [\"errors\"]\n}\n}\n")
	b.WriteString("strategy \"walk\" {\n" + s.strategy())
	if s.Keep != "" {
		fmt.Fprintf(&b, "keep_previous = %q\n", s.Keep)
	}
	if s.Held {
		fmt.Fprintf(&b, "hold_traffic = \"%ds\"\n", longestHold/time.Second)
	}
	if s.Progress {
		fmt.Fprintf(&b, "progress_deadline = \"%ds\"\n", longestProgress/time.Second)
	}
	if s.Smoke {
		b.WriteString("smoke \"http\" {\npath = \"/\"\n}\n")
	}
	b.WriteString("}\n")
	if s.Ledger {
		b.WriteString("strategy \"plain\" {\nrolling {}\n}\n")
		s.service(&b, "ledger", "strategy = strategy.plain\nafter = [service.users]\n", "process \"book\" {\ncount = 2\n}\n")
	}
	s.service(&b, "users", s.users(), fmt.Sprintf("process \"web\" {\ncount = %d\n"+s.joins()+"}\nprocess \"job\" {\ncount = %d\n}\n", s.Web, s.Job)+s.task())
	return b.String()
}

// users is what only that service has.
func (s shape) users() string {
	text := "strategy = strategy.walk\n"
	if s.Router {
		text += "router = router.proxy.edge\n"
	}
	if s.Gate {
		text += "gates = [gate.calm]\n"
	}
	return text
}

// joins is what web runs where it is a cluster.
func (s shape) joins() string {
	if s.Strategy != "primary_last" {
		return ""
	}
	return "command = [\"" + fake.Joins + "\"]\n"
}

func (s shape) task() string {
	if s.Task == "" {
		return ""
	}
	text := fmt.Sprintf("task \"chore\" {\nrun = %q\nprocess = \"web\"\ntimeout = \"1m\"\ncommand = [\"chore\"]\n", s.Task)
	if s.Each {
		text += "per = \"instance\"\n"
	}
	if s.Undo {
		text += "undo {\ncommand = [\"undo\"]\n}\n"
	}
	return text + "}\n"
}

func (s shape) service(b *strings.Builder, name, own, processes string) {
	fmt.Fprintf(b, "service %q {\n%srelease = %q\n%s", name, own, s.version(), processes)
	for n := 1; n <= 3; n++ {
		fmt.Fprintf(b, "release \"r%d\" {\nartifact {\npath = \"r%d\"\nsha256 = %q\n}\n}\n", n, n, digest(n))
	}
	b.WriteString("}\n")
}

func digest(release int) string { return strings.Repeat(fmt.Sprint(release), 64) }

// specs are those that were read lately: a plan changes nothing in one. Those of
// 100,000 walks would not fit into memory.
var specs struct {
	sync.Mutex
	of map[shape]*spec.Spec
}

const specsKept = 1000

// inTurn are two releases of a shape for a story, which has no time of its own to read
// their specs in.
func inTurn(t testing.TB, old shape, next int) (shape, shape) {
	t.Helper()
	fresh := old
	fresh.Release = next
	old.spec(t)
	fresh.spec(t)
	return old, fresh
}

func (s shape) spec(t testing.TB) *spec.Spec {
	specs.Lock()
	defer specs.Unlock()
	if known := specs.of[s]; known != nil {
		return known
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "walk.pleat.hcl"), []byte(s.text()), 0o644); err != nil {
		t.Fatal(err)
	}
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, s.text())
	}
	if specs.of == nil || len(specs.of) == specsKept {
		specs.of = map[shape]*spec.Spec{}
	}
	specs.of[s] = sp
	return sp
}

// goal lets releases replace each other that do not descend from each other, and
// those that a walk has put on hold.
func (s shape) goal(back string) planner.Goal {
	g := planner.Goal{LiftHold: "a walk", AcceptLineage: "a walk"}
	if back != "" {
		g.Rollback, g.Releases = true, map[string]string{"users": back}
	}
	return g
}
