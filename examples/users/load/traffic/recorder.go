package traffic

import (
	"fmt"
	"sync"
	"time"
)

// maxProblems is how many errors are kept with their details; the first ones
// tell the cause.
const maxProblems = 20

// recorder collects what all clients saw. It may be used from several
// goroutines.
type recorder struct {
	mu       sync.Mutex
	latency  histogram
	errors   int
	problems []Problem
	releases map[string]int
	paths    map[string]int

	inFlight int
	progress time.Time // when something was last answered, or first in flight
	stall    time.Duration
}

func newRecorder() *recorder { return &recorder{releases: map[string]int{}, paths: map[string]int{}} }

// sent notes that a request is in flight.
func (r *recorder) sent(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight == 0 {
		r.progress = now
	}
	r.inFlight++
}

// answered notes the end of a request to path that should have been sent at
// due.
func (r *recorder) answered(due, now time.Time, path string, a answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight--
	r.stall = max(r.stall, now.Sub(r.progress))
	r.progress = now
	r.latency.add(now.Sub(due))
	r.paths[path]++
	if a.release != "" {
		r.releases[a.release]++
	}
	if err == nil {
		return
	}
	r.errors++
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, Problem{
			At: now, Request: a.request, Release: a.release, Instance: a.instance, Text: fmt.Sprint(err),
		})
	}
}

func (r *recorder) summary(took time.Duration) Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Summary{
		Seconds:  took.Seconds(),
		Requests: r.latency.total,
		Errors:   r.errors,
		P50:      milliseconds(r.latency.percentile(0.50)),
		P99:      milliseconds(r.latency.percentile(0.99)),
		Worst:    milliseconds(r.latency.worst),
		Stall:    milliseconds(r.stall),
		Releases: r.releases,
		Paths:    r.paths,
		Problems: r.problems,
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
