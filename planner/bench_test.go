package planner_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkPlan reads a spec, plans it and prints the plan: everything that
// `pleat plan` does but the live reads. The graphs are of changes, a step each.
func BenchmarkPlan(b *testing.B) {
	for b.Loop() {
		for _, shape := range []string{"wide", "chain", "layered"} {
			cpu := map[int]time.Duration{}
			for _, steps := range []int{1000, 5000, 20000} {
				u := planGraph(b, graph{shape, steps})
				cpu[steps] = u.cpu
				u.print(fmt.Sprintf("plan_%d_%s", steps, shape))
				if shape == "wide" && steps == 5000 {
					figure("plan_5000_mib", "%d MiB", u.mib)
				}
			}
			figure("plan_growth_5000_to_20000"+suffix(shape), "%.1f ratio", cpu[20000].Seconds()/cpu[5000].Seconds())
		}
	}
}

// suffix tells the figures of a shape from those of the wide one, which have
// none.
func suffix(shape string) string {
	if shape == "wide" {
		return ""
	}
	return "_" + shape
}

// BenchmarkServices plans services that each take a change of their own along,
// all on one database. The larger number is there for the growth.
func BenchmarkServices(b *testing.B) {
	for b.Loop() {
		few, many := planServices(b, 500), planServices(b, 2000)
		few.print("plan_500_services")
		many.print("plan_2000_services")
		figure("plan_growth_500_to_2000_services", "%.1f ratio", many.cpu.Seconds()/few.cpu.Seconds())
	}
}

// planGraph is what a plan of the graph uses.
func planGraph(b *testing.B, g graph) usage {
	dir := b.TempDir()
	writeSpec(b, dir, g.spec)
	return plan(b, dir, g.steps)
}

// planServices is what a plan of so many services uses: each takes an expand,
// a start and a stop.
func planServices(b *testing.B, n int) usage {
	dir := b.TempDir()
	writeSpec(b, dir, func(block func(string)) { services(n, block) })
	return plan(b, dir, 3*n)
}

// runsOf is how many times a case is run: a long one once.
func runsOf(steps int) int {
	if steps > 5000 {
		return 1
	}
	return 3
}

// plan has this program plan the spec in a directory, in processes of their
// own, and checks how many steps the plan has. What counts is the run with the
// median CPU.
func plan(b *testing.B, dir string, steps int) usage {
	var all []usage
	for range runsOf(steps) {
		out, u := measure(b, planCommand(b, dir))
		if want := fmt.Sprintln(steps, "steps"); out != want {
			b.Fatalf("the plan has %q, want %q", out, want)
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b usage) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2]
}

func (u usage) print(name string) {
	figure(name+"_cpu", "%.3f CPU-seconds", u.cpu.Seconds())
	figure(name+"_mib", "%d MiB", u.mib)
}

// figure prints one, on a line of its own whatever stands before it.
func figure(name, format string, value any) {
	fmt.Printf("\nfigure %s "+format+"\n", name, value)
}
