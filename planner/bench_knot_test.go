package planner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pleat/planner"
	"pleat/spec"
)

// BenchmarkKnot plans one knot of 12 changes and 4 services with 6 releases
// each, in which every service has to go by every release; and the same with
// the last but one release taken out, where there is no way and every
// suggestion is tried.
func BenchmarkKnot(b *testing.B) {
	for b.Loop() {
		figure("plan_knot_ms", "%.0f ms", planKnot(b, true))
		figure("plan_knot_without_a_way_ms", "%.0f ms", planKnot(b, false))
	}
}

// planKnot is how many milliseconds planning takes.
func planKnot(b *testing.B, way bool) float64 {
	dir := b.TempDir()
	writeSpec(b, dir, func(block func(string)) { knot(way, block) })
	sp, diags := spec.Load(dir, spec.Options{})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	st := firstReleases(sp)
	began := time.Now()
	plan, diags := planner.Make(sp, st, planner.Goal{})
	took := time.Since(began)
	if way != (plan != nil) {
		b.Fatalf("a way: %v, want %v (%s)", plan != nil, way, diags)
	}
	return float64(took.Microseconds()) / 1000
}

const knotServices, knotReleases = 4, 6

// knot has two changes for every release. The first of them waits until all
// releases but the one before are gone from every service.
func knot(way bool, block func(string)) {
	block(benchDatabase)
	block("orchestrator \"host\" \"local\" {\n  agents = [\"unix:///run/agent.sock\"]\n}\n")
	for r := range knotReleases {
		var absent []string
		for s := range knotServices {
			for old := range max(r-1, 0) {
				absent = append(absent, fmt.Sprintf("service.s%d.release[\"v%d\"]", s, old))
			}
		}
		block(knotChange(2*r, fmt.Sprintf("  requires_absent = [%s]\n", strings.Join(absent, ", "))))
		block(knotChange(2*r+1, fmt.Sprintf("  after = [change.k%02d]\n", 2*r)))
	}
	for s := range knotServices {
		block(knotService(s, way))
	}
}

func knotChange(n int, with string) string {
	return fmt.Sprintf("change \"k%02d\" {\n%s  expand {\n    create_table \"t%02d\" {\n      column \"id\" {\n        type = \"int\"\n      }\n    }\n  }\n}\n", n, with, n)
}

func knotService(s int, way bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "service \"s%d\" {\n  release = \"v%d\"\n  process \"web\" {}\n", s, knotReleases-1)
	for r := range knotReleases {
		needs := 2*r + 1
		if !way && r == knotReleases-2 {
			needs = 2*knotReleases - 1 // it cannot come before the last one either
		}
		fmt.Fprintf(&b, "  release \"v%d\" {\n    artifact {\n      path = \"bin/app\"\n      sha256 = \"%064d\"\n    }\n    schema = [change.k%02d]\n  }\n", r, r, needs)
	}
	b.WriteString("}\n")
	return b.String()
}
