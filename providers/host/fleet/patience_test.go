package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pleat/providers/host/api"
	"pleat/providers/host/fleet"
)

// TestPatientEnds: an agent that comes back in time is not missed, one that stays
// away is told of, and what an agent refuses is not asked for again.
func TestPatientEnds(t *testing.T) {
	silent := &api.UnreachableError{Agent: "one", Err: syscall.ECONNREFUSED}
	refused := api.Errorf(api.CodeConflict, "no")
	tests := []struct {
		name  string
		away  time.Duration // how long nobody answers
		there time.Duration // in the first attempt, before that
		then  error
		want  error
	}{
		{"there", 0, 0, nil, nil},
		{"refuses", 0, 0, refused, refused},
		{"restarts", 14 * time.Second, 0, nil, nil},
		{"refuses_afterwards", 14 * time.Second, 0, refused, refused},
		{"stays_away", 16 * time.Second, 0, nil, silent},
		{"answers_for_long_and_restarts", 14 * time.Second, time.Hour, nil, nil},
		{"answers_for_long_and_stays_away", 16 * time.Second, time.Hour, nil, silent},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				back, first := time.Now().Add(c.there+c.away), true
				err := fleet.Patient(t.Context(), func(there func()) error {
					if first && c.there > 0 {
						time.Sleep(c.there)
						there()
					}
					first = false
					if time.Now().Before(back) {
						return silent
					}
					return c.then
				})
				if !errors.Is(err, c.want) {
					t.Errorf("Patient = %v, want %v", err, c.want)
				}
			})
		})
	}
}

// TestPatientAsksTwice: a call that was not answered for as long as a call may take is
// no agent that stays away. One that does is not waited for twice where one wait is
// inside another.
func TestPatientAsksTwice(t *testing.T) {
	silent := &api.UnreachableError{Agent: "one", Err: syscall.ECONNREFUSED, Sent: true}
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		err := fleet.Patient(t.Context(), func(func()) error {
			asked++
			if asked > 1 {
				return nil
			}
			time.Sleep(time.Minute)
			return silent
		})
		if err != nil {
			t.Errorf("one answer was lost: %v", err)
		}
		began := time.Now()
		err = fleet.Patient(t.Context(), func(func()) error {
			return fmt.Errorf("inside: %w", fleet.Patient(t.Context(), func(func()) error { return silent }))
		})
		if took := time.Since(began); !errors.Is(err, silent) || took > 16*time.Second {
			t.Errorf("Patient = %v after %s", err, took)
		}
	})
}

// TestPatientEndsWithItsContext: at once.
func TestPatientEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := fleet.Patient(ctx, func(func()) error { return &api.UnreachableError{Agent: "one", Err: syscall.ECONNREFUSED} })
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("Patient = %v after %s", err, took)
		}
	})
}
