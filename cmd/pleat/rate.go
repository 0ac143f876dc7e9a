package main

import (
	"fmt"
	"strings"
	"time"

	"pleat/executor"
)

// rate is how far a step is and how fast it goes.
type rate struct {
	executor.Progressed
	first time.Time
	from  int64
	last  time.Time
}

// to is the rate after news of the step.
func (r rate) to(e executor.Progressed, at time.Time) rate {
	if r.Step != e.Step {
		r = rate{first: at, from: e.Done}
	}
	r.Progressed, r.last = e, at
	return r
}

// text is "61 %, 120,345 rows, 81,000 rows/s, 4s left". A unit may have a phase behind
// it, "blocks, building index", of which there are several in a step: it comes last.
func (r rate) text() string {
	unit, phase, phased := strings.Cut(r.Unit, ", ")
	text := r.amount(unit)
	if phased {
		text += ", " + phase
	}
	return text
}

func (r rate) amount(unit string) string {
	text := grouped(r.Done) + " " + unit
	if r.Total > 0 {
		text = fmt.Sprintf("%d %%, %s", min(100*r.Done/r.Total, 100), text)
	}
	seconds := r.last.Sub(r.first).Seconds()
	if seconds <= 0 || r.Done <= r.from {
		return text
	}
	speed := float64(r.Done-r.from) / seconds
	text += fmt.Sprintf(", %s %s/s", grouped(int64(speed)), unit)
	if left := r.Total - r.Done; r.Total > 0 && left > 0 {
		text += ", " + age(time.Duration(float64(left)/speed*float64(time.Second))) + " left"
	}
	return text
}
