package check

import (
	"fmt"
	"time"

	"pleat/spec"
)

// Health judges the answers of one instance's checks. It is owned by one
// goroutine.
type Health struct {
	checks   []*spec.Check
	verdicts []verdict
}

type verdict struct {
	good     bool
	since    time.Time // of good
	failures int       // in a row
	last     error
}

// NewHealth begins with no answer to any check: not ready, not failing.
func NewHealth(checks []*spec.Check) *Health {
	return &Health{checks: checks, verdicts: make([]verdict, len(checks))}
}

// Observe takes an answer in. A bad one sets the check's clock back.
func (h *Health) Observe(r Result) {
	v := &h.verdicts[r.Check]
	v.last = r.Err
	if r.Err != nil {
		v.good, v.failures = false, v.failures+1
		return
	}
	v.failures = 0
	if !v.good {
		v.good, v.since = true, r.At
	}
}

// Ready tells whether every check has been good for as long as it must be.
func (h *Health) Ready(now time.Time) bool {
	left, good := h.Left(now)
	return good && left <= 0
}

// Left is how long every check has to stay good from now on to be Ready; false where
// one of them is not good.
func (h *Health) Left(now time.Time) (left time.Duration, good bool) {
	for n, c := range h.checks {
		v := h.verdicts[n]
		if !v.good {
			return 0, false
		}
		left = max(left, c.HealthyAfter-now.Sub(v.since))
	}
	return left, true
}

// Failing is nil until some check went wrong as often in a row as it takes,
// and then says what came.
func (h *Health) Failing() error {
	for n, c := range h.checks {
		if v := h.verdicts[n]; v.failures >= max(c.Threshold, 1) {
			return fmt.Errorf("%s check failed %d times: last answer %w", c.Kind, v.failures, v.last)
		}
	}
	return nil
}

// Late is nil unless some check was not good by its start timeout.
func (h *Health) Late(started, now time.Time) error {
	for n, c := range h.checks {
		v := h.verdicts[n]
		if now.Sub(started) < c.StartTimeout || v.good && now.Sub(v.since) >= c.HealthyAfter {
			continue
		}
		switch {
		case v.last != nil:
			return fmt.Errorf("not healthy within %s: last answer %w", c.StartTimeout, v.last)
		case v.good:
			return fmt.Errorf("not healthy within %s: good for only %s of %s",
				c.StartTimeout, now.Sub(v.since).Round(time.Millisecond), c.HealthyAfter)
		}
		return fmt.Errorf("not healthy within %s: no answer", c.StartTimeout)
	}
	return nil
}
