package supervisor

import "time"

// steady is how long an instance must have been up for its earlier restarts
// to be forgotten.
const steady = 5 * time.Minute

// Backoff is how long an instance that has been restarted so often rests
// before it is started again.
func Backoff(restarts int) time.Duration {
	switch {
	case restarts < 5:
		return 0
	case restarts < 15:
		return 10 * time.Second
	}
	return 30 * time.Second
}
