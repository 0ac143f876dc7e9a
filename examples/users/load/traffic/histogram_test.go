package traffic

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPercentilesAreAtMostThreePercentTooHigh(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(1+random.ExpFloat64()*20_000) * time.Microsecond
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[min(int(p*float64(len(all))), len(all)-1)]
		got := h.percentile(p)
		if got < want || float64(got) > float64(want)*1.032+1000 {
			t.Errorf("percentile %v is %v, want %v", p, got, want)
		}
	}
	if h.worst != all[len(all)-1] {
		t.Errorf("worst is %v, want %v", h.worst, all[len(all)-1])
	}
}

func TestBucketsAreWithoutGaps(t *testing.T) {
	last := -1
	for us := range uint64(100_000) {
		b := bucket(us)
		if b != last && b != last+1 {
			t.Fatalf("%d µs falls into bucket %d after %d", us, b, last)
		}
		if limit := ceiling(b); time.Duration(us)*time.Microsecond > limit {
			t.Fatalf("%d µs is above the ceiling %v of its bucket", us, limit)
		}
		last = b
	}
	if b := bucket(1<<64 - 1); b != len(histogram{}.counts)-1 {
		t.Errorf("the largest value falls into bucket %d of %d", b, len(histogram{}.counts))
	}
}

func TestEmptyHistogramHasNoLatency(t *testing.T) {
	var h histogram
	if got := h.percentile(0.99); got != 0 {
		t.Errorf("percentile of nothing is %v", got)
	}
}
