package traffic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Summary is what a load suffered.
type Summary struct {
	Seconds  float64        `json:"seconds"`
	Requests int64          `json:"requests"`
	Errors   int            `json:"errors"` // not 2xx, not answered, or answered wrong
	P50      float64        `json:"p50_ms"`
	P99      float64        `json:"p99_ms"`
	Worst    float64        `json:"worst_ms"`
	Stall    float64        `json:"longest_stall_ms"` // requests were in flight and none was answered
	Releases map[string]int `json:"releases"`         // answers by release
	Paths    map[string]int `json:"paths"`            // requests by path
	Problems []Problem      `json:"problems"`         // the first errors
}

// Problem is one error.
type Problem struct {
	At       time.Time `json:"at"`
	Request  string    `json:"request"`
	Release  string    `json:"release,omitempty"`
	Instance string    `json:"instance,omitempty"`
	Text     string    `json:"text"`
}

// String is a line.
func (p Problem) String() string {
	from := ""
	if p.Release != "" {
		from = fmt.Sprintf(" (%s %s)", p.Release, p.Instance)
	}
	return fmt.Sprintf("%s %s%s: %s", p.At.Format("15:04:05.000"), p.Request, from, p.Text)
}

// Lines is the summary for people: a name and a value in each line, then the
// problems.
func (s Summary) Lines() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-16s "+format+"\n", append([]any{name}, args...)...)
	}
	line("requests", "%d in %.1f s", s.Requests, s.Seconds)
	for _, path := range slices.Sorted(maps.Keys(s.Paths)) {
		line("  to "+path, "%d", s.Paths[path])
	}
	for _, release := range slices.Sorted(maps.Keys(s.Releases)) {
		line("  by "+release, "%d", s.Releases[release])
	}
	line("errors", "%d", s.Errors)
	line("latency", "p50 %.1f ms, p99 %.1f ms, worst %.1f ms", s.P50, s.P99, s.Worst)
	line("longest stall", "%.1f ms", s.Stall)
	for _, p := range s.Problems {
		line("error", "%s", p)
	}
	return b.String()
}
