package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"pleat/examples/users/load/traffic"
	"pleat/migrations"
)

// The load checks contents, so it is the strictest client that there is. It
// finds the one release that reads rows before they are filled, which is why
// the spec makes 2.0.2 wait for the back-fill.
func TestLoadFindsOnlyTheReleaseThatReadsUnfilledRows(t *testing.T) {
	tests := []struct {
		version string
		phase   migrations.Phase
		faulty  bool
	}{
		{"1.0.1", expanded, false},
		{"2.0.0", expanded, true},
		{"2.0.0", backfilled, false},
		{"2.0.2", contracted, false},
	}
	for _, test := range tests {
		t.Run(test.version+" "+string(test.phase), func(t *testing.T) {
			t.Parallel()
			s := loaded(t, service(t, test.version, inPhase(t, test.phase)))
			if faulty := s.Errors > 0; faulty != test.faulty || s.Requests < 60 {
				t.Errorf("faulty: %v\n%s", faulty, s.Lines())
			}
			for _, p := range s.Problems {
				if !strings.HasPrefix(p.Request, "GET /v2/user") {
					t.Error(p)
				}
			}
		})
	}
}

func loaded(t *testing.T, url string) traffic.Summary {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	s, err := traffic.Run(ctx, traffic.Options{
		URL: url, Rate: 60, Clients: 4, Seed: 7,
		Known: int64(len(hard)), Name: func(id int64) string { return hard[id-1] },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
