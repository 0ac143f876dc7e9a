package planner_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pleat/migrations"
	"pleat/planner"
	"pleat/spec"
)

// BenchmarkPlan reads a spec, plans it and prints the plan: everything that
// `pleat plan` does but the live reads. Chained changes are each after the one
// before, wide ones share nothing. CPU is of the process, memory its peak.
func BenchmarkPlan(b *testing.B) {
	for _, shape := range []string{"wide", "chain"} {
		for _, steps := range []int{1000, 5000} {
			b.Run(fmt.Sprintf("%s/%d", shape, steps), func(b *testing.B) {
				dir := benchSpec(b, shape, steps)
				var cpu time.Duration
				for b.Loop() {
					before := cpuTime(b)
					planAll(b, dir, steps)
					cpu = cpuTime(b) - before
				}
				fmt.Printf("\nfigure plan_%d_%s_cpu %.3f CPU-seconds\n", steps, shape, cpu.Seconds())
				fmt.Printf("figure plan_%d_%s_mib %d MiB\n", steps, shape, peakMiB(b))
				if shape == "wide" && steps == 5000 {
					fmt.Printf("figure plan_%d_mib %d MiB\n", steps, peakMiB(b))
				}
			})
		}
	}
}

func benchSpec(b *testing.B, shape string, steps int) string {
	var s strings.Builder
	s.WriteString("database \"main\" {\n  url = \"postgres://localhost/bench\"\n}\n")
	for n := range steps {
		fmt.Fprintf(&s, "change \"c%05d\" {\n", n)
		if shape == "chain" && n > 0 {
			fmt.Fprintf(&s, "  after = [change.c%05d]\n", n-1)
		}
		fmt.Fprintf(&s, "  expand {\n    create_table \"t%05d\" {\n      column \"id\" {\n        type = \"bigint\"\n      }\n      primary_key = [\"id\"]\n    }\n  }\n}\n", n)
	}
	dir := b.TempDir()
	for i, part := range split(s.String(), 1<<19) {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d%s", i, spec.Suffix)), []byte(part), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// split cuts at the ends of blocks, below the size that a spec file may have.
func split(s string, size int) []string {
	var out []string
	for len(s) > size {
		cut := strings.LastIndex(s[:size], "\n}\n") + len("\n}\n")
		out, s = append(out, s[:cut]), s[cut:]
	}
	return append(out, s)
}

func planAll(b *testing.B, dir string, steps int) {
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	st := &planner.State{Databases: map[string]*planner.Database{"main": {Catalog: &migrations.Catalog{Tables: map[string]*migrations.Table{}}}}}
	plan, diags := planner.Make(sp, st, planner.Goal{})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	if plan.Now() != steps {
		b.Fatalf("%d steps, want %d", plan.Now(), steps)
	}
	if err := plan.WriteText(io.Discard, planner.RenderOptions{}); err != nil {
		b.Fatal(err)
	}
}

func cpuTime(b *testing.B) time.Duration {
	u := usage(b)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMiB is the largest that the process has been. Linux counts in KiB.
func peakMiB(b *testing.B) int64 { return usage(b).Maxrss / 1024 }

func usage(b *testing.B) syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u
}

// BenchmarkServices plans services that each take a change of their own along,
// all on one database. The larger one is there for the growth.
func BenchmarkServices(b *testing.B) {
	for b.Loop() {
		few, many := servicesCPU(b, 500), servicesCPU(b, 2000)
		fmt.Printf("\nfigure plan_500_services_cpu %.3f CPU-seconds\n", few.Seconds())
		fmt.Printf("figure plan_growth_500_to_2000_services %.1f ratio\n", many.Seconds()/few.Seconds())
	}
}

func servicesCPU(b *testing.B, n int) time.Duration {
	sp, st := manyServices(n)
	before := cpuTime(b)
	plan, diags := planner.Make(sp, st, planner.Goal{})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	if plan.Now() != 3*n {
		b.Fatalf("%d steps, want %d", plan.Now(), 3*n)
	}
	return cpuTime(b) - before
}

// manyServices are n services on one database; each goes to a release that
// knows a table of its own.
func manyServices(n int) (*spec.Spec, *planner.State) {
	db, o := &spec.Database{Name: "main"}, &spec.Orchestrator{Kind: "host", Name: "local"}
	sp := &spec.Spec{Databases: []*spec.Database{db}, Orchestrators: []*spec.Orchestrator{o}}
	live := &planner.Orchestrator{Hosts: []string{"one"}}
	for i := range n {
		table := spec.Table{Schema: "public", Name: fmt.Sprintf("t%d", i)}
		c := &spec.Change{Name: fmt.Sprintf("c%05d", i), Database: db, Expand: []spec.Operation{
			&spec.CreateTable{Table: table, Columns: []spec.Column{{Name: "id", Type: "int"}}},
		}}
		s := &spec.Service{Name: fmt.Sprintf("s%05d", i), Database: db, Orchestrator: o, Strategy: &spec.Strategy{Kind: spec.Rolling}}
		web := []*spec.Process{{Name: "web", Count: 1}}
		s.Releases = []*spec.Release{
			{Service: s, Version: "0", Processes: web},
			{Service: s, Version: "1", Processes: web, Schema: []*spec.Change{c}},
		}
		s.Release = s.Releases[1]
		sp.Changes, sp.Services = append(sp.Changes, c), append(sp.Services, s)
		live.Instances = append(live.Instances, planner.Instance{Service: s.Name, Release: "0", Process: "web", Name: "web.1", Host: "one", State: planner.Up})
	}
	return sp, &planner.State{
		Databases:     map[string]*planner.Database{"main": {Catalog: &migrations.Catalog{Tables: map[string]*migrations.Table{}}}},
		Orchestrators: map[string]*planner.Orchestrator{"orchestrator.host.local": live},
	}
}
