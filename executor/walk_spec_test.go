package executor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"pleat/planner"
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
}

func drawShape(t *rapid.T, router bool) shape {
	s := shape{
		Release:  rapid.IntRange(1, 3).Draw(t, "release"),
		Strategy: rapid.SampledFrom([]string{"rolling", "all_at_once", "stop_first", "handover", "offline", "canary", "blue_green", "cycle"}).Draw(t, "strategy"),
		Web:      rapid.IntRange(1, 3).Draw(t, "web"),
		Job:      rapid.IntRange(0, 2).Draw(t, "job"),
		Router:   router,
		Gate:     rapid.IntRange(0, 3).Draw(t, "gate") == 3,
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
	if router && s.Strategy != "offline" && s.Strategy != "stop_first" {
		s.Keep = rapid.SampledFrom([]string{"", "30m"}).Draw(t, "keep")
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

// floor is how many instances keep serving, of so many that serve now.
func (s shape) floor(serving int) int {
	floor := min(serving, s.Web)
	switch s.Strategy {
	case "stop_first":
		return min(floor, max(0, s.Web-s.batch()))
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
	b.WriteString("}\nservice \"users\" {\nstrategy = strategy.walk\n")
	if s.Router {
		b.WriteString("router = router.proxy.edge\n")
	}
	if s.Gate {
		b.WriteString("gates = [gate.calm]\n")
	}
	fmt.Fprintf(&b, "release = %q\nprocess \"web\" {\ncount = %d\n}\nprocess \"job\" {\ncount = %d\n}\n", s.version(), s.Web, s.Job)
	for n := 1; n <= 3; n++ {
		fmt.Fprintf(&b, "release \"r%d\" {\nartifact {\npath = \"r%d\"\nsha256 = %q\n}\n}\n", n, n, digest(n))
	}
	b.WriteString("}\n")
	return b.String()
}

func digest(release int) string { return strings.Repeat(fmt.Sprint(release), 64) }

// specs are those that were read already: a plan changes nothing in one.
var specs sync.Map

func (s shape) spec(t testing.TB) *spec.Spec {
	if known, ok := specs.Load(s); ok {
		return known.(*spec.Spec)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "walk.pleat.hcl"), []byte(s.text()), 0o644); err != nil {
		t.Fatal(err)
	}
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, s.text())
	}
	specs.Store(s, sp)
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
