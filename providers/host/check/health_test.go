package check_test

import (
	"errors"
	"testing"
	"time"

	"pleat/providers/host/check"
	"pleat/spec"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func TestHealth(t *testing.T) {
	bad := errors.New("503")
	type answer struct {
		at  float64
		err error
	}
	tests := []struct {
		name           string
		answers        []answer
		now            float64
		ready, failing bool
		late           string
	}{
		{name: "no answer", now: 9},
		{name: "no answer by the start timeout", now: 10, late: "not healthy within 10s: no answer"},
		{name: "good, not for long enough", answers: []answer{{1, nil}}, now: 3.9},
		{name: "good for long enough", answers: []answer{{1, nil}, {2, nil}}, now: 4, ready: true},
		{name: "a failure sets the clock back", answers: []answer{{1, nil}, {2, bad}, {3, nil}}, now: 5.9},
		{name: "and it runs again", answers: []answer{{1, nil}, {2, bad}, {3, nil}}, now: 6, ready: true},
		{name: "failing below the threshold", answers: []answer{{1, bad}}, now: 1},
		{name: "failing at the threshold", answers: []answer{{1, bad}, {2, bad}}, now: 2, failing: true},
		{name: "a success ends failing", answers: []answer{{1, bad}, {2, bad}, {3, nil}}, now: 3},
		{name: "late", answers: []answer{{9, bad}}, now: 10, late: "not healthy within 10s: last answer 503"},
		{name: "late by the clock", answers: []answer{{8, nil}}, now: 10, late: "not healthy within 10s: good for only 2s of 3s"},
		{name: "just in time", answers: []answer{{7, nil}}, now: 10, ready: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := check.NewHealth([]*spec.Check{{
				Kind: spec.CheckHTTP, Threshold: 2, HealthyAfter: 3 * time.Second, StartTimeout: 10 * time.Second,
			}})
			for _, a := range tt.answers {
				h.Observe(check.Result{At: at(a.at), Err: a.err})
			}
			if left, good := h.Left(at(tt.now)); good && (!h.Ready(at(tt.now).Add(left)) || left > 0 && h.Ready(at(tt.now).Add(left-1))) {
				t.Errorf("Left = %s, and that is not when it is ready", left)
			}
			if got := h.Ready(at(tt.now)); got != tt.ready {
				t.Errorf("Ready = %v, want %v", got, tt.ready)
			}
			if got := h.Failing(); (got != nil) != tt.failing {
				t.Errorf("Failing = %v, want %v", got, tt.failing)
			}
			if got := text(h.Late(t0, at(tt.now))); got != tt.late {
				t.Errorf("Late = %q, want %q", got, tt.late)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEveryCheckMustBeGood(t *testing.T) {
	h := check.NewHealth([]*spec.Check{{Kind: spec.CheckHTTP}, {Kind: spec.CheckTCP, Threshold: 1}})
	h.Observe(check.Result{Check: 0, At: t0})
	if h.Ready(t0) {
		t.Error("ready after one of two checks")
	}
	h.Observe(check.Result{Check: 1, At: t0})
	if !h.Ready(t0) {
		t.Error("not ready after both checks")
	}
	h.Observe(check.Result{Check: 1, At: t0, Err: errors.New("refused")})
	if h.Ready(t0) || h.Failing() == nil {
		t.Error("still ready after one failed")
	}
}
