package traffic

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// askAgain is how often it is asked whether /v2/user answers.
	askAgain = 100 * time.Millisecond
	// settled is how long every answer must have come from a release that has
	// /v2/user. Until then a client that used it would rightly be told 404.
	settled = time.Second
)

// shapes knows which releases answer /v2/user, and whether only those are
// live. It may be used from several goroutines.
type shapes struct {
	from <-chan struct{} // Options.V2From
	used func()          // Options.V2Used, once

	mu    sync.Mutex
	knows map[string]bool
	old   time.Time // the last answer of a release that is not in knows
}

// watch asks for /v2/user until ctx is done. These requests are no part of
// the load: the first ones are meant to find nothing.
func (s *shapes) watch(ctx context.Context, c *caller) {
	defer c.close()
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		// Without an id the endpoint says 400; where there is none, it is 404.
		a, err := c.call(ctx, http.MethodGet, "/v2/user", nil)
		if err == nil && a.status == http.StatusBadRequest {
			s.learn(a.release)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *shapes) learn(release string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knows[release] = true
}

// saw notes which release gave an answer of the load.
func (s *shapes) saw(release string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.knows[release] {
		s.old = now
	}
}

// both tells whether /v2/user may be used.
func (s *shapes) both(now time.Time) bool {
	if s.from != nil {
		select {
		case <-s.from:
		default:
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.knows) > 0 && now.Sub(s.old) > settled
}
