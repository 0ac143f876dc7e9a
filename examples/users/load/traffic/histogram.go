package traffic

import (
	"math/bits"
	"time"
)

// precision is how many bits of a value are kept: 32 steps for each doubling,
// so a percentile is at most 3 % too high.
const precision = 5

// histogram counts durations in fixed memory, microseconds to centuries.
type histogram struct {
	counts [(64 - precision + 1) << precision]int64
	total  int64
	worst  time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(0, d.Microseconds())))]++
	h.total++
	h.worst = max(h.worst, d)
}

// bucket is exact below 32 and keeps the highest bits above.
func bucket(us uint64) int {
	shift := max(0, bits.Len64(us)-precision-1)
	return shift<<precision + int(us>>shift)
}

// ceiling is the largest value in bucket b.
func ceiling(b int) time.Duration {
	shift := max(0, b>>precision-1)
	return time.Duration(uint64(b-shift<<precision+1)<<shift-1) * time.Microsecond
}

// percentile is the time within which a share p of all, from 0 to 1, was
// answered; 0 for an empty histogram.
func (h *histogram) percentile(p float64) time.Duration {
	rest := int64(p * float64(h.total))
	for b, n := range h.counts {
		if rest -= n; rest < 0 {
			return min(ceiling(b), h.worst)
		}
	}
	return h.worst
}
