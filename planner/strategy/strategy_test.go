package strategy

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pleat/spec"
)

func names(prefix string, n int) []string {
	var out []string
	for i := 1; i <= n; i++ {
		out = append(out, fmt.Sprintf("%s.%d", prefix, i))
	}
	return out
}

// arrows prints moves as the design's table does: ↑ up, ↓ down, with the
// number of instances where it is not 1.
func arrows(moves []Move) string {
	var parts []string
	for _, m := range moves {
		arrow := "↓"
		if m.Up {
			arrow = "↑"
		}
		parts = append(parts, fmt.Sprintf("%s%s%d", m.Process, arrow, len(m.Instances)))
	}
	return strings.Join(parts, " ")
}

func fresh(name string, old, wanted int) Process {
	return Process{Name: name, Wanted: wanted, Missing: names(name, wanted), Doomed: names("old-"+name, old)}
}

func round(size int, p Process) Process {
	p.Round = size
	return p
}

func TestOrder(t *testing.T) {
	tests := []struct {
		name      string
		strategy  spec.Strategy
		hosts     int
		processes []Process
		want      string
	}{
		{"all at once", spec.Strategy{Kind: spec.AllAtOnce}, 1, []Process{fresh("p", 2, 2)}, "p↑2 p↓2"},
		{"all at once, every process up first", spec.Strategy{Kind: spec.AllAtOnce}, 1,
			[]Process{fresh("b", 1, 1), fresh("a", 2, 2)}, "a↑2 b↑1 a↓2 b↓1"},
		{"one by one", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, 1,
			[]Process{fresh("p", 2, 2)}, "p↑1 p↓1 p↑1 p↓1"},
		{"one down one up", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}, Order: spec.StopFirst}, 1,
			[]Process{fresh("p", 2, 2)}, "p↓1 p↑1 p↓1 p↑1"},
		{"batches of 4", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 4}}, 1,
			[]Process{fresh("p", 8, 8)}, "p↑4 p↓4 p↑4 p↓4"},
		{"the last batch is what is left", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 2}}, 1,
			[]Process{fresh("p", 5, 5)}, "p↑2 p↓2 p↑2 p↓2 p↑1 p↓1"},
		{"batches of 2 with one more than wanted", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 2}, Surge: &spec.Batch{Count: 1}}, 1,
			[]Process{fresh("p", 4, 4)}, "p↑1 p↓2 p↑2 p↓2 p↑1"},
		{"never more than wanted", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 2}, Surge: &spec.Batch{}}, 1,
			[]Process{fresh("p", 4, 4)}, "p↓2 p↑2 p↓2 p↑2"},
		{"no more than a batch", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}, Surge: &spec.Batch{Count: 9}}, 1,
			[]Process{fresh("p", 2, 2)}, "p↑1 p↓1 p↑1 p↓1"},
		{"percent is rounded up", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Percent: 25}}, 1,
			[]Process{fresh("p", 5, 5)}, "p↑2 p↓2 p↑2 p↓2 p↑1 p↓1"},
		{"the default batch is the number of hosts", spec.Strategy{Kind: spec.Rolling}, 3,
			[]Process{fresh("p", 6, 6)}, "p↑3 p↓3 p↑3 p↓3"},
		{"a round over three hosts is one", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, 3,
			[]Process{round(3, fresh("p", 6, 6))}, "p↑3 p↓3 p↑3 p↓3"},
		{"and so it is by default", spec.Strategy{Kind: spec.Rolling}, 3,
			[]Process{round(3, fresh("p", 6, 6))}, "p↑3 p↓3 p↑3 p↓3"},
		{"half of the rounds", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Percent: 50}}, 2,
			[]Process{round(2, fresh("p", 8, 8))}, "p↑4 p↓4 p↑4 p↓4"},
		{"processes by name", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, 1,
			[]Process{fresh("web", 2, 2), fresh("api", 1, 1), fresh("worker", 1, 1)},
			"api↑1 api↓1 web↑1 web↓1 web↑1 web↓1 worker↑1 worker↓1"},
		{"a removed process only goes", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, 1,
			[]Process{fresh("new-web", 1, 0), fresh("web", 1, 1)}, "new-web↓1 web↑1 web↓1"},
		{"cut short after a start", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, 1,
			[]Process{{Name: "p", Wanted: 2, Present: 1, Missing: []string{"p.2"}, Doomed: names("old", 2)}},
			"p↓1 p↑1 p↓1"},
		{"scaled down by a release", spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: 1}}, 1,
			[]Process{fresh("p", 4, 2)}, "p↓1 p↓1 p↑1 p↓1 p↑1 p↓1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := arrows(Order(&tt.strategy, tt.hosts, tt.processes)); got != tt.want {
				t.Errorf("Order = %s, want %s", got, tt.want)
			}
		})
	}
}

// drawSurge is how many more may be up than are wanted.
func drawSurge(t *rapid.T, order spec.Order) *spec.Batch {
	if order == spec.StopFirst || rapid.Bool().Draw(t, "as many as a batch") {
		return nil
	}
	return &spec.Batch{Count: rapid.IntRange(0, 10).Draw(t, "surge")}
}

// Whatever stands at the start, a rollout ends with exactly what is wanted,
// and what serves never leaves the bounds that the order promises.
func TestRollingBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.IntRange(0, 9).Draw(t, "wanted")
		present := rapid.IntRange(0, wanted).Draw(t, "present")
		old := rapid.IntRange(0, 9).Draw(t, "old")
		batch := rapid.IntRange(1, 10).Draw(t, "batch")
		order := rapid.SampledFrom([]spec.Order{spec.StartFirst, spec.StopFirst}).Draw(t, "order")
		s := &spec.Strategy{Kind: spec.Rolling, Batch: spec.Batch{Count: batch}, Order: order, Surge: drawSurge(t, order)}
		p := Process{Name: "p", Wanted: wanted, Present: present, Missing: names("p", wanted-present), Doomed: names("old", old)}

		serving, left, missing := present+old, old, wanted-present
		start := serving
		for _, m := range Order(s, 1, []Process{p}) {
			n := len(m.Instances)
			if m.Up {
				serving, missing = serving+n, missing-n
			} else {
				serving, left = serving-n, left-n
			}
			if m.Serving != serving {
				t.Fatalf("move says %d serving, counted %d", m.Serving, serving)
			}
			surge := batch
			switch {
			case order == spec.StopFirst:
				surge = 0
			case s.Surge != nil:
				surge = min(s.Surge.Count, batch)
			}
			low, high := min(start, wanted-(batch-surge)), max(start, wanted+surge)
			if serving < low || serving > high {
				t.Fatalf("%d serving, want %d to %d", serving, low, high)
			}
		}
		if left != 0 || missing != 0 {
			t.Fatalf("%d old left, %d new missing", left, missing)
		}
	})
}
