package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// goal is what a figure should reach.
type goal struct {
	least bool // the bound is the least; otherwise the most
	bound float64
}

var goals = map[string]goal{
	"backfill_vs_pgroll":           {true, 2},
	"backfill_vs_pgroll_workers":   {true, 3},
	"backfill_vs_bare":             {true, 0.8},
	"writer_p99_vs_undisturbed":    {false, 2},
	"worst_stall_over_budget_ms":   {false, 50},
	"client_errors":                {false, 0},
	"backfill_pleat_wrong":         {false, 0},
	"backfill_pleat_workers_wrong": {false, 0},
	"held_reader_worst_stall_ms":   {false, 150},
	"unhide_ms":                    {false, 1000},
	"sync_cpu_overhead_percent":    {false, 3},
	"noop_apply_ms":                {false, 20},
	"plan_200_tables_ms":           {false, 300},
	"migrate_vs_golang_migrate":    {false, 1.1},
	"rollout_vs_critical_path":     {false, 1.1},
	"rollback_warm_s":              {false, 5},
	"deploy_non_2xx":               {false, 0},
}

// figure prints one, and says on stderr when its goal is missed.
func (b *bench) figure(name string, value float64, unit string) {
	fmt.Fprintf(b.out, "figure %s %s %s\n", name, digits(value), unit)
	g, ok := goals[name]
	if !ok {
		return
	}
	if g.least && value < g.bound {
		b.talk("goal missed: %s is %s, should be at least %v", name, digits(value), g.bound)
	}
	if !g.least && value > g.bound {
		b.talk("goal missed: %s is %s, should be at most %v", name, digits(value), g.bound)
	}
}

// digits keeps three that mean something.
func digits(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// median of an odd number is the middle one, of an even number the lower of
// the two. There must be one at least.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
