package planner_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
)

// The same spec and state give the same bytes and the same text, in however
// many files the spec is, in whatever order its blocks are, and with however
// many processors. Only the lines that steps come from differ, and those are
// left out.
func TestPlansAreDeterministic(t *testing.T) {
	specs, runs := 50, 4
	if long() {
		specs, runs = 1000, 20
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	first := make([][]byte, specs)
	for run := range runs {
		runtime.GOMAXPROCS([]int{1, 8}[run%2])
		for seed := range first {
			d := newDraft(uint64(seed))
			got := answer(t, d, d.load(t, rand.New(rand.NewPCG(uint64(seed), uint64(run)))))
			if run == 0 {
				first[seed] = got
			}
			if !bytes.Equal(got, first[seed]) {
				t.Fatalf("seed %d, run %d:\n%s\nand first\n%s", seed, run, got, first[seed])
			}
		}
	}
}
